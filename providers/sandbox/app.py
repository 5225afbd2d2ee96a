"""The sandbox ESP as an ASGI application: `uvicorn.run(create_app(config), host=config.host, port=config.port)`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from providers.sandbox import (
    activity_routes,
    dynamic_template_routes,
    faults,
    group_routes,
    inquiry_routes,
    problems,
    schedule_routes,
    sendgrid_routes,
    stats_routes,
)
from providers.sandbox.config import SandboxConfig
from providers.sandbox.mandrill import account_routes, message_routes, template_routes
from providers.sandbox.mandrill import errors as mandrill_errors
from providers.sandbox.mandrill import events as mandrill_events
from providers.sandbox.marketing import app as marketing_app
from providers.sandbox.marketing import schema as marketing_schema
from providers.sandbox.poster import Poster, sendgrid
from providers.sandbox.problems import Refused, Violation
from providers.sandbox.relay import server as relay
from providers.sandbox.state import Sandbox
from providers.sandbox.store import Store


class _Server(FastAPI):
    """FastAPI with the faults in front of everything, FastAPI's own error handling included."""

    dial: faults.Dial

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await faults.interfere(super().__call__, self.dial, scope, receive, send)


def create_app(config: SandboxConfig) -> FastAPI:
    """Build the application. Its store is opened when it starts and closed when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        store = Store(config.store)
        key = store.signing_key()
        outlets = [sendgrid(config, key), mandrill_events.outlet(config), relay.outlet(config)]
        poster = Poster(outlets, first_pause=config.webhook_retry_seconds, store=store, dial=dial)
        with store.read() as connection:  # a script commits by itself
            marketing_schema.make(connection)
        listening = await relay.listen(config, store=store, dial=dial, wake=poster.wake)
        posting = asyncio.create_task(poster.run())
        app.state.sandbox = Sandbox(config, store, key, dial, poster, posting)
        campaigning = asyncio.create_task(marketing_app.run(marketing))
        yield
        if listening is not None:
            listening.close()
        posting.cancel()
        campaigning.cancel()
        await asyncio.gather(posting, campaigning, return_exceptions=True)
        store.close()

    dial = faults.Dial()
    app = _Server(title="Sandbox ESP", lifespan=lifespan, openapi_url=None)
    app.dial = dial
    app.include_router(sendgrid_routes.router)
    app.include_router(group_routes.router)
    app.include_router(schedule_routes.router)
    app.include_router(activity_routes.router)
    app.include_router(stats_routes.router)
    app.include_router(inquiry_routes.router)
    app.include_router(dynamic_template_routes.router)
    app.include_router(message_routes.router)
    app.include_router(account_routes.router)
    app.include_router(template_routes.router)
    marketing = marketing_app.mount(app, faults.MARKETING)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(mandrill_errors.Failed, mandrill_errors.answer)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _left)
    return app


def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return JSONResponse(problems.body(error.violations), status_code=error.status)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Say which part of a request is wrong, in the vendor's shape instead of FastAPI's."""
    assert isinstance(error, RequestValidationError)
    if request.url.path.startswith(mandrill_errors.PREFIX):
        return mandrill_errors.invalid(request, error)
    found = [Violation(each["msg"], ".".join(str(part) for part in each["loc"][1:]) or None) for each in error.errors()]
    return JSONResponse(problems.body(found), status_code=400)


def _left(_request: Request, _error: Exception) -> Response:
    """Nobody is there to read this; without it every cut request leaves a traceback in the log."""
    return Response(status_code=400)


def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse(
        problems.body([Violation(error.detail.lower())]), status_code=error.status_code, headers=error.headers
    )
