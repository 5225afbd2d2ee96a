"""The gateway as one ASGI app: whoever serves it calls create_app; importing this does nothing."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from data import database
from data.strays import Origins
from gateway import (
    answers,
    doors,
    health,
    kpi_pages,
    lane_pages,
    message_routes,
    metrics,
    oauth,
    order_pages,
    orders,
    pages,
    preferences,
    problems,
    security,
    unsubscribe,
    webhooks,
)
from gateway.applying import Applier
from gateway.bodies import Refused
from gateway.letters import Letters
from gateway.messages import Desk
from providers import readers, routes_file
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
    applier = _applier(settings, engine, counted, clock)
    app = FastAPI(
        title="Campaign engine gateway", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan(applier)
    )
    app.add_middleware(security.SecurityHeaders)
    kept = applier.wake if applier is not None else lambda: None
    intake = webhooks.Intake(engine, max_backlog=config.max_backlog, clock=clock, kept=kept)
    desk = doors.token_desk(settings, clock)
    door = orders.Door(engine, settings.intake.channels_file, settings.intake.max_backlog, clock)
    letters = Letters(engine, settings.privacy.link_key)
    way_out = unsubscribe.WayOut(letters, clock)
    choices = preferences.Desk(letters, clock)
    if desk is not None:
        app.include_router(oauth.router(desk, config=config))  # before the webhooks, whose paths would take its own
    app.include_router(webhooks.router(intake, config=config, doors=doors.doors(settings, desk), metrics=counted))
    app.include_router(orders.router(door, config=config, metrics=counted))
    app.include_router(message_routes.router(_messages(settings, engine, clock), config=config, metrics=counted))
    app.include_router(unsubscribe.router(way_out, config=config, metrics=counted))
    app.include_router(preferences.router(choices, config=config, metrics=counted))
    app.include_router(pages.router(engine, clock))
    app.include_router(kpi_pages.router(engine, clock))
    app.include_router(order_pages.router(engine, clock, settings.messages.file, settings.intake.channels_file))
    app.include_router(lane_pages.router(engine, clock))
    app.include_router(health.router(engine))
    app.include_router(metrics.router(counted, engine, clock))
    app.add_exception_handler(Refused, answers.body_refused)
    refused = _counting(counted)
    app.add_exception_handler(problems.Problem, problems.on_problem(refused))
    app.add_exception_handler(RequestValidationError, problems.on_validation(refused))
    app.add_exception_handler(HTTPException, answers.http_error(engine))
    app.add_exception_handler(sa.exc.SQLAlchemyError, answers.store_is_down)
    return app


def _messages(settings: Settings, engine: sa.Engine, clock: Callable[[], datetime]) -> Desk:
    return Desk(
        engine=engine,
        pepper=settings.privacy.pepper.get_secret_value(),
        templates=settings.content.templates,
        max_backlog=settings.messages.max_backlog,
        clock=clock,
    )


def _counting(counted: metrics.Metrics) -> Callable[[str], None]:
    return lambda kind: counted.message_refused.labels(kind).inc()


def _lifespan(applier: Applier | None) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        """What was stored before the gateway began is applied, whether or not anything is posted."""
        if applier is not None:
            applier.start()
        yield
        if applier is not None:
            await run_in_threadpool(applier.stop)

    return lifespan


def _applier(
    settings: Settings, engine: sa.Engine, counted: metrics.Metrics, clock: Callable[[], datetime]
) -> Applier | None:
    """Who applies what was stored; None where that is left to the flow."""
    if not settings.gateway.apply_events:
        return None
    return Applier(
        engine,
        readers=doors.readers(settings),
        origins=_origins(settings),
        pepper=settings.privacy.pepper.get_secret_value(),
        clock=clock,
        applied=counted.applied_after.observe,
    )


def _origins(settings: Settings) -> Origins:
    try:
        declared = routes_file.load(settings.routes.file)
    except routes_file.UnusableRoutes as error:  # customers must be able to unsubscribe all the same
        _log.error("webhooks of the ESPs that routes.yaml names cannot be told apart: %s", error)
        declared = routes_file.RoutesFile()
    return Origins(declared.vendors, readers.webhook_accounts(declared, settings.account))
