"""What a batch took and did not use comes back, and nobody waits for somebody who waits for him."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from data import batches, control, database, ledger, tables
from domain.ledger import BatchState, Outcome, OutcomeKind
from domain.routes import Pace, Route
from tests.data import frozen
from tests.data.frozen import Clock

pytestmark = pytest.mark.usefixtures("account_id")
ACCEPTED = Outcome(OutcomeKind.ACCEPTED, status=202)
REFUSED = Outcome(OutcomeKind.NOT_SENT, detail="ConnectError")
A = frozen.route("a")


def _book(engine: sa.Engine, people: int, *routes: Route) -> tuple[ledger.SqlLedger, Clock]:
    run, clock = frozen.dispatching(engine, people, batch_size=10), Clock()
    return frozen.book(engine, run, clock, *routes), clock


def _count(engine: sa.Engine, table: sa.Table) -> int:
    with database.read(engine) as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_what_was_refused_after_the_hour_does_not_make_room_in_the_next(engine: sa.Engine) -> None:
    book, clock = _book(engine, 100, replace(A, warm_up=True))
    clock.now = datetime(2026, 11, 22, 9, 59, 59, tzinfo=UTC)
    late = [book.claim(book.run.id, worker="w") for _ in range(2)]  # 20: all that this hour allows
    clock.forward(seconds=2)
    for batch in late:
        assert batch is not None
        book.record(batch, REFUSED, seconds=0.1)
    sent = 0
    for _ in range(20):
        clock.forward(minutes=2)
        if (batch := book.claim(book.run.id, worker="w")) is not None:
            sent += len(batch)
            book.record(batch, ACCEPTED, seconds=0.1)
    assert sent == 20


def test_a_refused_batch_gives_its_place_in_the_release_back(engine: sa.Engine) -> None:
    book, clock = _book(engine, 30, replace(A, release={"*": Pace(per_minute=10, burst=10)}))
    first = book.claim(book.run.id, worker="w")
    assert first is not None
    book.record(first, REFUSED, seconds=0.1)
    clock.forward(seconds=5)  # the pause after a failure, not the minute that ten messages take
    assert book.claim(book.run.id, worker="w") is not None


def test_a_claim_that_fails_leaves_neither_slot_nor_volume_behind(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, _ = _book(engine, 30, A)

    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(ledger, "content_hash", broken)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        book.claim(book.run.id, worker="w")
    assert _count(engine, tables.slots) == 0
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(sa.func.sum(tables.pool_volumes.c.messages))) == 0
        assert set(connection.scalars(sa.select(tables.batches.c.state))) == {BatchState.PLANNED}


def test_mail_that_can_be_called_back_does_not_go_in_the_quiet_hours(engine: sa.Engine) -> None:
    """Quiet in Berlin from 21:00, which is 20:00 UTC; mail waits a quarter of an hour at the ESP."""
    book, clock = _book(engine, 10, replace(A, schedules=True))
    policy = replace(book.policy, quiet_from="21:00", quiet_until="08:00")
    book = replace(book, policy=policy, run=replace(book.run, plan=replace(book.run.plan, two_phase=True)))
    clock.now = datetime(2026, 11, 22, 19, 50, tzinfo=UTC)
    assert book.claim(book.run.id, worker="w") is None
    clock.now = datetime(2026, 11, 22, 19, 40, tzinfo=UTC)
    assert book.claim(book.run.id, worker="w") is not None


def test_a_cancellation_and_a_claim_do_not_wait_for_each_other(engine: sa.Engine) -> None:
    """A claim holds its batch and writes rows that name the run; a cancellation holds the run and wants the batch."""
    if engine.dialect.name == "sqlite":
        pytest.skip("one writer at a time")
    book, clock = _book(engine, 10, A)
    done = threading.Event()

    def cancel() -> None:
        with database.write(engine) as connection:
            control.cancel(connection, book.run.id, by="Ann", why="", now=clock())
        done.set()

    with database.write(engine) as connection:
        (batch_id,) = connection.scalars(sa.select(tables.batches.c.id))
        assert batches.take(connection, batch_id, "w", clock(), timedelta(minutes=1)) is not None
        other = threading.Thread(target=cancel)
        other.start()
        assert not done.wait(1.0)  # it has the run, and waits for the batch
        exception = {"run_id": book.run.id, "ordinal": 0, "state": "suppressed", "reason": "", "created_at": clock()}
        connection.execute(tables.message_exceptions.insert().values(**exception))
    other.join(10)
    assert done.is_set()


def test_the_esps_in_use_are_those_that_mail_went_to(engine: sa.Engine) -> None:
    book, _ = _book(engine, 20, A, frozen.route("b"))
    book = replace(book, run=replace(book.run, plan=replace(book.run.plan, provider="automatic")))
    while (batch := book.claim(book.run.id, worker="w")) is not None:
        book.record(batch, ACCEPTED, seconds=0.1)
    with database.read(engine) as connection:
        assert batches.providers_by_account(connection) == [("shop", "a"), ("shop", "b")]
