"""Some customers as of an earlier instant, reckoned again from what is known of them today.

What a customer was then is kept nowhere; orders and mails have times, so it can be reckoned again. Of an order that was
changed since then the earlier state is lost: data.diffs says which ones were.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from data import accounts, database, tables
from data.features import compute, counting, derived, frame, live, reading, scale
from data.features.facts import Facts
from data.features.population import Customers, Tables
from data.features.scale import Scale
from domain.accounts import Account
from domain.features import BY_NAME, Origin

Integers = npt.NDArray[np.int64]


def scale_at(connection: sa.Connection, account_id: str, watermark: datetime, frozen_at: datetime) -> Scale | None:
    """The scale that an audience was chosen by: of the last refresh to its watermark before it was frozen."""
    table = tables.feature_refreshes
    kept = connection.scalars(
        sa.select(table.c.scale)
        .where(table.c.account_id == account_id, table.c.as_of == watermark, table.c.finished_at <= frozen_at)
        .order_by(table.c.id.desc())
        .limit(1)
    ).all()
    return scale.from_json(kept[0]) if kept else None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known today of some persons, or of all: read once, for several instants. Raises UnknownAccount."""

    engine: sa.Engine
    account: Account
    facts: Facts

    @classmethod
    def read(cls, engine: sa.Engine, account_id: str, persons: Integers | None, *, as_of: datetime) -> Self:
        """Of these parties, or of everybody; those who belong to another person today have nothing."""
        with database.read(engine) as connection:
            account = accounts.get(connection, account_id)
        ids = None if persons is None else persons.tolist()
        return cls(engine, account, reading.read(engine, account_id, as_of=as_of, persons=ids))

    def without_orders_after(self, until: datetime) -> Self:
        """As if nothing had been ordered since then."""
        orders = self.facts.orders
        return replace(self, facts=replace(self.facts, orders=orders[orders["placed_at"] <= until]))

    def without_orders(self, order_ids: Integers) -> Self:
        """As if these orders had never come."""
        orders = self.facts.orders
        return replace(self, facts=replace(self.facts, orders=orders[~orders["order_id"].isin(order_ids)]))

    def with_mails_of(self, other: Self) -> Self:
        """As if no mail had been sent, opened or clicked since `other` was read for."""
        return replace(self, facts=replace(self.facts, engagement=other.facts.engagement))


class PastCustomers:
    """A segments.population.Population of some customers as of an instant.

    `until`: orders placed later are left out, where that is before the instant. Permission, which has no past here, is
    as of today.
    """

    def __init__(self, known: Known, *, as_of: datetime, scale: Scale, until: datetime | None = None) -> None:
        self._engine, self._account, self._scale = known.engine, known.account, scale
        self._as_of, self._until = as_of, until or as_of
        seen = known if until is None else known.without_orders_after(until)
        self._stored = compute.features(seen.facts, as_of=as_of, zone=known.account.timezone)

    def only(self, party_id: int) -> "PastCustomers":
        """The same, of one customer."""
        one = object.__new__(PastCustomers)
        one.__dict__ |= self.__dict__
        one._stored = self._stored[self._stored["party_id"] == party_id].reset_index(drop=True)
        return one

    @property
    def as_of(self) -> datetime:
        return self._as_of

    @property
    def shop(self) -> Tables:
        mine = counting.of_account(self._engine, self._account.id)
        return Tables(self._account.id, self._account.currency, self._until, mine)

    def frame(self, columns: Sequence[str]) -> pd.DataFrame:
        frame.check_names(columns)
        found = self._stored[["party_id"]].copy()
        for name in columns:
            if BY_NAME[name].origin is Origin.DERIVED:
                found[name] = derived.column(name, self._stored, as_of=self._as_of, whole=self._scale)
            elif BY_NAME[name].origin is Origin.STORED:
                found[name] = self._stored[name]
        if lively := [name for name in columns if BY_NAME[name].origin is Origin.LIVE]:
            looked_up = live.read(self._engine, account_id=self._account.id, now=self._as_of)
            found = found.merge(looked_up[["party_id", *lively]], on="party_id", how="left")
        return found[["party_id", *columns]].astype({name: BY_NAME[name].type.dtype for name in columns})

    def chosen(self, select: sa.Select[Any]) -> Integers:
        return Customers(self._engine, self._account.id).chosen(select)
