"""Where they are on their way: new, active, slipping away, gone."""

from datetime import datetime

import pandas as pd

from segments.registry import Members, segment


@segment(
    "all-customers",
    owner="data-team",
    needs=("orders",),
    inside=[{"orders": 1}],
    outside=[{"orders": 0}],
)
def all_customers(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Everyone who ever ordered: for announcements."""
    return customers.orders >= 1


@segment(
    "new-customers",
    owner="data-team",
    needs=("days_since_first_order",),
    inside=[{"days_since_first_order": 0}, {"days_since_first_order": 30}],
    outside=[{"days_since_first_order": 31}],
)
def new_customers(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Made their first order within the last 30 days."""
    return customers.days_since_first_order <= 30


@segment(
    "active-90-days",
    owner="data-team",
    needs=("orders_90d",),
    inside=[{"orders_90d": 1}],
    outside=[{"orders_90d": 0}],
)
def active_90_days(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered within the last 90 days."""
    return customers.orders_90d >= 1


@segment(
    "at-risk",
    owner="data-team",
    needs=("orders", "days_since_last_order"),
    inside=[{"orders": 3, "days_since_last_order": 91}, {"orders": 3, "days_since_last_order": 180}],
    outside=[
        {"orders": 2, "days_since_last_order": 120},
        {"orders": 3, "days_since_last_order": 90},
        {"orders": 3, "days_since_last_order": 181},
    ],
)
def at_risk(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered three times or more, and nothing for 91 to 180 days."""
    return (customers.orders >= 3) & customers.days_since_last_order.between(91, 180)


@segment(
    "lapsed",
    owner="data-team",
    needs=("orders", "days_since_last_order"),
    inside=[{"orders": 2, "days_since_last_order": 181}],
    outside=[{"orders": 1, "days_since_last_order": 400}, {"orders": 2, "days_since_last_order": 180}],
)
def lapsed(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered twice or more, and nothing for over 180 days."""
    return (customers.orders >= 2) & (customers.days_since_last_order > 180)


@segment(
    "off-rhythm",
    owner="data-team",
    needs=("orders", "days_since_last_order", "mean_days_between_orders"),
    inside=[{"orders": 4, "days_since_last_order": 61, "mean_days_between_orders": 30.0}],
    outside=[
        {"orders": 4, "days_since_last_order": 60, "mean_days_between_orders": 30.0},
        {"orders": 3, "days_since_last_order": 300, "mean_days_between_orders": 30.0},
        {"orders": 4, "days_since_last_order": 20, "mean_days_between_orders": 2.0},
        {"orders": 1, "days_since_last_order": 300, "mean_days_between_orders": None},
    ],
)
def off_rhythm(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Silent for more than twice their own usual gap, and for over 30 days: win them back.

    Four orders at least: with one or two gaps a personal mean says less than a constant (facts/segments.md section 5).
    """
    return (
        (customers.orders >= 4)
        & (customers.days_since_last_order > 2 * customers.mean_days_between_orders)
        & (customers.days_since_last_order > 30)
    )


@segment(
    "anniversary-month",
    owner="data-team",
    needs=("first_order_at",),
    inside=[{"first_order_at": "2025-06-30 23:59 UTC"}, {"first_order_at": "2020-06-01 00:00 UTC"}],
    outside=[{"first_order_at": "2025-07-01 00:00 UTC"}, {"first_order_at": "2026-06-01 00:00 UTC"}],
)
def anniversary_month(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Made their first order in this month of an earlier year."""
    first: pd.Series[pd.Timestamp] = customers.first_order_at
    return (first.dt.month == as_of.month) & (first.dt.year < as_of.year)
