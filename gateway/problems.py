"""What is answered under /messages when a request cannot be: a problem (RFC 9457), which never repeats a value."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gateway.bodies import Refused

PREFIX = "/messages"
MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5  # a failover, or a commit that hangs, is mostly over by then
NO_MESSAGE = "No message that this key may read has this id."
_TYPE = "urn:campaign-engine:problem:"
# Kinds of problems: what callers' programs tell apart. What has no kind of its own is called after its status.
KINDS: Mapping[str, tuple[int, str]] = {
    "idempotency-key": (400, "The Idempotency-Key is missing, or is none"),
    "malformed-body": (400, "The body is not JSON"),
    "no-key": (401, "No valid API key"),
    "scope": (403, "The API key may not do this"),
    "no-message": (404, "There is no such message"),
    "slow": (408, "The body did not arrive in time"),
    "key-reused": (409, "The Idempotency-Key came before, with another body"),
    "too-large": (413, "The body is too large"),
    "media-type": (415, "The body is not application/json"),
    "invalid": (422, "The message cannot be made from this"),
    "recipient-refused": (422, "The recipient gets no mail"),
    "rate": (429, "Too many requests with this key"),
    "fault": (500, "A fault of ours"),
    "unavailable": (503, "This cannot be answered right now"),
}
# Words of gateway/bodies.py.
_OF_BODIES = {"too_large": "too-large", "slow": "slow", "cut": "malformed-body", "encoding": "malformed-body"}


@dataclass
class Problem(Exception):
    """One answer that is no success. `kind`: of KINDS; `more`: further members of the answer."""

    kind: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return KINDS[self.kind][0]


def unavailable(detail: str, *, seconds: int = RETRY_SECONDS) -> Problem:
    """Try again, with the same Idempotency-Key."""
    return Problem("unavailable", detail, {"Retry-After": str(seconds)})


def invalid(faults: Sequence[tuple[str, str]]) -> Problem:
    """Fields and what is wrong with each."""
    errors = [{"field": name, "detail": sentence} for name, sentence in faults]
    named = ", ".join(sorted({one["field"] for one in errors}))
    return Problem("invalid", f"Nothing was kept. To be mended: {named}.", more={"errors": errors})


def of_body(refusal: Refused) -> Problem:
    """A body that could not be read."""
    return Problem(
        "media-type" if refusal.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE else _OF_BODIES[refusal.reason],
        str(refusal),
    )


def is_below(path: str) -> bool:
    """Whether a program of the shop asked, which is answered by problems."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def answer(problem: Problem) -> Response:
    """The problem as it is sent."""
    status, title = KINDS[problem.kind]
    return _sent(status, problem.kind, title, problem.detail, problem.headers, problem.more)


def plain(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """A problem that says no more than its status: no such path, no such method."""
    known = HTTPStatus(status)
    return _sent(status, known.phrase.lower().replace(" ", "-"), known.phrase, detail, headers or {}, {})


def of_http(error: HTTPException) -> Response:
    """What the framework answers by itself."""
    sentence = {404: "There is nothing here.", 405: "This method is not allowed here."}.get(error.status_code)
    return plain(error.status_code, sentence or HTTPStatus(error.status_code).phrase, error.headers)


def on_problem(refused: Callable[[str], None]) -> Callable[[Request, Exception], Response]:
    """Whatever route raised it; `refused` is told its kind."""

    def answered(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        refused(error.kind)
        return answer(error)

    return answered


def on_validation(refused: Callable[[str], None]) -> Callable[[Request, Exception], Awaitable[Response]]:
    """A header or a part of the path that cannot be."""

    async def answered(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if not is_below(request.url.path):
            return await request_validation_exception_handler(request, error)
        header = any("header" in one["loc"] for one in error.errors())
        sentence = "Send an Idempotency-Key of 1 to 255 visible ASCII characters." if header else NO_MESSAGE
        return on_problem(refused)(request, Problem("idempotency-key" if header else "no-message", sentence))

    return answered


def shown(kind: str) -> dict[str, Any]:
    """An example, for the documentation."""
    more: Mapping[str, Mapping[str, Any]] = {
        "invalid": {"errors": [{"field": "variables.reset_url", "detail": "is missing (the link to a new password)"}]},
        "recipient-refused": {"reason": "hard_bounce"},
    }
    status, title = KINDS[kind]
    return {"type": f"{_TYPE}{kind}", "title": title, "status": status, "detail": f"{title}.", **more.get(kind, {})}


def _sent(
    status: int, kind: str, title: str, detail: str, headers: Mapping[str, str], more: Mapping[str, Any]
) -> Response:
    content = {"type": f"{_TYPE}{kind}", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(content, status, dict(headers), media_type=MEDIA_TYPE)
