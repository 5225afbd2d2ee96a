"""Through the database, any order, any repetition and any cut into bodies give the state that the domain's fold gives."""

import itertools
from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import timedelta
from functools import reduce
from itertools import permutations

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database, tables
from domain.delivery import (
    BounceClass,
    DeliveryEvent,
    DeliveryState,
    EventKind,
    Fault,
    join,
    standing_refusal,
    state_of,
)
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, PEPPER, BatchRow
from tests.data.plain_events import body_of, process, receive

_REASON = {EventKind.COMPLAINED: "complaint", EventKind.UNSUBSCRIBED: "unsubscribe", EventKind.BOUNCED: "hard_bounce"}
_RUNS = itertools.count()


@st.composite
def events(draw: st.DrawFn) -> DeliveryEvent:
    kind = draw(st.sampled_from(EventKind))
    return DeliveryEvent(
        provider="sendgrid",
        kind=kind,
        occurred_at=NOW + timedelta(seconds=draw(st.integers(0, 3))),
        message_id=str(draw(st.integers(0, 1))),  # the ordinal, until the example's run is known
        bounce_class=draw(st.none() | st.sampled_from(BounceClass)) if kind is EventKind.BOUNCED else None,
        fault=draw(st.none() | st.sampled_from(Fault)),
        machine=draw(st.booleans()),
        suppresses=_REASON.get(kind),
    )


def expected(some: Iterable[DeliveryEvent], message_id: str) -> DeliveryState:
    return reduce(join, (state_of(event) for event in some if event.message_id == message_id), DeliveryState())


def on_record(engine: sa.Engine, run_id: str, ordinal: int) -> DeliveryState:
    table = tables.message_delivery
    with database.read(engine) as connection:
        found = connection.execute(sa.select(table).where(table.c.run_id == run_id, table.c.ordinal == ordinal))
        row = found.mappings().one_or_none()
    if row is None:
        return DeliveryState()
    return DeliveryState(**{field.name: row[field.name] for field in fields(DeliveryState)})


def reasons(engine: sa.Engine) -> set[tuple[str, str]]:
    table = tables.suppressions
    with database.read(engine) as connection:
        return {(row.address_hash, row.reason) for row in connection.execute(sa.select(table))}


@pytest.fixture
def parties(engine: sa.Engine, account_id: str) -> list[int]:
    with database.write(engine) as connection:
        return ledger_rows.add_parties(connection, account_id, 2)


def new_run(engine: sa.Engine, parties: list[int]) -> str:
    """Each example has a run of its own: the database is not made anew for it."""
    run_id = f"r{next(_RUNS)}"
    with database.write(engine) as connection:
        connection.execute(tables.suppressions.delete())
        ledger_rows.add_run(connection, "shop", parties, [BatchRow(0, 1)], run_id=run_id)
    return run_id


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    life=st.lists(events(), min_size=1, max_size=6, unique_by=lambda event: event.dedupe_key(PEPPER)), data=st.data()
)
def test_any_delivery_of_the_same_events_gives_one_state(
    engine: sa.Engine, parties: list[int], life: list[DeliveryEvent], data: st.DataObject
) -> None:
    run_id = new_run(engine, parties)
    named = [replace(event, message_id=f"{run_id}.{event.message_id}") for event in life]
    again = [
        replace(event, provider_event_id=f"redelivery {place}")
        for place, event in enumerate(data.draw(st.lists(st.sampled_from(named), max_size=4)))
    ]
    stream = data.draw(st.permutations(named + again))
    cut = data.draw(st.integers(0, len(stream)))
    receive(engine, body_of(*stream[:cut]), body_of(f"{run_id} {cut}", *stream[cut:]))
    report = process(engine)
    assert (report.events, report.duplicates) == (len(named), len(again))
    for ordinal in range(2):
        assert on_record(engine, run_id, ordinal) == expected(named, f"{run_id}.{ordinal}")
    assert reasons(engine) == {
        (ledger_rows.hash_of(int(plain.message_id or 0)), reason)
        for plain in life
        if (reason := standing_refusal(plain)) is not None
    }


def test_all_orders_of_one_life_body_by_body(engine: sa.Engine, parties: list[int]) -> None:
    bounced = DeliveryEvent("sendgrid", EventKind.BOUNCED, NOW, bounce_class=BounceClass.HARD, fault=Fault.RECIPIENT)
    life = [
        replace(bounced, suppresses="hard_bounce"),
        replace(bounced, bounce_class=BounceClass.SOFT, fault=Fault.UNKNOWN, occurred_at=NOW + timedelta(seconds=1)),
        DeliveryEvent("sendgrid", EventKind.DELIVERED, NOW),
        DeliveryEvent("sendgrid", EventKind.OPENED, NOW, machine=True),
    ]
    states = set()
    for order in permutations(life):
        run_id = new_run(engine, parties)
        receive(engine, *(body_of(replace(event, message_id=f"{run_id}.0")) for event in order))
        process(engine)
        states.add(on_record(engine, run_id, 0))
    assert states == {expected((replace(event, message_id="x.0") for event in life), "x.0")}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    life=st.lists(events(), min_size=1, max_size=6, unique_by=lambda event: event.dedupe_key(PEPPER)), data=st.data()
)
def test_events_that_came_before_their_run_was_known_give_the_same_state(
    engine: sa.Engine, parties: list[int], life: list[DeliveryEvent], data: st.DataObject
) -> None:
    """Some come early, some in time, some both; each refers to its message by our id or by the ESP's."""
    run_id = f"r{next(_RUNS)}"
    named = [
        replace(event, address=ledger_rows.address(int(event.message_id or 0)), **_name(data, run_id, event))
        for event in life
    ]
    again = data.draw(st.lists(st.sampled_from(named), max_size=4))
    stream = data.draw(st.permutations(named + [replace(one, provider_event_id="again") for one in again]))
    cut = data.draw(st.integers(0, len(stream)))
    with database.write(engine) as connection:
        connection.execute(tables.suppressions.delete())
    receive(engine, body_of(*stream[:cut]))
    process(engine)
    with database.write(engine) as connection:
        ledger_rows.add_run(connection, "shop", parties, [BatchRow(0, 1, attempt=f"a-{run_id}")], run_id=run_id)
        attempt = tables.batch_attempts
        told = attempt.update().where(attempt.c.id == f"a-{run_id}")
        connection.execute(told.values(provider_reference=f"of {run_id}"))
    receive(engine, body_of(f"{run_id} {cut}", *stream[cut:]))
    process(engine)
    process(engine, now=NOW + timedelta(hours=1))
    for ordinal in range(2):
        meant = [one for one in named if one.address == ledger_rows.address(ordinal)]
        assert on_record(engine, run_id, ordinal) == reduce(join, map(state_of, meant), DeliveryState())
    assert reasons(engine) == {
        (ledger_rows.hash_of(int(plain.message_id or 0)), reason)
        for plain in life
        if (reason := standing_refusal(plain)) is not None
    }


def _name(data: st.DataObject, run_id: str, event: DeliveryEvent) -> dict[str, str | None]:
    if data.draw(st.booleans()):
        return {"message_id": f"{run_id}.{event.message_id}"}
    return {"message_id": None, "provider_message_id": f"of {run_id}"}
