"""The lane is watched: our own messages go through the queue, what nobody knows is swept, what stands still is an alarm."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

import settings
from data import database, dispatchers, tables
from flows.watch_lane import watch_lane
from tasks import wiring
from tasks.lane_watch import LaneUnwell
from tests.flows.conftest import Esp
from tests.tasks import lane

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


def _states(engine: sa.Engine) -> list[tuple[str, str]]:
    table = tables.transactional_messages.c
    with database.read(engine) as connection:
        found = connection.execute(sa.select(table.only_route, table.state).order_by(table.asked_at))
        return [(row.only_route, row.state) for row in found]


def test_the_lane_is_tried_swept_and_its_silence_is_an_alarm(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMS_SEEDS_MAILBOXES", json.dumps(["seed@delivered.test"]))
    settings.load.cache_clear()
    now = wiring.clock()
    assert watch_lane()["checks"] == 1
    lane.dispatch()
    assert _states(engine) == [("sandbox-transactional", "accepted")]
    with database.write(engine) as connection:
        connection.execute(
            tables.transactional_messages.update().values(
                state="inflight", accepted_at=None, lease_expires_at=now - timedelta(minutes=1)
            )
        )
    monkeypatch.setattr(wiring, "clock", lambda: now + timedelta(minutes=2))
    with database.write(engine) as connection:
        dispatchers.note(connection, "d1", started_at=now, now=wiring.clock())
    with pytest.raises(LaneUnwell, match="was not accepted within 1 min: it is unknown"):
        watch_lane()
    assert _states(engine)[0] == ("sandbox-transactional", "unknown")  # the sweep found its worker dead
