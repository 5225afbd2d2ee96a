"""One SMTP or LMTP session of whoever brings mail back (RFC 5321, RFC 2033).

Own code, not aiosmtpd: that keeps a line without an end in memory however long it is (measured: 92 MiB of 100 with a
limit of one), answers LMTP once instead of once a recipient, and logs addresses.
"""

import re
import ssl
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from domain import message_ids
from providers.smtp.wire import Gone, Wire

_PATH = re.compile(r"\s*(?:FROM|TO):\s*<([^<>]*)>(.*)", re.IGNORECASE)
_SIZE = re.compile(r"\bSIZE=(\d{1,20})\b", re.IGNORECASE)
_MOST_RECIPIENTS = 100
_MOST_MISTAKES = 20


class TryAgain(Exception):
    """The mail was not kept now and may be brought again; the message says why, in a few words."""


# Keep a mail for its recipients, durably, before it returns. Raises TryAgain.
Keep = Callable[[bytes, Collection[str]], None]


@dataclass(frozen=True, slots=True)
class Door:
    """What all sessions have in common."""

    mailboxes: frozenset[str]
    keep: Keep
    max_bytes: int
    lmtp: bool = False
    tls: ssl.SSLContext | None = None


@dataclass(slots=True)
class Session:
    """What was said so far."""

    door: Door
    wire: Wire
    greeted: bool = False
    secured: bool = False
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)
    mistakes: int = 0

    def run(self) -> None:
        """Answer until the other side has had enough. Never raises."""
        try:
            self.wire.send(f"220 returned mail {'LMTP' if self.door.lmtp else 'ESMTP'}")
            while self._answer(self.wire.line()):
                if self.mistakes > _MOST_MISTAKES:
                    self.wire.send("421 4.7.0 too many mistakes")
                    return
        except Gone:
            return
        finally:
            self.wire.close()

    def _answer(self, line: str | None) -> bool:
        """Do one command; False when it was the last."""
        verb, _, rest = (line or "").partition(" ")
        verb = verb.upper()
        if verb == "QUIT":
            self.wire.send("221 2.0.0 bye")
            return False
        commands: dict[str, Callable[[str], None]] = {
            "NOOP": lambda _: self.wire.send("250 2.0.0 OK"),
            "RSET": self._reset,
            "VRFY": lambda _: self.wire.send("252 2.5.0 send a mail and see"),
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            **({"LHLO": self._hello} if self.door.lmtp else {"EHLO": self._hello, "HELO": self._helo}),
            **({"STARTTLS": self._starttls} if self.door.tls and not self.secured else {}),
        }
        if (command := commands.get(verb)) is None:
            self._mistake("500 5.5.1 unknown command" if line is not None else "500 5.5.2 line too long")
        else:
            command(rest)
        return True

    def _mistake(self, reply: str) -> None:
        self.mistakes += 1
        self.wire.send(reply)

    def _forget(self) -> None:
        self.sender, self.recipients = None, []

    def _reset(self, _rest: str) -> None:
        self._forget()
        self.wire.send("250 2.0.0 OK")

    def _helo(self, _rest: str) -> None:
        self._forget()
        self.greeted = True
        self.wire.send("250 returned mail")

    def _hello(self, _rest: str) -> None:
        self._forget()
        self.greeted = True
        offers = ["PIPELINING", f"SIZE {self.door.max_bytes}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        offers += ["STARTTLS"] if self.door.tls and not self.secured else []
        *before, last = ["returned mail", *offers]
        self.wire.send(*(f"250-{one}" for one in before), f"250 {last}")

    def _starttls(self, _rest: str) -> None:
        assert self.door.tls is not None
        self.wire.send("220 2.0.0 go ahead")
        self.wire.secure(self.door.tls)
        self.secured, self.greeted = True, False
        self._forget()

    def _mail(self, rest: str) -> None:
        path = _PATH.fullmatch(rest)
        if not self.greeted or self.sender is not None:
            self._mistake("503 5.5.1 not now")
        elif path is None or not rest.lstrip().upper().startswith("FROM"):
            self._mistake("501 5.5.4 MAIL FROM:<address>")
        elif (size := _SIZE.search(path[2])) is not None and int(size[1]) > self.door.max_bytes:
            self.wire.send("552 5.3.4 too large")
        else:
            self.sender = path[1]
            self.wire.send("250 2.1.0 OK")

    def _rcpt(self, rest: str) -> None:
        path = _PATH.fullmatch(rest)
        if self.sender is None:
            self._mistake("503 5.5.1 MAIL first")
        elif path is None or not rest.lstrip().upper().startswith("TO"):
            self._mistake("501 5.5.4 RCPT TO:<address>")
        elif message_ids.mailbox_of(path[1]) not in self.door.mailboxes:
            self._mistake("550 5.1.1 there is no such mailbox here")
        elif len(self.recipients) >= _MOST_RECIPIENTS:
            self.wire.send("452 4.5.3 too many recipients")
        else:
            self.recipients.append(path[1])
            self.wire.send("250 2.1.5 OK")

    def _data(self, _rest: str) -> None:
        if not self.recipients:
            self._mistake("503 5.5.1 RCPT first")
            return
        self.wire.send("354 end with a dot on a line of its own")
        mail = self.wire.mail(self.door.max_bytes)
        reply = "552 5.3.4 too large" if mail is None else self._keep(mail)
        # LMTP answers for each recipient.
        self.wire.send(*[reply] * (len(self.recipients) if self.door.lmtp else 1))
        self._forget()

    def _keep(self, mail: bytes) -> str:
        try:
            self.door.keep(mail, self.recipients)
        except TryAgain as reason:
            return f"451 4.3.0 not kept, bring it again: {reason}"
        return "250 2.0.0 kept"
