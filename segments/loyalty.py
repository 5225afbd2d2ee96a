"""How often they come back: from the first order to a habit."""

from datetime import datetime

import pandas as pd

from segments.registry import Members, segment


@segment(
    "one-time-buyers",
    owner="data-team",
    needs=("orders",),
    inside=[{"orders": 1}],
    outside=[{"orders": 2}],
)
def one_time_buyers(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered exactly once, however long ago."""
    return customers.orders == 1


@segment(
    "second-order-nudge",
    owner="data-team",
    needs=("orders", "days_since_last_order"),
    inside=[
        {"orders": 1, "days_since_last_order": 14},
        {"orders": 1, "days_since_last_order": 60},
        {"orders": 1, "days_since_last_order": 90, "with": {"after": 30, "until": 90}},
    ],
    outside=[
        {"orders": 1, "days_since_last_order": 13},
        {"orders": 1, "days_since_last_order": 61},
        {"orders": 2, "days_since_last_order": 30},
        {"orders": 1, "days_since_last_order": 29, "with": {"after": 30, "until": 90}},
    ],
)
def second_order_nudge(customers: pd.DataFrame, as_of: datetime, *, after: int = 14, until: int = 60) -> Members:
    """Ordered once, 14 to 60 days ago: the usual time of a second order, so a nudge fits now.

    after: days since the order, at least
    until: days since the order, at most
    """
    return (customers.orders == 1) & customers.days_since_last_order.between(after, until)


@segment(
    "third-order-nudge",
    owner="data-team",
    needs=("orders", "days_since_last_order"),
    inside=[{"orders": 2, "days_since_last_order": 14}, {"orders": 2, "days_since_last_order": 60}],
    outside=[
        {"orders": 2, "days_since_last_order": 13},
        {"orders": 2, "days_since_last_order": 61},
        {"orders": 1, "days_since_last_order": 30},
        {"orders": 3, "days_since_last_order": 30},
    ],
)
def third_order_nudge(customers: pd.DataFrame, as_of: datetime, *, after: int = 14, until: int = 60) -> Members:
    """Ordered twice, the second time 14 to 60 days ago: one more makes it a habit.

    after: days since the second order, at least
    until: days since the second order, at most
    """
    return (customers.orders == 2) & customers.days_since_last_order.between(after, until)


@segment(
    "repeat-customers",
    owner="data-team",
    needs=("orders",),
    inside=[{"orders": 2}, {"orders": 40}],
    outside=[{"orders": 1}],
)
def repeat_customers(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered twice or more."""
    return customers.orders >= 2


@segment(
    "loyal",
    owner="data-team",
    needs=("orders", "days_since_last_order"),
    inside=[{"orders": 4, "days_since_last_order": 180}],
    outside=[{"orders": 3, "days_since_last_order": 1}, {"orders": 9, "days_since_last_order": 181}],
)
def loyal(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered four times or more, the latest within 180 days."""
    return (customers.orders >= 4) & (customers.days_since_last_order <= 180)


@segment(
    "regulars-this-year",
    owner="data-team",
    needs=("orders_365d",),
    inside=[{"orders_365d": 3}, {"orders_365d": 6, "with": {"orders": 6}}],
    outside=[{"orders_365d": 2}, {"orders_365d": 5, "with": {"orders": 6}}],
)
def regulars_this_year(customers: pd.DataFrame, as_of: datetime, *, orders: int = 3) -> Members:
    """Ordered three times or more within the last 365 days.

    orders: how many orders within the year, at least
    """
    return customers.orders_365d >= orders


@segment(
    "vip-by-frequency",
    owner="data-team",
    needs=("orders",),
    inside=[{"orders": 6}],
    outside=[{"orders": 5}, *[{"orders": 3}] * 9, {"orders": 2}, {"orders": 1}],
)
def vip_by_frequency(customers: pd.DataFrame, as_of: datetime, *, margin: float = 2.0) -> Members:
    """Order far more often than the others: among the top tenth by orders, and twice as often as the usual returner.

    The usual returner is the one in the middle (the median) of all who ordered twice or more. The tenth alone would not
    do: where most have ordered once, whoever ordered as often as the last one in it is half the shop.

    margin: how many times the orders of the usual returner, at least
    """
    tenth = customers.orders.quantile(0.9, interpolation="lower")
    usual = customers.orders[customers.orders >= 2].median()
    return (customers.orders >= tenth) & (customers.orders >= margin * usual)
