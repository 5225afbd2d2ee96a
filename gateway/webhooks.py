"""POST /webhooks/{provider}: verify, store raw, commit, answer 2xx. Reading what a body says happens later.

A refusal loses nothing: ESPs post again for hours (SendGrid for 24, Mailchimp Marketing for 75 minutes) after anything
but a 2xx.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool

from data import database, inbox
from domain.ports import EventReader
from gateway import bodies
from gateway.bodies import Refused
from gateway.config import GatewayConfig
from gateway.journal import Journal
from gateway.metrics import Metrics
from gateway.oauth import TokenDesk

_log = logging.getLogger(__name__)
_COUNTED_SECONDS = 1.0  # the backlog is counted this often, unless it is too long already
_MOST_UNDER_WAY = 100  # of 5 MiB each at most: half a gigabyte
# Verified and stored at once, and how long a body waits for that. In a flood more would only make each of them slow; who
# is put off comes again. They are counted when their body is there: who sends slowly takes no place.
_MOST_AT_ONCE = 16
_PLACE_SECONDS = 1.0
# Mailchimp waits for 10 s, SendGrid no longer; what is committed later is known when it comes again.
_STORE_SECONDS = 20.0
# A commit takes some milliseconds. While one hangs, who comes waits in his own queue and not in our memory.
_BEHIND_SECONDS = 1.0
_NO_BODY = 204


@dataclass(frozen=True, slots=True)
class Door:
    """How one vendor's webhook is opened.

    `secrets`: one of them ends the URL's path. `probes`: the methods by which the vendor asks whether anybody is there.
    `is_probe`: whether a body asks only that. `desk`: who made the token that must come with a body.
    """

    reader: EventReader
    secrets: tuple[str, ...] = ()
    probes: frozenset[str] = frozenset()
    is_probe: Callable[[bytes], bool] = lambda _: False
    desk: TokenDesk | None = None
    success: int = _NO_BODY

    def check(self, secret: str, headers: Mapping[str, str]) -> None:
        """Asked before a body is read: who may not come in need not come into memory. Raises Refused."""
        if self.secrets:
            given = secret.encode()
            # All are compared, each in constant time.
            if not sum(hmac.compare_digest(given, one.encode()) for one in self.secrets):
                raise Refused(401, "secret", "The URL does not end in the webhook's secret; nothing was kept.")
        if self.desk is not None and not self.desk.admits(headers.get("authorization", "")):
            raise Refused(401, "token", "The bearer token is missing, forged or over; nothing was kept.")


class _Verified(NamedTuple):
    provider: str
    body: bytes
    received_at: datetime


def _store(connection: sa.Connection, one: _Verified) -> bool:
    return inbox.store(connection, provider=one.provider, body=one.body, now=one.received_at)


@dataclass(slots=True)
class Intake:
    """What is done with a body that came whole. `kept` is called when there is something new to read."""

    engine: sa.Engine
    max_backlog: int
    clock: Callable[[], datetime]
    kept: Callable[[], None] = lambda: None
    _counted: tuple[float, int] | None = None  # when, and how many bodies waited; what we stored since is added
    _journal: Journal[_Verified] = field(init=False)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_AT_ONCE))

    def __post_init__(self) -> None:
        self._journal = Journal(self.engine, _store, name="webhooks' journal", kept=self.kept)

    def check_room(self) -> None:
        """Asked before a body is read. Raises Refused."""
        if self._journal.behind > _BEHIND_SECONDS:
            raise Refused(503, "busy", "The store is busy; nothing was kept. Send it again.")
        try:
            waiting = self._waiting()
        except sa.exc.SQLAlchemyError as error:
            raise _unavailable(error) from None
        if waiting >= self.max_backlog:
            raise Refused(503, "backlog", "Too much waits to be read; nothing was kept. Send it again.")

    async def admit(self, provider: str, door: Door, headers: Mapping[str, str], body: bytes) -> bool:
        """Verify and keep a body in its turn; False when this very body is known already. Raises Refused."""
        try:
            await asyncio.wait_for(self._places.acquire(), _PLACE_SECONDS)
        except TimeoutError:
            raise Refused(503, "busy", "Too much arrives at once; nothing was kept. Send it again.") from None
        try:
            if not await run_in_threadpool(door.reader.verify, headers, body):
                raise Refused(401, "signature", "The signature does not fit the body; nothing was kept.")
            return await self.keep(provider, body)
        finally:
            self._places.release()

    async def keep(self, provider: str, body: bytes) -> bool:
        """Return once it is committed; False when this very body is known already. Raises Refused.

        No thread waits meanwhile: a store that hangs must not take those away by which customers unsubscribe.
        """
        kept = self._journal.keep(_Verified(provider, body, self.clock()))
        try:
            new = await asyncio.wait_for(asyncio.wrap_future(kept), _STORE_SECONDS)
        except (sa.exc.SQLAlchemyError, TimeoutError) as error:
            raise _unavailable(error) from None
        if new and self._counted is not None:
            self._counted = self._counted[0], self._counted[1] + 1
        return new

    def _waiting(self) -> int:
        counted = self._counted
        if counted is None or counted[1] >= self.max_backlog or time.monotonic() - counted[0] > _COUNTED_SECONDS:
            with database.read(self.engine) as connection:
                counted = time.monotonic(), inbox.backlog(connection)
            self._counted = counted
        return counted[1]


def _unavailable(error: Exception) -> Refused:
    # Never the error's text: it quotes the body, and that holds addresses.
    _log.error("a webhook body could not be stored: %s", type(error).__name__)
    return Refused(503, "database", "The store does not answer. Send it again: nothing is kept twice.")


def router(intake: Intake, *, config: GatewayConfig, doors: Mapping[str, Door], metrics: Metrics) -> APIRouter:
    """One door for each provider that is set up; for any other name there is none."""
    routes = APIRouter()
    under_way = 0  # bodies in memory

    async def taken(provider: str, door: Door, secret: str, request: Request) -> int:
        nonlocal under_way
        under_way += 1
        try:
            if under_way > _MOST_UNDER_WAY:
                raise Refused(503, "busy", "Too much arrives at once; nothing was kept. Send it again.")
            door.check(secret, request.headers)
            await run_in_threadpool(intake.check_room)
            body = await bodies.read(request, limit=config.max_body_bytes, seconds=config.body_seconds)
            if door.is_probe(body):
                return 200
            new = await intake.admit(provider, door, request.headers, body)
        finally:
            under_way -= 1
        metrics.webhook_stored.labels(provider, "false" if new else "true").inc()
        return door.success

    @routes.post("/webhooks/{provider}")
    @routes.post("/webhooks/{provider}/{secret}")
    async def receive(provider: str, request: Request, secret: str = "") -> Response:
        door = _door(doors, provider, secret)
        try:
            status = await taken(provider, door, secret, request)
        except Refused as refusal:
            metrics.webhook_refused.labels(provider, refusal.reason).inc()
            raise
        return Response(status_code=status)

    @routes.api_route("/webhooks/{provider}", methods=["GET", "HEAD"])
    @routes.api_route("/webhooks/{provider}/{secret}", methods=["GET", "HEAD"])
    def probe(provider: str, request: Request, secret: str = "") -> Response:
        if request.method not in _door(doors, provider, secret).probes:
            raise HTTPException(405, "This door takes POST.", {"Allow": "POST"})
        return Response(status_code=200)

    return routes


def _door(doors: Mapping[str, Door], provider: str, secret: str) -> Door:
    door = doors.get(provider)
    if door is None or (secret and not door.secrets):
        raise HTTPException(404, "No webhook of this name is set up here.")
    return door
