"""Whose turn it is, what the queue and the sweep cost with a backlog, and that the sweep says what the domain says."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from data import bulk, database, tables, transactional, transactional_queue, transactional_sweep
from data.transactional_queue import Resting
from domain.ledger import BatchState
from domain.transactional import RESEND_AFTER, Urgency, after_silence, ended
from tests.conftest import NOW
from tests.data import ledger_rows, transactional_store
from tests.data.test_mailbox_cost import steps

_HOUR = timedelta(hours=1)
_INDEXES = ("urgency_account_id_not_before", "expires_at", "finished_at", "lease_expires_at")


def backlog(engine: sa.Engine, count: int, account_id: str = "shop", urgency: Urgency = Urgency.SHIPPING) -> None:
    """So many messages that wait."""
    same = {
        "account_id": account_id,
        "template": "shipped",
        "urgency": int(urgency),
        "asked_by": "api",
        "state": "planned",
        "asked_at": NOW,
        "not_before": NOW,
        "expires_at": NOW + _HOUR,
        "attempts": 0,
        "resent": False,
    }
    with database.write(engine) as connection:
        rows = ((f"t{account_id}{number:06}", *same.values()) for number in range(count))
        bulk.insert_rows(connection, tables.transactional_messages, ["id", *same], rows)


def ask(engine: sa.Engine, nth: int, account_id: str = "shop", urgency: Urgency = Urgency.SHIPPING) -> str:
    one = transactional_store.wanted(0, _HOUR, nth=nth, account_id=account_id, urgency=urgency)
    with database.write(engine) as connection:
        transactional.ask(connection, [one], now=NOW)
    return one.id


def turns(engine: sa.Engine, count: int) -> list[Any]:
    """Whom one dispatcher serves, one after the other."""
    served: list[Any] = []
    for _ in range(count):
        with database.write(engine) as connection:
            after = served[-1].account_id if served else ""
            row = transactional_queue.next_due(connection, NOW, after=after, resting=Resting())
            assert row is not None
            served.append(row)
            transactional_queue.end(connection, row.id, BatchState.CANCELLED, "served", NOW)
    return served


def test_an_account_with_thousands_waiting_does_not_make_another_wait(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "another")
    backlog(engine, 5000)
    message = ask(engine, 1, "another")
    assert message in {row.id for row in turns(engine, 2)}


def test_the_more_urgent_goes_first_whoever_has_it(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "another")
    backlog(engine, 100)
    ask(engine, 1, "another", Urgency.OTHER)
    ask(engine, 2, "another", Urgency.SECURITY)
    ask(engine, 3, "shop", Urgency.CONFIRMATION)
    assert [row.urgency for row in turns(engine, 5)] == [0, 1, 2, 2, 2]


def test_what_rests_is_passed_over(engine: sa.Engine, account_id: str) -> None:
    first, second = sorted([ask(engine, 1), ask(engine, 2)])
    with database.read(engine) as connection:
        for resting, found in ((Resting(messages=[first]), second), (Resting(messages=[first, second]), None)):
            row = transactional_queue.next_due(connection, NOW, after="", resting=resting)
            assert (row and row.id) == found
        assert transactional_queue.next_due(connection, NOW, after="", resting=Resting(accounts=["shop"])) is None


def test_neither_turn_nor_sweep_costs_more_with_a_backlog(sqlite_url: str) -> None:
    """Counted in SQLite's own steps, however fast the machine is."""
    engine = database.engine_for(sqlite_url)
    transactional_store.empty(engine)
    costs = []
    for size in (10, 20_000):
        backlog(engine, size)
        with database.write(engine) as connection:
            with steps(connection) as turn:
                assert transactional_queue.next_due(connection, NOW, after="", resting=Resting()) is not None
            with steps(connection) as sweep:
                assert transactional_sweep.sweep(connection, NOW) == transactional_sweep.Swept()
            costs.append((turn[0], sweep[0]))
            connection.execute(tables.transactional_messages.delete())
    few, many = costs
    assert many[0] <= few[0] + 2
    assert many[1] <= few[1] + 2
    engine.dispose()


def test_every_look_at_a_backlog_goes_by_its_partial_index(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the values bound as the driver binds them: PostgreSQL reads none of what waits but what it asks for."""
    engine = database.engine_for(postgresql_url)
    transactional_store.empty(engine)
    backlog(engine, 20_000)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE transactional_messages")
    asked = _statements(engine, monkeypatch)
    with engine.connect() as connection:
        for statement, values in asked:
            plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", values))
            assert "Seq Scan on transactional_messages" not in plan, plan
            assert any(one in plan for one in _INDEXES), plan
    assert len(asked) == 5  # the turn; lost, proved, silent, late
    engine.dispose()


def _statements(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What a turn and a sweep ask of the messages."""
    asked: list[tuple[str, Any]] = []

    def watch(_: object, __: object, statement: str, values: Any, *___: object) -> None:
        asked.append((statement, values))

    sa.event.listen(engine, "before_cursor_execute", watch)
    with database.write(engine) as connection:
        transactional_queue.next_due(connection, NOW, after="", resting=Resting())
        transactional_sweep.sweep(connection, NOW)
    sa.event.remove(engine, "before_cursor_execute", watch)
    return asked


def _put(engine: sa.Engine, message: str, **values: Any) -> None:
    table = tables.transactional_messages
    with database.write(engine) as connection:
        connection.execute(table.update().where(table.c.id == message).values(**values))


def _states(engine: sa.Engine, messages: Sequence[str]) -> list[tuple[str, bool]]:
    with database.read(engine) as connection:
        rows = [transactional.get(connection, one) for one in messages]
    return [(row.state, row.resent) for row in rows]


@pytest.mark.parametrize("resent", [False, True])
@pytest.mark.parametrize("left", [timedelta(0), _HOUR])
def test_the_sweep_says_what_the_domain_says(engine: sa.Engine, account_id: str, resent: bool, left: timedelta) -> None:
    silent, not_yet, waiting, lost = (ask(engine, number) for number in range(4))
    same = {"resent": resent, "expires_at": NOW + left}
    _put(engine, silent, state="unknown", finished_at=NOW - RESEND_AFTER, **same)
    _put(engine, not_yet, state="unknown", finished_at=NOW - RESEND_AFTER + timedelta(seconds=1), **same)
    _put(engine, waiting, **same)
    _put(engine, lost, state="inflight", lease_expires_at=NOW, **same)
    with database.write(engine) as connection:
        transactional_sweep.sweep(connection, NOW)
    after = after_silence(resent=resent, expires_at=NOW + left, now=NOW)
    use = BatchState.PLANNED if left else ended(BatchState.EXPIRED, resent=resent)
    assert _states(engine, [silent, not_yet, waiting, lost]) == [
        (after, resent or after is BatchState.PLANNED),
        (BatchState.UNKNOWN, resent),
        (use, resent),
        (BatchState.UNKNOWN, resent),
    ]


def test_a_second_sweeper_waits_for_nobody(postgresql_url: str) -> None:
    """What another transaction has in hand is left to the next sweep; SQLite has one writer at a time."""
    engine = database.engine_for(postgresql_url)
    transactional_store.empty(engine)
    first, second = ask(engine, 1), ask(engine, 2)
    for one in (first, second):
        _put(engine, one, state="unknown", finished_at=NOW - RESEND_AFTER)
    table = tables.transactional_messages
    with database.write(engine) as holder, database.write(engine) as connection:
        holder.execute(table.update().where(table.c.id == first).values(why="held by somebody"))
        connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
        assert transactional_sweep.sweep(connection, NOW).resent == 1
    assert _states(engine, [first, second]) == [("unknown", False), ("planned", True)]
    engine.dispose()
