"""Proofs that come late: after the lease, after the sweep, after a look-up released the batch."""

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

import pytest
import sqlalchemy as sa

from data import audit, database, ledger, ledger_sweep, proofs, resolution
from domain.ledger import BatchState, LeaseLost, Outcome, OutcomeKind, ProofKind
from domain.ports import Answer, Batch, Finding
from tests.data import frozen
from tests.data.frozen import Clock

pytestmark = pytest.mark.usefixtures("account_id")
ACCEPTED = Outcome(OutcomeKind.ACCEPTED, status=202, provider_reference="x")
UNKNOWN = Outcome(OutcomeKind.UNKNOWN, detail="ReadTimeout")
ABSENT = Answer(Finding.NOT_SENT, ProofKind.LOOK_UP_ABSENT, "found nothing")


def _book(engine: sa.Engine) -> tuple[ledger.SqlLedger, Clock]:
    run, clock = frozen.dispatching(engine, 6), Clock()
    return frozen.book(engine, run, clock), clock


def _claimed(book: ledger.SqlLedger) -> Batch:
    batch = book.claim(book.run.id, worker="w")
    assert batch is not None, book.traffic.stalled
    return batch


def _sweep(engine: sa.Engine, clock: Clock) -> ledger_sweep.Sweep:
    with database.write(engine) as connection:
        return ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock())


def _release(engine: sa.Engine, batch: Batch, clock: Clock) -> None:
    with database.write(engine) as connection:
        state = resolution.apply(connection, batch.batch_id, batch.attempt_id, ABSENT, clock())
    assert state is BatchState.PLANNED


def _event(connection: sa.Connection, batch: Batch, clock: Clock) -> None:
    proofs.record(connection, {batch.attempt_id: 1}, now=clock())


def _states(engine: sa.Engine, run_id: str) -> dict[str, int]:
    with database.read(engine) as connection:
        return {state: count for state, count in audit.message_states(connection, run_id).items() if count}


def _complaints(engine: sa.Engine, run_id: str) -> tuple[str, ...]:
    with database.read(engine) as connection:
        return audit.audit(connection, run_id, record=None).complaints


@pytest.mark.parametrize("swept", [False, True], ids=["before the sweep", "after it"])
def test_an_acceptance_that_is_read_after_the_lease_is_kept_as_a_proof(engine: sa.Engine, swept: bool) -> None:
    book, clock = _book(engine)
    batch = _claimed(book)
    clock.forward(seconds=61)
    if swept:
        assert _sweep(engine, clock).lost == 1
    with pytest.raises(LeaseLost):
        book.record(batch, ACCEPTED, seconds=61)
    clock.forward(hours=1)
    found = _sweep(engine, clock)
    assert (found.confirmed, found.held) == (1, 0)
    assert _states(engine, book.run.id) == {"accepted": 6}
    assert _complaints(engine, book.run.id) == ()


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_the_audit_sees_that_two_attempts_were_accepted(engine: sa.Engine, cut: bool) -> None:
    book, clock = _book(engine)
    first = _claimed(book)
    clock.forward(seconds=61)
    _sweep(engine, clock)
    _release(engine, first, clock)
    if cut:
        grant = book.traffic.next()
        assert grant is not None
        again = book._claimed(replace(grant, messages=2), "w")
        assert again is not None
    else:
        again = _claimed(book)
    book.record(again, ACCEPTED, seconds=0.1)
    with pytest.raises(LeaseLost):
        book.record(first, ACCEPTED, seconds=62)
    assert any("accepted" in one for one in _complaints(engine, book.run.id))


def test_what_was_released_and_proved_since_is_not_sent_again(engine: sa.Engine) -> None:
    book, clock = _book(engine)
    batch = _claimed(book)
    book.record(batch, UNKNOWN, seconds=0.1)
    _release(engine, batch, clock)
    with database.write(engine) as connection:
        _event(connection, batch, clock)
    assert book.claim(book.run.id, worker="w") is None
    assert _states(engine, book.run.id) == {"accepted": 6}
    assert _complaints(engine, book.run.id) == ()


def test_the_same_without_anybody_who_claims(engine: sa.Engine) -> None:
    book, clock = _book(engine)
    batch = _claimed(book)
    book.record(batch, UNKNOWN, seconds=0.1)
    _release(engine, batch, clock)
    with database.write(engine) as connection:
        _event(connection, batch, clock)
        assert proofs.confirm(connection, now=clock()) == 1
    assert _states(engine, book.run.id) == {"accepted": 6}


def test_a_proof_of_a_batch_is_one_of_the_parts_that_it_was_cut_into(engine: sa.Engine) -> None:
    book, clock = _book(engine)
    batch = _claimed(book)
    book.record(batch, UNKNOWN, seconds=0.1)
    _release(engine, batch, clock)
    clock.forward(seconds=1)
    grant = book.traffic.next()
    assert grant is not None
    again = book._claimed(replace(grant, messages=2), "w")
    assert again is not None
    with database.write(engine) as connection:
        _event(connection, batch, clock)
    assert book.claim(book.run.id, worker="w") is None
    assert _states(engine, book.run.id) == {"accepted": 4, "open": 2}
    assert any("parts of them" in one for one in _complaints(engine, book.run.id))


def test_an_event_says_nothing_of_an_attempt_that_the_esp_refused(engine: sa.Engine) -> None:
    book, clock = _book(engine)
    batch = _claimed(book)
    book.record(batch, Outcome(OutcomeKind.NOT_SENT, status=429, detail="429"), seconds=0.1)
    with database.write(engine) as connection:
        _event(connection, batch, clock)
        assert proofs.confirm(connection, now=clock()) == 0
    clock.forward(minutes=1)
    assert book.claim(book.run.id, worker="w") is not None


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_an_event_that_is_read_while_its_batch_is_claimed_wins(engine: sa.Engine, cut: bool) -> None:
    book, clock = _book(engine)
    batch = _claimed(book)
    book.record(batch, UNKNOWN, seconds=0.1)
    _release(engine, batch, clock)
    grant = book.traffic.next()
    if cut:
        assert grant is not None
        assert book._claimed(replace(grant, messages=2), "w") is not None
        grant = book.traffic.next()
    assert grant is not None
    with ThreadPoolExecutor(1) as pool:
        with database.write(engine) as connection:
            _event(connection, batch, clock)
            claim = pool.submit(book._claimed, grant, "w")
            wait([claim], timeout=0.3)  # it stands in line; without the lock it would have the batch by now
        assert claim.result() is None
    assert _states(engine, book.run.id) == ({"accepted": 4, "open": 2} if cut else {"accepted": 6})
