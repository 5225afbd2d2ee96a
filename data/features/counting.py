"""Which orders count, and for how much: said once, for the features and for the gate that judges what they are made of."""

import sqlalchemy as sa

from data import tables
from domain.orders import OrderKind, OrderStatus

_order = tables.orders.c


def is_void() -> sa.ColumnElement[bool]:
    """The order was called off, or its channel deleted it."""
    return (_order.status == OrderStatus.CANCELLED) | _order.cancelled_at.is_not(None) | _order.deleted_at.is_not(None)


def is_no_sale() -> sa.ColumnElement[bool]:
    """A test, or a replacement that nobody paid for."""
    return _order.is_test | (_order.kind == OrderKind.REPLACEMENT)


def is_credit() -> sa.ColumnElement[bool]:
    """Money given back for an order that is not named."""
    return _order.kind == OrderKind.CREDIT


def reckoned(amount: str, currency: str) -> sa.ColumnElement[int]:
    """`total` or `refunded` in the account's currency: the order's own, or what the channel says it is in the shop's.

    An order in another currency whose channel says nothing counts as it stands; the gate stops the account for it.
    """
    shop = _order[f"shop_{amount}"]
    in_shops = (_order.currency != currency) & (_order.shop_currency == currency) & shop.is_not(None)
    return sa.case((in_shops, shop), else_=_order[amount])


def is_foreign(currency: str) -> sa.ColumnElement[bool]:
    """The order's money cannot be reckoned in this currency."""
    known = (_order.currency == currency) | ((_order.shop_currency == currency) & _order.shop_total.is_not(None))
    return ~sa.func.coalesce(known, sa.false())
