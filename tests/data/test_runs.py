from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from data import database, runs, tables
from domain.campaigns import IllegalTransition, RunStatus
from tests.data import frozen

pytestmark = pytest.mark.usefixtures("account_id")


def _create(engine: sa.Engine, flow_run_id: str | None, **facts: object) -> str:
    with database.write(engine) as connection:
        return runs.create(connection, frozen.plan(**facts), flow_run_id=flow_run_id, now=frozen.NOW).id


def test_a_flow_run_started_many_times_at_once_makes_one_run(engine: sa.Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: _create(engine, "flow-1"), range(8)))
    assert len(made) == 1
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.campaign_runs)) == 1
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.campaigns)) == 1


def test_runs_without_a_flow_run_are_runs_of_their_own(engine: sa.Engine) -> None:
    assert _create(engine, None) != _create(engine, None)


def test_a_run_comes_back_as_it_was_asked_for(engine: sa.Engine) -> None:
    run_id = _create(engine, "flow-1", limit=5, holdout_percent=7, seed=3, subject="Hello", live=False)
    with database.read(engine) as connection:
        run = runs.get(connection, run_id)
        assert runs.by_flow_run(connection, "flow-1") == run
        assert runs.by_flow_run(connection, "flow-2") is None
        with pytest.raises(runs.UnknownRun, match="there is no run"):
            runs.get(connection, "r")
    assert run.plan == frozen.plan(limit=5, holdout_percent=7, seed=3, subject="Hello", live=False)
    assert (run.status, run.created_at, run.expires_at) == (RunStatus.CREATED, frozen.NOW, None)


def test_of_two_that_move_a_run_one_is_refused(engine: sa.Engine) -> None:
    run_id = _create(engine, None)
    with database.write(engine) as connection:
        run = runs.get(connection, run_id, locked=True)
        runs.advance(connection, run, RunStatus.STOPPED, stop_reason="a gate")
        with pytest.raises(IllegalTransition, match="somebody else moved it"):
            runs.advance(connection, run, RunStatus.FROZEN)
        with pytest.raises(IllegalTransition, match="cannot become"):
            runs.advance(connection, runs.get(connection, run_id), RunStatus.FROZEN)
