"""The routes below /messages, and what each says of itself: GET /messages/openapi.json is made of them."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Path, Request, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from data import message_values
from data.message_requests import Asked
from domain.api_keys import Action, ApiKey
from gateway import bodies, message_bodies, message_document, problems
from gateway.bodies import Refused
from gateway.config import GatewayConfig
from gateway.message_answers import Accepted, MessageHistory
from gateway.messages import Desk, Threads
from gateway.metrics import Metrics
from gateway.problems import Problem

_JSON = "application/json"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_bearer = HTTPBearer(
    auto_error=False, scheme_name="ApiKey", description="A key of `campaigns api-keys create`: it begins with oms_."
)
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
_IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="Names this one message for ever, such as the id of the reset that it is about: the same key and"
        " body get the same answer, and no second message.",
        examples=["reset-9a41"],
    ),
]
_MessageId = Annotated[str, Path(pattern="^[a-z0-9]{1,40}$", examples=["tmfrggzdfmztwq2lknnwg"])]


def router(desk: Desk, *, config: GatewayConfig, metrics: Metrics) -> APIRouter:
    """Two routes for programs, and their description."""
    routes, threads = APIRouter(prefix=problems.PREFIX), Threads()
    sender, reader = Depends(_admitted(desk, threads, Action.SEND)), Depends(_admitted(desk, threads, Action.READ))

    @routes.post("", status_code=202, **message_document.ASK)
    async def ask(request: Request, key: Annotated[ApiKey, sender], idempotency_key: _IdempotencyKey) -> Response:
        """Ask for one message. 202: it is kept, and goes next; nothing that dies loses it."""
        with threads.one():
            body = await _body(request, config.body_seconds)
            asked = await threads.run(lambda: desk.ask(key, idempotency_key, *message_bodies.read(body)))
        metrics.message_asked.labels("true" if asked.replayed else "false").inc()
        return _accepted(asked)

    @routes.get("/openapi.json", include_in_schema=False)
    def document() -> Response:
        return JSONResponse(message_document.of(routes, message_values.usable(desk.templates)))

    @routes.get("/{message_id}", **message_document.SHOW)
    async def show(message_id: _MessageId, key: Annotated[ApiKey, reader]) -> MessageHistory:
        """All that became of a message: its state, what was tried, what the ESP told."""
        with threads.one():
            return MessageHistory.of(await threads.run(desk.history, key, message_id))

    # Last. Without it the framework sends who adds a slash elsewhere, with key and body.
    routes.add_api_route("/{rest:path}", _nothing, methods=_METHODS, include_in_schema=False)
    return routes


def _nothing(rest: str) -> Response:
    if rest and "/" not in rest:
        raise HTTPException(405, headers={"Allow": "GET"})
    raise HTTPException(404)


def _admitted(desk: Desk, threads: Threads, action: Action) -> Callable[..., Awaitable[ApiKey]]:
    """Asked before a body is read: who may not come in need not come into memory."""

    async def admit(credentials: _Credentials) -> ApiKey:
        with threads.one():
            return await threads.run(desk.admit, credentials.credentials if credentials else "", action)

    return admit


async def _body(request: Request, seconds: float) -> bytes:
    media, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if media.strip().lower() != _JSON or charset not in {"", "utf-8"}:
        raise Problem("media-type", f"Send {_JSON}, in UTF-8.")
    try:
        return await bodies.read(request, limit=message_bodies.MOST_BYTES, seconds=seconds)
    except Refused as refusal:
        raise problems.of_body(refusal) from None


def _accepted(asked: Asked) -> Response:
    href = f"{problems.PREFIX}/{asked.id}"
    answer = Accepted(id=asked.id, asked_at=asked.asked_at, expires_at=asked.expires_at, href=href)
    headers: dict[str, str] = {"Location": href}
    if asked.replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(answer.model_dump_json(), 202, headers, media_type=_JSON)
