"""How much they spend, in the currency of the account. Against the shop's other customers, or an amount of your own."""

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
    "vip-this-year",
    owner="data-team",
    needs=("orders_365d", "revenue_365d"),
    inside=[{"orders_365d": 2, "revenue_365d": 900.0}],
    outside=[
        {"orders_365d": 1, "revenue_365d": 950.0},
        {"orders_365d": 9, "revenue_365d": 100.0},
        {"orders_365d": 3, "revenue_365d": 20.0},
        {"orders_365d": 0, "revenue_365d": 0.0},
    ],
)
def vip_this_year(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Among the top tenth by money spent in the last 365 days of those who ordered then, over two orders or more.

    Whoever spent as much as the last one in the top tenth is in it too.
    """
    spent = customers.revenue_365d[customers.orders_365d >= 1]
    return (customers.orders_365d >= 2) & (customers.revenue_365d >= spent.quantile(0.9, interpolation="lower"))


@segment(
    "lapsed-vip",
    owner="data-team",
    needs=("net_revenue", "days_since_last_order"),
    inside=[
        {"net_revenue": 500.01, "days_since_last_order": 91},
        {"net_revenue": 50.01, "days_since_last_order": 31, "with": {"amount": 50, "days": 30}},
    ],
    outside=[
        {"net_revenue": 500.0, "days_since_last_order": 91},
        {"net_revenue": 800.0, "days_since_last_order": 90},
        {"net_revenue": 50.0, "days_since_last_order": 31, "with": {"amount": 50, "days": 30}},
    ],
)
def lapsed_vip(customers: pd.DataFrame, as_of: datetime, *, amount: float = 500, days: int = 90) -> Members:
    """Spent over 500 in their life and ordered nothing for 90 days.

    For "top tenth" instead of an amount, and their own rhythm instead of days, see `win-back-vip`.

    amount: how much they spent in their life, more than, in the account's currency
    days: for how many days they ordered nothing, more than
    """
    return (customers.net_revenue > amount) & (customers.days_since_last_order > days)


@segment(
    "spent-at-least",
    owner="data-team",
    needs=("net_revenue",),
    inside=[{"net_revenue": 200.0}, {"net_revenue": 20.0, "with": {"amount": 20}}],
    outside=[{"net_revenue": 199.99}, {"net_revenue": 19.99, "with": {"amount": 20}}],
)
def spent_at_least(customers: pd.DataFrame, as_of: datetime, *, amount: float = 200) -> Members:
    """Spent 200 or more in their life, less what they got back.

    amount: how much, in the account's currency
    """
    return customers.net_revenue >= amount


@segment(
    "big-spenders",
    owner="data-team",
    needs=("average_order_value",),
    inside=[{"average_order_value": 100.0}, {"average_order_value": 40.0, "with": {"amount": 40}}],
    outside=[{"average_order_value": 99.99}, {"average_order_value": 39.99, "with": {"amount": 40}}],
)
def big_spenders(customers: pd.DataFrame, as_of: datetime, *, amount: float = 100) -> Members:
    """Spends 100 or more on an average order.

    amount: the average order's value, at least, in the account's currency
    """
    return customers.average_order_value >= amount


@segment(
    "order-value-between",
    owner="data-team",
    needs=("average_order_value",),
    inside=[
        {"average_order_value": 25.0},
        {"average_order_value": 49.99},
        {"average_order_value": 80.0, "with": {"least": 50, "below": 100}},
    ],
    outside=[
        {"average_order_value": 24.99},
        {"average_order_value": 50.0},
        {"average_order_value": 100.0, "with": {"least": 50, "below": 100}},
    ],
)
def order_value_between(customers: pd.DataFrame, as_of: datetime, *, least: float = 25, below: float = 50) -> Members:
    """Spends 25 to 50 on an average order: a band below the next step, such as free shipping.

    least: the average order's value, at least, in the account's currency
    below: the average order's value, less than
    """
    return (customers.average_order_value >= least) & (customers.average_order_value < below)


@segment(
    "high-order-value",
    owner="data-team",
    needs=("average_order_value",),
    inside=[{"average_order_value": 80.0}],
    outside=[{"average_order_value": value} for value in (70.0, 40.0, 30.0, 0.0)],
)
def high_order_value(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Among the top fifth of the shop's customers by average order value: show them the best there is.

    Whoever spends as much as the last one in the top fifth is in it too. It holds in any currency.
    """
    return customers.average_order_value >= customers.average_order_value.quantile(0.8, interpolation="higher")


@segment(
    "low-order-value",
    owner="data-team",
    needs=("average_order_value",),
    inside=[{"average_order_value": 0.0}],
    outside=[{"average_order_value": value} for value in (30.0, 40.0, 70.0, 80.0)],
)
def low_order_value(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Among the bottom fifth of the shop's customers by average order value: bundles and free shipping lift it.

    Whoever spends as much as the last one in the bottom fifth is in it too. It holds in any currency.
    """
    return customers.average_order_value <= customers.average_order_value.quantile(0.2, interpolation="lower")


@segment(
    "few-large-orders",
    owner="data-team",
    needs=("orders", "net_revenue"),
    inside=[
        {"orders": 1, "net_revenue": 300.0},
        {"orders": 2, "net_revenue": 450.0},
        {"orders": 2, "net_revenue": 60.0, "with": {"amount": 60}},
    ],
    outside=[
        {"orders": 3, "net_revenue": 900.0},
        {"orders": 2, "net_revenue": 299.99},
        {"orders": 2, "net_revenue": 59.99, "with": {"amount": 60}},
    ],
)
def few_large_orders(customers: pd.DataFrame, as_of: datetime, *, amount: float = 300) -> Members:
    """Spent 300 or more in only one or two orders: rare guests who are worth a personal word.

    amount: how much they spent, at least, in the account's currency
    """
    return (customers.orders <= 2) & (customers.net_revenue >= amount)


@segment(
    "big-first-order",
    owner="data-team",
    needs=("orders", "average_order_value", "days_since_first_order"),
    inside=[{"orders": 1, "average_order_value": 300.0, "days_since_first_order": 60}],
    outside=[
        {"orders": 1, "average_order_value": 300.0, "days_since_first_order": 61},
        {"orders": 2, "average_order_value": 300.0, "days_since_first_order": 9},
        *[{"orders": 1, "average_order_value": 20.0, "days_since_first_order": 9}] * 12,
    ],
)
def big_first_order(customers: pd.DataFrame, as_of: datetime, *, days: int = 60) -> Members:
    """Ordered once, within the last 60 days, for as much as the top tenth of customers spends on average: win them.

    Whoever spent as much as the last one in the top tenth is in it too.

    days: within how many days they ordered
    """
    large = customers.average_order_value.quantile(0.9, interpolation="higher")
    recent = customers.days_since_first_order <= days
    return (customers.orders == 1) & recent & (customers.average_order_value >= large)


@segment(
    "rising-spend",
    owner="data-team",
    needs=("revenue_90d", "revenue_180d"),
    inside=[{"revenue_90d": 150.0, "revenue_180d": 250.0}],
    outside=[
        {"revenue_90d": 149.99, "revenue_180d": 249.99},
        {"revenue_90d": 150.0, "revenue_180d": 150.0},
        {"revenue_90d": 0.0, "revenue_180d": 100.0},
    ],
)
def rising_spend(customers: pd.DataFrame, as_of: datetime, *, times: float = 1.5) -> Members:
    """Spent in the last 90 days half as much again as in the 90 days before, or more.

    Compare in the same season: Christmas makes everyone rise (facts/segments.md section 5).

    times: how many times the money of the 90 days before, at least
    """
    before = customers.revenue_180d - customers.revenue_90d
    return (before > 0) & (customers.revenue_90d >= times * before)


@segment(
    "falling-spend",
    owner="data-team",
    needs=("revenue_90d", "revenue_180d"),
    inside=[{"revenue_90d": 50.0, "revenue_180d": 150.0}, {"revenue_90d": 0.01, "revenue_180d": 100.0}],
    outside=[
        {"revenue_90d": 50.01, "revenue_180d": 150.01},
        {"revenue_90d": 0.0, "revenue_180d": 100.0},
        {"revenue_90d": 100.0, "revenue_180d": 100.0},
    ],
)
def falling_spend(customers: pd.DataFrame, as_of: datetime, *, times: float = 0.5) -> Members:
    """Spent in the last 90 days half or less of what they spent in the 90 days before, but are still buying.

    times: how many times the money of the 90 days before, at most
    """
    before = customers.revenue_180d - customers.revenue_90d
    return (customers.revenue_90d > 0) & (customers.revenue_90d <= times * before)
