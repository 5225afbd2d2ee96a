"""Whose transactional message a delivery event tells of.

Such a message has one name in all events, its id where a run's stands (domain/transactional.py).
"""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from data import tables
from domain import transactional

_AT_ONCE = 1000


def accounts_of(connection: sa.Connection, ids: Collection[str]) -> dict[str, str]:
    """The account of each of these that is a transactional message."""
    table = tables.transactional_messages.c
    wanted = sorted(filter(transactional.is_id, ids))
    query = sa.select(table.id, table.account_id)
    return {
        message_id: account_id
        for start in range(0, len(wanted), _AT_ONCE)
        for message_id, account_id in connection.execute(query.where(table.id.in_(wanted[start : start + _AT_ONCE])))
    }


def mailed(connection: sa.Connection, ids: Collection[str]) -> dict[str, sa.Row[Any]]:
    """By message whose it is (party_id, where that is known) and the hash of the address that was mailed."""
    message, order = tables.transactional_messages, tables.orders
    query = sa.select(message.c.id, order.c.party_id, message.c.address_hash).select_from(
        message.outerjoin(order, order.c.id == message.c.order_id)
    )
    wanted = sorted(ids)
    return {
        row.id: row
        for start in range(0, len(wanted), _AT_ONCE)
        for row in connection.execute(query.where(message.c.id.in_(wanted[start : start + _AT_ONCE])))
    }
