"""The page of one order, for support: which messages went to its customer, and what became of each."""

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from data import accounts, database, dispatchers, order_lookup, order_silence, transactional_history
from data.order_lookup import UnknownOrder
from gateway import order_views, rendering

# Also keeps out what a database refuses to compare with, such as a NUL.
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ORDER = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_READ = ["GET", "HEAD"]
_NO_DISPATCHER = "no dispatcher is at work: whoever runs the engine starts one"


def router(engine: sa.Engine, clock: Callable[[], datetime], messages: Path, channels: Path) -> APIRouter:
    """A form to find an order, and its page. The files say why an order asked for nothing."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.api_route("/support", methods=_READ)
    def find(account: str = "", order: str = "", channel: str = "") -> Response:
        with database.read(engine) as connection:
            shops = accounts.names(connection)
        wanted = order.strip().removeprefix("#")
        if not wanted:
            return _form(shops)
        if account not in shops or not _ORDER.fullmatch(wanted):
            return _form(shops, account=account, told="There is no such order, or no such shop.", status=404)
        where = f"/support/{quote(account, safe='')}/{quote(wanted, safe='')}"
        return RedirectResponse(f"{where}?channel={quote(channel, safe='')}" if channel else where, 303)

    # An order's id may hold a slash.
    @routes.api_route("/support/{account}/{order:path}", methods=_READ)
    def one(account: str, order: str, channel: str = "") -> Response:
        if not _ID.fullmatch(account) or not _ORDER.fullmatch(order) or not _ORDER.fullmatch(channel or "-"):
            raise HTTPException(404)
        now = clock()
        with database.read(engine) as connection:
            shops = accounts.names(connection)
            if account not in shops:
                raise HTTPException(404)
            try:
                found = order_lookup.find(connection, account, order, channel=channel or None)
            except UnknownOrder as error:
                return _not_one(shops, account, order, error)
            told = transactional_history.of_order(connection, found)
            shop = accounts.get(connection, account)
            stuck = None if dispatchers.alive(connection, now) else _NO_DISPATCHER
        silence = None if told else order_silence.why(found, messages, channels)
        return HTMLResponse(rendering.render_order(order_views.page(found, shop, told, stuck=stuck, silence=silence)))

    return routes


def _not_one(shops: list[str], account: str, order: str, error: UnknownOrder) -> HTMLResponse:
    """None of that name, or several to choose among."""
    told = "There is no such order." if not error.among else "Several orders are called so. Which one is meant?"
    among = [{"path": order_views.path(one), "name": f"{one.channel} {one.number}"} for one in error.among]
    return _form(shops, account=account, order=order, told=told, among=among, status=404)


def _form(
    shops: list[str],
    *,
    account: str = "",
    order: str = "",
    told: str | None = None,
    among: list[dict[str, str]] | None = None,
    status: int = 200,
) -> HTMLResponse:
    shown = {"shops": shops, "account": account, "order": order, "told": told, "among": among or []}
    return HTMLResponse(rendering.page("orders.html", **shown), status)
