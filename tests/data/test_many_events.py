"""Of many events few wait and few are strays: whatever asks for those reads no others."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, reconciliation_reading, tables, unplaced
from domain.reconciliation import Strays
from tests.data import plans
from tests.data.ledger_rows import NOW

MANY, FEW = 5_000, 4


@pytest.fixture
def events(engine: sa.Engine) -> sa.Engine:
    """An event a body. All were placed late; of the last four two are due, one waits longer, one was given up."""
    numbers = range(1, MANY + 1)
    last = {MANY - place: place for place in range(FEW)}
    at = {number: NOW - timedelta(minutes=MANY - number) for number in numbers}
    bodies = [
        {"id": one, "provider": "sendgrid", "body_hash": str(one), "body": b"", "received_at": at[one], "state": "done"}
        for one in numbers
    ]
    told = [
        {
            "id": one,
            "inbox_id": one,
            "position": 0,
            "provider": "sendgrid",
            "dedupe_key": str(one),
            "run_id": None if one in last else "run1",
            "kind": "delivered",
            "occurred_at": at[one],
            "machine": False,
        }
        for one in numbers
    ]
    tries = {0: NOW, 1: NOW, 2: NOW + timedelta(days=1)}
    waits = [
        {
            "event_id": one,
            "inbox_id": one,
            "position": 0,
            "next_try_at": tries.get(last[one]) if one in last else None,
            "kept_at": at[one],
            "placed_at": None if one in last else at[one],
            "given_up_at": NOW if last.get(one) == FEW - 1 else None,
        }
        for one in numbers
    ]
    with database.write(engine) as connection:
        connection.execute(tables.webhook_inbox.insert(), bodies)
        connection.execute(tables.delivery_events.insert(), told)
        connection.execute(tables.unplaced_events.insert(), waits)
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE")
    return engine


def test_the_next_body_is_found_among_those_that_wait(events: sa.Engine) -> None:
    with database.read(events) as connection, plans.explained(connection) as told:
        first = unplaced.next_body(connection, now=NOW, after=0)
        second = unplaced.next_body(connection, now=NOW, after=first or 0)
        third = unplaced.next_body(connection, now=NOW, after=second or 0)
        assert [one.event_id for one in unplaced.due(connection, MANY, now=NOW)] == [MANY]
    assert (first, second, third) == (MANY - 1, MANY, None)
    # In neither index are those that ended: they have no next try.
    where = f"{events.dialect.name}_where"
    indexes = sa.inspect(events).get_indexes("unplaced_events")
    few = {one["name"] for one in indexes if where in one.get("dialect_options", {})} | {
        "ix_unplaced_events_next_try_at"
    }
    assert len(told) == 4
    for plan in told:
        assert any(str(name) in plan for name in few), plan


def test_strays_are_found_among_strays(events: sa.Engine) -> None:
    day = NOW.date()
    with database.read(events) as connection, plans.explained(connection) as told:
        found = reconciliation_reading.strays(connection, day, day)
    assert found == [Strays("sendgrid", day, "delivered", FEW)]
    (plan,) = told
    assert "ix_delivery_events_run_id_occurred_at" in plan
