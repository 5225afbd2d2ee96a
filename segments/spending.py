"""How much they spend, in the currency of the account."""

from datetime import datetime

import pandas as pd

from segments.registry import Members, segment


@segment(
    "vip",
    owner="data-team",
    needs=("orders", "net_revenue"),
    inside=[{"orders": 3, "net_revenue": 900.0}],
    outside=[
        {"orders": 2, "net_revenue": 900.0},
        {"orders": 9, "net_revenue": 100.0},
        {"orders": 1, "net_revenue": 20.0},
    ],
)
def vip(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Among the top tenth by money spent in their life, over three orders or more.

    Whoever spent as much as the last one in the top tenth is in it too.
    """
    return (customers.orders >= 3) & (
        customers.net_revenue >= customers.net_revenue.quantile(0.9, interpolation="lower")
    )


@segment(
    "lapsed-vip",
    owner="data-team",
    needs=("net_revenue", "days_since_last_order"),
    inside=[{"net_revenue": 500.01, "days_since_last_order": 91}],
    outside=[{"net_revenue": 500.0, "days_since_last_order": 91}, {"net_revenue": 800.0, "days_since_last_order": 90}],
)
def lapsed_vip(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Spent over 500 in their life and ordered nothing for 90 days."""
    return (customers.net_revenue > 500) & (customers.days_since_last_order > 90)


@segment(
    "big-spenders",
    owner="data-team",
    needs=("average_order_value",),
    inside=[{"average_order_value": 100.0}],
    outside=[{"average_order_value": 99.99}],
)
def big_spenders(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Spends 100 or more on an average order."""
    return customers.average_order_value >= 100


@segment(
    "few-large-orders",
    owner="data-team",
    needs=("orders", "net_revenue"),
    inside=[{"orders": 1, "net_revenue": 300.0}, {"orders": 2, "net_revenue": 450.0}],
    outside=[{"orders": 3, "net_revenue": 900.0}, {"orders": 2, "net_revenue": 299.99}],
)
def few_large_orders(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Spent 300 or more in only one or two orders: rare guests who are worth a personal word."""
    return (customers.orders <= 2) & (customers.net_revenue >= 300)
