"""What a currency was worth on a day: rates that somebody published, loaded from a file and kept with their source.

The whole installation has one set of rates. They are kept as published, as decimal text: what one unit of the base
cost in the currency. A rate between two currencies is taken by way of their common base.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path

import sqlalchemy as sa

from data import accounts, bulk, database, rates_file, tables
from data.features import counting, marks
from data.rates_file import Rate, UnusableRates

# Nobody publishes rates on Sundays; the longest holidays of the ECB, at Easter, leave four days out.
REACH = timedelta(days=7)
_DAY = timedelta(days=1)
_COLUMNS = ("currency", "day", "base", "rate", "source", "recorded_at")
_rate = tables.currency_rates.c


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file changed. `replaced`: rates that were there and were other ones."""

    rates: int
    added: int
    replaced: int
    currencies: tuple[str, ...]
    first: date
    last: date
    marked: int  # customers whose features the next refresh will reckon anew


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of one currency."""

    currency: str
    base: str
    source: str
    days: int
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Conversion:
    """What one unit is worth in another currency, and by whose word."""

    factor: Fraction
    sources: frozenset[str]


class Rates:
    """The rates of some currencies, in memory."""

    def __init__(self, rows: Iterable[tuple[str, date, str, str, str]]) -> None:
        """`rows`: currency, day, base, rate, source."""
        self._by_currency: dict[str, dict[date, tuple[str, Fraction, str]]] = defaultdict(dict)
        for currency, day, base, rate, source in rows:
            self._by_currency[currency][day] = (base, Fraction(rate), source)

    def conversion(self, of: str, to: str, day: date) -> Conversion | None:
        """By the rates of the day, or of the latest day within REACH before it on which both are known."""
        for back in range(REACH.days + 1):
            if (found := self._on(of, to, day - back * _DAY)) is not None:
                return found
        return None

    def spans(self, of: str, to: str) -> list[tuple[datetime, datetime]]:
        """In which times one can be reckoned in the other: from, and until just before."""
        days = sorted({*self._by_currency.get(of, {}), *self._by_currency.get(to, {})})
        spans: list[tuple[datetime, datetime]] = []
        for day in days:
            if self._on(of, to, day) is None:
                continue
            begin = datetime.combine(day, time(), UTC)
            end = begin + REACH + _DAY
            if spans and begin <= spans[-1][1]:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((begin, end))
        return spans

    def _on(self, of: str, to: str, day: date) -> Conversion | None:
        sold, bought = (self._by_currency.get(one, {}).get(day) for one in (of, to))
        if bought is not None and bought[0] == of:
            return Conversion(bought[1], frozenset({bought[2]}))
        if sold is not None and sold[0] == to:
            return Conversion(1 / sold[1], frozenset({sold[2]}))
        if sold is not None and bought is not None and sold[0] == bought[0]:
            return Conversion(bought[1] / sold[1], frozenset({sold[2], bought[2]}))
        return None


def load(engine: sa.Engine, path: Path, *, base: str, source: str, now: datetime) -> Loaded:
    """Load a file in one transaction: what is kept already stays, what differs is replaced. Raises UnusableRates.

    Customers with an order that one of the rates may concern are marked, so that the next refresh reckons them anew.
    """
    if not source.strip():
        raise UnusableRates("a source must say whose rates these are, such as European Central Bank")
    told = rates_file.read(path, base=base, today=now.astimezone(UTC).date())
    with database.write(engine) as connection:
        kept = _kept(connection, {rate.currency for rate in told})
        new = [rate for rate in told if (rate.currency, rate.day) not in kept]
        other = [
            rate
            for rate in told
            if kept.get((rate.currency, rate.day), (rate.base, rate.rate)) != (rate.base, rate.rate)
        ]
        _replace(connection, new, other, source.strip(), now)
        marked = _mark(connection, [*new, *other])
    return Loaded(
        rates=len(told),
        added=len(new),
        replaced=len(other),
        currencies=tuple(sorted({rate.currency for rate in told})),
        first=min(rate.day for rate in told),
        last=max(rate.day for rate in told),
        marked=marked,
    )


def _kept(connection: sa.Connection, currencies: Collection[str]) -> dict[tuple[str, date], tuple[str, str]]:
    query = sa.select(_rate.currency, _rate.day, _rate.base, _rate.rate).where(_rate.currency.in_(currencies))
    return {(row.currency, row.day): (row.base, row.rate) for row in connection.execute(query)}


def _replace(connection: sa.Connection, new: Sequence[Rate], other: Sequence[Rate], source: str, now: datetime) -> None:
    if other:
        old = sa.delete(tables.currency_rates).where(
            _rate.currency == sa.bindparam("its_currency"), _rate.day == sa.bindparam("its_day")
        )
        connection.execute(old, [{"its_currency": rate.currency, "its_day": rate.day} for rate in other])
    rows = ((rate.currency, rate.day, rate.base, rate.rate, source, now) for rate in (*new, *other))
    bulk.insert_rows(connection, tables.currency_rates, _COLUMNS, rows)


def _mark(connection: sa.Connection, changed: Sequence[Rate]) -> int:
    """Whose orders may be worth something else by these rates: in time, and by currency."""
    if not changed:
        return 0
    order = tables.orders.c
    days = [rate.day for rate in changed]
    begin, end = (datetime.combine(day, time(), UTC) for day in (min(days), max(days)))
    currencies = {one for rate in changed for one in (rate.base, rate.currency)}
    number = 0
    for account_id in accounts.names(connection):
        accounts.lock(connection, account_id)
        currency = accounts.get(connection, account_id).currency
        query = sa.select(order.party_id).where(
            order.account_id == account_id, order.placed_at >= begin, order.placed_at < end + REACH + _DAY
        )
        concerned = sa.true() if currency in currencies else order.currency.in_(currencies)
        whose = set(connection.scalars(query.where(counting.is_foreign(currency), concerned)))
        marks.mark(connection, account_id, whose)
        number += len(whose)
    return number


def listing(connection: sa.Connection) -> list[Known]:
    """What is kept, by currency, base and source."""
    what = (_rate.currency, _rate.base, _rate.source)
    figures = (
        sa.func.count().label("days"),
        sa.func.min(_rate.day).label("first"),
        sa.func.max(_rate.day).label("last"),
    )
    query = sa.select(*what, *figures).group_by(*what).order_by(*what)
    return [Known(**row) for row in connection.execute(query).mappings()]


def between(connection: sa.Connection, currencies: Collection[str]) -> Rates:
    """The rates by which these currencies can be reckoned in one another."""
    query = sa.select(_rate.currency, _rate.day, _rate.base, _rate.rate, _rate.source)
    return Rates(row._tuple() for row in connection.execute(query.where(_rate.currency.in_(currencies))))


def spans(connection: sa.Connection, account_id: str, currency: str) -> Mapping[str, list[tuple[datetime, datetime]]]:
    """In which times orders of the account's foreign currencies can be reckoned in its own."""
    foreign = _foreign(connection, account_id, currency)
    known = between(connection, {currency, *foreign})
    return {one: known.spans(one, currency) for one in foreign}


def _foreign(connection: sa.Connection, account_id: str, currency: str) -> list[str]:
    """The currencies of the account's foreign orders; none where there are no rates at all, which is soon seen."""
    order = tables.orders.c
    if connection.execute(sa.select(_rate.currency).limit(1)).first() is None:
        return []
    query = sa.select(order.currency).where(order.account_id == account_id, counting.is_foreign(currency)).distinct()
    return sorted(connection.scalars(query))
