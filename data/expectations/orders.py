"""What must hold of the orders of an account, as one aggregate row."""

from datetime import datetime

import sqlalchemy as sa

from data import tables
from data.expectations.conditions import Condition, Facts, measure

_order, _account = tables.orders.c, tables.accounts.c


def conditions(now: datetime) -> tuple[Condition, ...]:
    """The faults that no order may have."""
    line = tables.order_lines.c
    has_lines = sa.exists().where(line.order_id == _order.id).correlate(tables.orders)
    return (
        Condition("negative_totals", "No order's total is below zero", _order.total < sa.literal(0, sa.BigInteger)),
        Condition(
            "refunds_above_totals", "No more was refunded on an order than was paid", _order.refunded > _order.total
        ),
        Condition("in_the_future", "No order was placed in the future", _order.placed_at > now),
        Condition(
            "other_currency", "Every order is in the currency of the account", _order.currency != _account.currency
        ),
        Condition("without_lines", "Every order says what was bought", ~has_lines),
    )


def facts(connection: sa.Connection, *, account_id: str, now: datetime) -> Facts:
    """Count the account's orders and their faults; `newest` is when the latest one was placed."""
    rows = (
        sa.select(_order.id)
        .join_from(tables.orders, tables.accounts, _account.id == _order.account_id)
        .where(_order.account_id == account_id)
    )
    newest = sa.func.max(_order.placed_at).label("newest")
    return measure(connection, rows, conditions(now), row_id=_order.id, figures=[newest])
