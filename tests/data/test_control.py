"""Pause, continue and cancel, between the batches of a sender, on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from data import audit, control, database, ledger_sweep, reports, runs, tables
from domain.campaigns import NEXT, Run, RunStatus
from domain.guardrails import CanaryState
from domain.ledger import BatchState, Outcome, OutcomeKind
from tests.data import frozen, ledger_rows
from tests.data.frozen import NOW, POLICY, Clock

pytestmark = pytest.mark.usefixtures("account_id")


def _states(engine: sa.Engine, run: Run) -> dict[str, int]:
    with database.read(engine) as connection:
        found = audit.audit(connection, run.id, record=None)
    assert found.balanced
    return {name: count for name, count in found.states.items() if count}


def _sweep(engine: sa.Engine, clock: Clock) -> ledger_sweep.Sweep:
    with database.write(engine) as connection:
        return ledger_sweep.sweep(connection, policy=POLICY, now=clock())


def _log(engine: sa.Engine) -> list[tuple[str, str]]:
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(tables.audit_log).order_by(tables.audit_log.c.id)).all()
    return [(row.actor, row.action) for row in rows]


def test_a_sender_gets_no_further_batch_of_a_paused_run(engine: sa.Engine) -> None:
    clock, run = Clock(), frozen.dispatching(engine, 30)
    book = frozen.book(engine, run, clock)
    first = book.claim(run.id, worker="w")
    assert first is not None
    with database.write(engine) as connection:
        paused = control.pause(connection, run.id, by="Ann", why="a typo", now=clock())
    assert (paused.status, paused.stop_reason) == (RunStatus.PAUSED, "paused by Ann: a typo")
    assert book.claim(run.id, worker="w") is None
    book.record(first, Outcome(OutcomeKind.ACCEPTED), seconds=0.1)  # what is under way ends by its own outcome
    assert _states(engine, run) == {"accepted": 10, "open": 20}
    with database.write(engine) as connection:
        control.take_up(connection, run.id, flow_run_id="flow-2", now=clock())
    assert book.claim(run.id, worker="w") is not None
    assert _log(engine) == [("Ann", "pause"), ("flow run", "take up")]


def test_a_sender_gets_no_further_batch_of_a_cancelled_run(engine: sa.Engine) -> None:
    clock, run = Clock(), frozen.dispatching(engine, 30)
    book = frozen.book(engine, run, clock)
    first = book.claim(run.id, worker="w")
    assert first is not None
    with database.write(engine) as connection:
        done = control.cancel(connection, run.id, by="Ann", why="", now=clock())
    assert (done.run.status, done.run.stop_reason, done.messages) == (RunStatus.CANCELLED, "cancelled by Ann", 20)
    assert book.claim(run.id, worker="w") is None
    assert _states(engine, run) == {"cancelled": 20, "open": 10}
    book.record(first, Outcome(OutcomeKind.ACCEPTED), seconds=0.1)
    assert _states(engine, run) == {"cancelled": 20, "accepted": 10}


@pytest.mark.parametrize("kind", [OutcomeKind.NOT_SENT, OutcomeKind.REJECTED])
def test_what_comes_back_to_a_cancelled_run_is_cancelled_by_the_sweep(engine: sa.Engine, kind: OutcomeKind) -> None:
    clock, run = Clock(), frozen.dispatching(engine, 20)
    book = frozen.book(engine, run, clock)
    with database.write(engine) as connection:  # else single refusals are not believed
        batch = tables.batches
        one = sa.select(sa.func.max(batch.c.id)).where(batch.c.run_id == run.id).scalar_subquery()
        connection.execute(batch.update().where(batch.c.id == one).values(state=BatchState.HELD))
    claimed = book.claim(run.id, worker="w")
    assert claimed is not None
    with database.write(engine) as connection:
        assert control.cancel(connection, run.id, by="Ann", why="", now=clock()).messages == 0
    book.record(claimed, Outcome(kind), seconds=0.1)
    assert _states(engine, run) == {"open": 10, "held": 10}
    assert _sweep(engine, clock).cancelled == (1 if kind is OutcomeKind.NOT_SENT else 2)
    assert _states(engine, run) == {"cancelled": 10, "held": 10}


def test_a_cancelled_run_that_sent_is_observed_until_its_figures_are_final(engine: sa.Engine) -> None:
    clock, run = Clock(), frozen.dispatching(engine, 20)
    book = frozen.book(engine, run, clock)
    batch = book.claim(run.id, worker="w")
    assert batch is not None
    with database.write(engine) as connection:
        control.cancel(connection, run.id, by="Ann", why="", now=clock())
    _sweep(engine, clock)
    with database.read(engine) as connection:
        assert runs.unsettled(connection) == []  # one batch is still under way
    book.record(batch, Outcome(OutcomeKind.ACCEPTED), seconds=0.1)
    _sweep(engine, clock)
    with database.write(engine) as connection:
        assert [one.id for one in runs.that_sent(connection)] == [run.id]
        (found,) = runs.unsettled(connection)
        runs.settle(connection, found, clock())
        assert runs.unsettled(connection) == []
        found = runs.get(connection, run.id)
        steps = {step.code: step.count for step in reports.run_report(connection, run.id).waterfall}
    assert (found.status, found.dispatched_at, found.settled_at) == (RunStatus.CANCELLED, NOW, NOW)
    assert (steps["cancelled"], steps["accepted"]) == (10, 10)


@pytest.mark.parametrize("status", list(RunStatus))
def test_a_run_is_cancelled_from_any_state_in_which_something_is_left(engine: sa.Engine, status: RunStatus) -> None:
    with database.write(engine) as connection:
        people = ledger_rows.add_parties(connection, "shop", 2)
        ledger_rows.add_run(connection, "shop", people, [ledger_rows.BatchRow(0, 1, BatchState.PLANNED)], status=status)
    with database.write(engine) as connection:
        if RunStatus.CANCELLED in NEXT[status]:
            assert control.cancel(connection, "run1", by="Ann", why="", now=NOW).messages == 2
        else:
            with pytest.raises(control.NotPossible, match="nothing is left to be cancelled"):
                control.cancel(connection, "run1", by="Ann", why="", now=NOW)
            assert not control.cancel_if_possible(connection, "run1", by="Ann", why="", now=NOW)


@pytest.mark.parametrize("status", sorted(set(RunStatus) - {RunStatus.DISPATCHING}))
def test_only_a_run_that_sends_is_paused(engine: sa.Engine, status: RunStatus) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_run(connection, "shop", [], [], status=status)
        with pytest.raises(control.NotPossible, match="run run1 is"):
            control.pause(connection, "run1", by="Ann", why="", now=NOW)
        control.suspend(connection, "run1", now=NOW)
        assert runs.get(connection, "run1").status is status


def test_cancelling_while_several_send_leaves_no_batch_in_two_states(engine: sa.Engine) -> None:
    clock, run = Clock(), frozen.dispatching(engine, 200, batch_size=2)
    book = frozen.book(engine, run, clock)

    def work(number: int) -> int:
        sent = 0
        while (batch := book.claim(run.id, worker=f"w{number}")) is not None:
            book.record(batch, Outcome(OutcomeKind.ACCEPTED), seconds=0.1)
            sent += len(batch)
            if number == 0 and sent >= 10:
                with database.write(engine) as connection:
                    control.cancel_if_possible(connection, run.id, by="Ann", why="", now=clock())
        return sent

    with ThreadPoolExecutor(3) as pool:
        sent = sum(pool.map(work, range(3)))
    states = _states(engine, run)
    assert states["accepted"] == sent
    assert states["cancelled"] == 200 - sent > 0


def test_a_flow_run_that_comes_back_does_not_undo_a_pause(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 4)

    def take_up(flow_run_id: str) -> RunStatus:
        with database.write(engine) as connection:
            return control.take_up(connection, run.id, flow_run_id=flow_run_id, now=NOW).status

    assert take_up("flow-2") is RunStatus.DISPATCHING
    with database.write(engine) as connection:
        control.pause(connection, run.id, by="Ann", why="", now=NOW)
    assert take_up("flow-2") is RunStatus.PAUSED
    assert take_up("flow-3") is RunStatus.DISPATCHING
    with database.write(engine) as connection:
        control.suspend(connection, run.id, now=NOW)
    assert take_up("flow-3") is RunStatus.DISPATCHING  # Resume was pressed: only that starts it again
    with database.read(engine) as connection:
        found = control.continuation(connection, run)
    assert (found.flow_run_id, found.number, found.at) == ("flow-3", 3, NOW)


def test_many_that_take_a_run_up_at_once_all_find_it_dispatching(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 4)
    with database.write(engine) as connection:
        control.pause(connection, run.id, by="Ann", why="", now=NOW)

    def take_up(number: int) -> RunStatus:
        with database.write(engine) as connection:
            return control.take_up(connection, run.id, flow_run_id=f"flow-{number}", now=NOW).status

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(take_up, range(6))) == {RunStatus.DISPATCHING}


def test_a_breached_canary_is_not_continued_without_a_persons_word(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 4)
    with database.write(engine) as connection:
        control.pause(connection, run.id, by="canary", why="", now=NOW)
        connection.execute(tables.campaign_runs.update().values(canary=CanaryState.BREACHED))
        assert control.take_up(connection, run.id, flow_run_id="flow-2", now=NOW).status is RunStatus.PAUSED
