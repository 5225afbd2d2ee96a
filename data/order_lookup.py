"""Finding the order that a person means."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import tables

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """An order as far as mail about it goes. `notify` False: its channel asks that we mail nobody about it."""

    id: int
    account_id: str
    channel: str
    external_id: str
    number: str
    status: str
    channel_status: str
    kind: str
    placed_at: datetime
    recorded_at: datetime | None
    notify: bool
    is_test: bool
    mailable: bool


class UnknownOrder(LookupError):
    """There is no such order, or several (`among`); the message says which, and what to write."""

    def __init__(self, told: str, among: Sequence[FoundOrder] = ()) -> None:
        super().__init__(told)
        self.among = among


def find(connection: sa.Connection, account_id: str, asked: str, *, channel: str | None = None) -> FoundOrder:
    """The one order of this number (with or without its #), this id of its channel, or CHANNEL/ID. Raises UnknownOrder."""
    order, party = tables.orders, tables.parties
    bare = asked.strip().removeprefix("#")
    named = order.c.external_id.in_([asked, bare]) | order.c.number.in_([bare, f"#{bare}"])
    first, slash, inner = asked.partition("/")
    if slash:
        named |= (order.c.channel == first) & (order.c.external_id == inner)
    query = (
        sa.select(order, party.c.address_hash)
        .join_from(order, party, party.c.id == order.c.party_id)
        .where(order.c.account_id == account_id, named)
        .order_by(order.c.placed_at.desc(), order.c.id)
    )
    if channel is not None:
        query = query.where(order.c.channel == channel)
    rows = connection.execute(query).all()
    if not rows:
        where = f"{account_id!r}" if channel is None else f"{account_id!r}, channel {channel!r},"
        told = (
            f"account {where} has no order {asked[:_SHOWN]!r}: write its number, its id in the channel, or CHANNEL/ID"
        )
        raise UnknownOrder(told)
    if len(rows) > 1:
        among = ", ".join(sorted({f"{row.channel}/{row.external_id}" for row in rows}))
        raise UnknownOrder(
            f"several orders are called {asked[:_SHOWN]!r}: write which of {among}", [_order(row) for row in rows]
        )
    return _order(rows[0])


def _order(row: Any) -> FoundOrder:
    return FoundOrder(
        id=row.id,
        account_id=row.account_id,
        channel=row.channel,
        external_id=row.external_id,
        number=row.number or row.external_id,
        status=row.status,
        channel_status=row.channel_status,
        kind=row.kind,
        placed_at=row.placed_at,
        recorded_at=row.first_recorded_at,
        notify=row.notify,
        is_test=row.is_test,
        mailable=row.address_hash is not None,
    )
