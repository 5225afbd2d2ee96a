"""The audience's webhooks: what is due, form-encoded and signed, until somebody answered 2xx."""

import asyncio
import hashlib
import hmac
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
from fastapi.concurrency import run_in_threadpool

from providers.sandbox.marketing.problems import Problem, missing
from providers.sandbox.marketing.schema import LIST_ID
from providers.sandbox.store import Store

_LOOK_AGAIN = 0.2
_LONGEST_PAUSE = 60.0
_HEADER = "X-Mailchimp-Signature"


def make(
    connection: sqlite3.Connection, url: str, events: Mapping[str, bool], sources: Mapping[str, bool]
) -> dict[str, Any]:
    """Raises Problem for a URL that there is. The secret is told here and never again."""
    if connection.execute("SELECT 1 FROM marketing_webhooks WHERE url = ?", (url,)).fetchone():
        raise Problem(400, "Sorry, you can't set up multiple WebHooks for one URL", title="Bad Request")
    webhook_id, secret = secrets.token_hex(5), f"whsec_{secrets.token_hex(16)}"
    row = (webhook_id, url, orjson.dumps(events).decode(), orjson.dumps(sources).decode(), secret)
    connection.execute("INSERT INTO marketing_webhooks VALUES (?, ?, ?, ?, ?)", row)
    return {**next(one for one in every(connection) if one["id"] == webhook_id), "signing_secret": secret}


def every(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    return [
        {
            "id": row["id"],
            "url": row["url"],
            "events": orjson.loads(row["events"]),
            "sources": orjson.loads(row["sources"]),
            "list_id": LIST_ID,
            "signing_enabled": True,
        }
        for row in connection.execute("SELECT * FROM marketing_webhooks ORDER BY id").fetchall()
    ]


def remove(connection: sqlite3.Connection, webhook_id: str) -> None:
    if not connection.execute("DELETE FROM marketing_webhooks WHERE id = ?", (webhook_id,)).rowcount:
        raise missing()


def queue(connection: sqlite3.Connection, kind: str, data: Mapping[str, str], *, at: float) -> None:
    """For each webhook that wants this kind of event of what people do."""
    fired = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    told = {f"data[{name}]": value for name, value in {**data, "list_id": LIST_ID}.items()}
    body = urlencode({"type": kind, "fired_at": fired, **told})
    for row in connection.execute("SELECT * FROM marketing_webhooks").fetchall():
        if orjson.loads(row["events"]).get(kind) and orjson.loads(row["sources"]).get("user"):
            connection.execute(
                "INSERT INTO marketing_posts (webhook_id, body, due_at) VALUES (?, ?, ?)", (row["id"], body, at)
            )


async def run(store: Store, now: Callable[[], float]) -> None:
    """Let happen what is due, and post it, until cancelled."""
    async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
        while True:
            await run_in_threadpool(now)
            for post in await run_in_threadpool(_due, store):
                taken = await _posted(client, post)
                await run_in_threadpool(_settle, store, post, taken=taken)
            await asyncio.sleep(_LOOK_AGAIN)


def _due(store: Store) -> list[sqlite3.Row]:
    with store.read() as connection:
        return connection.execute(
            "SELECT p.*, w.url, w.secret FROM marketing_posts p JOIN marketing_webhooks w ON w.id = p.webhook_id"
            " WHERE p.due_at <= ? ORDER BY p.due_at, p.id LIMIT 100",
            (time.time(),),
        ).fetchall()


async def _posted(client: httpx.AsyncClient, post: sqlite3.Row) -> bool:
    stamp, body = str(int(time.time())), post["body"].encode()
    signature = hmac.new(post["secret"].encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/x-www-form-urlencoded", _HEADER: f"t={stamp},v1={signature}"}
    try:
        return (await client.post(post["url"], content=body, headers=headers)).is_success
    except httpx.HTTPError:
        return False


def _settle(store: Store, post: sqlite3.Row, *, taken: bool) -> None:
    with store.write() as connection:
        if taken:
            connection.execute("DELETE FROM marketing_posts WHERE id = ?", (post["id"],))
            return
        later = time.time() + min(2.0 ** post["tries"], _LONGEST_PAUSE)
        connection.execute("UPDATE marketing_posts SET tries = tries + 1, due_at = ? WHERE id = ?", (later, post["id"]))


async def answers(url: str) -> bool:
    """Mailchimp tries a new webhook's URL by a GET."""
    try:
        async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
            return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
