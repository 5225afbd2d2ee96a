"""Each against their own rhythm: nobody is late after a fixed number of days, but after their usual days between orders.

`overdue` is the days since the last order divided by the customer's usual days between orders: their mean gap, drawn to
the shop's median gap by the weight of five gaps, for with one or two gaps a personal mean says less than a constant
(facts/segments.md section 5). So it also says something about who ordered once.
"""

from datetime import datetime

import pandas as pd

from segments.registry import Members, segment


@segment(
    "due-for-an-order",
    owner="data-team",
    needs=("orders", "overdue"),
    inside=[{"orders": 2, "overdue": 0.75}, {"orders": 2, "overdue": 1.25}],
    outside=[
        {"orders": 2, "overdue": 0.74},
        {"orders": 2, "overdue": 1.26},
        {"orders": 1, "overdue": 1.0},
        {"orders": 2, "overdue": None},
    ],
)
def due_for_an_order(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered twice or more, and usually order again about now: within a quarter of their usual days between orders.

    A window and not a date: a date from the mean gap is worse than a constant (facts/segments.md section 5).
    """
    return (customers.orders >= 2) & customers.overdue.between(0.75, 1.25)


@segment(
    "off-rhythm",
    owner="data-team",
    needs=("orders", "days_since_last_order", "overdue"),
    inside=[
        {"orders": 2, "days_since_last_order": 31, "overdue": 2.01},
        {"orders": 2, "days_since_last_order": 31, "overdue": 1.6, "with": {"times": 1.5}},
    ],
    outside=[
        {"orders": 2, "days_since_last_order": 60, "overdue": 2.0},
        {"orders": 1, "days_since_last_order": 300, "overdue": 9.0},
        {"orders": 2, "days_since_last_order": 30, "overdue": 10.0},
        {"orders": 2, "days_since_last_order": 300, "overdue": None},
        {"orders": 2, "days_since_last_order": 31, "overdue": 1.5, "with": {"times": 1.5}},
    ],
)
def off_rhythm(customers: pd.DataFrame, as_of: datetime, *, times: float = 2.0) -> Members:
    """Silent for more than twice as long as usual for them, and for over 30 days: they begin to slip away.

    times: how many times their usual days between orders they have been silent, more than
    """
    return (customers.orders >= 2) & (customers.overdue > times) & (customers.days_since_last_order > 30)


@segment(
    "lapsed-by-rhythm",
    owner="data-team",
    needs=("orders", "overdue"),
    inside=[{"orders": 2, "overdue": 3.01}, {"orders": 2, "overdue": 4.01, "with": {"times": 4.0}}],
    outside=[
        {"orders": 2, "overdue": 3.0},
        {"orders": 1, "overdue": 9.0},
        {"orders": 2, "overdue": None},
        {"orders": 2, "overdue": 4.0, "with": {"times": 4.0}},
    ],
)
def lapsed_by_rhythm(customers: pd.DataFrame, as_of: datetime, *, times: float = 3.0) -> Members:
    """Ordered twice or more, and silent for more than three times as long as usual for them: they count as gone.

    times: how many times their usual days between orders they have been silent, more than
    """
    return (customers.orders >= 2) & (customers.overdue > times)


@segment(
    "never-came-back",
    owner="data-team",
    needs=("orders", "overdue"),
    inside=[{"orders": 1, "overdue": 2.01}],
    outside=[{"orders": 1, "overdue": 2.0}, {"orders": 2, "overdue": 5.0}, {"orders": 1, "overdue": None}],
)
def never_came_back(customers: pd.DataFrame, as_of: datetime, *, times: float = 2.0) -> Members:
    """Ordered once, and twice the time has passed after which others in this shop come back.

    times: how many times the shop's usual days between orders have passed, more than
    """
    return (customers.orders == 1) & (customers.overdue > times)


@segment(
    "long-lost",
    owner="data-team",
    needs=("orders", "days_since_last_order", "overdue"),
    inside=[{"orders": 2, "days_since_last_order": 366, "overdue": 6.01}],
    outside=[
        {"orders": 2, "days_since_last_order": 366, "overdue": 6.0},
        {"orders": 2, "days_since_last_order": 365, "overdue": 9.0},
        {"orders": 1, "days_since_last_order": 800, "overdue": 9.0},
        {"orders": 2, "days_since_last_order": 800, "overdue": None},
    ],
)
def long_lost(customers: pd.DataFrame, as_of: datetime, *, times: float = 6.0) -> Members:
    """Silent for more than six times as long as usual for them, and for over a year: mail costs more than it brings.

    times: how many times their usual days between orders they have been silent, more than
    """
    return (customers.orders >= 2) & (customers.overdue > times) & (customers.days_since_last_order > 365)


@segment(
    "like-clockwork",
    owner="data-team",
    needs=("orders", "mean_days_between_orders", "spread_days_between_orders", "overdue"),
    inside=[
        {"orders": 4, "mean_days_between_orders": 30.0, "spread_days_between_orders": 7.5, "overdue": 2.0},
        {"orders": 9, "mean_days_between_orders": 30.0, "spread_days_between_orders": 0.0, "overdue": 0.1},
    ],
    outside=[
        {"orders": 3, "mean_days_between_orders": 30.0, "spread_days_between_orders": 1.0, "overdue": 0.5},
        {"orders": 4, "mean_days_between_orders": 30.0, "spread_days_between_orders": 7.6, "overdue": 0.5},
        {"orders": 4, "mean_days_between_orders": 30.0, "spread_days_between_orders": 1.0, "overdue": 2.1},
        {"orders": 4, "mean_days_between_orders": 0.0, "spread_days_between_orders": 0.0, "overdue": 1.0},
        {"orders": 1, "mean_days_between_orders": None, "spread_days_between_orders": None, "overdue": 0.5},
    ],
)
def like_clockwork(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered four times or more, the gaps within a quarter of their mean, and still do: offer them a subscription.

    Within a quarter: the standard deviation of their gaps is at most a quarter of the mean gap.
    """
    steady = customers.spread_days_between_orders <= 0.25 * customers.mean_days_between_orders
    return (customers.orders >= 4) & (customers.mean_days_between_orders > 0) & steady & (customers.overdue <= 2)


@segment(
    "slowing-down",
    owner="data-team",
    needs=("orders", "last_gap_days", "mean_days_between_orders", "overdue"),
    inside=[{"orders": 4, "last_gap_days": 45.0, "mean_days_between_orders": 30.0, "overdue": 2.0}],
    outside=[
        {"orders": 3, "last_gap_days": 45.0, "mean_days_between_orders": 30.0, "overdue": 1.0},
        {"orders": 4, "last_gap_days": 44.9, "mean_days_between_orders": 30.0, "overdue": 1.0},
        {"orders": 4, "last_gap_days": 45.0, "mean_days_between_orders": 30.0, "overdue": 2.01},
        {"orders": 4, "last_gap_days": 0.0, "mean_days_between_orders": 0.0, "overdue": 1.0},
        {"orders": 1, "last_gap_days": None, "mean_days_between_orders": None, "overdue": 1.0},
    ],
)
def slowing_down(customers: pd.DataFrame, as_of: datetime, *, times: float = 1.5) -> Members:
    """Ordered four times or more, the latest gap half as long again as their mean, and are not silent yet: ask why.

    times: how many times their mean gap the latest gap was, at least
    """
    slower = customers.last_gap_days >= times * customers.mean_days_between_orders
    return (customers.orders >= 4) & (customers.last_gap_days > 0) & slower & (customers.overdue <= 2)
