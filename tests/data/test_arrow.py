import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
import sqlalchemy as sa

from data import arrow, database, tables

AT = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)


@pytest.fixture
def party_id(engine: sa.Engine, account_id: str) -> int:
    return _party(engine, account_id, external_id="c1")


def _party(engine: sa.Engine, account_id: str, **values) -> int:
    with database.write(engine) as connection:
        made = connection.execute(
            tables.parties.insert().values({"account_id": account_id, "created_at": AT, "updated_at": AT, **values})
        )
        return made.inserted_primary_key[0]


def _order(connection: sa.Connection, account_id: str, party_id: int, **values) -> None:
    row = {
        "account_id": account_id,
        "channel": "csv",
        "party_id": party_id,
        "status": "paid",
        "channel_status": "paid",
        "currency": "USD",
        "total": Decimal("12.3456"),
        "refunded": Decimal(0),
        "placed_at": AT,
        "updated_at": AT,
        "is_test": False,
        "content_hash": "x",
    }
    connection.execute(tables.orders.insert().values(row | values))


def test_every_type_arrives_alike_from_both_databases(engine: sa.Engine, account_id: str, party_id: int) -> None:
    with database.write(engine) as connection:
        _order(connection, account_id, party_id, external_id="1", is_test=True)
        _order(connection, account_id, party_id, external_id="2", cancelled_at=AT + timedelta(seconds=1))
    order = tables.orders.c
    select = sa.select(
        order.external_id,
        order.party_id,
        order.total,
        order.placed_at,
        order.cancelled_at,
        order.is_test,
        (order.status == "cancelled").label("cancelled"),
        sa.cast(0.25, sa.Float).label("share"),
    ).order_by(order.external_id)
    table = arrow.read_table(engine, select)
    instant = pa.timestamp("us", tz="UTC")
    assert table.schema == pa.schema(
        [
            ("external_id", pa.string()),
            ("party_id", pa.int64()),
            ("total", pa.int64()),
            ("placed_at", instant),
            ("cancelled_at", instant),
            ("is_test", pa.bool_()),
            ("cancelled", pa.bool_()),
            ("share", pa.float64()),
        ]
    )
    first, second = table.to_pylist()
    assert first == {
        "external_id": "1",
        "party_id": party_id,
        "total": 123456,
        "placed_at": AT,
        "cancelled_at": None,
        "is_test": True,
        "cancelled": False,
        "share": 0.25,
    }
    assert second["cancelled_at"] == AT + timedelta(seconds=1)


def test_values_of_the_select_are_bound_by_their_types(engine: sa.Engine, account_id: str, party_id: int) -> None:
    with database.write(engine) as connection:
        for number in range(5):
            placed_at = AT + timedelta(microseconds=number)
            _order(
                connection, account_id, party_id, external_id=str(number), placed_at=placed_at, total=Decimal(number)
            )
    order = tables.orders.c
    in_berlin = (AT + timedelta(microseconds=3)).astimezone(timezone(timedelta(hours=1)))
    select = sa.select(order.external_id).where(
        order.account_id == account_id, order.placed_at <= in_berlin, order.total > Decimal("1.5")
    )
    assert sorted(arrow.read_table(engine, select)["external_id"].to_pylist()) == ["2", "3"]


@pytest.mark.parametrize("name", ["100% wool", "%%", "O'Neill", "back\\slash", "a:b %(c)s ?"])
def test_odd_characters_in_values_stay_what_they_are(engine: sa.Engine, account_id: str, name: str) -> None:
    _party(engine, account_id, external_id="odd", first_name=name)
    _party(engine, account_id, external_id="even", first_name="someone else")
    party = tables.parties.c
    engine.dispose()  # the first connection of a process must quote as well as later ones
    assert arrow.read_table(engine, sa.select(party.external_id).where(party.first_name == name)).to_pylist() == [
        {"external_id": "odd"}
    ]
    like = sa.select(party.external_id).where(party.first_name.startswith(name, autoescape=True))
    assert arrow.read_table(engine, like).num_rows == 1


def test_an_empty_result_has_the_schema_too(engine: sa.Engine, account_id: str) -> None:
    table = arrow.read_table(engine, sa.select(tables.orders.c.id, tables.orders.c.placed_at))
    assert table.num_rows == 0
    assert table.schema.types == [pa.int64(), pa.timestamp("us", tz="UTC")]


def test_more_rows_than_one_chunk_arrive_in_order(
    engine: sa.Engine, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow, "_ROWS_AT_ONCE", 3)
    for number in range(8):
        _party(engine, account_id, external_id=f"c{number}")
    party = tables.parties.c
    table = arrow.read_table(engine, sa.select(party.external_id).order_by(party.id))
    assert table["external_id"].to_pylist() == [f"c{number}" for number in range(8)]


def test_a_type_without_an_arrow_form_is_named(engine: sa.Engine) -> None:
    with pytest.raises(TypeError, match="'ordinals'"):
        arrow.read_table(engine, sa.select(tables.kpi_marks.c.ordinals))


def test_reading_does_not_drop_the_lock_of_a_writer_in_this_process(
    engine: sa.Engine, account_id: str, party_id: int
) -> None:
    """The reason of docs/decisions/0003-arrow-reads.md; only another process can see whether the lock still holds."""
    with database.write(engine) as connection:
        _order(connection, account_id, party_id, external_id="pending")
        assert arrow.read_table(engine, sa.select(tables.orders.c.id)).num_rows == 0
        if engine.dialect.name == "sqlite":
            rival = f"import sqlite3; sqlite3.connect({engine.url.database!r}, timeout=0).execute('BEGIN IMMEDIATE')"
            attempt = subprocess.run([sys.executable, "-c", rival], capture_output=True, text=True, check=False)
            assert "database is locked" in attempt.stderr
    assert arrow.read_table(engine, sa.select(tables.orders.c.id)).num_rows == 1
