"""POST /orders/{channel}/{account}: verify with the channel's own signature, store raw, commit, answer 2xx.

What a body says is read elsewhere, later. A refusal loses nothing: channels post again (Shopify for 4 hours) or are
asked by the next pull.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool

from data import database
from data.channels import connections, registry
from data.channels.channel import Origin, Push
from data.channels.connections import Connection, UnusableConnections
from data.intake import records
from data.intake.records import Incoming
from gateway import bodies
from gateway.bodies import Refused
from gateway.config import GatewayConfig
from gateway.journal import Journal
from gateway.metrics import Metrics

_log = logging.getLogger(__name__)
# The backlog is counted this often at most: at a spike the count would cost more than the storing.
_COUNTED_SECONDS = 1.0
_MOST_UNDER_WAY = 100  # of 5 MiB each at most: half a gigabyte
_STORE_SECONDS = 20.0  # channels wait for 5 to 30 s for an answer; what is committed later is known when it comes again
_SET_UP = "This door is not set up rightly; nothing was kept. Send it again."
_NOBODY = "unknown"  # in metrics, instead of a name that is a part of the request


class _Pushed(NamedTuple):
    account_id: str
    channel: str
    incoming: Incoming


def _store(connection: sa.Connection, pushed: _Pushed) -> bool:
    return records.store(connection, pushed.account_id, pushed.channel, [pushed.incoming]) == 1


@dataclass(slots=True)
class Door:
    """What is done with a body that came whole: everything that blocks, off the event loop."""

    engine: sa.Engine
    channels_file: Path
    max_backlog: int
    clock: Callable[[], datetime]
    # (account, channel) → when its backlog was counted, and how many waited; what we stored since is added.
    _waiting: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)
    _journal: Journal[_Pushed] = field(init=False)

    def __post_init__(self) -> None:
        self._journal = Journal(self.engine, _store, name="orders' journal")

    def find(self, channel: str, account: str) -> tuple[Connection, Push] | None:
        """The connection and how it is verified; None where nothing can come in. Raises Refused."""
        try:
            found = connections.load(self.channels_file).find(account, channel)
            push = registry.get(found.reader).push if found else None
        except (UnusableConnections, registry.UnknownChannel) as error:
            _log.error("no order can be pushed: %s", error)
            raise Refused(503, "settings", _SET_UP) from None
        if found is None or push is None:
            return None
        if not found.webhook_secrets:
            _log.warning("%s of %s has no webhook_secrets in channels.yaml: its pushes are refused", channel, account)
            return None
        return found, push

    def check_room(self, connection: Connection) -> None:
        """Asked before a body is read: what cannot be kept need not come into memory. Raises Refused."""
        try:
            _, waiting = self._count((connection.account, connection.channel))
        except sa.exc.SQLAlchemyError as error:
            raise _unavailable(connection, error) from None
        if waiting >= self.max_backlog:
            raise Refused(503, "backlog", "Too much waits to be read; nothing was kept. Send it again.")

    def verified(self, connection: Connection, push: Push, headers: Mapping[str, str], body: bytes) -> Incoming | None:
        """The document to keep; None for a channel's test whether somebody listens. Raises Refused."""
        if push.is_probe(headers, body):
            return None
        now = self.clock()
        secrets = [secret.get_secret_value() for secret in connection.webhook_secrets]
        if not any(push.verify(headers, body, secret, now) for secret in secrets):
            raise Refused(401, "signature", "The signature does not fit the body; nothing was kept.")
        meta = push.meta(headers, body, now)
        if meta.probe:
            return None
        source = f"push {meta.topic}".strip()
        return Incoming(body, Origin.PUSH, source, now, meta.topic, meta.observed_at, meta.urgency)

    async def keep(self, connection: Connection, incoming: Incoming) -> bool:
        """Return once it is committed; False for what is known already. Raises Refused.

        No thread waits meanwhile: a store that hangs must not take those away by which customers unsubscribe.
        """
        pair = (connection.account, connection.channel)
        kept = self._journal.keep(_Pushed(*pair, incoming))
        try:
            new = await asyncio.wait_for(asyncio.wrap_future(kept), _STORE_SECONDS)
        except sa.exc.IntegrityError:
            _log.error(
                "channels.yaml names the account %s, and there is none: its orders are put off", connection.account
            )
            raise Refused(503, "settings", _SET_UP) from None
        except (sa.exc.SQLAlchemyError, TimeoutError) as error:
            raise _unavailable(connection, error) from None
        if new and pair in self._waiting:
            counted, waiting = self._waiting[pair]
            self._waiting[pair] = (counted, waiting + 1)
        return new

    def _count(self, pair: tuple[str, str]) -> tuple[float, int]:
        """When the backlog was counted, and how many wait. Threads may miss some of each other's for a second."""
        counted = self._waiting.get(pair)
        if counted is None or time.monotonic() - counted[0] > _COUNTED_SECONDS:
            with database.read(self.engine) as transaction:
                counted = time.monotonic(), records.backlog(transaction, *pair, files_too=False)
            self._waiting[pair] = counted
        return counted


def _unavailable(connection: Connection, error: Exception) -> Refused:
    # Never the error's text: it quotes the body, and that holds addresses.
    _log.error("an order of %s could not be stored: %s", connection.channel, type(error).__name__)
    return Refused(503, "database", "The store does not answer. Send it again: nothing is kept twice.")


def router(door: Door, *, config: GatewayConfig, metrics: Metrics) -> APIRouter:
    """One door for each connection in channels.yaml that has a secret; for any other there is none."""
    routes = APIRouter()
    under_way = 0  # bodies in memory; they are large, and who sends them is not known before they are whole

    @routes.post("/orders/{channel}/{account}")
    async def receive(channel: str, account: str, request: Request) -> Response:
        nonlocal under_way
        name = _NOBODY
        under_way += 1
        try:
            if under_way > _MOST_UNDER_WAY:
                raise Refused(503, "busy", "Too many orders arrive at once; nothing was kept. Send it again.")
            found = await run_in_threadpool(door.find, channel, account)
            if found is None:
                metrics.order_refused.labels(name, "no_door").inc()
                raise HTTPException(404, "No order door of this name is set up here.")
            connection, push = found
            name = connection.channel
            await run_in_threadpool(door.check_room, connection)
            body = await bodies.read(request, limit=config.max_body_bytes, seconds=config.body_seconds)
            incoming = await run_in_threadpool(door.verified, connection, push, request.headers, body)
            new = incoming is not None and await door.keep(connection, incoming)
        except Refused as refusal:
            metrics.order_refused.labels(name, refusal.reason).inc()
            raise
        finally:
            under_way -= 1
        metrics.order_stored.labels(name, "false" if new else "true").inc()
        # 200 and nothing else: WooCommerce's test of a new webhook takes even other 2xx for a failure.
        return Response(status_code=200)

    return routes
