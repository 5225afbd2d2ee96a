"""What a shop sends is paused once for each jump of a key figure; a person's word counts more."""

import pytest
import sqlalchemy as sa

from data import anomaly_pauses, database, runs
from domain.campaigns import RunStatus
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW

JUMP = "anomaly of bounce_rate, mailbox gmail, 2026-11-22"


@pytest.fixture
def sending(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "second")
        for run_id, account, facts in (
            ("mine", account_id, {"status": RunStatus.DISPATCHING}),
            ("dry", account_id, {"status": RunStatus.DISPATCHING, "live": False}),
            ("over", account_id, {}),
            ("theirs", "second", {"status": RunStatus.DISPATCHING}),
        ):
            ledger_rows.add_run(connection, account, [], [], run_id=run_id, **facts)


def pause(engine: sa.Engine, jump: str = JUMP) -> list[str]:
    with database.write(engine) as connection:
        return anomaly_pauses.pause(connection, "shop", jump=jump, why="8.0 % of 1,000", now=NOW)


@pytest.mark.usefixtures("sending")
def test_what_the_shop_sends_just_now_is_paused(engine):
    assert pause(engine) == ["mine"]
    with database.read(engine) as connection:
        paused = runs.get(connection, "mine")
        assert (paused.status, paused.stop_reason) == (RunStatus.PAUSED, f"paused by {JUMP}: 8.0 % of 1,000")
        assert runs.get(connection, "theirs").status is RunStatus.DISPATCHING
        assert runs.get(connection, "over").status is RunStatus.DISPATCHED
    assert pause(engine) == []


@pytest.mark.usefixtures("sending")
def test_who_goes_on_is_not_paused_for_the_same_jump_again(engine):
    pause(engine)
    with database.write(engine) as connection:
        run = runs.get(connection, "mine", locked=True)
        runs.advance(connection, run, RunStatus.DISPATCHING, stop_reason=None)
    assert pause(engine) == []
    assert pause(engine, JUMP.replace("bounce", "complaint")) == ["mine"]
