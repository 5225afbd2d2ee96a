"""Rows that may be there already, many at once and few."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, staging, tables
from tests.conftest import NOW

COLUMNS = ("provider", "body_hash", "body", "received_at", "state", "error", "processed_at")


def row(number: int, error: str | None = None) -> tuple[object, ...]:
    at = NOW + timedelta(seconds=number)
    return ("sendgrid", f"{number:05d}", b"[]", at, "pending", error, at if number % 3 == 0 else None)


def stored(engine: sa.Engine) -> list[tuple[object, ...]]:
    inbox = tables.webhook_inbox.c
    with database.read(engine) as connection:
        query = sa.select(*(inbox[name] for name in COLUMNS)).order_by(inbox.body_hash)
        return [tuple(one) for one in connection.execute(query)]


def newer_error(insert):
    return insert.on_conflict_do_update(index_elements=["provider", "body_hash"], set_={"error": insert.excluded.error})


@pytest.mark.parametrize("number", [0, 1, 2, 3000])
def test_rows_are_there_with_whatever_columns_they_fill(engine: sa.Engine, number: int) -> None:
    rows = [row(one, "ill" if one % 2 else None) for one in range(number)]
    for _ in range(2):
        with database.write(engine) as connection:
            key = ["provider", "body_hash"]
            staging.merge(connection, tables.webhook_inbox, COLUMNS, reversed(rows), key=key, resolve=newer_error)
        assert stored(engine) == rows
        rows = [row(one, "well" if one % 5 else None) for one in range(number)]


@pytest.mark.parametrize("number", [2, 3000])
def test_only_what_is_new_is_told(engine: sa.Engine, number: int) -> None:
    table = sa.Table(
        "things",
        sa.MetaData(),
        sa.Column("id", tables.webhook_inbox.c.id.type, primary_key=True),
        sa.Column("name", sa.Text, unique=True, nullable=False),
        sa.Column("one", sa.Text, nullable=True),
        sa.Column("other", sa.Boolean, nullable=True),
    )
    with database.write(engine) as connection:
        table.create(connection)
        put = lambda names: staging.insert_new(  # noqa: E731
            connection, table, ("name", "one", "other"), [(name, None, True) for name in names], key="name"
        )
        assert list(put(["b"])) == ["b"]
        names = [f"{one:05d}" for one in range(number)]
        assert sorted(put([*reversed(names), "b"])) == names
        assert list(put(["b", *names])) == []
        assert connection.scalar(sa.select(sa.func.count()).select_from(table).where(table.c.other)) == number + 1
        table.drop(connection)
