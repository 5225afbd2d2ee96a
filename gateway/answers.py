"""What is answered when a request cannot be: a line for machines, a page for people, never a trace."""

import logging
from collections.abc import Callable

import sqlalchemy as sa
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from data import accounts, database
from domain.accounts import Account
from gateway import problems, rendering, texts
from gateway.bodies import Refused

RETRY_AFTER = {"Retry-After": "30"}  # seconds: a restart or a failover is over by then
_NOT_FOUND, _UNAVAILABLE = 404, 503
_BUSY = "This cannot be answered right now. Nothing was changed; try again in a minute."
# Pages of the shop's own people, and what is missing there.
_STAFF = {
    "/campaigns": "There is no campaign run of this name.",
    "/kpis": "There is no account of this name.",
    "/deliverability": "There is no account of this name, or no such period or grouping.",
    "/lane": "There is no such page.",
    "/previews": "There is no preview of this name.",
    "/support": "There is no such order, or no such shop.",
    "/health": "There is no such page.",
    "/metrics": "There is no such page.",
}
_log = logging.getLogger(__name__)


def body_refused(_request: Request, error: Exception) -> Response:
    """One plain line for whoever operates the other side."""
    assert isinstance(error, Refused)
    return PlainTextResponse(f"{error}\n", error.status, RETRY_AFTER if error.status == _UNAVAILABLE else None)


def http_error(engine: sa.Engine) -> Callable[[Request, Exception], Response]:
    """No such page, or no such method. Customers are told whom to ask, as far as that can be known without their mail."""

    def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path = request.url.path
        if problems.is_below(path):
            return problems.of_http(error)
        if _is_for_machines(path) or error.status_code != _NOT_FOUND:
            return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)
        if (missing := _of_staff(path)) is not None:
            page = rendering.render_message("There is nothing here", missing, back=True)
            return HTMLResponse(page, _NOT_FOUND, error.headers)
        contact = rendering.contact(_only_account(engine))
        told = rendering.in_language("missing.html", texts.Wish.of(request).language(), **contact)
        told.status_code = _NOT_FOUND
        return told

    return answer


def store_is_down(request: Request, error: Exception) -> Response:
    """The database does not answer: try again soon, whatever was asked."""
    _log.error("the store did not answer: %s", type(error).__name__)  # its text may quote what was asked for
    path = request.url.path
    if problems.is_below(path):
        return problems.answer(problems.unavailable(_BUSY))
    if _is_for_machines(path):
        return PlainTextResponse(f"{_BUSY}\n", _UNAVAILABLE, RETRY_AFTER)
    if _of_staff(path) is not None:
        return HTMLResponse(
            rendering.render_message("One moment, please", _BUSY, back=False), _UNAVAILABLE, RETRY_AFTER
        )
    wish = texts.Wish.of(request)
    page = rendering.in_language("busy.html", wish.language(), clicked=wish.clicked)
    page.status_code = _UNAVAILABLE
    page.headers.update(RETRY_AFTER)
    return page


def _is_for_machines(path: str) -> bool:
    return path.startswith(("/webhooks/", "/orders/"))


def _of_staff(path: str) -> str | None:
    """What is not there on a page of the shop's people; None on all others, which customers may have been led to."""
    return next((missing for begin, missing in _STAFF.items() if path == begin or path.startswith(f"{begin}/")), None)


def _only_account(engine: sa.Engine) -> Account | None:
    """Where there is one shop only, it is the one that the customer looks for."""
    try:
        with database.read(engine) as connection:
            names = accounts.names(connection)
            return accounts.get(connection, names[0]) if len(names) == 1 else None
    except sa.exc.SQLAlchemyError as error:  # the page is of use without it
        _log.error("the store did not answer: %s", type(error).__name__)
        return None
