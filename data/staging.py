"""Many rows into a table where some may be already: the bulk way in that still knows ON CONFLICT.

PostgreSQL takes them into a temporary table first, at a third of the client's time of an executemany, and needs no
statement a row. SQLite takes them at once: there a second table would only be a second insert.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import compress
from operator import is_, itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from data import bulk

_Insert = postgresql.Insert | sqlite.Insert
_Resolve = Callable[[Any], Any]
_nothing = partial(is_, None)
_MANY = 200  # rows; of fewer, a statement more costs more than the NULLs that it leaves out


def insert_new(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, key: str
) -> Sequence[Any]:
    """Insert the rows whose `key` is not there yet; the keys of those. `table` numbers its rows by `id`.

    Two transactions that lock rows in one order never deadlock, so they go in by their keys; `merge` likewise.
    """
    resolve = _or_nothing(key)
    if connection.dialect.name == "postgresql":
        with _staged(connection, table, columns, rows, [key]) as insert:
            return connection.scalars(resolve(insert).returning(table.c[key])).all()
    # SQLite has one writer, and gives a new row a larger number than any there is.
    newest = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
    _insert(connection, table, columns, _sorted(rows, columns, [key]), resolve)
    return connection.scalars(sa.select(table.c[key]).where(table.c.id > newest)).all()


@lru_cache(maxsize=8)
def _or_nothing(key: str) -> _Resolve:
    return lambda insert: insert.on_conflict_do_nothing(index_elements=[key])


def merge(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    key: Sequence[str],
    resolve: _Resolve,
) -> None:
    """Insert rows; `resolve` gives the INSERT its ON CONFLICT, without values of its own (it is kept by the function)."""
    if connection.dialect.name == "postgresql":
        with _staged(connection, table, columns, rows, key) as insert:
            connection.execute(resolve(insert))
    else:
        _insert(connection, table, columns, _sorted(rows, columns, key), resolve)


@contextmanager
def _staged(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    order_by: Sequence[str],
) -> Iterator[postgresql.Insert]:
    stage = sa.Table(
        f"staged_{table.name}",
        sa.MetaData(),
        *(sa.Column(name, table.c[name].type) for name in columns),
        prefixes=["TEMPORARY"],
    )
    stage.create(connection, checkfirst=False)
    bulk.insert_rows(connection, stage, columns, rows)
    ordered = sa.select(stage).order_by(*(stage.c[name] for name in order_by))
    yield postgresql.insert(table).from_select(list(columns), ordered)
    # Not in a `finally`: after an error the caller's rollback takes the table away.
    stage.drop(connection, checkfirst=False)


def _sorted(rows: Iterable[Sequence[Any]], columns: Sequence[str], key: Sequence[str]) -> Sequence[Sequence[Any]]:
    """By one part of the key after the other: a pair that is compared again and again costs four times as much."""
    ordered = list(rows)
    for name in reversed(key):
        ordered.sort(key=itemgetter(columns.index(name)))
    return ordered


def _insert(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], resolve: _Resolve
) -> None:
    if not rows:
        return
    alike = _alike(table, columns, rows) if len(rows) >= _MANY else {frozenset(columns): rows}
    for filled, some in alike.items():
        statement, names = _statement(connection.dialect, table, filled, resolve)
        bulk.execute_rows(connection, statement, table, {name: columns.index(name) for name in names}, some)


def _alike(
    table: sa.Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> dict[frozenset[str], Sequence[Sequence[Any]]]:
    """Rows by the columns that they fill: to hand over a NULL costs the driver more than a text."""
    optional = [name for name in columns if table.c[name].nullable]  # of the tables here more than one is
    values = itemgetter(*(columns.index(name) for name in optional))
    alike: dict[tuple[bool, ...], list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        alike[tuple(map(_nothing, values(row)))].append(row)
    return {frozenset(columns) - set(compress(optional, empty)): some for empty, some in alike.items()}


@lru_cache(maxsize=256)
def _statement(
    dialect: sa.Dialect, table: sa.Table, filled: frozenset[str], resolve: _Resolve
) -> tuple[str, Sequence[str]]:
    """The statement, and the columns in the order in which it takes their values."""
    compiled = resolve(sqlite.insert(table)).compile(dialect=dialect, column_keys=sorted(filled))
    names = compiled.positiontup
    if names is None or sorted(names) != sorted(filled):
        raise ValueError(f"what becomes of rows of {table.name} that are there already holds values of its own")
    return str(compiled), names
