"""The pages of campaigns and previews: read by people, written by nobody."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from data import database, kept_previews, live, reports, runs
from data.live import Live
from domain.previews import Preview
from domain.reports import RunReport
from gateway import live_views, plots, rendering, security

# Also keeps out what a database refuses to compare with, such as a NUL.
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RECENT = 50
_READ = ["GET", "HEAD"]
_Read = TypeVar("_Read")


def router(engine: sa.Engine, clock: Callable[[], datetime]) -> APIRouter:
    """Campaigns, one by one and all in a list; previews by their id."""
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
        report, shown = _report(engine, run_id), live_views.page(_live(engine, run_id), clock())
        return HTMLResponse(rendering.render_run(report, standalone=False, live=shown))

    @routes.api_route("/campaigns/{run_id}/live", methods=_READ)
    def counters(run_id: str, still: str = "") -> HTMLResponse:
        shown = live_views.page(_live(engine, run_id), clock())
        return HTMLResponse(rendering.render_live(shown, still=still == "1"), headers=security.FRAMED)

    @routes.api_route("/campaigns/{run_id}/timeline.svg", methods=_READ)
    def timeline(run_id: str) -> Response:
        moments = _report(engine, run_id).timeline
        if not moments:
            raise HTTPException(404)
        return Response(plots.image(plots.timeline(moments)), media_type="image/svg+xml")

    @routes.api_route("/previews/{preview_id}", methods=_READ)
    def preview(preview_id: str) -> HTMLResponse:
        return HTMLResponse(rendering.render_preview(_preview(engine, preview_id), standalone=False))

    return routes


def _preview(engine: sa.Engine, preview_id: str) -> Preview:
    if not _ID.fullmatch(preview_id):
        raise HTTPException(404)
    try:
        with database.read(engine) as connection:
            return kept_previews.load(connection, preview_id)
    except kept_previews.UnknownPreview:
        raise HTTPException(404) from None


def _live(engine: sa.Engine, run_id: str) -> Live:
    return _of_run(engine, run_id, live.read)


def _report(engine: sa.Engine, run_id: str) -> RunReport:
    return _of_run(engine, run_id, reports.run_report)


def _of_run(engine: sa.Engine, run_id: str, read: Callable[[sa.Connection, str], _Read]) -> _Read:
    if not _ID.fullmatch(run_id):
        raise HTTPException(404)
    try:
        with database.read(engine) as connection:
            return read(connection, run_id)
    except runs.UnknownRun:
        raise HTTPException(404) from None
