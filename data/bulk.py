"""The fast way in for many rows: the driver's executemany on SQLite, COPY on PostgreSQL."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

_Processor = Callable[[Any], Any]


def insert_rows(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert all rows inside the caller's transaction; `rows` is streamed and may be empty.

    Values are the same as in any Core insert (aware datetimes, Decimals): each passes through its column type's bind
    processor, which is what Instant and Money convert by. There is no ON CONFLICT and no default of SQLAlchemy's.
    """
    names = [connection.dialect.identifier_preparer.quote(name) for name in columns]
    target = f"{connection.dialect.identifier_preparer.format_table(table)} ({', '.join(names)})"
    bound = _bound(rows, [_processor(table.c[name].type, connection.dialect) for name in columns])
    cursor = connection.connection.cursor()
    try:
        if connection.dialect.name == "postgresql":
            with cursor.copy(f"COPY {target} FROM STDIN") as copy:
                for row in bound:
                    copy.write_row(row)
        else:
            cursor.executemany(f"INSERT INTO {target} VALUES ({', '.join('?' * len(names))})", bound)  # noqa: S608 - names of our own tables
    finally:
        cursor.close()


def execute_rows(
    connection: sa.Connection,
    statement: str,
    table: sa.Table,
    columns: Mapping[str, int],
    rows: Sequence[Sequence[Any]],
) -> None:
    """Execute a statement of SQLite for each of some thousand rows. `columns`: where its values stand in a row."""
    values: list[Iterable[Any]] = []
    for name, place in columns.items():
        column: Iterable[Any] = map(itemgetter(place), rows)
        process = _processor(table.c[name].type, connection.dialect)
        # Times and truths repeat: of some thousand events many share a second.
        values.append(map(_Known(process).__getitem__, column) if process else column)
    connection.exec_driver_sql(statement, list(zip(*values, strict=True)))


class _Known(dict[Any, Any]):
    """Values as the driver takes them, each converted once."""

    def __init__(self, process: _Processor) -> None:
        self._process = process

    def __missing__(self, value: Any) -> Any:
        made = self[value] = self._process(value)
        return made


def _processor(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> _Processor | None:
    described: Any = kind.dialect_impl(dialect)
    process: _Processor | None = described.bind_processor(dialect)
    if not isinstance(kind, sa.types.TypeDecorator) or process is None:
        return process
    if described.impl_instance.bind_processor(dialect) is not None:
        return process
    own = kind.process_bind_param  # without SQLAlchemy's two calls around it, for each of millions of values
    return lambda value: None if value is None else own(value, dialect)


def _bound(rows: Iterable[Sequence[Any]], processors: Sequence[_Processor | None]) -> Any:
    active = [(position, process) for position, process in enumerate(processors) if process]
    return _converted(rows, active) if active else rows


def _converted(rows: Iterable[Sequence[Any]], active: Sequence[tuple[int, _Processor]]) -> Iterator[Sequence[Any]]:
    for row in rows:
        values = list(row)
        for position, process in active:
            values[position] = process(values[position])
        yield values
