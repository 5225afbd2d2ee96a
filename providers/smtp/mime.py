"""The mail of each recipient of a batch, as bytes. What is the same for all is written once, before the first of them.

Each part's text is filled (providers/filling.py), then encoded with lines of at most 78 characters, whatever the values are.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime

from domain import addresses, ledger, message_ids, ports, templates
from domain.addresses import InvalidAddress
from providers import batch_checks
from providers.batch_checks import RecipientRefused
from providers.filling import Text
from providers.smtp import checks, headers, smtpapi
from providers.smtp.config import SmtpConfig
from providers.smtp.letter import Letter
from providers.smtp.signing import Signer

UNSUBSCRIBE_VARIABLE = "unsubscribe_url"
# No line of either encoding can begin so: quoted-printable writes = before two hex digits only.
_BOUNDARY = "=_alternative_=_"
_BASE64_FROM = 0.25  # of the bytes beyond ASCII: from there on it is shorter than quoted-printable
_LONGEST_LOCAL = 64  # RFC 5321 section 4.5.3.1.1
_NOT_IN_FEEDBACK = re.compile(r"[^A-Za-z0-9._-]+")


class Composer:
    """Writes the mails of one batch. Raises Unsendable where the batch as a whole is faulty."""

    def __init__(
        self, batch: ports.Batch, config: SmtpConfig, *, keys: tuple[str, str], signer: Signer | None, now: datetime
    ) -> None:
        """`keys`: the id and the key that Message-IDs and return paths are signed with."""
        self._batch, self._config, self._signer = batch, config, signer
        self._key_id, self._key = keys
        links = {} if batch.transactional else {UNSUBSCRIBE_VARIABLE: batch.unsubscribe_urls}
        self._values: dict[str, Sequence[str]] = {**batch.variables, **links}
        names = tuple(self._values)
        checks.batch_shape(batch, config.batch_size)
        checks.content(batch, names)
        batch_checks.header_text("subject", batch.content.subject)
        self._subject = Text(batch.content.subject, names, templates.plain_tag, escaped=False)
        parts = (
            ("plain", Text(batch.content.text, names, templates.plain_tag, escaped=False), batch.content.text),
            ("html", Text(batch.content.html, names, templates.html_tag, escaped=True), batch.content.html),
        )
        # The least faithful first (RFC 2046 section 5.1.4): a program shows the last one that it understands.
        self._parts = [(kind, part, _is_foreign(text)) for kind, part, text in parts if text]
        self._from, self._domain = _sender(batch)
        self._common = self._common_headers(now)
        self._return_path(max(batch.message_ids, key=len))  # whether it has room

    def letter(self, number: int) -> Letter:
        """The mail of one message of the batch. Raises RecipientRefused."""
        message_id = self._batch.message_ids[number]
        address = self._batch.addresses[number]
        try:
            recipient = addresses.in_envelope(address)
        except InvalidAddress as error:
            raise RecipientRefused(f"the address cannot be mailed: {error}") from None
        values = {name: column[number] for name, column in self._values.items()}
        checks.row(values)
        try:
            mail = self._head(number, message_id, recipient, values) + self._body(values)
        except UnicodeEncodeError:  # its text may repeat a value
            raise RecipientRefused("a value is not valid Unicode (half of a surrogate pair)") from None
        if self._signer is not None:
            mail = self._signer.signed(mail)
        return Letter(message_id, self._return_path(message_id), recipient, mail)

    def attempt_of(self, message_id: str) -> str:
        """By what attempt the mail is known: where it is the only one, what is heard of it is heard of the batch."""
        attempt = self._batch.attempt_id
        return attempt if len(self._batch) == 1 else ledger.own_attempt(attempt, message_id)

    def _head(self, number: int, message_id: str, recipient: str, values: Mapping[str, str]) -> bytes:
        for name in self._subject.names:
            checks.header_value(name, values[name])
        own = self.attempt_of(message_id)
        mail_id = message_ids.mail_id(message_id, own, domain=self._domain, key=self._key, key_id=self._key_id)
        lines = [
            headers.field("To", recipient),
            headers.field("Subject", headers.text(self._subject.filled(values), name="Subject")),
            headers.field("Message-ID", mail_id),
            *(() if self._batch.transactional else self._unsubscribe(number, message_id)),
            *([smtpapi.field(self._batch, message_id, own)] if self._config.x_smtpapi else ()),
        ]
        return self._common + "".join(lines).encode()

    def _unsubscribe(self, number: int, message_id: str) -> list[str]:
        """RFC 8058: the mail program posts to the link; the address of RFC 2369 is for those that know no better."""
        ways = [f"<{checks.url(self._batch.unsubscribe_urls[number])}>"]
        if self._config.unsubscribe_mailbox:
            ways.append(f"<mailto:{self._named(message_id, self._config.unsubscribe_mailbox)}?subject=unsubscribe>")
        return [
            headers.field("List-Unsubscribe", ",\r\n ".join(ways)),
            headers.field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ]

    def _common_headers(self, now: datetime) -> bytes:
        batch = self._batch
        try:
            lines = [
                headers.field("Date", format_datetime(now)),
                headers.field("From", headers.mailbox(batch.sender.name, self._from)),
                headers.field("Feedback-ID", _feedback_id(batch, self._config.feedback_sender_id)),
            ]
            if batch.transactional:  # RFC 3834: whoever is on holiday does not answer to it
                lines.append(headers.field("Auto-Submitted", "auto-generated"))
            if batch.sender.reply_to:
                lines.append(headers.field("Reply-To", _address("reply address", batch.sender.reply_to)))
        except UnicodeEncodeError:
            raise ports.Unsendable("the sender's name is not valid Unicode; nothing was sent") from None
        return "".join([*lines, headers.field("MIME-Version", "1.0")]).encode()

    def _body(self, values: Mapping[str, str]) -> bytes:
        written = [_encoded(kind, part.filled(values), foreign) for kind, part, foreign in self._parts]
        if len(written) == 1:
            return written[0]
        between = f"--{_BOUNDARY}\r\n".encode()
        head = headers.field("Content-Type", f'multipart/alternative; boundary="{_BOUNDARY}"').encode()
        return head + b"\r\n" + b"".join(between + part for part in written) + f"--{_BOUNDARY}--\r\n".encode()

    def _return_path(self, message_id: str) -> str:
        if not self._config.return_mailbox:
            return self._from
        return self._named(message_id, self._config.return_mailbox)

    def _named(self, message_id: str, mailbox: str) -> str:
        found = message_ids.return_path(message_id, mailbox=mailbox, key=self._key, key_id=self._key_id)
        if (spare := _LONGEST_LOCAL - found.index("@")) < 0:
            raise ports.Unsendable(
                f"the name before the @ of {mailbox} is {-spare} characters too long to carry a message's name"
            )
        return found


def _sender(batch: ports.Batch) -> tuple[str, str]:
    """The From address, and the domain of Message-IDs: that of the stream, by the route."""
    batch_checks.header_text("sender's name", batch.sender.name)
    address = _address("sender's address", batch.sender.email)
    return address, address.rpartition("@")[2]


def _address(what: str, address: str) -> str:
    try:
        found = addresses.in_envelope(address)
    except InvalidAddress as error:
        raise ports.Unsendable(f"the {what} cannot be used: {error}") from None
    if not found.isascii():
        raise ports.Unsendable(f"the {what} has a name before the @ that is not ASCII")
    return found


def _feedback_id(batch: ports.Batch, sender_id: str) -> str:
    """Google's form a:b:c:sender, of which the last has 5 to 15 characters (support.google.com/mail/answer/6254652)."""
    route = batch.grant.route
    sender = sender_id or f"{_word(route.account_id).lower()}-mail"[-15:]
    # Figures come for what many mails have in common: a transactional message's own id would be seen once.
    what = batch.campaign if batch.transactional else batch.run_id
    return ":".join([_word(what), _word(f"{route.name}-{route.pool}"), _word(route.stream), sender])


def _word(text: str) -> str:
    return _NOT_IN_FEEDBACK.sub("-", text)[:60].strip("-") or "none"


def _is_foreign(text: str) -> bool:
    return len(text.encode("utf-8", "replace")) - len(text) > _BASE64_FROM * len(text)


def _encoded(kind: str, text: str, foreign: bool) -> bytes:
    """One part: its own headers, an empty line, its text."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"
    encoded = lines.replace("\n", "\r\n").encode()
    if foreign:
        way, body = "base64", base64.encodebytes(encoded).replace(b"\n", b"\r\n")
    else:
        way, body = "quoted-printable", binascii.b2a_qp(encoded, istext=True)
        # Some servers write >From there, which breaks a signature.
        body = (b"\r\n" + body).replace(b"\r\nFrom ", b"\r\n=46rom ")[2:]
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: {way}\r\n\r\n"
    return head.encode() + body
