"""POST /webhooks/{provider}: verify, store raw, commit, answer 2xx. Reading what a body says happens elsewhere, later.

A refusal loses nothing: ESPs post again for hours (SendGrid for 24) after anything but a 2xx.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool

from data import database, inbox
from domain.ports import EventReader
from gateway import bodies
from gateway.bodies import Refused
from gateway.config import GatewayConfig
from gateway.metrics import Metrics

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Intake:
    """What is done with a body that came whole: everything that blocks, off the event loop."""

    engine: sa.Engine
    max_backlog: int
    clock: Callable[[], datetime]

    def take(self, provider: str, reader: EventReader, headers: Mapping[str, str], body: bytes) -> bool:
        """Verify and store; False when this very body is known already. Raises Refused."""
        if not reader.verify(headers, body):
            raise Refused(401, "signature", "The signature does not fit the body; nothing was kept.")
        try:
            return self._store(provider, body)
        except sa.exc.SQLAlchemyError as error:
            # Never the error's text: it quotes the body, and that holds addresses.
            _log.error("a webhook body of %s could not be stored: %s", provider, type(error).__name__)
            raise Refused(503, "database", "The store does not answer; nothing was kept. Send it again.") from None

    def _store(self, provider: str, body: bytes) -> bool:
        with database.read(self.engine) as connection:
            if inbox.backlog(connection) >= self.max_backlog:
                raise Refused(503, "backlog", "Too much waits to be read; nothing was kept. Send it again.")
        with database.write(self.engine) as connection:
            return inbox.store(connection, provider=provider, body=body, now=self.clock())


def router(intake: Intake, *, config: GatewayConfig, readers: Mapping[str, EventReader], metrics: Metrics) -> APIRouter:
    """One door for each provider that has a reader; for any other name there is none."""
    routes = APIRouter()

    @routes.post("/webhooks/{provider}")
    async def receive(provider: str, request: Request) -> Response:
        reader = readers.get(provider)
        if reader is None:
            raise HTTPException(404, "No webhook of this name is set up here.")
        try:
            body = await bodies.read(request, limit=config.max_body_bytes, seconds=config.body_seconds)
            new = await run_in_threadpool(intake.take, provider, reader, request.headers, body)
        except Refused as refusal:
            metrics.webhook_refused.labels(provider, refusal.reason).inc()
            raise
        metrics.webhook_stored.labels(provider, "false" if new else "true").inc()
        return Response(status_code=204)

    return routes
