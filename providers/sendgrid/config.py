"""SendGrid's settings."""

from pydantic import BaseModel, Field, SecretStr, model_validator

_SHORTEST_SECRET = 20  # tokens are signed with it


class SendGridNotConfigured(RuntimeError):
    """A setting that SendGrid cannot do without is missing or unusable; the message names it and never its value."""


class SendGridConfig(BaseModel):
    """One SendGrid account. The sandbox ESP speaks the same API under another base URL and key."""

    api_key: SecretStr | None = Field(None, description="API key with the scopes mail.send and suppression.read")
    base_url: str = Field("https://api.sendgrid.com", description="https://api.eu.sendgrid.com for EU accounts")
    webhook_public_keys: list[str] = Field(
        [], description="base64 DER keys of the signed event webhook; two while a key is rotated"
    )
    webhook_oauth_client_id: str = Field("", description="by which SendGrid fetches tokens; empty: none are asked for")
    webhook_oauth_client_secrets: list[SecretStr] = Field(
        [], description="each 20 characters or more; two while one is rotated"
    )
    connect_timeout_seconds: float = Field(5.0, gt=0)
    read_timeout_seconds: float = Field(30.0, gt=0, description="a request that takes longer has an unknown outcome")
    concurrency: int = Field(8, ge=1, le=64, description="requests under way at once")
    validate_only: bool = Field(False, description="SendGrid's own sandbox mode: checked, answered 200, never sent")
    activity_lookup: bool = Field(
        False, description="the account bought Email Activity, and the key may read it: unknown batches are looked up"
    )
    activity_a_minute: int = Field(
        6, ge=1, description="questions a minute that Email Activity answers; SendGrid may allow an account more"
    )
    asm_group_id: int | None = Field(None, description="unsubscribe group, if the account uses them")

    @model_validator(mode="after")
    def _both_or_neither(self) -> "SendGridConfig":
        secrets = [secret.get_secret_value() for secret in self.webhook_oauth_client_secrets]
        if bool(self.webhook_oauth_client_id) != bool(secrets):
            raise ValueError("webhook_oauth_client_id and webhook_oauth_client_secrets are set together, or neither")
        if any(len(secret) < _SHORTEST_SECRET for secret in secrets):
            raise ValueError(f"webhook_oauth_client_secrets: each needs {_SHORTEST_SECRET} characters or more")
        return self

    def required_key(self) -> str:
        """The API key in clear. Raises SendGridNotConfigured."""
        key = self.api_key.get_secret_value().strip() if self.api_key else ""
        if not key:
            raise SendGridNotConfigured(
                "there is no SendGrid API key: create one with the scopes mail.send and suppression.read "
                "and set OMS_SENDGRID_API_KEY"
            )
        return key
