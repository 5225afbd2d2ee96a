"""One body that cannot be applied, early or late, stands in nobody's way."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import psycopg
import pytest
import sqlalchemy as sa

from data import database, deliveries, tables, unplaced
from domain.delivery import DeliveryEvent, EventKind
from domain.ledger import BatchState
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, BatchRow
from tests.data.plain_events import PROVIDER, body_of, process, receive

LATER = NOW + timedelta(minutes=1)
EARLY = DeliveryEvent(PROVIDER, EventKind.DELIVERED, NOW, message_id="run9.0")
DEADLOCK = sa.exc.OperationalError("x", {}, psycopg.errors.DeadlockDetected("secret@example.com"))
TOO_LARGE = sa.exc.OperationalError("x", {}, psycopg.errors.ProgramLimitExceeded("secret@example.com"))


@pytest.fixture
def waiting(engine: sa.Engine, account_id: str) -> None:
    """Two bodies came before their run was there; a batch of it was proved meanwhile, and nobody took that in."""
    receive(engine, body_of(EARLY), body_of(replace(EARLY, message_id="run9.1")))
    assert process(engine).uncorrelated == 2
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, account_id, 4)
        batches = [BatchRow(0, 1, attempt="a0"), BatchRow(2, 3, BatchState.UNKNOWN, "a1")]
        ledger_rows.add_run(connection, account_id, ids, batches, run_id="run9")
        batch_id = connection.scalar(sa.select(tables.batches.c.id).where(tables.batches.c.attempt_id == "a1"))
        proof = {"batch_id": batch_id, "attempt_id": "a1", "kind": "event", "detail": "", "created_at": NOW}
        connection.execute(tables.batch_proofs.insert().values(proof))


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception, *, of: int, times: int = 999) -> SimpleNamespace:
    """Whatever tells of this message of the run fails so often in the midst of its body, after something was written."""
    real, count = deliveries.join, SimpleNamespace(failed=0)

    def join(connection, states):
        real(connection, states)
        if any(ordinal == of for _, ordinal in states) and count.failed < times:
            count.failed += 1
            raise error

    monkeypatch.setattr(deliveries, "join", join)
    return count


def delivered(engine: sa.Engine) -> set[int]:
    with database.read(engine) as connection:
        return set(connection.scalars(sa.select(tables.message_delivery.c.ordinal)))


def unknown(engine: sa.Engine) -> int:
    query = sa.select(sa.func.count()).where(tables.batches.c.state == BatchState.UNKNOWN)
    with database.read(engine) as connection:
        return connection.execute(query).scalar_one()


@pytest.mark.parametrize("error", [KeyError("secret@example.com"), TOO_LARGE], ids=["ours", "the statement's"])
def test_a_late_event_that_cannot_be_applied_waits_on_alone(engine, waiting, monkeypatch, error):
    count = failing(monkeypatch, error, of=0)
    report = process(engine, now=LATER)
    assert (report.placed_late, report.failed_late, report.confirmed_batches) == (1, 1, 1)
    assert delivered(engine) == {1}
    with database.read(engine) as connection:
        assert unplaced.waiting(connection) == 1
    assert process(engine, now=LATER).failed_late == 0, "it was put off"
    assert count.failed == 1
    monkeypatch.undo()
    assert process(engine, now=LATER + timedelta(hours=1)).placed_late == 1
    assert delivered(engine) == {0, 1}


def test_it_is_given_up_like_any_other(engine, waiting, monkeypatch):
    failing(monkeypatch, KeyError(), of=0)
    strays = [process(engine, now=LATER + timedelta(days=day)).strays for day in range(8)]
    assert sum(strays) == 1
    with database.read(engine) as connection:
        assert unplaced.waiting(connection) == 0


def test_a_deadlock_rises_and_proofs_are_taken_in_all_the_same(engine, waiting, monkeypatch):
    failing(monkeypatch, DEADLOCK, of=0)
    assert unknown(engine) == 1
    with pytest.raises(sa.exc.OperationalError):
        process(engine, now=LATER)
    assert unknown(engine) == 0
    monkeypatch.undo()
    assert process(engine, now=LATER).placed_late == 2, "nothing was put off by it"


@pytest.fixture
def fresh(engine: sa.Engine, account_id: str) -> Callable[[], str]:
    """A body that was not read yet, and where it is."""
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, account_id, 2)
        ledger_rows.add_run(connection, account_id, ids, [BatchRow(0, 1, attempt="a0")], run_id="run9")
    receive(engine, body_of(EARLY))

    def state() -> tuple[str, int]:
        inbox = tables.webhook_inbox.c
        with database.read(engine) as connection:
            return tuple(connection.execute(sa.select(inbox.state, inbox.strikes)).one())

    return state


def test_after_one_deadlock_a_body_is_read_again_at_once(engine, fresh, monkeypatch):
    count = failing(monkeypatch, DEADLOCK, of=0, times=1)
    assert (process(engine).bodies, count.failed) == (1, 1)
    assert fresh() == ("done", 0)
    assert delivered(engine) == {0}


def test_after_the_second_it_is_left_to_the_next_round_and_is_no_fault_of_the_body(engine, fresh, monkeypatch):
    count = failing(monkeypatch, DEADLOCK, of=0)
    with pytest.raises(sa.exc.OperationalError):
        process(engine)
    assert count.failed == 2
    assert fresh() == ("pending", 0)


def test_what_the_statement_itself_brings_about_is_a_strike(engine, fresh, monkeypatch):
    failing(monkeypatch, TOO_LARGE, of=0)
    assert [process(engine).failed for _ in range(2)] == [1, 1]
    assert fresh() == ("pending", 2)
    report = process(engine)
    assert (report.bodies, report.unreadable) == (1, 1), "on the last try the element is a dead letter"
    assert fresh()[0] == "done"


@pytest.mark.parametrize("word", ["no_such_table", "no_such_column"])
def test_of_real_errors_of_either_database_only_its_own_trouble_is_trouble(engine, word):
    with database.read(engine) as connection, pytest.raises(sa.exc.DBAPIError) as raised:
        connection.exec_driver_sql(f"SELECT {word} FROM {'accounts' if word == 'no_such_column' else word}")
    assert not database.in_trouble(raised.value)
    assert database.in_trouble(DEADLOCK)
    assert database.collided(DEADLOCK)
