"""One mail in its envelope, as SMTP's commands."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

_END = b".\r\n"
_NOT_IN_XTEXT = re.compile(rb"[^!-*,-<>-~]")


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail with its return path and its one recipient, both as an envelope takes them."""

    message_id: str
    sender: str
    recipient: str
    mail: bytes

    @property
    def needs_utf8(self) -> bool:
        """Only a relay that offers SMTPUTF8 (RFC 6531) takes it."""
        return not self.recipient.isascii()

    def commands(
        self, offers: Collection[str], notify: Collection[Literal["success", "failure", "delay"]]
    ) -> list[bytes]:
        """MAIL, RCPT and DATA, with what this relay offers. `notify`: of what reports are asked for (RFC 3461)."""
        sender, recipient = f"MAIL FROM:<{self.sender}>", f"RCPT TO:<{self.recipient}>"
        if "SIZE" in offers:
            sender += f" SIZE={len(self.mail)}"
        if self.needs_utf8:
            sender += " SMTPUTF8 BODY=8BITMIME"
        if "DSN" in offers and notify:
            # Reports name the mail by ENVID, and bring its headers, where the Message-ID is, but not its text.
            sender += f" RET=HDRS ENVID={_xtext(self.message_id)}"
            recipient += f" NOTIFY={','.join(sorted(notify)).upper()}"
            recipient += "" if self.needs_utf8 else f" ORCPT=rfc822;{_xtext(self.recipient)}"
        return [f"{line}\r\n".encode() for line in (sender, recipient, "DATA")]

    def content(self) -> bytes:
        """What follows the 354: the mail, its lines' own dots doubled, and the final dot."""
        return self.mail.replace(b"\r\n.", b"\r\n..") + _END


def _xtext(text: str) -> str:
    """RFC 3461 section 4."""
    return _NOT_IN_XTEXT.sub(lambda found: f"+{found[0][0]:02X}".encode(), text.encode()).decode()
