"""Finding the order that a person means."""

from typing import Any

import sqlalchemy as sa

from data import tables

_LONGEST = 60


class UnknownOrder(LookupError):
    """No order is called so, or several are; the message says what to write."""


def find(connection: sa.Connection, account_id: str, asked: str) -> sa.Row[Any]:
    """The one order with this number (with or without its #), this id of its channel, or CHANNEL/ID. Raises UnknownOrder."""
    order = tables.orders.c
    channel, slash, inner = asked.partition("/")
    bare = asked.strip().removeprefix("#")
    called = order.external_id.in_([asked, bare]) | order.number.in_([bare, f"#{bare}"])
    if slash:
        called |= (order.channel == channel) & (order.external_id == inner)
    query = sa.select(order.id, order.channel, order.external_id, order.number, order.notify)
    rows = connection.execute(query.where(order.account_id == account_id, called).order_by(order.id)).all()
    if not rows:
        raise UnknownOrder(
            f"account {account_id!r} has no order {asked[:_LONGEST]!r}: write its number, its id in the channel, or CHANNEL/ID"
        )
    if len(rows) > 1:
        told = ", ".join(f"{one.channel}/{one.external_id}" for one in rows[:5])
        raise UnknownOrder(f"several orders are called {asked[:_LONGEST]!r}: write which of {told}")
    return rows[0]
