"""The event webhook: whatever is due goes out, signed, and stays due until somebody answered 2xx."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Sequence

import httpx
import orjson
from fastapi.concurrency import run_in_threadpool

from providers.sandbox import events
from providers.sandbox.config import SandboxConfig
from providers.sandbox.faults import Dial
from providers.sandbox.signing import SigningKey
from providers.sandbox.store import Store

_log = logging.getLogger(__name__)
_EVENTS_A_POST = 1000  # about 500 KB; SendGrid cuts at 768 KB
_LONGEST_PAUSE = 60.0
_LOOK_AGAIN = 1.0  # a clock that jumps delays events by this much at most
_SHUFFLE = 2654435761  # Knuth's multiplier: neighbours end up far apart, the same way each time


class Poster:
    """The background task of one sandbox."""

    def __init__(self, config: SandboxConfig, *, store: Store, key: SigningKey, dial: Dial) -> None:
        self._url = config.webhook_url
        self._seed = config.seed
        self._first_pause = config.webhook_retry_seconds
        self._pause = self._first_pause
        self._store = store
        self._key = key
        self._dial = dial
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Say that there may be something to post."""
        self._news.set()

    async def run(self) -> None:
        """Post until cancelled."""
        if self._url is None:
            return
        # Redirects are not followed, as at SendGrid. A proxy of the environment has no business with loopback.
        async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
            try:
                while True:
                    self._news.clear()
                    if seconds := await self._round(client, self._url):
                        await self._wait(seconds)
            except Exception:
                _log.exception("no more events are posted; what is due is kept: mend the cause and start anew")
                raise

    async def _round(self, client: httpx.AsyncClient, url: str) -> float:
        """Post once, if anything is due; return how long to wait."""
        if self._dial.faults.hold_events:
            return _LOOK_AGAIN
        ids, body, headers = await run_in_threadpool(self._next_post)
        if not ids:
            return await run_in_threadpool(self._until_next)
        if self._dial.faults.lose_events:  # as SendGrid does after a day of tries
            await run_in_threadpool(self._mark, ids)
            return 0.0
        if not await self._posted(client, url, body, headers):
            pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)
            _log.warning("the webhook did not take %d events; they are kept, next try in %.1f s", len(ids), pause)
            await asyncio.sleep(pause)  # not to be cut short by new events
            return 0.0
        self._pause = self._first_pause
        await run_in_threadpool(self._mark, ids)
        return 0.0

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _posted(self, client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> bool:
        try:
            response = await client.post(url, content=body, headers=headers)
        except httpx.HTTPError:
            return False
        return response.is_success

    def _next_post(self) -> tuple[list[int], bytes, dict[str, str]]:
        now = time.time()
        with self._store.read() as connection:
            rows = _due(connection, now)
        rows.sort(key=lambda row: row["id"] * _SHUFFLE % 2**32)
        # SendGrid's body ends in a line break, which is signed with the rest.
        body = orjson.dumps([events.render(dict(row), seed=self._seed) for row in rows]) + b"\r\n"
        headers = {"Content-Type": "application/json", **self._key.headers(body, timestamp=int(now))}
        return [row["id"] for row in rows], body, headers

    def _until_next(self) -> float:
        with self._store.read() as connection:
            (due_at,) = connection.execute("SELECT MIN(due_at) FROM events WHERE posted_at IS NULL").fetchone()
        return _LOOK_AGAIN if due_at is None else min(max(due_at - time.time(), 0.0), _LOOK_AGAIN)

    def _mark(self, ids: Sequence[int]) -> None:
        now = time.time()
        with self._store.write() as connection:
            connection.executemany("UPDATE events SET posted_at = ? WHERE id = ?", [(now, row_id) for row_id in ids])


def _due(connection: sqlite3.Connection, now: float) -> list[sqlite3.Row]:
    return connection.execute(
        "SELECT e.id, e.recipient_id, e.position, e.kind, e.occurred_at, e.repeat, r.address, r.custom_args, r.fate,"
        " r.dropped_because, q.x_message_id, q.accepted_at, q.common, q.links"
        " FROM (SELECT * FROM events WHERE posted_at IS NULL AND due_at <= ? ORDER BY due_at LIMIT ?) AS e"
        " JOIN recipients AS r ON r.id = e.recipient_id JOIN requests AS q ON q.id = r.request_id",
        (now, _EVENTS_A_POST),
    ).fetchall()
