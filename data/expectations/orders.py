"""What must hold of the orders of an account, as one aggregate row.

What one order lacks is the intake's business, by channel and account (intake.yaml). Here stands what would make the
figures wrong by which segments choose.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import tables
from data.expectations.conditions import Condition, Facts, measure
from data.expectations.subject import Rule, Subject, no_faults
from data.features import conversion, counting

_order, _account = tables.orders.c, tables.accounts.c
# A shop's clock and zone may be wrong by so much, as at the intake.
_AHEAD = timedelta(days=1)


def conditions(now: datetime, currency: str, has_rate: sa.ColumnElement[bool]) -> tuple[Condition, ...]:
    """The faults that no order may have. `has_rate`: of a foreign order, that there is a rate for its day."""
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
            "Every order that counts is in the currency of the account, or says what it is in it, or has a dated rate",
            counts & counting.is_foreign(currency) & ~has_rate,
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
    faults = conditions(now, currency, conversion.has_rate(connection, account_id, currency))
    return measure(connection, rows, faults, row_id=name, figures=[newest])


def subject(
    connection: sa.Connection,
    *,
    account_id: str,
    now: datetime,
    newest_within_days: int,
    channels: Sequence[tuple[Rule, int]] = (),
) -> Subject:
    """The orders of an account, put to the gate. Failing ids are channel and order number.

    `channels`: whether each still brings orders, as data.expectations.freshness has it.
    """
    found = facts(connection, account_id=account_id, now=now)
    count, newest = found.row["rows"], found.row.pop("newest")
    rules = [Rule("There are orders", "rows", minimum=1, observed=f"{count:,} orders"), *no_faults(found, "orders")]
    if newest is not None:
        found.row["newest_age_days"] = age = (now - newest).days
        sentence = f"Orders still arrive: the latest is at most {newest_within_days} days old"
        rules.append(Rule(sentence, "newest_age_days", maximum=newest_within_days, observed=f"{age} days old"))
    silent = {rule.column: is_silent for rule, is_silent in channels}
    return Subject("orders", found.row | silent, (*rules, *(rule for rule, _ in channels)))
