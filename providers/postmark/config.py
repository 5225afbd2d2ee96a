"""Postmark's settings."""

from pydantic import BaseModel, Field, SecretStr, field_validator

_SHORTEST_SECRET = 20  # it is all that tells Postmark from anybody


class PostmarkNotConfigured(RuntimeError):
    """A setting that Postmark cannot do without is missing or unusable; the message names it and never its value."""


class PostmarkConfig(BaseModel):
    """One server (in Postmark's sense) of an account."""

    server_token: SecretStr | None = Field(None, description="API token of the server")
    base_url: str = Field("https://api.postmarkapp.com", pattern="^https?://")
    message_stream: str = Field(
        "broadcast", min_length=1, description="stream of mail whose route names no pool; of a route it is the pool"
    )
    transactional_stream: str = Field(
        "outbound", min_length=1, description="the same of transactional mail: Postmark keeps it apart from broadcasts"
    )
    batch_size: int = Field(100, ge=1, le=500, description="mails in one request; Postmark takes 500, and 50 MB")
    webhook_credentials: list[SecretStr] = Field(
        [], description="user:password of the webhook's URL, 20 characters or more; two while it is changed"
    )
    connect_timeout_seconds: float = Field(5.0, gt=0)
    read_timeout_seconds: float = Field(30.0, gt=0, description="a request that takes longer has an unknown outcome")
    concurrency: int = Field(8, ge=1, le=64, description="requests under way at once")

    @field_validator("webhook_credentials")
    @classmethod
    def _unguessable(cls, found: list[SecretStr]) -> list[SecretStr]:
        for one in found:
            user, colon, password = one.get_secret_value().partition(":")
            if not user or not colon or len(password) < _SHORTEST_SECRET:
                raise ValueError(f"each is user:password, with {_SHORTEST_SECRET} characters or more of password")
        return found

    def required_token(self) -> str:
        """The token in clear. Raises PostmarkNotConfigured."""
        token = self.server_token.get_secret_value().strip() if self.server_token else ""
        if not token:
            raise PostmarkNotConfigured("there is no Postmark token: set OMS_POSTMARK_SERVER_TOKEN")
        return token
