"""The campaign pages: read by people, written by nobody."""

import re

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse

from data import database, reports, runs
from gateway import rendering

# Also keeps out what a database refuses to compare with, such as a NUL.
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RECENT = 50
_READ = ["GET", "HEAD"]


def router(engine: sa.Engine) -> APIRouter:
    """Campaigns, one by one and all in a list."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.api_route("/", methods=_READ)
    def front_door() -> RedirectResponse:
        return RedirectResponse("/campaigns")

    @routes.api_route("/campaigns", methods=_READ)
    def recent() -> HTMLResponse:
        with database.read(engine) as connection:
            found = reports.recent_runs(connection, None, _RECENT)
        return HTMLResponse(rendering.render_runs(found))

    @routes.api_route("/campaigns/{run_id}", methods=_READ)
    def one(run_id: str) -> HTMLResponse:
        if not _RUN_ID.fullmatch(run_id):
            raise HTTPException(404)
        try:
            with database.read(engine) as connection:
                report = reports.run_report(connection, run_id)
        except runs.UnknownRun:
            raise HTTPException(404) from None
        return HTMLResponse(rendering.render_run(report, standalone=False))

    return routes
