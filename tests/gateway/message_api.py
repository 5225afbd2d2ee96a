"""A shop's program at the real gateway on loopback: a key of its own, a body that is right, and what is kept of it."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import httpx
import sqlalchemy as sa

from data import api_keys, database, tables
from domain.api_keys import Action
from tests.conftest import NOW

BOTH = tuple(str(one) for one in Action)
EMAIL = "ann@example.com"
CANARY = "https://shop.test/reset/c4n4ry-s3cret"
_numbers = itertools.count()


def body(**changes: Any) -> dict[str, Any]:
    """A password reset to Ann."""
    return {
        "template": "password-reset",
        "recipient": {"email": EMAIL},
        "variables": {"first_name": "Ann", "reset_url": CANARY, "valid_minutes": 30},
    } | changes


def new_key(
    engine: sa.Engine, account_id: str = "shop", *, scopes: tuple[str, ...] = BOTH, per_minute: int = 6000
) -> str:
    with database.write(engine) as connection:
        _, secret = api_keys.create(
            connection,
            account_id=account_id,
            name=f"key-{next(_numbers)}",
            scopes=scopes,
            per_minute=per_minute,
            actor="test",
            now=NOW,
        )
    return secret


@dataclass
class Program:
    """Asks with one key."""

    client: httpx.Client
    engine: sa.Engine
    secret: str
    sent: list[httpx.Response] = field(default_factory=list)

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}

    def ask(self, key: str = "k1", *, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
        return self.post(key, json=body(**changes), headers=headers)

    def post(self, key: str | None = "k1", *, headers: dict[str, str] | None = None, **given: Any) -> httpx.Response:
        named = {} if key is None else {"Idempotency-Key": key}
        return self.client.post("/messages", headers=self.auth | named | (headers or {}), **given)

    def show(self, message_id: str) -> httpx.Response:
        return self.client.get(f"/messages/{message_id}", headers=self.auth)

    def messages(self) -> list[Any]:
        with database.read(self.engine) as connection:
            return list(connection.execute(sa.select(tables.transactional_messages)))


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and kind of a problem, which is one in full."""
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert {"type", "title", "status", "detail"} <= told.keys()
    assert told["status"] == answer.status_code
    return answer.status_code, told["type"].removeprefix("urn:campaign-engine:problem:")
