from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
import sqlalchemy as sa

from data import bulk, database, tables
from tests.conftest import NOW

PARTY = ("account_id", "external_id", "created_at", "updated_at")
ORDER = (
    *("account_id", "channel", "external_id", "party_id", "status", "channel_status", "currency", "total"),
    *("refunded", "placed_at", "updated_at", "cancelled_at", "is_test", "content_hash"),
)


def test_values_arrive_as_a_core_insert_would_store_them(engine: sa.Engine, account_id: str) -> None:
    at = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
    awkward = "tab\there, \\N, \"quoted\", 'single', new\nline, Ärger 🍵"
    order = (
        *(account_id, "csv", awkward, 1, "paid", "paid", "KWD", Decimal("1.234")),
        *(Decimal(0), at, at, None, True, "x"),
    )
    with database.write(engine) as connection:
        bulk.insert_rows(connection, tables.parties, PARTY, [(account_id, "42", NOW, NOW)])
        bulk.insert_rows(connection, tables.orders, ORDER, iter([order]))
        stored = connection.execute(sa.select(*(tables.orders.c[name] for name in ORDER))).one()
        same = {"total": Decimal("1.234"), "placed_at": at}
        conditions = [tables.orders.c[name] == value for name, value in same.items()]
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.orders).where(*conditions)) == 1
    assert tuple(stored) == order
    assert stored.placed_at.tzinfo is UTC


def test_no_rows_are_no_error_and_many_rows_are_streamed(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        bulk.insert_rows(connection, tables.parties, PARTY, [])
        bulk.insert_rows(connection, tables.parties, PARTY, ((account_id, str(n), NOW, NOW) for n in range(5000)))
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.parties)) == 5000


def test_the_rows_go_with_the_callers_transaction(engine: sa.Engine, account_id: str) -> None:
    def breaking_off():
        yield from ((account_id, str(n), NOW, NOW) for n in range(5000))
        raise RuntimeError("the source broke off")

    with pytest.raises(RuntimeError, match="broke off"), database.write(engine) as connection:
        bulk.insert_rows(connection, tables.parties, PARTY, breaking_off())
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.parties)) == 0


def test_a_naive_time_is_refused(engine: sa.Engine, account_id: str) -> None:
    with pytest.raises(ValueError, match="naive"), database.write(engine) as connection:
        bulk.insert_rows(connection, tables.parties, PARTY, [(account_id, "42", NOW.replace(tzinfo=None), NOW)])
