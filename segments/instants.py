"""Time in a select: SQLite keeps an instant as microseconds since 1970, PostgreSQL as timestamptz."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_CENTURY = 36_525  # days; what lies further back is as good as never, and may lie before the calendar begins


def ago(as_of: datetime, days: float) -> datetime:
    """So many days before the instant; a century at most."""
    return as_of - timedelta(days=max(-_CENTURY, min(days, _CENTURY)))


def days(earlier: sa.ColumnElement[datetime], later: sa.ColumnElement[datetime] | datetime) -> sa.ColumnElement[float]:
    """How many days lie between two instants, with their fraction."""
    if isinstance(later, datetime):
        later = sa.literal(later, earlier.type)
    return _Days(earlier, later)


class _Days(FunctionElement[float]):
    type = sa.Float()
    inherit_cache = True


@compiles(_Days)
def _in_words(element: _Days, compiler: SQLCompiler, **options: Any) -> str:
    """For those who print a select; the two databases have their own below."""
    return f"days({compiler.process(element.clauses, **options)})"


@compiles(_Days, "sqlite")
def _on_sqlite(element: _Days, compiler: SQLCompiler, **options: Any) -> str:
    earlier, later = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(({later}) - ({earlier})) / 86400000000.0"


@compiles(_Days, "postgresql")
def _on_postgresql(element: _Days, compiler: SQLCompiler, **options: Any) -> str:
    earlier, later = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST(EXTRACT(EPOCH FROM (({later}) - ({earlier}))) / 86400.0 AS DOUBLE PRECISION)"
