"""The settings of mail that comes back."""

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from domain import addresses


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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
