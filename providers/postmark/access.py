"""What Postmark says of a server's token: GET /server. Domains are the account token's to ask for, which nobody needs here.

A server's token sends, and reads what its own server did; it is as narrow as Postmark makes them.
"""

import httpx

from domain.access import Access
from providers import http
from providers.postmark.config import PostmarkConfig, PostmarkNotConfigured

_REFUSED = (401, 403)


class TokenRefused(RuntimeError):
    """Postmark does not take the token, or gave no answer. `refused`: it said no."""

    def __init__(self, message: str, *, refused: bool) -> None:
        super().__init__(message)
        self.refused = refused


def access(config: PostmarkConfig) -> Access:
    """Ask for the server that the token is of. Raises TokenRefused, PostmarkNotConfigured."""
    headers = {"X-Postmark-Server-Token": config.required_token(), "Accept": "application/json"}
    wait = httpx.Timeout(config.read_timeout_seconds, connect=config.connect_timeout_seconds)
    try:
        client = httpx.Client(base_url=config.base_url, timeout=wait, verify=http.ssl_context(), trust_env=False)
        with client:
            answer = client.get("/server", headers=headers)
    except httpx.InvalidURL:
        raise PostmarkNotConfigured("OMS_POSTMARK_BASE_URL is no URL") from None
    except httpx.HTTPError as error:
        told = http.told(error, client.base_url.host)
        raise TokenRefused(f"Postmark gave no answer: {told}", refused=False) from None
    if not answer.is_success:
        told = f"Postmark answered {answer.status_code} to the token"
        raise TokenRefused(told, refused=answer.status_code in _REFUSED)
    return Access(untold=("a server's token tells nothing of domains: `campaigns preflight` looks",))
