from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import audit, database, ledger, ledger_sweep, runs, tables
from domain.campaigns import RunStatus
from domain.delivery import DeliveryEvent, EventKind
from domain.ledger import AllRefused, BatchState, LeaseLost, Outcome, OutcomeKind
from domain.ports import Batch
from tests.data import frozen, ledger_rows
from tests.data.frozen import Clock
from tests.data.plain_events import body_of, process, receive

pytestmark = pytest.mark.usefixtures("account_id")
ACCEPTED = Outcome(OutcomeKind.ACCEPTED, status=202, provider_reference="x")
REJECTED = Outcome(OutcomeKind.REJECTED, status=400, detail="bad recipient")
NOT_SENT = Outcome(OutcomeKind.NOT_SENT, status=429, detail="slow down")
OVERSLEPT = Outcome(OutcomeKind.NOT_SENT, detail="slept", local=True)
UNKNOWN = Outcome(OutcomeKind.UNKNOWN, detail="ReadTimeout")


def _claim(book: ledger.SqlLedger, worker: str = "w1") -> Batch | None:
    return book.claim(book.run.id, worker=worker)


def _states(engine: sa.Engine, run_id: str) -> dict[str, int]:
    with database.read(engine) as connection:
        return {state: count for state, count in audit.message_states(connection, run_id).items() if count}


def test_a_claim_is_committed_before_it_is_handed_out(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 12)
    batch = _claim(frozen.book(engine, run, Clock()))
    assert batch is not None
    with database.read(engine) as connection:  # another connection sees it
        row = connection.execute(sa.select(tables.batches).where(tables.batches.c.id == batch.batch_id)).one()
        attempt = connection.execute(sa.select(tables.batch_attempts)).one()
    assert (row.state, row.worker, row.attempt_id) == (BatchState.INFLIGHT, "w1", batch.attempt_id)
    assert row.lease_expires_at == frozen.NOW + timedelta(seconds=60)
    assert (attempt.id, attempt.messages, attempt.outcome) == (batch.attempt_id, 10, None)
    assert len(attempt.content_hash) == 64


def test_a_batch_carries_what_its_messages_need(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 3)
    batch = _claim(frozen.book(engine, run, Clock()))
    assert batch is not None
    assert list(batch.message_ids) == [f"{run.id}.{ordinal}" for ordinal in range(3)]
    assert set(batch.addresses) == {ledger_rows.address(number) for number in range(3)}
    assert batch.variables["first_name"] == ["there"] * 3  # the fallback
    assert batch.variables["first_order_on"] == ["6 May 2026"] * 3
    assert all(url.startswith("https://shop.example.com/unsubscribe/r") for url in batch.unsubscribe_urls)


def test_accepted_batches_end_the_run(engine: sa.Engine) -> None:
    run, clock = frozen.dispatching(engine, 25), Clock()
    book = frozen.book(engine, run, clock)
    sizes = []
    while (batch := _claim(book)) is not None:
        sizes.append(len(batch))
        book.record(batch, ACCEPTED, seconds=0.1)
    assert sizes == [10, 10, 5]
    with database.write(engine) as connection:
        assert ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock()).runs_dispatched == 1
        assert runs.get(connection, run.id).status is RunStatus.DISPATCHED
    assert _states(engine, run.id) == {"accepted": 25}


def test_a_refused_batch_is_halved_down_to_the_culprit(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 10)
    book = frozen.book(engine, run, Clock())
    culprit = f"{run.id}.6"
    while (batch := _claim(book)) is not None:
        book.record(batch, REJECTED if culprit in batch.message_ids else ACCEPTED, seconds=0.1)
    assert _states(engine, run.id) == {"accepted": 9, "rejected": 1}
    with database.read(engine) as connection:
        exception = connection.execute(sa.select(tables.message_exceptions)).one()
        assert audit.audit(connection, run.id, record=None).balanced
    assert (exception.ordinal, exception.reason) == (6, "bad recipient")


def test_a_campaign_that_the_esp_refuses_altogether_loses_nobody(engine: sa.Engine) -> None:
    run, clock = frozen.dispatching(engine, 10), Clock()
    book = frozen.book(engine, run, clock)
    requests = []

    def refuse_all() -> None:
        while True:
            if (batch := _claim(book)) is not None:
                requests.append(batch)
                book.record(batch, REJECTED, seconds=0.1)
            else:
                clock.forward(seconds=1)

    with pytest.raises(AllRefused, match="bad recipient"):
        refuse_all()
    assert _states(engine, run.id) == {"open": 10}
    assert len(requests) < 60


def test_one_persons_missing_value_leaves_that_person_out_and_no_other(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 4)
    with database.write(engine) as connection:
        party = connection.scalar(sa.select(tables.parties.c.id).where(tables.parties.c.external_id == "c2"))
        connection.execute(tables.customer_features.delete().where(tables.customer_features.c.party_id == party))
    batch = _claim(frozen.book(engine, run, Clock()))
    assert batch is not None
    assert len(batch) == 3
    with database.read(engine) as connection:
        exception = connection.execute(sa.select(tables.message_exceptions)).one()
    assert exception.reason == "no value for first_order_on"


def test_an_approval_may_take_days(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        run = frozen.freeze(connection, frozen.consenting_parties(connection, 5))
        late = frozen.NOW + timedelta(days=5)
        assert ledger_sweep.sweep(connection, policy=frozen.POLICY, now=late).expired == 0
        run = runs.advance(connection, run, RunStatus.APPROVED)
        run = runs.advance(
            connection, run, RunStatus.DISPATCHING, dispatch_started_at=late, expires_at=late + timedelta(hours=24)
        )
    clock = Clock()
    clock.forward(days=5)
    assert _claim(frozen.book(engine, run, clock)) is not None


def test_a_known_result_survives_a_hiccup_of_the_database(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    run = frozen.dispatching(engine, 5)
    book = frozen.book(engine, run, Clock())
    batch = _claim(book)
    assert batch is not None
    hiccups = [sa.exc.OperationalError("UPDATE", {}, Exception("the server is restarting"))]
    real = database.write

    def flaky(target: sa.Engine):  # type: ignore[no-untyped-def]
        if hiccups:
            raise hiccups.pop()
        return real(target)

    monkeypatch.setattr(ledger.database, "write", flaky)
    book.record(batch, ACCEPTED, seconds=0.1)
    assert _states(engine, run.id) == {"accepted": 5}


def test_a_worker_sends_only_while_half_of_its_lease_is_left(engine: sa.Engine) -> None:
    run, clock = frozen.dispatching(engine, 5), Clock()
    book = frozen.book(engine, run, clock)
    batch = _claim(book)
    assert batch is not None
    clock.forward(seconds=30)
    assert book.may_send(batch)
    clock.forward(seconds=1)
    assert not book.may_send(batch)


def test_events_of_two_attempts_at_one_message_are_an_alarm(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 2)
    book = frozen.book(engine, run, Clock())
    batch = _claim(book)
    assert batch is not None
    book.record(batch, NOT_SENT, seconds=0.1)
    with database.write(engine) as connection:
        inbox = connection.scalar(
            tables.webhook_inbox.insert()
            .values(provider="sendgrid", body_hash="x", body=b"[]", received_at=frozen.NOW, state="done")
            .returning(tables.webhook_inbox.c.id)
        )
        for attempt in (batch.attempt_id, "another"):
            connection.execute(
                tables.delivery_events.insert().values(
                    inbox_id=inbox,
                    position=0,
                    provider="sendgrid",
                    dedupe_key=attempt,
                    run_id=run.id,
                    ordinal=0,
                    attempt_id=attempt,
                    kind="delivered",
                    occurred_at=frozen.NOW,
                    machine=False,
                )
            )
        found = audit.audit(connection, run.id, record=None).complaints
    assert any("two attempts" in one for one in found)
    assert any("count as not sent went out" in one for one in found)


def test_a_run_that_nobody_works_on_is_stalled(engine: sa.Engine) -> None:
    run, clock = frozen.dispatching(engine, 15), Clock()
    batch = _claim(frozen.book(engine, run, clock))
    assert batch is not None
    with database.write(engine) as connection:
        assert ledger_sweep.stalled(connection, now=clock()) == []
        clock.forward(minutes=5)
        ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock())
        assert ledger_sweep.stalled(connection, now=clock()) == []
        clock.forward(minutes=11)
        assert ledger_sweep.stalled(connection, now=clock()) == [run.id]


def test_certainly_not_sent_goes_again_after_its_pause(engine: sa.Engine) -> None:
    run, clock = frozen.dispatching(engine, 5), Clock()
    book = frozen.book(engine, run, clock)
    first = _claim(book)
    assert first is not None
    book.record(first, Outcome(OutcomeKind.NOT_SENT, retry_after=timedelta(seconds=30)), seconds=0.1)
    assert _claim(book) is None
    with database.read(engine) as connection:
        assert ledger_sweep.progress(connection, run.id).next_claim_at == frozen.NOW + timedelta(seconds=30)
    clock.forward(seconds=30)
    again = _claim(book)
    assert again is not None
    assert again.attempt_id != first.attempt_id
    assert list(again.message_ids) == list(first.message_ids)
    assert ledger.content_hash(again) == ledger.content_hash(first)


def test_an_unknown_batch_is_never_claimed_again_and_held_in_the_end(engine: sa.Engine) -> None:
    run, clock = frozen.dispatching(engine, 5), Clock()
    book = frozen.book(engine, run, clock)
    batch = _claim(book)
    assert batch is not None
    book.record(batch, UNKNOWN, seconds=0.1)
    clock.forward(minutes=29)
    with database.write(engine) as connection:
        assert ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock()).held == 0
    assert _claim(book) is None
    clock.forward(minutes=2)
    with database.write(engine) as connection:
        assert ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock()).held == 1
    assert _claim(book) is None
    assert _states(engine, run.id) == {"held": 5}


@pytest.mark.parametrize("answer", [None, UNKNOWN], ids=["the worker dies", "the worker learns nothing"])
def test_an_event_before_the_answer_keeps_a_batch_from_being_held(engine: sa.Engine, answer: Outcome | None) -> None:
    run, clock = frozen.dispatching(engine, 5), Clock()
    book = frozen.book(engine, run, clock)
    batch = _claim(book)
    assert batch is not None
    event = DeliveryEvent("sendgrid", EventKind.PROCESSED, frozen.NOW, batch.message_ids[2], batch.attempt_id)
    receive(engine, body_of(event))
    assert process(engine).confirmed_batches == 0  # the worker still waits
    if answer is not None:
        book.record(batch, answer, seconds=0.1)
    clock.forward(hours=1)
    with database.write(engine) as connection:
        swept = ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock())
    assert (swept.lost, swept.confirmed, swept.held) == (int(answer is None), 1, 0)
    assert _states(engine, run.id) == {"accepted": 5}
    with database.read(engine) as connection:
        assert audit.audit(connection, run.id, record=dict.fromkeys(batch.message_ids, 1)).balanced


def test_a_worker_past_its_lease_cannot_commit(engine: sa.Engine) -> None:
    run, clock = frozen.dispatching(engine, 5), Clock()
    book = frozen.book(engine, run, clock)
    batch = _claim(book)
    assert batch is not None
    clock.forward(seconds=61)
    with pytest.raises(LeaseLost):
        book.record(batch, NOT_SENT, seconds=0.1)
    with database.write(engine) as connection:
        assert ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock()).lost == 1
    with pytest.raises(LeaseLost):
        book.record(batch, NOT_SENT, seconds=0.1)
    assert _claim(book) is None  # unknown now: nobody sends it again
    assert _states(engine, run.id) == {"open": 5}


@pytest.mark.parametrize("swept", [False, True], ids=["before the sweep", "after it"])
def test_a_worker_that_slept_past_its_lease_says_that_it_sent_nothing(engine: sa.Engine, swept: bool) -> None:
    run, clock = frozen.dispatching(engine, 5), Clock()
    book = frozen.book(engine, run, clock)
    batch = _claim(book)
    assert batch is not None
    clock.forward(seconds=61)
    if swept:
        with database.write(engine) as connection:
            assert ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock()).lost == 1
    book.record(batch, OVERSLEPT, seconds=0.1)
    with database.read(engine) as connection:
        proof = connection.execute(sa.select(tables.batch_proofs)).one()
        assert audit.audit(connection, run.id, record={}).balanced
    assert (proof.attempt_id, proof.kind, proof.detail) == (batch.attempt_id, "never_begun", "slept")
    clock.forward(seconds=2)
    again = _claim(book)
    assert again is not None
    with pytest.raises(LeaseLost):  # another attempt has begun
        book.record(batch, OVERSLEPT, seconds=0.1)
    book.record(again, ACCEPTED, seconds=0.1)
    assert _states(engine, run.id) == {"accepted": 5}


@pytest.mark.parametrize("outcome", [NOT_SENT, REJECTED], ids=["429", "400"])
def test_what_a_wire_said_releases_nothing_after_the_lease(engine: sa.Engine, outcome: Outcome) -> None:
    run, clock = frozen.dispatching(engine, 5), Clock()
    book = frozen.book(engine, run, clock)
    batch = _claim(book)
    assert batch is not None
    clock.forward(seconds=61)
    with pytest.raises(LeaseLost):
        book.record(batch, outcome, seconds=0.1)
    assert _claim(book) is None


def test_an_event_outweighs_a_worker_that_says_it_sent_nothing(engine: sa.Engine) -> None:
    run, clock = frozen.dispatching(engine, 5), Clock()
    book = frozen.book(engine, run, clock)
    batch = _claim(book)
    assert batch is not None
    event = DeliveryEvent("sendgrid", EventKind.PROCESSED, frozen.NOW, batch.message_ids[2], batch.attempt_id)
    receive(engine, body_of(event))
    process(engine)
    clock.forward(seconds=61)
    with pytest.raises(LeaseLost):
        book.record(batch, OVERSLEPT, seconds=0.1)


def test_suppression_and_withdrawal_after_the_freeze_hold_at_the_claim(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 12)
    with database.write(engine) as connection:
        connection.execute(
            tables.suppressions.insert().values(
                account_id="shop",
                address_hash=ledger_rows.hash_of(3),
                reason="complaint",
                scope="all",
                source="test",
                evidence="",
                created_at=frozen.NOW,
            )
        )
        party = connection.scalar(sa.select(tables.parties.c.id).where(tables.parties.c.external_id == "c4"))
        connection.execute(
            tables.consents.insert().values(
                account_id="shop",
                party_id=party,
                status="withdrawn",
                basis="",
                source="page",
                wording="v1",
                occurred_at=frozen.NOW,
                recorded_at=frozen.NOW,
            )
        )
    book = frozen.book(engine, run, Clock())
    addresses: list[str] = []
    while (batch := _claim(book)) is not None:
        addresses += batch.addresses
        book.record(batch, ACCEPTED, seconds=0.1)
    assert len(addresses) == 10
    assert not {ledger_rows.address(3), ledger_rows.address(4)} & set(addresses)
    assert _states(engine, run.id) == {"accepted": 10, "suppressed": 2}
    with database.read(engine) as connection:
        assert audit.audit(connection, run.id, record=None).complaints == ()
        reasons = set(connection.scalars(sa.select(tables.message_exceptions.c.reason)))
    assert reasons == {"suppressed_complaint", "consent_withdrawn"}


def test_a_batch_of_suppressed_people_only_is_passed_over(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 6, batch_size=2)
    with database.write(engine) as connection:
        connection.execute(tables.consents.delete())
    assert _claim(frozen.book(engine, run, Clock())) is None
    assert _states(engine, run.id) == {"suppressed": 6}


@pytest.mark.parametrize("status", [RunStatus.PAUSED, RunStatus.CANCELLED])
def test_a_run_that_does_not_dispatch_hands_out_nothing(engine: sa.Engine, status: RunStatus) -> None:
    run = frozen.dispatching(engine, 6)
    with database.write(engine) as connection:
        runs.advance(connection, run, status)
    assert _claim(frozen.book(engine, run, Clock())) is None


def test_past_its_window_a_batch_expires(engine: sa.Engine) -> None:
    run, clock = frozen.dispatching(engine, 6), Clock()
    clock.forward(hours=24)
    assert _claim(frozen.book(engine, run, clock)) is None
    with database.write(engine) as connection:
        assert ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock()).expired == 1
    assert _states(engine, run.id) == {"expired": 6}


def test_many_workers_never_claim_the_same_batch(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 120, batch_size=3)
    book = frozen.book(engine, run, Clock())

    def work(worker: int) -> list[str]:
        taken: list[str] = []
        while (batch := _claim(book, f"w{worker}")) is not None:
            taken += batch.message_ids
            book.record(batch, ACCEPTED, seconds=0.1)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [one for part in pool.map(work, range(8)) for one in part]
    assert sorted(taken) == sorted(f"{run.id}.{ordinal}" for ordinal in range(120))


def test_the_audit_compares_with_the_esps_own_record(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 4)
    book = frozen.book(engine, run, Clock())
    batch = _claim(book)
    assert batch is not None
    book.record(batch, ACCEPTED, seconds=0.1)
    record = dict.fromkeys(batch.message_ids, 1)
    with database.read(engine) as connection:
        good = audit.audit(connection, run.id, record=record)
        twice = audit.audit(connection, run.id, record={**record, batch.message_ids[0]: 3})
        less = audit.audit(connection, run.id, record={batch.message_ids[0]: 1})
        foreign = audit.audit(connection, run.id, record={**record, f"{run.id}.99": 1})
    assert (good.balanced, good.duplicates, good.missing) == (True, 0, 0)
    assert (twice.balanced, twice.duplicates) == (False, 2)
    assert (less.balanced, less.missing) == (False, 3)
    assert not foreign.balanced
    assert "does not hold for sent" in foreign.complaints[0]


def test_the_audit_notices_a_batch_accepted_without_ground(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 4)
    with database.write(engine) as connection:
        connection.execute(tables.batches.update().values(state=BatchState.ACCEPTED))
        found = audit.audit(connection, run.id, record=None)
    assert not found.balanced
    assert "without an answer" in found.complaints[0]


def test_the_audit_notices_a_lost_batch(engine: sa.Engine) -> None:
    run = frozen.dispatching(engine, 14)
    with database.write(engine) as connection:
        connection.execute(tables.batches.delete().where(tables.batches.c.first_ordinal == 10))
        found = audit.audit(connection, run.id, record=None)
    assert "the batches account for 10" in found.complaints[0]
