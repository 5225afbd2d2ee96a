"""The pages of key figures, one an account: read by people, written by nobody."""

import re
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from data import accounts, database, kpi_overview, kpi_trends
from gateway import rendering, trend_views

# Also keeps out what a database refuses to compare with, such as a NUL.
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_READ = ["GET", "HEAD"]


def router(engine: sa.Engine, clock: Callable[[], datetime]) -> APIRouter:
    """Key figures of the one account there is, or of one in a list."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.api_route("/kpis", methods=_READ)
    def choose() -> Response:
        with database.read(engine) as connection:
            names = accounts.names(connection)
        if len(names) == 1:
            return RedirectResponse(f"/kpis/{names[0]}")
        return HTMLResponse(rendering.render_accounts(names))

    @routes.api_route("/kpis/{account_id}", methods=_READ)
    def figures(account_id: str) -> HTMLResponse:
        if not _ID.fullmatch(account_id):
            raise HTTPException(404)
        try:
            with database.read(engine) as connection:
                found = kpi_overview.read(connection, account_id, now=clock())
        except accounts.UnknownAccount:
            raise HTTPException(404) from None
        return HTMLResponse(rendering.render_kpis(found))

    @routes.api_route("/deliverability", methods=_READ)
    def deliverability(shop: str = "", days: str = "28", by: str = "mailbox") -> HTMLResponse:
        if by not in trend_views.GROUPINGS or days not in map(str, trend_views.PERIODS):
            raise HTTPException(404)
        with database.read(engine) as connection:
            shops = accounts.names(connection)
            chosen = shop or next(iter(shops), "")
            if chosen not in shops:
                raise HTTPException(404)
            columns = trend_views.GROUPINGS[by][1]
            found = kpi_trends.read(connection, chosen, columns, days=int(days), now=clock())
        return HTMLResponse(rendering.render_deliverability(trend_views.page(found, by, int(days), shops)))

    return routes
