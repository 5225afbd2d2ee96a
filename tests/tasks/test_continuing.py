"""Runs that nobody works on are continued by themselves, once, against a fake of Prefect's API on the wire."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

import settings
from data import control, database, runs, tables
from domain.campaigns import RunStatus
from domain.ledger import BatchState
from tasks import continuing, prefect_api, watching, wiring
from tests.cli.fakes import DEPLOYMENT_ID, FakeServer, flow_run, prefect_answers
from tests.conftest import LINK_KEY, PEPPER
from tests.data import ledger_rows

pytestmark = pytest.mark.usefixtures("account_id")
RUN = "r23456789abcd"
FIRST, SECOND = UUID(int=7), UUID(int=8)
START = f"/api/deployments/{DEPLOYMENT_ID}/create_flow_run"
CRASH = f"/api/flow_runs/{FIRST}/set_state"
NOW = ledger_rows.NOW
LATER = NOW + timedelta(minutes=11)


def _state(kind: str) -> Any:
    from prefect.client.schemas.objects import State, StateType

    return State(type=StateType[kind], name=kind.capitalize())


@pytest.fixture
def prefect(
    engine: sa.Engine, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[FakeServer]:
    """A run that stalls since NOW, whose flow run FIRST counts as running; the clock says LATER."""
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    with FakeServer() as server:
        for name, value in {
            "OMS_PRIVACY_PEPPER": PEPPER,
            "OMS_PRIVACY_LINK_KEY": LINK_KEY,
            "OMS_DATABASE_URL": database_url,
            "OMS_PREFECT_PORT": str(server.port),
        }.items():
            monkeypatch.setenv(name, value)
        settings.load.cache_clear()
        prefect_answers(server)
        _says(server, FIRST, "RUNNING")
        server.answer("POST", START, flow_run(_state("SCHEDULED"), SECOND), status=201)
        server.answer("POST", CRASH, {"status": "ACCEPT", "details": {"type": "accept_details"}, "state": None})
        with database.write(engine) as connection:
            people = ledger_rows.add_parties(connection, "shop", 2)
            ledger_rows.add_run(
                connection,
                "shop",
                people,
                [ledger_rows.BatchRow(0, 1, BatchState.PLANNED, finished_at=None)],
                status=RunStatus.DISPATCHING,
                flow_run_id=str(FIRST),
                dispatched_at=None,
                run_id=RUN,
            )
        monkeypatch.setattr(wiring, "clock", lambda: LATER)
        yield server
    settings.load.cache_clear()


def _says(server: FakeServer, flow_run_id: UUID, kind: str) -> None:
    server.answer("GET", f"/api/flow_runs/{flow_run_id}", flow_run(_state(kind), flow_run_id))


def _look() -> continuing.Looked:
    with prefect_api.client() as connected:
        return continuing.look_after(connected)


def _continued(engine: sa.Engine) -> control.Continuation:
    with database.read(engine) as connection:
        return control.continuation(connection, runs.get(connection, RUN))


def test_a_stalled_run_is_continued_once_and_its_dead_flow_run_is_called_dead(
    engine: sa.Engine, prefect: FakeServer
) -> None:
    assert _look().continued == 1
    assert prefect.asked[START]["parameters"]["request"]["resume_run"] == RUN
    assert prefect.asked[START]["idempotency_key"] == f"{RUN}:0"
    assert prefect.asked[CRASH]["state"]["type"] == "CRASHED"
    assert _continued(engine) == control.Continuation(str(SECOND), 1, LATER)
    prefect.asked.clear()
    _says(prefect, SECOND, "SCHEDULED")
    assert _look().continued == 0
    assert START not in prefect.asked


def test_two_sweeps_at_once_ask_for_the_same_flow_run(
    engine: sa.Engine, prefect: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "note_continuation", lambda *_, **__: None)  # the first died before it took a note
    assert _look().continued == 1
    first = prefect.asked.pop(START)["idempotency_key"]
    assert _look().continued == 1
    assert prefect.asked[START]["idempotency_key"] == first


@pytest.mark.parametrize(("kind", "again"), [("SCHEDULED", False), ("RUNNING", True), ("FAILED", True)])
def test_what_did_not_help_is_tried_again_after_ten_minutes(
    engine: sa.Engine, prefect: FakeServer, monkeypatch: pytest.MonkeyPatch, kind: str, again: bool
) -> None:
    _look()
    prefect.asked.clear()
    _says(prefect, SECOND, kind)
    prefect.answer("POST", f"/api/flow_runs/{SECOND}/set_state", prefect.answers["POST", CRASH][1])
    monkeypatch.setattr(wiring, "clock", lambda: LATER + timedelta(minutes=9))
    assert _look().continued == 0
    monkeypatch.setattr(wiring, "clock", lambda: LATER + timedelta(minutes=11))
    assert _look().continued == int(again)
    if again:
        assert prefect.asked[START]["idempotency_key"] == f"{RUN}:1"


def test_a_flow_run_that_only_waits_lives(
    engine: sa.Engine, prefect: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(FIRST))
    at = NOW
    monkeypatch.setattr(wiring, "clock", lambda: at)
    here = temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{prefect.port}/api"})
    with here, watching.own_flow_run(RUN) as heed:
        assert _worked_at(engine) == NOW
        at = NOW + timedelta(seconds=29)
        heed()
        assert _worked_at(engine) == NOW  # it costs a write: not every second
        at = NOW + timedelta(seconds=40)
        heed()
    assert _worked_at(engine) == at
    at = NOW + timedelta(minutes=10, seconds=39)
    assert _look().continued == 0
    assert not {START, CRASH} & prefect.asked.keys()
    at = NOW + timedelta(minutes=10, seconds=40)
    assert _look().continued == 1


def _worked_at(engine: sa.Engine) -> Any:
    with database.read(engine) as connection:
        return connection.scalar(sa.select(tables.campaign_runs.c.worked_at))


@pytest.mark.parametrize("kind", ["CANCELLED", "CANCELLING"])
def test_a_flow_run_that_was_cancelled_cancels_its_run(engine: sa.Engine, prefect: FakeServer, kind: str) -> None:
    _says(prefect, FIRST, kind)
    assert _look() == continuing.Looked(0, 1, 0)
    assert _look() == continuing.Looked(0, 0, 0)
    with database.read(engine) as connection:
        run = runs.get(connection, RUN)
    assert (run.status, run.stop_reason) == (
        RunStatus.CANCELLED,
        "cancelled by Prefect UI: its flow run was cancelled there",
    )


def test_a_flow_run_that_was_suspended_pauses_its_run(engine: sa.Engine, prefect: FakeServer) -> None:
    _says(prefect, FIRST, "PAUSED")
    assert _look() == continuing.Looked(1, 0, 0)
    with database.read(engine) as connection:
        assert runs.get(connection, RUN).stop_reason == control.SUSPENDED


def test_in_a_copy_of_the_database_nothing_is_continued(engine: sa.Engine, prefect: FakeServer) -> None:
    with database.write(engine) as connection:
        connection.execute(
            tables.installation.insert().values(
                id=1, environment="production", fingerprint="another", claimed_at=NOW, claimed_by="first use"
            )
        )
    assert _look() == continuing.Looked(0, 0, 0)
    assert START not in prefect.asked


def test_a_run_that_was_continued_lately_is_no_alarm_yet(engine: sa.Engine, prefect: FakeServer) -> None:
    _look()
    with database.read(engine) as connection:
        assert continuing.lately(connection, RUN, now=LATER + timedelta(minutes=9))
        assert not continuing.lately(connection, RUN, now=LATER + timedelta(minutes=10))
