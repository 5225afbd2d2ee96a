"""The data room's settings."""

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr, field_validator

from domain import addresses


class DatabaseConfig(BaseModel):
    """Where the one store is."""

    url: str = Field("sqlite:///var/oms.db", description="SQLite file or PostgreSQL; nothing else changes with it")


class IntakeConfig(BaseModel):
    """How orders come in."""

    channels_file: Path = Field(Path("channels.yaml"), description="which shops sell where; channels.example.yaml")
    thresholds_file: Path = Field(
        Path(__file__).parent / "expectations" / "intake.yaml", description="what is required and tolerated of orders"
    )
    max_backlog: int = Field(
        50_000, ge=1, description="with this many records of one channel waiting, further ones are answered 503"
    )
    keep_days: int = Field(30, ge=1, description="raw records are kept so long once they are orders")


class ContentConfig(BaseModel):
    """What mail says and how it looks."""

    templates: Path | None = Field(
        None,
        description="a folder with templates of your own and their _brand/, beside the shipped ones; docs/templates.md",
    )


class PrivacyConfig(BaseModel):
    """Secrets by which addresses are looked up and links are signed. Losing the pepper loses all suppressions."""

    pepper: SecretStr = Field(
        min_length=32, description="key of the address hash; 32 random characters or more, never changed"
    )
    link_key: SecretStr = Field(min_length=32, description="key of the unsubscribe links; 32 random characters or more")


class ShopConfig(BaseModel):
    """The account that `campaigns up` makes on its first start; afterwards the database is the truth."""

    name: str = Field("My Shop", description="as customers know it")
    currency: str = Field("EUR", description="ISO 4217; revenue is reckoned in it")
    timezone: str = "Europe/Berlin"
    postal_address: str = Field("1 Market Street, 12345 Town", description="stands in every mail, as the law asks")
    sender_email: str = "news@shop.example.com"
    sender_name: str = "My Shop"


class MessagesConfig(BaseModel):
    """Transactional mail: which change of an order asks for which message, and who hands it over."""

    file: Path = Field(Path("messages.yaml"), description="which change triggers which message; messages.example.yaml")
    max_backlog: int = Field(
        100_000, ge=1, description="with this many messages of an account waiting, POST /messages is answered 503"
    )
    workers: int = Field(8, ge=1, le=64, description="requests under way at once, of each dispatcher process")
    poll_seconds: float = Field(0.05, gt=0, le=1, description="so often an idle dispatcher looks for work")


class SeedConfig(BaseModel):
    """The shop's own mailboxes, to which a small mail goes by each route every five minutes."""

    mailboxes: list[str] = Field(
        default_factory=list, description="none: no seed message is sent, and a silent ESP is not noticed"
    )

    @field_validator("mailboxes")
    @classmethod
    def _addresses(cls, mailboxes: list[str]) -> list[str]:
        if not all(map(addresses.is_valid, mailboxes)):
            raise ValueError("a seed mailbox is an e-mail address")
        return mailboxes
