"""The data room's settings."""

from pydantic import BaseModel, Field, SecretStr


class DatabaseConfig(BaseModel):
    """Where the one store is."""

    url: str = Field("sqlite:///var/oms.db", description="SQLite file or PostgreSQL; nothing else changes with it")


class PrivacyConfig(BaseModel):
    """Secrets by which addresses are looked up and links are signed. Losing the pepper loses all suppressions."""

    pepper: SecretStr = Field(description="key of the address hash; 32 random characters or more, never changed")
    link_key: SecretStr = Field(description="key of the unsubscribe links; 32 random characters or more")
