"""How Marketing's routes get at the sandbox, who may call, and how many at once."""

import base64
import binascii
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from providers.sandbox.marketing import sending
from providers.sandbox.marketing.problems import Problem, TooMany, missing
from providers.sandbox.marketing.schema import LIST_ID
from providers.sandbox.state import Sandbox

_AT_ONCE = 10


@dataclass
class Marketing:
    """The application that this one is a part of, and how many requests are under way."""

    parent: FastAPI
    under_way: int = 0

    @property
    def sandbox(self) -> Sandbox:
        sandbox: Sandbox = self.parent.state.sandbox
        return sandbox

    def now(self) -> float:
        """The sandbox's clock; what is due by it has happened when this returns."""
        now = time.time()
        with self.sandbox.store.write() as connection:
            sending.catch_up(
                connection, self.sandbox.config, now=now, at_once=self.sandbox.dial.faults.campaigns_go_at_once
            )
        return now


def _marketing(request: Request) -> Marketing:
    marketing: Marketing = request.app.state.marketing
    return marketing


Running = Annotated[Marketing, Depends(_marketing)]


async def one_of_ten(marketing: Running) -> AsyncIterator[None]:
    """Refuse the eleventh request of those under way."""
    if marketing.under_way >= _AT_ONCE:
        raise TooMany
    marketing.under_way += 1
    try:
        yield
    finally:
        marketing.under_way -= 1


def require_key(request: Request, marketing: Running) -> None:
    """Basic with any user and the key, or Bearer with the key as if it were a token."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            given = ""
    expected = marketing.sandbox.config.api_key.get_secret_value()
    if not secrets.compare_digest(given.encode(), expected.encode()):
        raise Problem(401, "Your API key may be invalid, or you've attempted to access the wrong datacenter.")


def require_list(list_id: str) -> None:
    if list_id != LIST_ID:
        raise missing()
