"""Which orders count, and for how much: said once, for the features and for the gate that judges what they are made of."""

import sqlalchemy as sa

from data import tables
from domain.orders import OrderKind, OrderStatus

_order = tables.orders.c


def is_cancelled() -> sa.ColumnElement[bool]:
    """The order was called off."""
    return (_order.status == OrderStatus.CANCELLED) | _order.cancelled_at.is_not(None)


def is_void() -> sa.ColumnElement[bool]:
    """The order was called off, or its channel deleted it."""
    return is_cancelled() | _order.deleted_at.is_not(None)


def is_no_sale() -> sa.ColumnElement[bool]:
    """A test, or a replacement that nobody paid for."""
    return _order.is_test | (_order.kind == OrderKind.REPLACEMENT)


def is_credit() -> sa.ColumnElement[bool]:
    """Money given back for an order that is not named."""
    return _order.kind == OrderKind.CREDIT


def has_coupon() -> sa.ColumnElement[bool]:
    """A coupon was used."""
    return sa.func.coalesce(_order.coupons, "") != ""


def is_discounted() -> sa.ColumnElement[bool]:
    """Something was taken off the price, by a coupon or without."""
    return (
        sa.func.coalesce(_order.discount, sa.literal(0, sa.BigInteger)) > sa.literal(0, sa.BigInteger)
    ) | has_coupon()


def reckoned(amount: str, currency: str) -> sa.ColumnElement[int]:
    """`total` or `refunded` in the account's currency: the order's own, or what the channel says it is in the shop's.

    An order that is foreign (below) has its own amount: what that is in the account's currency, the rate of the day
    says (data.features.conversion).
    """
    shop = _order[f"shop_{amount}"]
    return sa.case(
        ((_order.currency != currency) & _told_in(currency), sa.func.coalesce(shop, 0)), else_=_order[amount]
    )


def is_foreign(currency: str) -> sa.ColumnElement[bool]:
    """The order is in another currency, and its channel does not say what it is in this one."""
    return (_order.currency != currency) & ~_told_in(currency)


def _told_in(currency: str) -> sa.ColumnElement[bool]:
    """The channel says the amounts in this currency; where nothing was refunded it need not say how much."""
    nothing = sa.literal(0, sa.BigInteger)
    refund = _order.shop_refunded.is_not(None) | (sa.cast(_order.refunded, sa.BigInteger) == nothing)
    known = (_order.shop_currency == currency) & _order.shop_total.is_not(None) & refund
    return sa.func.coalesce(known, sa.false())
