"""The pages of key figures, one an account: read by people, written by nobody."""

import re
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from data import accounts, database, kpi_overview
from gateway import rendering

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

    return routes
