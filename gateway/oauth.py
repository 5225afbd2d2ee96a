"""POST /webhooks/oauth/token: a bearer token for who may post webhooks (OAuth 2, RFC 6749 section 4.4).

A token is its own expiry, signed with the client's secret: each gateway knows those of all others, nothing is stored,
and a secret that is taken away takes its tokens with it.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, unquote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from domain import tokens
from gateway import bodies
from gateway.config import GatewayConfig

PATH = "/webhooks/oauth/token"
_LASTS_SECONDS = 3600
_PURPOSE = "webhook-token"
_MAX_BODY_BYTES = 16 * 1024
_DIGITS = 11  # seconds until the year 5138


@dataclass(frozen=True, slots=True)
class TokenDesk:
    """One client: its name, and its secrets, of which the first signs and each is good."""

    client_id: str
    secrets: Sequence[str]
    clock: Callable[[], datetime]

    def knows(self, client_id: str, secret: str) -> bool:
        """Is it the client? Each secret is compared in constant time."""
        named = hmac.compare_digest(client_id.encode(), self.client_id.encode())
        return bool(sum(hmac.compare_digest(secret.encode(), one.encode()) for one in self.secrets)) and named

    def issue(self) -> str:
        """A token that is good for an hour."""
        ends = int(self.clock().timestamp()) + _LASTS_SECONDS
        return tokens.sign(str(ends), purpose=_PURPOSE, key=self.secrets[0])

    def admits(self, authorization: str) -> bool:
        """Does this header bear a token of ours that is not over?"""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return False
        for secret in self.secrets:
            ends = tokens.verify(token.strip(), purpose=_PURPOSE, keys={"1": secret})
            if ends is not None and ends.isdigit() and len(ends) <= _DIGITS:
                return self.clock().timestamp() < int(ends)
        return False


def router(desk: TokenDesk, *, config: GatewayConfig) -> APIRouter:
    """The token endpoint. Client id and secret come as Basic authorization or in the form, as the RFC has it."""
    routes = APIRouter()

    @routes.post(PATH)
    async def token(request: Request) -> JSONResponse:
        body = await bodies.read(request, limit=_MAX_BODY_BYTES, seconds=config.body_seconds)
        fields = dict(parse_qsl(body.decode("utf-8", "replace")))
        basic = request.headers.get("authorization", "")
        client_id, secret = _basic(basic) if basic else (fields.get("client_id", ""), fields.get("client_secret", ""))
        if not desk.knows(client_id, secret):
            return _error(401, "invalid_client", {"WWW-Authenticate": 'Basic realm="webhooks"'})
        if fields.get("grant_type") != "client_credentials":
            return _error(400, "unsupported_grant_type")
        return JSONResponse({"access_token": desk.issue(), "token_type": "Bearer", "expires_in": _LASTS_SECONDS})

    return routes


def _basic(authorization: str) -> tuple[str, str]:
    """Client id and secret, which are form-encoded before they are base64 (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        text = base64.b64decode(encoded, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    client_id, _, secret = text.partition(":")
    return unquote(client_id), unquote(secret)


def _error(status: int, word: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": word}, status, dict(headers or {}))
