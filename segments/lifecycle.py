"""Where they are on their way: new, active, slipping away, gone, back again."""

import calendar
import datetime as dt
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
    inside=[
        {"days_since_first_order": 0},
        {"days_since_first_order": 30},
        {"days_since_first_order": 60, "with": {"days": 60}},
    ],
    outside=[{"days_since_first_order": 31}, {"days_since_first_order": 61, "with": {"days": 60}}],
)
def new_customers(customers: pd.DataFrame, as_of: datetime, *, days: int = 30) -> Members:
    """Made their first order within the last 30 days.

    days: within how many days they first ordered
    """
    return customers.days_since_first_order <= days


@segment(
    "first-time-buyers",
    owner="data-team",
    needs=("orders", "days_since_first_order"),
    inside=[{"orders": 1, "days_since_first_order": 0}, {"orders": 1, "days_since_first_order": 30}],
    outside=[{"orders": 1, "days_since_first_order": 31}, {"orders": 2, "days_since_first_order": 10}],
)
def first_time_buyers(customers: pd.DataFrame, as_of: datetime, *, days: int = 30) -> Members:
    """Made their first order within the last 30 days and none since: welcome them.

    days: within how many days they first ordered
    """
    return (customers.orders == 1) & (customers.days_since_first_order <= days)


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
    inside=[
        {"orders": 2, "days_since_last_order": 181},
        {"orders": 2, "days_since_last_order": 366, "with": {"days": 365}},
    ],
    outside=[
        {"orders": 1, "days_since_last_order": 400},
        {"orders": 2, "days_since_last_order": 180},
        {"orders": 2, "days_since_last_order": 365, "with": {"days": 365}},
    ],
)
def lapsed(customers: pd.DataFrame, as_of: datetime, *, days: int = 180) -> Members:
    """Ordered twice or more, and nothing for over 180 days.

    The same for everybody; `lapsed-by-rhythm` asks each customer's own rhythm.

    days: after how many days without an order they count as lapsed
    """
    return (customers.orders >= 2) & (customers.days_since_last_order > days)


@segment(
    "dormant",
    owner="data-team",
    needs=("days_since_last_order",),
    inside=[{"days_since_last_order": 366}],
    outside=[{"days_since_last_order": 365}, {"days_since_last_order": 0}],
)
def dormant(customers: pd.DataFrame, as_of: datetime, *, days: int = 365) -> Members:
    """Ordered nothing for over a year, however often before.

    days: after how many days without an order they count as dormant
    """
    return customers.days_since_last_order > days


@segment(
    "back-after-a-lapse",
    owner="data-team",
    needs=("last_gap_days", "days_since_last_order"),
    inside=[
        {"last_gap_days": 180.0, "days_since_last_order": 0},
        {"last_gap_days": 400.0, "days_since_last_order": 30},
        {"last_gap_days": 90.0, "days_since_last_order": 7, "with": {"silent": 90, "days": 7}},
    ],
    outside=[
        {"last_gap_days": 179.9, "days_since_last_order": 5},
        {"last_gap_days": 400.0, "days_since_last_order": 31},
        {"last_gap_days": None, "days_since_last_order": 5},
        {"last_gap_days": 90.0, "days_since_last_order": 8, "with": {"silent": 90, "days": 7}},
    ],
)
def back_after_a_lapse(customers: pd.DataFrame, as_of: datetime, *, silent: int = 180, days: int = 30) -> Members:
    """Ordered again within the last 30 days, after 180 days or more without an order: welcome them back.

    Also called reactivated or won back.

    silent: how many days they had been away, at least
    days: within how many days they came back
    """
    return (customers.last_gap_days >= silent) & (customers.days_since_last_order <= days)


@segment(
    "long-standing-customers",
    owner="data-team",
    needs=("days_since_first_order", "days_since_last_order"),
    inside=[
        {"days_since_first_order": 730, "days_since_last_order": 364},
        {"days_since_first_order": 1825, "days_since_last_order": 9, "with": {"years": 5}},
    ],
    outside=[
        {"days_since_first_order": 729, "days_since_last_order": 10},
        {"days_since_first_order": 900, "days_since_last_order": 365},
        {"days_since_first_order": 1824, "days_since_last_order": 9, "with": {"years": 5}},
    ],
)
def long_standing_customers(customers: pd.DataFrame, as_of: datetime, *, years: int = 2) -> Members:
    """First ordered two years ago or longer, and have ordered within the last year: thank them.

    years: how many years ago they first ordered, at least
    """
    return (customers.days_since_first_order >= 365 * years) & (customers.days_since_last_order < 365)


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


@segment(
    "anniversary-soon",
    owner="data-team",
    needs=("first_order_at",),
    inside=[
        {"first_order_at": "2025-06-15 23:59 UTC"},
        {"first_order_at": "2020-06-22 00:00 UTC"},
        {"first_order_at": "2025-06-16 09:00 UTC", "with": {"days": 1}},
    ],
    outside=[
        {"first_order_at": "2025-06-14 23:59 UTC"},
        {"first_order_at": "2025-06-23 00:00 UTC"},
        {"first_order_at": "2026-06-15 08:00 UTC"},
        {"first_order_at": "2025-06-17 09:00 UTC", "with": {"days": 1}},
    ],
)
def anniversary_soon(customers: pd.DataFrame, as_of: datetime, *, days: int = 7) -> Members:
    """The anniversary of their first order is today or within the next 7 days: the birthday of the friendship.

    Days of UTC. Who first ordered on 29 February celebrates on 1 March in other years.

    days: within how many days from now the anniversary is
    """
    coming = [as_of + dt.timedelta(days=ahead) for ahead in range(min(days, 366) + 1)]
    dates = {100 * day.month + day.day for day in coming}
    if any((day.month, day.day) == (3, 1) and not calendar.isleap(day.year) for day in coming):
        dates.add(229)
    first: pd.Series[pd.Timestamp] = customers.first_order_at
    today = as_of.replace(hour=0, minute=0, second=0, microsecond=0)
    return (100 * first.dt.month + first.dt.day).isin(dates) & (first < today)
