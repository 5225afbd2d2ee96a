"""What must hold of the orders of an account, as one aggregate row.

What one order lacks is the intake's business, by channel and account (intake.yaml). Here stands what would make the
figures wrong by which segments choose.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from data import tables
from data.expectations.conditions import Condition, Facts, measure
from data.features import counting

_order, _account = tables.orders.c, tables.accounts.c
# A shop's clock and zone may be wrong by so much, as at the intake.
_AHEAD = timedelta(days=1)


def conditions(now: datetime, currency: str) -> tuple[Condition, ...]:
    """The faults that no order may have."""
    counts = ~counting.is_void() & ~counting.is_no_sale()
    return (
        Condition("negative_totals", "No order's total is below zero", _order.total < sa.literal(0, sa.BigInteger)),
        Condition(
            "refunds_above_totals",
            "No more was refunded on an order than was paid",
            ~counting.is_credit() & (_order.refunded > _order.total),
        ),
        Condition("in_the_future", "No order was placed in the future", _order.placed_at > now + _AHEAD),
        Condition(
            "other_currency",
            "Every order that counts is in the currency of the account, or says what it is in it",
            counts & counting.is_foreign(currency),
        ),
    )


def facts(connection: sa.Connection, *, account_id: str, now: datetime) -> Facts:
    """Count the account's orders and their faults; `newest` is when the latest one was placed.

    Faulty ones are told by channel and the channel's own number.
    """
    currency = connection.execute(sa.select(_account.currency).where(_account.id == account_id)).scalar_one()
    rows = sa.select(_order.id).select_from(tables.orders).where(_order.account_id == account_id)
    newest = sa.func.max(_order.placed_at).label("newest")
    name = _order.channel + " " + _order.external_id
    return measure(connection, rows, conditions(now, currency), row_id=name, figures=[newest])
