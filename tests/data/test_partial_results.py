"""Batches whose messages fare differently: nothing of it is lost, sent twice, or proved by a neighbour's event."""

import shutil
import uuid
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import audit, database, ledger_sweep, results, tables
from data.ledger import SqlLedger
from domain import allow_list, guardrails, ledger
from domain.allow_list import AllowList
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from domain.ledger import AllRefused, BatchState, LeaseLost, Outcome, OutcomeKind
from domain.ports import Batch, Capabilities
from domain.suppression import Reason
from tests.data import frozen, ledger_rows
from tests.data.frozen import Clock
from tests.data.plain_events import body_of, process, receive

TAKEN = Outcome(OutcomeKind.ACCEPTED, status=250)
REFUSED = Outcome(OutcomeKind.REJECTED, status=550, detail="no such user")
LATER = Outcome(OutcomeKind.NOT_SENT, status=451, detail="try again")
SILENT = Outcome(OutcomeKind.UNKNOWN, detail="no reply after the dot")
_OF = {"taken": TAKEN, "refused": REFUSED, "later": LATER, "silent, and it went": SILENT, "silent, and lost": SILENT}
_WENT = {"taken", "silent, and it went"}


def _mixed(batch: Batch, fates: list[str]) -> Outcome:
    own = {one: _OF[fates[place % len(fates)]] for place, one in enumerate(batch.message_ids)}
    return Outcome(OutcomeKind.ACCEPTED, exceptions={one: told for one, told in own.items() if told is not TAKEN})


def _event(batch: Batch, place: int) -> DeliveryEvent:
    message_id = batch.message_ids[place]
    own = ledger.own_attempt(batch.attempt_id, message_id)
    return DeliveryEvent(
        provider="sendgrid",
        kind=EventKind.DELIVERED,
        occurred_at=frozen.NOW,
        message_id=message_id,
        attempt_id=own,
    )


def _states(connection: sa.Connection, run_id: str) -> dict[str, int]:
    return {state: count for state, count in audit.message_states(connection, run_id).items() if count}


def _rows(engine: sa.Engine, run_id: str) -> list[tuple[int, int, str]]:
    batch = tables.batches.c
    query = sa.select(batch.first_ordinal, batch.last_ordinal, batch.state).where(
        batch.run_id == run_id, batch.state != BatchState.SPLIT
    )
    with database.read(engine) as connection:
        return [(first, last, state) for first, last, state in connection.execute(query.order_by(batch.first_ordinal))]


def _claim(engine: sa.Engine, size: int, clock: Clock) -> tuple[SqlLedger, Batch]:
    book = frozen.book(engine, frozen.dispatching(engine, size), clock)
    run = book.run
    batch = book.claim(run.id, worker="w")
    assert batch is not None
    return book, batch


@pytest.mark.usefixtures("account_id")
def test_each_part_has_the_state_of_its_messages(engine: sa.Engine) -> None:
    clock = Clock()
    book, batch = _claim(engine, 10, clock)
    fates = ["taken"] * 3 + ["refused", "taken", "later", "later", "silent, and lost", "silent, and lost", "taken"]
    book.record(batch, _mixed(batch, fates), seconds=0.1)
    assert _rows(engine, batch.run_id) == [
        (0, 2, "accepted"),
        (3, 3, "rejected"),
        (4, 4, "accepted"),
        (5, 6, "planned"),
        (7, 7, "unknown"),
        (8, 8, "unknown"),
        (9, 9, "accepted"),
    ]
    with database.read(engine) as connection:
        attempt = connection.execute(
            sa.select(tables.batch_attempts).where(tables.batch_attempts.c.id == batch.attempt_id)
        ).one()
        refusal = connection.execute(sa.select(tables.message_exceptions)).one()
        assert audit.audit(connection, batch.run_id, record=None).balanced
    assert (attempt.messages, attempt.outcome, attempt.detail) == (5, "accepted", "5 of 10 fared otherwise")
    assert (refusal.ordinal, refusal.reason) == (3, "no such user")


@pytest.mark.usefixtures("account_id")
def test_an_event_proves_its_own_message_and_no_neighbours(engine: sa.Engine) -> None:
    clock = Clock()
    book, batch = _claim(engine, 4, clock)
    fates = ["taken", "silent, and it went", "silent, and lost", "taken"]
    book.record(batch, _mixed(batch, fates), seconds=0.1)
    receive(engine, body_of(_event(batch, 0), _event(batch, 1)))
    process(engine)
    with database.write(engine) as connection:
        ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock())
    assert [state for *_, state in _rows(engine, batch.run_id)] == ["accepted", "accepted", "unknown", "accepted"]
    clock.forward(minutes=frozen.POLICY.hold_after_minutes + 1)
    with database.write(engine) as connection:
        ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock())
        assert _states(connection, batch.run_id) == {"accepted": 3, "held": 1}


@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.usefixtures("account_id")
def test_who_comes_too_late_still_tells_what_each_message_met_with(engine: sa.Engine, *, swept: bool) -> None:
    clock = Clock()
    book, batch = _claim(engine, 4, clock)
    clock.forward(seconds=frozen.POLICY.lease_seconds + 1)
    if swept:
        with database.write(engine) as connection:
            ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock())
    book.record(batch, _mixed(batch, ["taken", "later", "refused", "taken"]), seconds=0.1)
    assert [state for *_, state in _rows(engine, batch.run_id)] == ["accepted", "planned", "rejected", "accepted"]
    with pytest.raises(LeaseLost):
        book.record(batch, _mixed(batch, ["later"]), seconds=0.1)


@pytest.mark.usefixtures("account_id")
def test_a_relay_that_refuses_everybody_of_a_new_run_loses_nobody(engine: sa.Engine) -> None:
    clock = Clock()
    book, batch = _claim(engine, 4, clock)
    with pytest.raises(AllRefused, match="no such user"):
        book.record(batch, _mixed(batch, ["refused"]), seconds=0.1)
    with database.read(engine) as connection:
        assert _states(connection, batch.run_id) == {"open": 4}


@pytest.mark.usefixtures("account_id")
def test_the_same_refusals_stand_once_somebody_was_taken(engine: sa.Engine) -> None:
    clock = Clock()
    book, batch = _claim(engine, 10, clock)
    book.record(batch, _mixed(batch, ["taken", "refused"]), seconds=0.1)
    with database.read(engine) as connection:
        assert _states(connection, batch.run_id) == {"accepted": 5, "rejected": 5}


@pytest.mark.usefixtures("account_id")
def test_who_is_refused_at_once_as_nobody_counts_as_a_hard_bounce_and_no_other_refusal_does(engine: sa.Engine) -> None:
    book, batch = _claim(engine, 10, Clock())
    gone = DeliveryEvent(
        provider="smtp",
        kind=EventKind.BOUNCED,
        occurred_at=frozen.NOW,
        message_id=batch.message_ids[3],
        bounce_class=BounceClass.HARD,
        fault=Fault.RECIPIENT,
        detail="550 5.1.1 no such user",
        suppresses=Reason.HARD_BOUNCE,
    )
    exceptions = {batch.message_ids[3]: replace(REFUSED, event=gone), batch.message_ids[5]: REFUSED}
    book.record(batch, replace(TAKEN, exceptions=exceptions), seconds=0.1)
    with database.read(engine) as connection:
        found = guardrails.total(results.of_run(connection, batch.run_id).values())
        later = guardrails.total(
            results.of_run(connection, batch.run_id, since=frozen.NOW + timedelta(hours=1)).values()
        )
    assert (found.accepted, found.heard, found.hard) == (9, 1, 1)
    assert later.accepted == 0


@pytest.mark.usefixtures("account_id")
def test_a_suppressed_message_within_a_part_stays_with_it(engine: sa.Engine) -> None:
    clock = Clock()
    run = frozen.dispatching(engine, 6)
    with database.write(engine) as connection:
        member = tables.audience.c
        gone = connection.scalars(
            sa.select(member.party_id).where(member.run_id == run.id, member.ordinal.in_([0, 3]))
        ).all()
        features = tables.customer_features
        connection.execute(features.delete().where(features.c.party_id.in_(gone)))
    book = frozen.book(engine, run, clock)
    batch = book.claim(run.id, worker="w")
    assert batch is not None
    assert len(batch) == 4
    book.record(batch, _mixed(batch, ["taken", "refused", "later", "taken"]), seconds=0.1)
    assert _rows(engine, run.id) == [(0, 1, "accepted"), (2, 3, "rejected"), (4, 4, "planned"), (5, 5, "accepted")]
    with database.read(engine) as connection:
        assert audit.audit(connection, run.id, record=None).balanced
        assert _states(connection, run.id) == {"accepted": 2, "rejected": 1, "suppressed": 2, "open": 1}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_each_message_meets_with_none_goes_twice_and_none_is_lost(
    sqlite_template: Path, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / f"{uuid.uuid4().hex}.db"
    shutil.copy(sqlite_template, path)
    engine, clock = database.engine_for(f"sqlite:///{path}"), Clock()
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "shop")
    run = frozen.dispatching(engine, data.draw(st.integers(2, 12)), batch_size=5)
    book, went, fate_of = frozen.book(engine, run, clock), Counter[str](), dict[str, str]()
    fates = st.sampled_from(["taken", "taken", *_OF])
    for _ in range(40):
        if (batch := book.claim(run.id, worker="w")) is None:
            clock.forward(seconds=120)
            continue
        drawn = [data.draw(fates) for _ in batch.message_ids]
        fate_of |= dict(zip(batch.message_ids, drawn, strict=True))
        went.update(one for one, fate in zip(batch.message_ids, drawn, strict=True) if fate in _WENT)
        outcome = _mixed(batch, drawn) if len(batch) > 1 else _OF[drawn[0]]
        if data.draw(st.booleans()):
            clock.forward(seconds=frozen.POLICY.lease_seconds - 1)
        try:
            book.record(batch, outcome, seconds=0.1)
        except AllRefused:
            fate_of |= dict.fromkeys(batch.message_ids, "later")
    assert max(went.values(), default=0) <= 1
    clock.forward(minutes=frozen.POLICY.hold_after_minutes + 1)
    with database.write(engine) as connection:
        ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock())
        found = _states(connection, run.id)
        assert audit.audit(connection, run.id, record=dict(went)).balanced
    expected = Counter(
        {"taken": "accepted", "refused": "rejected", "later": "open"}.get(one, "held") for one in fate_of.values()
    )
    assert found == dict(expected)
    engine.dispose()


@pytest.mark.usefixtures("account_id")
def test_what_was_not_sent_goes_again_by_itself(engine: sa.Engine) -> None:
    clock = Clock()
    book, batch = _claim(engine, 2, clock)
    book.record(batch, _mixed(batch, ["taken", "later"]), seconds=0.1)
    assert book.claim(batch.run_id, worker="w") is None
    clock.forward(seconds=3)
    again = book.claim(batch.run_id, worker="w")
    assert again is not None
    assert list(again.message_ids) == [batch.message_ids[1]]


@pytest.mark.usefixtures("account_id")
def test_outside_production_internal_people_get_it_and_the_run_goes_on_without_the_others(engine: sa.Engine) -> None:
    clock = Clock()
    book = frozen.book(engine, frozen.dispatching(engine, 25), clock)
    internal = {ledger_rows.address(number) for number in (3, 4, 17)}
    mailed: list[str] = []

    class Esp:
        capabilities = Capabilities(10, 1, variables_per_recipient=True, events=True)

        def send(self, batch: Batch) -> Outcome:
            mailed.extend(batch.addresses)
            return TAKEN

        def close(self) -> None: ...

    mailer = allow_list.guarded(Esp(), AllowList(tuple(internal)), "staging", rehearsal=False)
    while (batch := book.claim(book.run.id, worker="w")) is not None:
        book.record(batch, mailer.send(batch), seconds=0.1)
    assert sorted(mailed) == sorted(internal)
    with database.read(engine) as connection:
        assert _states(connection, book.run.id) == {"accepted": 3, "rejected": 22}


@pytest.mark.usefixtures("account_id")
@pytest.mark.parametrize("early", [True, False])
def test_an_event_that_bears_the_whole_attempts_name_proves_its_message(engine: sa.Engine, *, early: bool) -> None:
    """An ESP that answers for each message, and whose events name the request: its answer left two out."""
    clock = Clock()
    book, batch = _claim(engine, 4, clock)
    told = DeliveryEvent(
        provider="sendgrid",
        kind=EventKind.DELIVERED,
        occurred_at=frozen.NOW,
        message_id=batch.message_ids[1],
        attempt_id=batch.attempt_id,
    )
    receive(engine, body_of(told))
    if early:
        process(engine)
    book.record(batch, _mixed(batch, ["taken", "silent, and it went", "silent, and lost", "taken"]), seconds=0.1)
    process(engine)
    with database.write(engine) as connection:
        ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock())
        assert audit.audit(connection, batch.run_id, record=None).balanced
    assert [state for *_, state in _rows(engine, batch.run_id)] == ["accepted", "accepted", "unknown", "accepted"]
