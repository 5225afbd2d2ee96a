"""Faults on demand, on the calls that are named and on no other: slowness, refusals, and connections that are cut.

They stand in front of the application, because only there the server's own `send` is at hand, and with it the socket.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.types import Message, Receive, Scope, Send

PATH = "/v3/mail/send"
MANDRILL = "/mandrill/api/1.0"  # where Mailchimp Transactional's end points begin
_ERROR = b'{"errors":[{"message":"Internal Server Error","field":null,"help":null}]}'
_MANDRILL_ERROR = b'{"status":"error","code":-1,"name":"GeneralError","message":"An internal error occurred"}'
MARKETING = "/mailchimp/3.0"  # where Mailchimp Marketing's end points begin
_Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Call(StrEnum):
    """The calls that can be disturbed."""

    SEND = "send"  # POST /v3/mail/send; messages/send and send-template of Transactional
    NEW_SCHEDULE = "new_schedule"  # POST /v3/mail/batch
    CALL_BACK = "call_back"  # POST, PATCH and DELETE of /v3/user/scheduled_sends
    LOOK_UP = "look_up"  # GET of /v3/user/scheduled_sends, /v3/messages and one of them; messages/search
    HOST_STEP = "host_step"  # each call of Mailchimp Marketing that changes something, but the next two
    HOST_CREATE = "host_create"  # POST /campaigns of Marketing
    HOST_SEND = "host_send"  # POST actions/schedule and actions/send of Marketing
    HOST_READ = "host_read"  # each GET of Marketing


class SmtpStage(StrEnum):
    """Where in a session of the relay something can go wrong. `accepted`: the mail was taken on, and nobody hears it."""

    CONNECT = "connect"
    EHLO = "ehlo"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    TEXT = "text"  # in the middle of the mail
    DOT = "dot"
    ACCEPTED = "accepted"


class Faults(BaseModel):
    """What goes wrong, in shares of all calls that are `on`. The same seed gives the same sequence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latency_ms: int = Field(0, ge=0, le=120_000, description="added before anything else")
    rate_429: float = Field(0.0, ge=0, le=1, description="answered 429 without a body; nothing is accepted")
    rate_500: float = Field(0.0, ge=0, le=1, description="answered 500; nothing is accepted")
    drop_before_accept: float = Field(0.0, ge=0, le=1, description="the connection is cut; nothing is accepted")
    drop_after_accept: float = Field(0.0, ge=0, le=1, description="accepted and recorded, then the connection is cut")
    next_n: int | None = Field(None, ge=0, description="only the next so many calls are affected; none: all")
    on: frozenset[Call] = Field(frozenset({Call.SEND}), description="which calls are affected")
    seed: int = 1
    hold_events: bool = Field(False, description="no event is posted until this is taken back; none is lost")
    lose_events: bool = Field(False, description="the webhooks are down: what is due meanwhile is never posted")
    late_cancels_work: bool = Field(False, description="a cancel within ten minutes before send_at stops mail as well")
    campaigns_go_at_once: bool = Field(False, description="a campaign that is scheduled goes out without waiting")
    activity_behind_seconds: float = Field(0.0, ge=0, description="so far is Email Activity behind")
    look_ups_a_minute: int | None = Field(6, ge=0, description="more are answered 429; none: no limit")
    searches_a_minute: int | None = Field(
        20, ge=0, description="more of Transactional's are answered 429; none: no limit"
    )
    errors_as_500: bool = Field(False, description="Transactional answers every error with 500, as it did of old")
    results_left_out: float = Field(
        0.0, ge=0, le=1, description="share of recipients whom Transactional's answer does not name; they are accepted"
    )
    smtp_at: SmtpStage | None = Field(None, description="where in a session of the relay something goes wrong")
    smtp_does: str = Field(
        "drop", pattern=r"^(drop|[2-5]\d\d .*)$", description="drop: the connection is cut; or the reply that comes"
    )
    smtp_next_n: int | None = Field(None, ge=0, description="only the next so many times; none: always")
    stats_hours_ahead: float = Field(0.0, ge=-24, le=24, description="the zone of the days that statistics speak of")
    stats_behind_seconds: float = Field(0.0, ge=0, description="so far are the statistics behind")

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.rate_429 + self.rate_500 + self.drop_before_accept + self.drop_after_accept > 1:
            raise ValueError("the shares of one send cannot add up to more than 1")
        return self


class Fault(StrEnum):
    """What happens to one call."""

    NONE = "none"
    TOO_MANY = "429"
    BROKEN = "500"
    CUT_BEFORE = "cut before"
    CUT_AFTER = "cut after"


class Dial:
    """The knobs, and how many calls they have met since they were last turned."""

    def __init__(self) -> None:
        self.faults = Faults()
        self._calls = 0
        self._met = 0
        self._looked_up: deque[float] = deque()
        self._searched: deque[float] = deque()

    def turn(self, faults: Faults) -> None:
        self.faults = faults
        self._calls = 0
        self._met = 0
        self._looked_up.clear()
        self._searched.clear()

    def may_look_up(self, at: float) -> bool:
        """Count a look-up at this instant (seconds of any clock), unless the last minute had its fill."""
        return _counted(self._looked_up, at, self.faults.look_ups_a_minute)

    def may_search(self, at: float) -> bool:
        """The same of Transactional's messages/search."""
        return _counted(self._searched, at, self.faults.searches_a_minute)

    def smtp(self, stage: SmtpStage) -> str | None:
        """What goes wrong at this stage of a session of the relay, this time; None: nothing."""
        if self.faults.smtp_at is not stage:
            return None
        self._met += 1
        most = self.faults.smtp_next_n
        return None if most is not None and self._met > most else self.faults.smtp_does

    def next(self) -> tuple[Fault, float]:
        """Say what happens to the next call, and how many seconds it waits first."""
        faults, number = self.faults, self._calls
        self._calls += 1
        if faults.next_n is not None and number >= faults.next_n:
            return Fault.NONE, 0.0
        return drawn(faults, number), faults.latency_ms / 1000


def _counted(calls: deque[float], at: float, most: int | None) -> bool:
    while calls and at - calls[0] >= 60:  # noqa: PLR2004 - seconds
        calls.popleft()
    if most is not None and len(calls) >= most:
        return False
    calls.append(at)
    return True


def drawn(faults: Faults, number: int) -> Fault:
    """Draw the fault of the call with this number."""
    shares = {
        Fault.TOO_MANY: faults.rate_429,
        Fault.BROKEN: faults.rate_500,
        Fault.CUT_BEFORE: faults.drop_before_accept,
        Fault.CUT_AFTER: faults.drop_after_accept,
    }
    left = random.Random(f"{faults.seed}/{number}").random()  # noqa: S311 - dice for tests, not a secret
    for fault, share in shares.items():
        left -= share
        if left < 0:
            return fault
    return Fault.NONE


async def interfere(application: _Application, dial: Dial, scope: Scope, receive: Receive, send: Send) -> None:
    """Run the application, or what goes wrong instead."""
    if scope["type"] != "http" or _call(scope["method"], scope["path"]) not in dial.faults.on:
        await application(scope, receive, send)
        return
    fault, seconds = dial.next()
    body = receive
    if seconds:
        # Read first: a client that gives up meanwhile has still sent its request, and an ESP would still take it.
        body = _replayed(await _read(receive))
        await asyncio.sleep(seconds)
    if fault is Fault.NONE:
        await application(scope, body, send)
    elif fault is Fault.CUT_AFTER:
        await application(scope, body, _cut_instead_of_answer(receive, send))
    else:
        await _read(body)  # an early answer would reach a client that is still writing as a reset
        if fault is Fault.BROKEN:
            await _broken(send, _MANDRILL_ERROR if scope["path"].startswith(MANDRILL) else _ERROR)
            return
        await {Fault.TOO_MANY: _too_many}.get(fault, _cut)(receive, send)


_MANDRILL_CALLS = {
    "/messages/send.json": Call.SEND,
    "/messages/send-template.json": Call.SEND,
    "/messages/search.json": Call.LOOK_UP,
}


def _call(method: str, path: str) -> Call | None:
    if path == PATH:
        return Call.SEND if method == "POST" else None
    if path.startswith(MANDRILL):
        return _MANDRILL_CALLS.get(path.removeprefix(MANDRILL))
    if path.startswith(MARKETING):
        return _marketing_call(method, path.removeprefix(MARKETING))
    if path == "/v3/mail/batch":
        return Call.NEW_SCHEDULE
    if path.startswith("/v3/user/scheduled_sends"):
        return Call.LOOK_UP if method == "GET" else Call.CALL_BACK
    return Call.LOOK_UP if path == "/v3/messages" or path.startswith("/v3/messages/") else None


def _marketing_call(method: str, path: str) -> Call:
    if method == "GET":
        return Call.HOST_READ
    if path == "/campaigns":
        return Call.HOST_CREATE
    return Call.HOST_SEND if path.endswith(("/actions/schedule", "/actions/send")) else Call.HOST_STEP


def _cut_instead_of_answer(receive: Receive, send: Send) -> Send:
    """Only what was done is swallowed: a request that was refused gets its answer."""
    cut = False

    async def guarded(message: Message) -> None:
        nonlocal cut
        if message["type"] == "http.response.start" and message["status"] < 300:  # noqa: PLR2004 - 2xx
            cut = True
            await _cut(receive, send)
        elif not cut:
            await send(message)

    return guarded


async def _cut(receive: Receive, send: Send) -> None:
    """Close the socket under uvicorn, and wait until uvicorn has seen it: it would answer 500 otherwise."""
    send.__self__.transport.abort()  # type: ignore[attr-defined] # ASGI has no word for it
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read(receive: Receive) -> list[Message]:
    """Take the request in to its end, or to where the client left."""
    messages = [await receive()]
    while messages[-1].get("more_body", False):
        messages.append(await receive())
    return messages


def _replayed(messages: list[Message]) -> Receive:
    left = iter(messages)

    async def receive() -> Message:
        return next(left, {"type": "http.disconnect"})

    return receive


async def _too_many(_receive: Receive, send: Send) -> None:
    limits = {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 1)}
    headers = [(name.lower().encode(), value.encode()) for name, value in limits.items()]
    await send({"type": "http.response.start", "status": 429, "headers": [*headers, (b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def _broken(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
