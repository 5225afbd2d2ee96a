"""What every answer carries, and what no log line may show."""

import logging
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Pages have no script and load nothing. Styles are inline: bar widths are attributes, plots bring their own.
_POLICY = (
    "default-src 'self'; script-src 'none'; object-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors "
)
HEADERS = {
    "content-security-policy": f"{_POLICY}'none'",
    "referrer-policy": "no-referrer",  # the token of an unsubscribe page is in its path
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow",
    "cache-control": "no-store",
}
# Of a page that changes nothing and may stand within another of ours.
FRAMED = {"content-security-policy": f"{_POLICY}'self'", "x-frame-options": "SAMEORIGIN"}


class SecurityHeaders:
    """ASGI middleware: the same headers on every answer, errors included; one that has its own of a name keeps that."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


_TOKEN = re.compile(r"(unsubscribe/|preferences/|webhooks/+[^/\s]+/)\S+", re.IGNORECASE)


class _WithoutTokens(logging.Filter):
    """Cut tokens out of uvicorn's access log: who holds one can unsubscribe somebody, or post as Mailchimp."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                _TOKEN.sub(r"\1[token]", each) if isinstance(each, str) else each for each in record.args
            )
        return True


_FILTER = _WithoutTokens()


def keep_tokens_out_of_the_access_log() -> None:
    """Filter uvicorn's access log of this process; calling it twice changes nothing."""
    logging.getLogger("uvicorn.access").addFilter(_FILTER)
