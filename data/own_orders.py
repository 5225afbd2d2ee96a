"""The counted orders of one customer: how many lately, the latest, the latest that names something."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import tables
from data.features.population import Tables

DAYS = 365
_OF_LINES = {"category": "category", "brand": "brand", "product": "sku", "sku": "sku"}
SUBJECTS = (*_OF_LINES, "coupon", "channel")


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """An order as a person names it."""

    channel: str
    number: str
    placed_at: datetime


@dataclass(frozen=True, slots=True)
class OwnOrders:
    """Of one person (`party_id` stands for them), among the orders that a segment looks through."""

    shop: Tables
    account_id: str
    party_id: int
    as_of: datetime

    def lately(self, connection: sa.Connection) -> int:
        """How many orders in the last 365 days."""
        order = self.shop.orders.c
        since = sa.literal(self.as_of - timedelta(days=DAYS), order.placed_at.type)
        count: int = connection.execute(
            sa.select(sa.func.count()).where(order.order_id.in_(self._ids()), order.placed_at > since)
        ).scalar_one()
        return count

    def latest(self, connection: sa.Connection, subject: str = "", value: str = "") -> OwnOrder | None:
        """The latest order, or the latest that names the category, brand, product, coupon or channel; None: there is none.

        As the segments match them: as the shop writes it, a coupon in small or capital letters.
        """
        order = self.shop.orders.c
        query = sa.select(order.channel, order.external_id, order.placed_at).where(order.order_id.in_(self._ids()))
        if subject:
            query = query.where(self._names(subject, value))
        row = connection.execute(query.order_by(order.placed_at.desc(), order.order_id.desc()).limit(1)).one_or_none()
        return None if row is None else OwnOrder(row.channel, row.external_id, row.placed_at)

    def _names(self, subject: str, value: str) -> sa.ColumnElement[bool]:
        order, line = self.shop.orders.c, tables.order_lines.c
        if subject == "channel":
            return order.channel == value
        if subject == "coupon":
            among = sa.func.lower("," + order.coupons + ",", type_=sa.String())
            return among.contains(f",{value.strip().lower()},", autoescape=True)
        named = sa.select(line.order_id).where(line.order_id.in_(self._ids()), line[_OF_LINES[subject]] == value)
        return order.order_id.in_(named)

    def _ids(self) -> sa.Select[tuple[int]]:
        """By the index over a party's orders: the shop's own tables would look through everybody's."""
        party, order = tables.parties.c, tables.orders.c
        theirs = (party.person_id == self.party_id) | (party.person_id.is_(None) & (party.id == self.party_id))
        numbers = sa.select(party.id).where(party.account_id == self.account_id, theirs)
        return sa.select(order.id).where(order.party_id.in_(numbers))
