"""Mail that comes back, as delivery events. Pure: the raw mail is stored before anybody reads it.

Anybody can send us a bounce. One that carries a name which we signed (domain/message_ids.py) is about that message,
whatever address it shows: whoever got a mail can say something of his own mailbox and of nobody else's. One without
such a name is of kind `unknown`, which changes nothing but what is counted, unless the operator trusts the mailbox.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from domain import message_ids
from domain.bounces import Verdict
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault, UnreadableEvent
from domain.message_ids import Named
from domain.suppression import Reason
from providers.smtp import auto_replies, complaints, mail, prose, statuses
from providers.smtp.findings import Finding, address_in
from providers.smtp.mail import Mail

PROVIDER = "smtp"
_ENVELOPE = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-rcpt-to", "to")
_REFERENCES = ("in-reply-to", "references", "x-original-message-id")
# A report is days old at most: MTAs give up after five. Beyond that its clock is wrong, and ours is taken.
_OLDEST = timedelta(days=14)
_FUTURE = timedelta(hours=26)
_UNSUBSCRIBED = Verdict(suppresses=Reason.UNSUBSCRIBE)
_NO_PERSON = Verdict(BounceClass.SOFT, Fault.RECIPIENT)


@dataclass(frozen=True, slots=True)
class ReturnedMail:
    """domain.ports.EventReader over raw mails (RFC 5322), as the listener and the mailbox brought them.

    `keys`: key id → key of our signatures; `link_purpose`: what links to unsubscribe are signed for;
    `unsubscribe_mailboxes`: where a mail asks for no more mail; `trusting`: an address alone is believed.
    """

    keys: dict[str, str]
    link_purpose: str
    unsubscribe_mailboxes: Sequence[str] = ()
    trusting: bool = False

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:  # noqa: ARG002 - the port's signature
        """Mail does not come through the HTTP door."""
        return False

    def parse(self, body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]:
        """Yield one event for each recipient that the mail speaks of; a mail that is no report is one `unknown`."""
        returned = mail.read(body)
        occurred_at = instant(returned)
        if occurred_at is None:
            yield UnreadableEvent(0, "not a mail: it has no date, neither of its own nor of its receipt")
            return
        named = self._named(returned)
        findings = list(self._findings(returned))
        if named is not None:
            findings = _of_one_message(findings)
        identity = _identity(returned, body)
        for number, finding in enumerate(findings):
            yield self._event(finding, number, named, occurred_at, identity)

    def _findings(self, returned: Mail) -> Iterator[Finding]:
        """The first of these ways to understand a mail that finds anything."""
        text = _human_text(returned)
        ways = (
            complaints.found_in(returned),
            _reports(returned, text),
            _receipts(returned, text),
            self._unsubscribing(returned),
            _answers(returned, text),
            prose.found_in(returned, text),
        )
        for way in ways:
            if findings := list(way):
                yield from findings
                return
        yield Finding(EventKind.UNKNOWN, detail="a mail that is no report")

    def _unsubscribing(self, returned: Mail) -> Iterator[Finding]:
        """A mail to the mailbox of List-Unsubscribe; never one that a program wrote by itself."""
        wanted = set(map(str.lower, self.unsubscribe_mailboxes))
        to = (address_in(value) for name in _ENVELOPE for value in returned.fields(name))
        if not any(one and message_ids.mailbox_of(one) in wanted for one in to):
            return
        if auto_replies.kind_of(returned) is None and not prose.is_bounce(returned, ""):
            yield Finding(EventKind.UNSUBSCRIBED, address_in(returned.field("from")), _UNSUBSCRIBED)

    def _named(self, returned: Mail) -> Named | None:
        return message_ids.named_in(_texts(returned), keys=self.keys, link_purpose=self.link_purpose)

    def _event(
        self, finding: Finding, number: int, named: Named | None, occurred_at: datetime, identity: str
    ) -> DeliveryEvent:
        if named is not None and named.by_link and not self.trusting:
            finding, named = _by_link(finding, named)
        known = _believed(finding, proved=named is not None, trusting=self.trusting)
        return DeliveryEvent(
            provider=PROVIDER,
            kind=known.kind,
            occurred_at=occurred_at,
            message_id=named.message_id if named else None,
            attempt_id=named.attempt_id if named else None,
            # The address that was mailed is known by the message; the one shown may be anybody's.
            address=None if named else known.address,
            provider_event_id=identity,
            bounce_class=known.verdict.bounce_class,
            fault=known.verdict.fault,
            detail=known.detail,
            machine=known.machine,
            client=f"recipient {number}" if number else None,
            suppresses=known.verdict.suppresses,
            cause=known.verdict.cause,
        )


def _reports(returned: Mail, text: str) -> Iterator[Finding]:
    for part in statuses.readable(returned):
        yield from statuses.recipients(part, text)


def _receipts(returned: Mail, text: str) -> Iterator[Finding]:
    for part in returned.of_kind(*statuses.DISPOSITION)[:1]:
        yield statuses.disposition(part, text)


def _answers(returned: Mail, text: str) -> Iterator[Finding]:
    """An automatic answer, unless a mail daemon gave it: some mark their bounces as answers."""
    kind = auto_replies.kind_of(returned)
    if kind is not None and not (prose.of_mail_system(returned) and prose.is_bounce(returned, text)):
        yield Finding(EventKind.UNKNOWN, detail=kind)


def _believed(finding: Finding, *, proved: bool, trusting: bool) -> Finding:
    """What counts of a finding. To unsubscribe needs no proof: it stops marketing only, and the law wants it easy."""
    if proved or trusting or finding.kind in {EventKind.UNKNOWN, EventKind.UNSUBSCRIBED}:
        return finding
    told = f"unproved: {finding.kind} {finding.verdict.bounce_class or ''} {finding.detail or ''}"
    return Finding(EventKind.UNKNOWN, finding.address, detail=" ".join(told.split()))


def _by_link(finding: Finding, named: Named) -> tuple[Finding, Named | None]:
    """What a link to unsubscribe proves: no more than it does when it is followed.

    It is passed on with the mail that it stands in. So a complaint ends marketing, not transactional mail, and
    whatever else is said names nobody.
    """
    if finding.kind is EventKind.COMPLAINED:
        return replace(finding, verdict=_UNSUBSCRIBED), named
    return finding, named if finding.kind is EventKind.UNSUBSCRIBED else None


def _of_one_message(findings: list[Finding]) -> list[Finding]:
    """What several recipients mean for the one mailbox that we mailed: it forwards, and is gone only when all are."""
    if all(one.verdict.suppresses is Reason.HARD_BOUNCE for one in findings):
        return findings
    return [
        replace(one, verdict=_NO_PERSON) if one.verdict.suppresses is Reason.HARD_BOUNCE else one for one in findings
    ]


def _texts(returned: Mail) -> Iterator[str]:
    """Where our names stand, the nearest first: the envelope, the mail that came back, the text that quotes it."""
    for name in (*_ENVELOPE, *_REFERENCES, "subject"):
        yield from returned.fields(name)
    for part in returned.of_kind(*statuses.DISPOSITION):
        yield statuses.original_id(part)
    for part in returned.of_kind(*mail.ORIGINALS):
        yield part.original()
    for part in returned.parts:
        if part.kind.startswith(("text/", "message/")):
            yield part.text()


def _human_text(returned: Mail) -> str:
    """What the report says to people, never what the returned mail says."""
    for kind in ("text/plain", "text/html"):
        texts = [part.text() for part in returned.parts if part.level == 0 and part.kind == kind]
        if any(text.strip() for text in texts):
            return "\n".join(texts)
    return ""


def instant(returned: Mail) -> datetime | None:
    """When the report was written: the same whenever the same mail comes again, and near our own clock."""
    received = [at for value in returned.fields("received") if (at := _date(value.rpartition(";")[2])) is not None]
    written = _date(returned.field("date"))
    if not received:
        return written
    ours = received[0]
    for at in (written, received[-1]):
        if at is not None and ours - _OLDEST <= at <= ours + _FUTURE:
            return at
    return ours


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text.strip()[:100])
        aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        at = aware.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return at if datetime(2009, 1, 1, tzinfo=UTC) <= at <= datetime(2100, 1, 1, tzinfo=UTC) else None


def _identity(returned: Mail, body: bytes) -> str:
    """The Message-ID of the report, else its content; hashed, since some write addresses into it."""
    own = returned.field("message-id")
    return hashlib.sha256(own.encode("utf-8", "replace") if own else body).hexdigest()[:32]
