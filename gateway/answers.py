"""What is answered when a request cannot be: a line for machines, a page for people, never a trace."""

import logging

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from gateway import rendering, texts
from gateway.bodies import Refused

RETRY_AFTER = {"Retry-After": "30"}  # seconds: a restart or a failover is over by then
_NOT_FOUND, _UNAVAILABLE = 404, 503
_log = logging.getLogger(__name__)


def body_refused(_request: Request, error: Exception) -> Response:
    """One plain line for whoever operates the other side."""
    assert isinstance(error, Refused)
    return PlainTextResponse(f"{error}\n", error.status, RETRY_AFTER if error.status == _UNAVAILABLE else None)


def http_error(request: Request, error: Exception) -> Response:
    """No such page, or no such method."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if path.startswith(("/webhooks/", "/orders/")) or error.status_code != _NOT_FOUND:
        return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)
    if not path.startswith("/campaigns"):
        language = texts.Wish.of(request).language()
        answer = rendering.in_language("missing.html", language)
        answer.status_code = _NOT_FOUND
        return answer
    page = rendering.render_message("There is nothing here", "There is no campaign run of this name.", back=True)
    return HTMLResponse(page, _NOT_FOUND, error.headers)


def store_is_down(_request: Request, error: Exception) -> Response:
    """The database does not answer: try again soon, whatever was asked."""
    _log.error("the store did not answer: %s", type(error).__name__)  # its text may quote what was asked for
    text = "This cannot be answered right now. Nothing was changed; try again in a minute."
    return HTMLResponse(rendering.render_message("One moment, please", text, back=False), _UNAVAILABLE, RETRY_AFTER)
