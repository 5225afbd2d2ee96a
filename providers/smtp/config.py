"""The settings of a relay that takes our mail, and of mail that comes back."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr, field_validator, model_validator

from domain import addresses

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,250}[A-Za-z0-9])?")


class ReturnsNotConfigured(RuntimeError):
    """A setting without which no mail can come back is missing; the message names it."""


class ReturnsConfig(BaseModel):
    """Bounces, complaints and requests to unsubscribe that come as mail: docs/returned-mail.md."""

    addresses: list[str] = Field(
        [], description="where bounces and complaints go; with +… behind the name it is the same mailbox"
    )
    unsubscribe_addresses: list[str] = Field([], description="where a mail asks for no more mail")
    trust_addresses: bool = Field(
        False, description="believe hard bounces and complaints that name an address and no mail of ours"
    )
    listen_host: str = "127.0.0.1"
    listen_port: int = Field(2525, ge=0, le=65535)
    lmtp: bool = Field(False, description="speak LMTP (RFC 2033), as a mail server behind which we stand may want it")
    tls_certificate: Path | None = Field(None, description="PEM file with its chain; with it STARTTLS is offered")
    tls_key: Path | None = Field(None, description="its key, unless it is in the same file")
    connections: int = Field(20, ge=1, le=500, description="senders at once; a further one is told to come again")
    max_mail_bytes: int = Field(5 * 2**20, ge=2**16, description="larger mail is refused; of a mailbox's, cut off")
    max_backlog: int = Field(10_000, ge=1, description="with so many bodies unread, senders are told to come again")
    imap_host: str = Field("", description="empty: no mailbox is read")
    imap_port: int = Field(993, ge=1, le=65535)
    imap_security: Literal["tls", "starttls", "none"] = Field("tls", description="none is for loopback only")
    imap_ca_file: Path | None = Field(None, description="certificates to trust instead of the machine's")
    imap_user: str = ""
    imap_password: SecretStr | None = None
    imap_folder: str = "INBOX"
    imap_done_folder: str = Field("", description="where a mail is moved once it is stored; empty: marked as read")
    imap_mails_at_once: int = Field(500, ge=1, le=10_000, description="in one round")
    imap_timeout_seconds: float = Field(30.0, gt=0)

    @field_validator("addresses", "unsubscribe_addresses")
    @classmethod
    def _valid(cls, found: list[str]) -> list[str]:
        if not all(map(addresses.is_valid, found)):
            raise ValueError("a mailbox is an e-mail address")
        return [one.strip().lower() for one in found]

    @field_validator("imap_folder", "imap_done_folder")
    @classmethod
    def _nameable(cls, name: str) -> str:
        if not name.isascii() or not name.isprintable() or '"' in name or "\\" in name:
            raise ValueError("a folder is named in ASCII, without quotes: others are written in modified UTF-7")
        return name

    @model_validator(mode="after")
    def _in_clear_on_loopback_only(self) -> "ReturnsConfig":
        if self.imap_security == "none" and self.imap_host and not _is_loopback(self.imap_host):
            raise ValueError("imap_security none sends the password in clear: it is for loopback only")
        return self

    @property
    def mailboxes(self) -> frozenset[str]:
        """All that mail is taken for."""
        return frozenset((*self.addresses, *self.unsubscribe_addresses))

    def required_mailboxes(self) -> frozenset[str]:
        """The same. Raises ReturnsNotConfigured where there is none."""
        if not self.mailboxes:
            raise ReturnsNotConfigured(
                "there is no address that mail comes back to: set OMS_RETURNS_ADDRESSES, such as"
                ' ["returns@bounce.shop.example.com"]'
            )
        return self.mailboxes

    def required_password(self) -> str:
        """The mailbox's password in clear. Raises ReturnsNotConfigured."""
        missing = [
            name
            for name, value in (("HOST", self.imap_host), ("USER", self.imap_user), ("PASSWORD", self.imap_password))
            if not value
        ]
        if missing or self.imap_password is None:
            names = " and ".join(f"OMS_RETURNS_IMAP_{name}" for name in missing)
            raise ReturnsNotConfigured(f"no mailbox can be read: set {names}")
        return self.imap_password.get_secret_value()


class SmtpNotConfigured(RuntimeError):
    """A setting that a relay cannot do without is missing or unusable; the message names it and never its value."""


def _mailbox(found: str) -> str:
    if found and (not addresses.is_valid(found) or not found.isascii() or "+" in found):
        raise ValueError("a mailbox is an e-mail address in ASCII, without a +")
    return found.strip().lower()


def _name(found: str) -> str:
    if found and not _NAME.fullmatch(found):
        raise ValueError("letters, digits, dashes and dots only")
    return found.lower()


Mailbox = Annotated[str, AfterValidator(_mailbox)]
Name = Annotated[str, AfterValidator(_name)]


class SmtpConfig(BaseModel):
    """One relay that takes our mail by SMTP: docs/smtp.md."""

    host: str = Field("", description="of the relay; empty: there is none")
    port: int = Field(587, ge=1, le=65535, description="587 with starttls, 465 with tls")
    security: Literal["tls", "starttls", "none"] = Field("starttls", description="none is for loopback only")
    ca_file: Path | None = Field(None, description="certificates to trust instead of the machine's")
    user: str = Field("", description="empty: the relay knows us by our address")
    password: SecretStr | None = None
    hello_name: Name = Field("", description="our name in EHLO; empty: the domain of return_mailbox, or localhost")
    return_mailbox: Mailbox = Field(
        "", description="where bounces go, such as returns@bounce.shop.example.com; each mail gets an extension of it"
    )
    unsubscribe_mailbox: Mailbox = Field("", description="for mailto: in List-Unsubscribe; empty: the link alone")
    connections: int = Field(4, ge=1, le=64, description="at once, of one worker")
    messages_per_connection: int = Field(1000, ge=1, description="then a new one is opened; SendGrid takes 5,000")
    batch_size: int = Field(100, ge=1, le=1000, description="a worker that dies leaves at most so many in doubt")
    connect_timeout_seconds: float = Field(10.0, gt=0)
    read_timeout_seconds: float = Field(30.0, gt=0, description="of one answer; none to a mail's end leaves it unknown")
    pipelining: bool = Field(True, description="RFC 2920, where the relay offers it: one round trip a mail")
    dsn_notify: list[Literal["success", "failure", "delay"]] = Field(
        ["failure", "delay"], description="reports to ask for (RFC 3461), where the relay offers them; []: do not ask"
    )
    x_smtpapi: bool = Field(False, description="the relay is SendGrid's: its webhook then tells of each message")
    feedback_sender_id: str = Field(
        "", pattern=r"^([a-z0-9-]{5,15})?$", description="last field of Feedback-ID; empty: made of the account's name"
    )
    dkim_domain: Name = Field("", description="we sign as this domain; empty: the relay signs")
    dkim_selector: Name = ""
    dkim_key_file: Path | None = Field(None, description="PEM file with an RSA key of 2048 bits or more")

    @model_validator(mode="after")
    def _whole(self) -> "SmtpConfig":
        if (fault := self._fault()) is not None:
            raise ValueError(fault)
        return self

    def required_host(self) -> str:
        """Where the relay is. Raises SmtpNotConfigured, also where it cannot be spoken to as it is set up.

        routes.yaml says host, user and password of a relay of its own, so all is looked at together only here.
        """
        if not self.host.strip():
            raise SmtpNotConfigured("no relay is set up: set OMS_SMTP_HOST, such as smtp.relay.example.com")
        if (fault := self._fault()) is not None:
            raise SmtpNotConfigured(f"the relay is set up by half: {fault}")
        return self.host.strip()

    def _fault(self) -> str | None:
        if self.security == "none" and self.host and not _is_loopback(self.host.strip()):
            return "security none sends customers' addresses in clear: it is for loopback only"
        if bool(self.user) != bool(self.password and self.password.get_secret_value()):
            return "user and password are set together, or neither"
        if len({bool(self.dkim_domain), bool(self.dkim_selector), self.dkim_key_file is not None}) > 1:
            return "dkim_domain, dkim_selector and dkim_key_file are set together, or none"
        return None

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password in clear, where the relay wants them."""
        return (self.user, self.password.get_secret_value()) if self.password and self.user else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
