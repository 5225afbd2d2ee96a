"""The page of the transactional lane: what waits now, and how the last day went."""

from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from data import database, dispatchers, lane_figures
from domain import lane_alarms
from gateway import lane_views, rendering

_DAY, _SLICE = timedelta(days=1), timedelta(minutes=30)


def router(engine: sa.Engine, clock: Callable[[], datetime]) -> APIRouter:
    """One page for all accounts: they share the dispatchers."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.api_route("/lane", methods=["GET", "HEAD"])
    def lane() -> HTMLResponse:
        now = clock()
        with database.read(engine) as connection:
            found = lane_figures.read(connection, now=now, window=_DAY)
            slices = lane_figures.by_slice(connection, now=now, slices=_DAY // _SLICE, length=_SLICE)
            alive = len(dispatchers.alive(connection, now))
            lately = lane_figures.read(connection, now=now, window=lane_alarms.WINDOW)
        oldest = {one.urgency: one.backlog.oldest_due for one in found.classes}
        requests = ((one.provider, one.attempts, one.failed) for one in lately.providers)
        alarms = [*lane_alarms.waiting(oldest, alive, now), *lane_alarms.failing(requests)]
        return HTMLResponse(rendering.render_lane(lane_views.page(found, slices, alive, alarms, now)))

    return routes
