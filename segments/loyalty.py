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
    inside=[{"orders": 1, "days_since_last_order": 14}, {"orders": 1, "days_since_last_order": 60}],
    outside=[
        {"orders": 1, "days_since_last_order": 13},
        {"orders": 1, "days_since_last_order": 61},
        {"orders": 2, "days_since_last_order": 30},
    ],
)
def second_order_nudge(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered once, 14 to 60 days ago: the usual time of a second order, so a nudge fits now."""
    return (customers.orders == 1) & customers.days_since_last_order.between(14, 60)


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
    inside=[{"orders_365d": 3}],
    outside=[{"orders_365d": 2}],
)
def regulars_this_year(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered three times or more within the last 365 days."""
    return customers.orders_365d >= 3
