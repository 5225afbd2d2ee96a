"""The customers of one account, as a segment is asked about them: as a frame, or as tables for a select."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection

from data import accounts, database, tables
from data.features import counting, frame
from domain.features import STORED

# What a select may take. Those of the library walk through all orders or lines once: seconds for a million of them
# (benchmarks/segments.py).
SECONDS = 60
_STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's machine: about a millisecond


class TooSlow(RuntimeError):
    """A segment's select did not end within its time. Nothing was changed."""


class BadSelect(RuntimeError):
    """The database refused a segment's select."""


class FeaturesMoved(RuntimeError):
    """The features were refreshed while they were being read. Nothing was changed; start again."""


class Customers:
    """All customers of an account with a counted order, as of the last refresh of their features.

    Columns are read once and kept. Raises NoFeatures, UnknownAccount.
    """

    def __init__(self, engine: sa.Engine, account_id: str, *, seconds: float = SECONDS) -> None:
        self._engine, self._seconds, self._account_id = engine, seconds, account_id
        with database.read(engine) as connection:
            self._currency = accounts.get(connection, account_id).currency
            refreshed = frame.newest(connection, account_id)
        if refreshed is None:
            raise frame.NoFeatures(frame.MISSING.format(account_id))
        self._refreshed = refreshed
        self._read: pd.DataFrame | None = None
        self._tables: Tables | None = None

    @property
    def as_of(self) -> datetime:
        return self._refreshed.as_of

    @property
    def shop(self) -> "Tables":
        if self._tables is None:
            mine = counting.of_account(self._engine, self._account_id)
            self._tables = Tables(self._account_id, self._currency, self.as_of, mine)
        return self._tables

    def frame(self, columns: Sequence[str]) -> pd.DataFrame:
        frame.check_names(columns)
        read = self._read
        missing = [name for name in dict.fromkeys(columns) if read is None or name not in read]
        if missing or read is None:
            more = frame.read_frame(self._engine, account_id=self._account_id, columns=missing, of=self._refreshed)
            self._check_unmoved()
            self._read = read = more if read is None else read.join(more[missing])
        return read[["party_id", *columns]]

    def _check_unmoved(self) -> None:
        """Two columns of two refreshes would belong to different customers."""
        with database.read(self._engine) as connection:
            newest = frame.newest(connection, self._account_id)
        if newest is None or newest.id != self._refreshed.id:
            raise FeaturesMoved("the customer features were refreshed while they were being read: start again")

    def chosen(self, select: sa.Select[Any]) -> npt.NDArray[np.int64]:
        # Each once, by the database: a select over ten million orders would bring as many Python integers.
        once = select.subquery("chosen")
        (column,) = once.c
        with _bounded(self._engine, self._seconds) as connection:
            found = connection.execute(sa.select(column).where(column.is_not(None)).distinct()).scalars().all()
        self._check_unmoved()
        return np.sort(np.array(found, dtype=np.int64))


class Tables:
    """Selects over the account: of persons, of counted orders up to the instant (segments.population.Shop).

    `mine`: true of the account's orders, said so that their lines are found quickly (data.features.counting).
    """

    def __init__(self, account_id: str, currency: str, as_of: datetime, mine: sa.ColumnElement[bool]) -> None:
        self.customers = _customers(account_id)
        self.orders = _orders(account_id, currency, as_of)
        self.lines = _lines(as_of, mine)


def _customers(account_id: str) -> sa.Subquery:
    features = tables.customer_features.c
    return (
        sa.select(features.party_id, *(features[feature.name] for feature in STORED))
        .where(features.account_id == account_id)
        .subquery("customers")
    )


def _orders(account_id: str, currency: str, as_of: datetime) -> sa.Subquery:
    order, party = tables.orders, tables.parties
    net = counting.reckoned("total", currency) - counting.reckoned("refunded", currency)
    known = ~counting.is_foreign(currency)
    return (
        sa.select(
            _person(),
            order.c.id.label("order_id"),
            *_about(),
            order.c.external_id,
            order.c.total,
            order.c.refunded,
            sa.type_coerce(sa.case((known, net)), order.c.total.type).label("net"),
            counting.is_discounted().label("discounted"),
            order.c.coupons,
        )
        .join_from(order, party, party.c.id == order.c.party_id)
        .where(order.c.account_id == account_id, *_counted(as_of))
        .subquery("orders")
    )


def _lines(as_of: datetime, mine: sa.ColumnElement[bool]) -> sa.Subquery:
    order, party, line = tables.orders, tables.parties, tables.order_lines
    own = ("sku", "title", "category", "brand", "quantity", "total")
    return (
        sa.select(_person(), line.c.order_id, *_about(), *(line.c[name] for name in own))
        .select_from(line)
        .join(order, order.c.id == line.c.order_id)
        .join(party, party.c.id == order.c.party_id)
        .where(mine, *_counted(as_of))
        .subquery("lines")
    )


def _person() -> sa.Label[int]:
    party = tables.parties.c
    return sa.func.coalesce(party.person_id, party.id).label("party_id")


def _about() -> tuple[sa.ColumnElement[Any], ...]:
    order = tables.orders.c
    return order.channel, order.placed_at, order.currency


def _counted(as_of: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    placed_by_then = tables.orders.c.placed_at <= as_of
    return placed_by_then, ~counting.is_void(), ~counting.is_no_sale(), ~counting.is_credit()


@contextmanager
def _bounded(engine: sa.Engine, seconds: float) -> Iterator[sa.Connection]:
    """A transaction that can write nothing and ends in time: what runs in it is the data team's."""
    try:
        with database.read(engine) as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
                yield connection
            else:
                with _bounded_on_sqlite(connection.connection.dbapi_connection, seconds):
                    yield connection
    except sa.exc.StatementError as error:
        said = str(error.orig)
        if "interrupted" in said or "statement timeout" in said:
            raise TooSlow(
                f"the select took longer than {seconds:g} seconds and was ended; nothing was changed. Does it join over"
                " an indexed column, such as party_id?"
            ) from error
        raise BadSelect(
            f"the database refused the select ({type(error.orig).__name__}): {_without_values(said)}"
        ) from error


def _without_values(said: str) -> str:
    """The database's first line, less what it quotes: that may be somebody's data."""
    first = (said.strip().splitlines() or [""])[0]
    return re.sub(r"(?<=: )(\"|').*", "…", first)


@contextmanager
def _bounded_on_sqlite(driver: DBAPIConnection | None, seconds: float) -> Iterator[None]:
    connection: Any = driver
    deadline = time.monotonic() + seconds
    connection.execute("PRAGMA query_only=ON")
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)
        connection.execute("PRAGMA query_only=OFF")
