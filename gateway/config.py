"""The gateway's settings."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator, model_validator


class GatewayConfig(BaseModel):
    """Where the gateway listens, and the address by which the world reaches it."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    public_url: str = Field(
        "", description="base of unsubscribe links; HTTPS in production; empty: this machine's own address and port"
    )
    max_body_bytes: int = Field(5 * 1024 * 1024, ge=1, description="larger webhook bodies are answered 413")
    body_seconds: float = Field(15.0, gt=0, description="a body that takes longer to arrive is answered 408")
    max_backlog: int = Field(
        10_000, ge=1, description="with this many webhook bodies unread, further ones are answered 503 until some are"
    )
    keep_days: int = Field(
        30, ge=1, description="raw bodies of webhooks and returned mail are kept so many days once they are applied"
    )
    apply_events: bool = Field(
        True,
        description="a thread of the gateway applies webhook bodies within seconds; else the flow does each minute",
    )

    @field_validator("public_url")
    @classmethod
    def _base(cls, url: str) -> str:
        """Without the slash at the end that many paste: a path is appended to it, and // leads nowhere."""
        urlsplit(url)  # raises ValueError for a host like [1
        return url.strip().rstrip("/")

    @model_validator(mode="after")
    def _own_address(self) -> "GatewayConfig":
        """Whoever moves the port alone means the links, too."""
        if not self.public_url:
            self.public_url = f"http://{self.host}:{self.port}"
        return self

    @property
    def reachable(self) -> bool:
        """Could a customer's mail program call this address? RFC 8058 asks for HTTPS."""
        parts = urlsplit(self.public_url)
        return parts.scheme == "https" and bool(parts.hostname) and not _is_own_machine(parts.hostname or "")


def _is_own_machine(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
