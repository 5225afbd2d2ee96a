"""The gateway's settings."""

from pydantic import BaseModel, Field


class GatewayConfig(BaseModel):
    """Where the gateway listens, and the address by which the world reaches it."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    public_url: str = Field("http://127.0.0.1:8000", description="base of unsubscribe links; HTTPS in production")
    max_body_bytes: int = Field(5 * 1024 * 1024, ge=1, description="larger webhook bodies are answered 413")
    body_seconds: float = Field(15.0, gt=0, description="a body that takes longer to arrive is answered 408")
    max_backlog: int = Field(
        10_000, ge=1, description="with this many webhook bodies unread, further ones are answered 503 until some are"
    )
