"""Bulk reads as Arrow columns: the same schema from both databases, and no Python object a value on PostgreSQL.

Why SQLite is read through the driver that is already open, and not through ADBC: docs/decisions/0003-arrow-reads.md.
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from data import database
from data.columns import Instant, Money

# So few tuples are taken from CPython's free list and never wake the garbage collector: 50,000 at once cost 1.7 times
# the CPU.
_ROWS_AT_ONCE = 500
_INSTANT = pa.timestamp("us", tz="UTC")
# Looked through in this order: the first that the column's type is an instance of.
_ARROW: tuple[tuple[type[sa.types.TypeEngine[Any]], pa.DataType], ...] = (
    (Instant, _INSTANT),
    (Money, pa.int64()),
    (sa.Boolean, pa.bool_()),
    (sa.Integer, pa.int64()),
    (sa.Float, pa.float64()),
    (sa.String, pa.string()),
)


def read_table(engine: sa.Engine, select: sa.Select[Any]) -> pa.Table:
    """Read a whole select. Instant is timestamp[us, UTC]; Money is int64, in whole ten-thousandths (domain.money.UNIT).

    Raises TypeError for a column of another type, such as JSON or a numeric that is not Money.
    """
    schema = pa.schema([(column.name, _arrow_type(column)) for column in select.selected_columns])
    fetch: Callable[[sa.Connection, str, pa.Schema], pa.Table]
    fetch = _from_postgresql if engine.dialect.name == "postgresql" else _from_sqlite
    with database.read(engine) as connection:
        return fetch(connection, _literal(select, connection.dialect), schema)


def _arrow_type(column: sa.ColumnElement[Any]) -> pa.DataType:
    for kind, arrow in _ARROW:
        if isinstance(column.type, kind):
            return arrow
    raise TypeError(f"column {getattr(column, 'name', column)!r} of type {column.type!r} has no Arrow form here")


def _literal(select: sa.Select[Any], dialect: sa.Dialect) -> str:
    """The statement with its values written in: ADBC knows neither SQLAlchemy's types nor psycopg's placeholders."""
    text = str(select.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    # The psycopg dialect doubles every percent sign for placeholders, of which none are left.
    return text.replace("%%", "%") if dialect.paramstyle == "pyformat" else text


def _from_postgresql(connection: sa.Connection, sql: str, schema: pa.Schema) -> pa.Table:
    """COPY in binary form, straight into columns, on a connection of its own."""
    from adbc_driver_postgresql import dbapi

    url = connection.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with dbapi.connect(url) as adbc, adbc.cursor() as cursor:
        cursor.execute(sql)
        table: pa.Table = cursor.fetch_arrow_table()
    return table.cast(schema)


def _from_sqlite(connection: sa.Connection, sql: str, schema: pa.Schema) -> pa.Table:
    """The driver's own tuples, without SQLAlchemy's rows and conversions between."""
    # SQLite has neither instants nor booleans: both are integers there.
    integers = {_INSTANT, pa.bool_()}
    stored = pa.schema([(field.name, pa.int64() if field.type in integers else field.type) for field in schema])
    driver: Any = connection.connection.driver_connection
    cursor = driver.execute(sql)
    batches = []
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        columns = zip(*rows, strict=True)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, stored, strict=True)]
        batches.append(pa.record_batch(arrays, schema=stored))
    return pa.Table.from_batches(batches, stored).combine_chunks().cast(schema)
