"""The gateway as one ASGI app: whoever serves it calls create_app; importing this does nothing."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import sqlalchemy as sa
from fastapi import FastAPI
from starlette.exceptions import HTTPException

from data import database
from domain.ports import EventReader
from gateway import answers, health, kpi_pages, metrics, orders, pages, security, unsubscribe, webhooks
from gateway.bodies import Refused
from providers.sendgrid import signature
from providers.sendgrid.webhook import SendGridEvents
from settings import Settings

_log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


def create_app(settings: Settings, *, clock: Callable[[], datetime] = _now) -> FastAPI:
    """Compose the gateway. Raises SendGridNotConfigured where a webhook key is given that is none."""
    engine = database.engine_for(settings.database.url)
    config = settings.gateway
    counted = metrics.Metrics()
    security.keep_tokens_out_of_the_access_log()
    app = FastAPI(title="Campaign engine gateway", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(security.SecurityHeaders)
    intake = webhooks.Intake(engine, max_backlog=config.max_backlog, clock=clock)
    door = orders.Door(engine, settings.intake.channels_file, settings.intake.max_backlog, clock)
    way_out = unsubscribe.WayOut(engine, link_key=settings.privacy.link_key, clock=clock)
    app.include_router(webhooks.router(intake, config=config, readers=_readers(settings), metrics=counted))
    app.include_router(orders.router(door, config=config, metrics=counted))
    app.include_router(unsubscribe.router(way_out, config=config, metrics=counted))
    app.include_router(pages.router(engine))
    app.include_router(kpi_pages.router(engine, clock))
    app.include_router(health.router(engine))
    app.include_router(metrics.router(counted))
    app.add_exception_handler(Refused, answers.body_refused)
    app.add_exception_handler(HTTPException, answers.http_error)
    app.add_exception_handler(sa.exc.SQLAlchemyError, answers.store_is_down)
    return app


def _readers(settings: Settings) -> Mapping[str, EventReader]:
    """Who verifies the webhooks of which provider. Without a key nothing can be authentic: that door stays shut."""
    keys = settings.sendgrid.webhook_public_keys
    if not keys:
        _log.warning(
            "OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS is empty: SendGrid's events are refused, there is no key for them"
        )
        return {}
    signature.checkers_for(keys)  # a key that is none would refuse every event: better not to start
    return {"sendgrid": SendGridEvents(keys)}
