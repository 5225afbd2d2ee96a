"""POST /orders/{channel}/{account}: verify with the channel's own signature, store raw, commit, answer 2xx.

What a body says is read elsewhere, later. A refusal loses nothing: channels post again (Shopify for 4 hours) or are
asked by the next pull.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

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
_SET_UP = "This door is not set up rightly; nothing was kept. Send it again."
_NOBODY = "unknown"  # in metrics, instead of a name that is a part of the request


@dataclass(slots=True)
class Door:
    """What is done with a body that came whole: everything that blocks, off the event loop."""

    engine: sa.Engine
    channels_file: Path
    max_backlog: int
    clock: Callable[[], datetime]
    # (account, channel) → when its backlog was counted, and how many waited; what we stored since is added.
    _waiting: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)
    _journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self._journal = Journal(self.engine)

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

    def take(self, connection: Connection, push: Push, headers: Mapping[str, str], body: bytes) -> bool:
        """Verify and store; False for what is known already and for a probe. Raises Refused."""
        if push.is_probe(headers, body):
            return False
        now = self.clock()
        secrets = [secret.get_secret_value() for secret in connection.webhook_secrets]
        if not any(push.verify(headers, body, secret, now) for secret in secrets):
            raise Refused(401, "signature", "The signature does not fit the body; nothing was kept.")
        meta = push.meta(headers, body, now)
        if meta.probe:
            return False
        source = f"push {meta.topic}".strip()
        incoming = Incoming(body, Origin.PUSH, source, now, meta.topic, meta.observed_at, meta.urgency)
        try:
            return self._store(connection, incoming)
        except sa.exc.IntegrityError:
            _log.error(
                "channels.yaml names the account %s, and there is none: its orders are put off", connection.account
            )
            raise Refused(503, "settings", _SET_UP) from None
        except sa.exc.SQLAlchemyError as error:
            # Never the error's text: it quotes the body, and that holds addresses.
            _log.error("an order of %s could not be stored: %s", connection.channel, type(error).__name__)
            raise Refused(503, "database", "The store does not answer; nothing was kept. Send it again.") from None

    def _store(self, connection: Connection, incoming: Incoming) -> bool:
        pair = (connection.account, connection.channel)
        counted, waiting = self._count(pair)
        if waiting >= self.max_backlog:
            raise Refused(503, "backlog", "Too much waits to be read; nothing was kept. Send it again.")
        new = self._journal.keep(*pair, incoming).result()
        if new:
            self._waiting[pair] = (counted, waiting + 1)
        return new

    def _count(self, pair: tuple[str, str]) -> tuple[float, int]:
        """When the backlog was counted, and how many wait. Threads may miss some of each other's for a second."""
        counted = self._waiting.get(pair)
        if counted is None or time.monotonic() - counted[0] > _COUNTED_SECONDS:
            with database.read(self.engine) as transaction:
                counted = time.monotonic(), records.backlog(transaction, *pair)
            self._waiting[pair] = counted
        return counted


def router(door: Door, *, config: GatewayConfig, metrics: Metrics) -> APIRouter:
    """One door for each connection in channels.yaml that has a secret; for any other there is none."""
    routes = APIRouter()

    @routes.post("/orders/{channel}/{account}")
    async def receive(channel: str, account: str, request: Request) -> Response:
        name = _NOBODY
        try:
            found = await run_in_threadpool(door.find, channel, account)
            if found is None:
                metrics.order_refused.labels(name, "no_door").inc()
                raise HTTPException(404, "No order door of this name is set up here.")
            connection, push = found
            name = connection.channel
            body = await bodies.read(request, limit=config.max_body_bytes, seconds=config.body_seconds)
            new = await run_in_threadpool(door.take, connection, push, request.headers, body)
        except Refused as refusal:
            metrics.order_refused.labels(name, refusal.reason).inc()
            raise
        metrics.order_stored.labels(name, "false" if new else "true").inc()
        # 200 and nothing else: WooCommerce's test of a new webhook takes even other 2xx for a failure.
        return Response(status_code=200)

    return routes
