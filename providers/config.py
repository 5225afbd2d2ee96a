"""The providers room's settings."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, IPvAnyAddress, SecretStr, field_validator

from domain.allow_list import AllowList
from providers.smtp.config import ReturnsConfig


class RoutesConfig(BaseModel):
    """By which ESPs, pools and domains mail leaves."""

    file: Path = Field(Path("routes.yaml"), description="which ESPs there are, and who sends by which; docs/routes.md")


class PreflightConfig(BaseModel):
    """What is looked at before the first real mail: docs/preflight.md."""

    mailboxes: list[str] = Field(
        default_factory=list, description="internal addresses, or @domain: all that mail goes to outside production"
    )
    relay_addresses: list[IPvAnyAddress] = Field(
        default_factory=list,
        description="of a relay by SMTP that is ours: SPF must name them, and their names lead back",
    )
    dkim_selectors: list[str] = Field(
        default_factory=list, description="that a relay or Postmark signs with; where we sign ourselves ours is known"
    )
    try_links: bool = Field(True, description="ask for each link of a mail whether it leads anywhere")
    imap_host: str = Field("", description="where test messages arrive; empty: they are followed to the ESP only")
    imap_port: int = Field(993, ge=1, le=65535)
    imap_security: Literal["tls", "starttls", "none"] = Field("tls", description="none is for loopback only")
    imap_ca_file: Path | None = Field(None, description="certificates to trust instead of the machine's")
    imap_user: str = ""
    imap_password: SecretStr | None = None
    imap_folders: list[str] = Field(
        default_factory=lambda: ["INBOX"], description="where it may lie; with the provider's folder for spam"
    )
    wait_seconds: float = Field(90.0, ge=0, le=900, description="so long is a test message waited for")

    @field_validator("mailboxes")
    @classmethod
    def _entries(cls, mailboxes: list[str]) -> list[str]:
        AllowList(tuple(mailboxes))  # raises InvalidEntry, a ValueError
        return mailboxes

    @property
    def allowed(self) -> AllowList:
        """Whom this installation may mail outside production, and test messages may go to anywhere."""
        return AllowList(tuple(self.mailboxes))

    def folders(self) -> list[ReturnsConfig]:
        """How each folder of the test mailbox is read; none where no mailbox is configured. Raises ValidationError."""
        shared = {
            name: getattr(self, name)
            for name in ("imap_host", "imap_port", "imap_security", "imap_ca_file", "imap_user", "imap_password")
        }
        return [ReturnsConfig(**shared, imap_folder=one) for one in self.imap_folders if self.imap_host]
