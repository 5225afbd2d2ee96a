"""The event webhook: whatever is due goes out, signed, and stays due until somebody answered 2xx."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

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


class Outlet(NamedTuple):
    """How one vendor's events are told; None: they stay queryable. `deliver` says whether they were taken."""

    vendor: str
    deliver: Callable[[httpx.AsyncClient, Sequence[sqlite3.Row], float], Awaitable[bool]] | None


def webhook(
    vendor: str, url: str | None, dress: Callable[[Sequence[sqlite3.Row], float], tuple[bytes, dict[str, str]]]
) -> Outlet:
    """Events that are posted to a URL; `dress` makes body and headers of them, as of now."""

    async def deliver(client: httpx.AsyncClient, rows: Sequence[sqlite3.Row], now: float) -> bool:
        assert url is not None
        body, headers = dress(rows, now)
        try:
            response = await client.post(url, content=body, headers=headers)
        except httpx.HTTPError:
            return False
        return response.is_success

    return Outlet(vendor, None if url is None else deliver)


def sendgrid(config: SandboxConfig, key: SigningKey) -> Outlet:
    """A JSON array, signed."""

    def dress(rows: Sequence[sqlite3.Row], now: float) -> tuple[bytes, dict[str, str]]:
        # SendGrid's body ends in a line break, which is signed with the rest.
        body = orjson.dumps([events.render(dict(row), seed=config.seed) for row in rows]) + b"\r\n"
        return body, {"Content-Type": "application/json", **key.headers(body, timestamp=int(now))}

    return webhook("sendgrid", config.webhook_url, dress)


class Poster:
    """The background task of one sandbox: one vendor's receiver that is down keeps no other waiting."""

    def __init__(self, outlets: Sequence[Outlet], *, first_pause: float, store: Store, dial: Dial) -> None:
        self._lines = [
            _Line(outlet, first_pause=first_pause, store=store, dial=dial)
            for outlet in outlets
            if outlet.deliver is not None
        ]

    def wake(self) -> None:
        """Say that there may be something to post."""
        for line in self._lines:
            line.news.set()

    @property
    def posts(self) -> bool:
        """Whether anybody is told anything."""
        return bool(self._lines)

    async def run(self) -> None:
        """Post until cancelled."""
        # Redirects are not followed, as at SendGrid. A proxy of the environment has no business with loopback.
        async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
            try:
                async with asyncio.TaskGroup() as group:
                    for line in self._lines:
                        group.create_task(line.run(client))
            except Exception:
                _log.exception("no more events are posted; what is due is kept: mend the cause and start anew")
                raise


class _Line:
    """What goes to one receiver."""

    def __init__(self, outlet: Outlet, *, first_pause: float, store: Store, dial: Dial) -> None:
        self.news = asyncio.Event()
        self._outlet = outlet
        self._first_pause = first_pause
        self._pause = first_pause
        self._store = store
        self._dial = dial

    async def run(self, client: httpx.AsyncClient) -> None:
        while True:
            self.news.clear()
            if seconds := await self._round(client):
                await self._wait(seconds)

    async def _round(self, client: httpx.AsyncClient) -> float:
        """Post once, if anything is due; return how long to wait."""
        if self._dial.faults.hold_events:
            return _LOOK_AGAIN
        now = time.time()
        rows = await run_in_threadpool(self._next, now)
        ids = [row["id"] for row in rows]
        if not ids:
            return await run_in_threadpool(self._until_next)
        if self._dial.faults.lose_events:  # as SendGrid does after a day of tries
            await run_in_threadpool(self._mark, ids)
            return 0.0
        assert self._outlet.deliver is not None
        if not await self._outlet.deliver(client, rows, now):
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
                await self.news.wait()
        except TimeoutError:
            pass

    def _next(self, now: float) -> list[sqlite3.Row]:
        with self._store.read() as connection:
            rows = _due(connection, self._outlet.vendor, now)
        rows.sort(key=lambda row: row["id"] * _SHUFFLE % 2**32)
        return rows

    def _until_next(self) -> float:
        asked = "SELECT MIN(due_at) FROM events WHERE posted_at IS NULL AND vendor = ?"
        with self._store.read() as connection:
            (due_at,) = connection.execute(asked, (self._outlet.vendor,)).fetchone()
        return _LOOK_AGAIN if due_at is None else min(max(due_at - time.time(), 0.0), _LOOK_AGAIN)

    def _mark(self, ids: Sequence[int]) -> None:
        now = time.time()
        with self._store.write() as connection:
            connection.executemany("UPDATE events SET posted_at = ? WHERE id = ?", [(now, row_id) for row_id in ids])


def _due(connection: sqlite3.Connection, vendor: str, now: float) -> list[sqlite3.Row]:
    return connection.execute(
        "SELECT e.id, e.recipient_id, e.position, e.kind, e.occurred_at, e.repeat, r.address, r.message_id,"
        " r.custom_args, r.fate, r.dropped_because, q.x_message_id, q.accepted_at, q.common, q.links"
        " FROM (SELECT * FROM events WHERE posted_at IS NULL AND vendor = ? AND due_at <= ? ORDER BY due_at LIMIT ?) AS e"
        " JOIN recipients AS r ON r.id = e.recipient_id JOIN requests AS q ON q.id = r.request_id",
        (vendor, now, _EVENTS_A_POST),
    ).fetchall()
