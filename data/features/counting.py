"""Which orders count, and for how much: said once, for the features and for the gate that judges what they are made of."""

import sqlalchemy as sa

from data import database, tables
from domain.orders import OrderKind, OrderStatus

# An account with this share of all orders is read in the order in which they lie.
_MOST_OF_ALL = 1 / 4
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


def of_account(engine: sa.Engine, account_id: str) -> sa.ColumnElement[bool]:
    """True of the account's orders.

    SQLite would go by the index on account and time and fetch order after order from all over the file: three times as
    long as reading all there are, which a plus before the column makes it do. PostgreSQL knows how many they are.
    """
    mine = _order.account_id == account_id
    if engine.dialect.name != "sqlite":
        return mine
    with database.read(engine) as connection:
        own = connection.scalar(sa.select(sa.func.count()).select_from(tables.orders).where(mine)) or 0
        highest = connection.scalar(sa.select(sa.func.max(_order.id))) or 0
    scan: sa.ColumnElement[bool] = sa.literal_column("+orders.account_id", sa.Text) == account_id
    return scan if own > highest * _MOST_OF_ALL else mine
