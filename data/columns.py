"""Column types that mean the same on both databases."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles

from domain import money

# SQLite numbers rows only in a column of the very type INTEGER.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(JSONB(), "postgresql")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(sa.TypeDecorator[datetime]):
    """An aware UTC datetime: timestamptz on PostgreSQL, whole microseconds since 1970 on SQLite.

    SQLite has no time type; integers compare, sort and travel to Arrow without parsing.
    """

    impl = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        kind = sa.TIMESTAMP(timezone=True) if dialect.name == "postgresql" else sa.BigInteger()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime has no place in the store: say its zone")
        return value if dialect.name == "postgresql" else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        if value is None or dialect.name == "postgresql":
            return None if value is None else value.astimezone(UTC)
        return _EPOCH + timedelta(microseconds=value)


class days_between(sa.sql.functions.FunctionElement[int]):  # noqa: N801 - it is written as a function of SQL
    """Whole days from the first instant to the second, rounded down."""

    type = sa.BigInteger()
    inherit_cache = True
    name = "days_between"


@compiles(days_between, "postgresql")
def _days_on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    first, second = (compiler.process(one, **options) for one in element.clauses)
    return f"CAST(FLOOR(EXTRACT(EPOCH FROM ({second}) - ({first})) / 86400) AS BIGINT)"


@compiles(days_between, "sqlite")
def _days_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    first, second = (compiler.process(one, **options) for one in element.clauses)
    return f"((({second}) - ({first})) / {timedelta(days=1) // _MICROSECOND})"


class Money(sa.TypeDecorator[Decimal]):
    """A Decimal, stored as whole ten-thousandths: sums are exact in both databases."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | int | None, _dialect: sa.Dialect) -> int | None:
        if value is None or isinstance(value, Decimal):
            return None if value is None else money.to_units(value)
        if isinstance(value, int):
            return int(value * money.UNIT)
        raise TypeError("an amount of money is a Decimal or a whole number: write Decimal('9.90')")

    def process_result_value(self, value: int | None, _dialect: sa.Dialect) -> Decimal | None:
        return None if value is None else money.from_units(value)
