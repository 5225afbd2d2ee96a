"""The sandbox ESP's settings."""

from pydantic import BaseModel, Field, SecretStr


class SandboxConfig(BaseModel):
    """Where the sandbox listens, what it remembers, and how its recipients behave."""

    host: str = "127.0.0.1"
    port: int = Field(8025, ge=1, le=65535)
    api_key: SecretStr = Field(SecretStr("SG.sandbox"), description="the key that requests must carry")
    store: str = Field("var/sandbox.db", description="SQLite file of what it accepted and which events are due")
    webhook_url: str | None = Field(
        None, pattern="^https?://", description="where signed events are posted; none: events stay queryable"
    )
    mandrill_webhook_url: str | None = Field(
        None, pattern="^https?://", description="where events of Mailchimp Transactional's end points are posted"
    )
    mandrill_webhook_key: SecretStr = Field(SecretStr("sandbox-webhook"), description="by which those are signed")
    smtp_port: int | None = Field(
        None, ge=0, le=65535, description="where mail is taken as a relay takes it; none: not"
    )
    smtp_returns_host: str = Field("127.0.0.1", description="where the relay's bounces and complaints are delivered")
    smtp_returns_port: int | None = Field(None, ge=1, le=65535, description="none: they stay queryable")
    webhook_retry_seconds: float = Field(
        1.0, gt=0, le=60, description="pause after a webhook post that failed; it doubles up to a minute"
    )
    seed: int = Field(1, description="with the same seed the same messages meet the same fate")
    event_delay_seconds: float = Field(2.0, ge=0, description="mean time from acceptance to a message's events")
    email_activity: bool = Field(False, description="the account bought Email Activity, so GET /v3/messages answers")
    most_called_back: int = Field(10, ge=0, description="so many batches can be cancelled or paused at one time")

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"
