"""What they buy, and what they send back."""

from datetime import datetime

import pandas as pd

from segments.registry import Members, segment


@segment(
    "category-fans",
    owner="data-team",
    needs=("orders", "favourite_category"),
    inside=[{"orders": 3, "favourite_category": "books"}],
    outside=[{"orders": 2, "favourite_category": "books"}, {"orders": 3, "favourite_category": None}],
)
def category_fans(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered three times or more, and we know their favourite category."""
    return (customers.orders >= 3) & customers.favourite_category.notna()


@segment(
    "high-refunders",
    owner="data-team",
    needs=("orders", "refund_rate"),
    inside=[{"orders": 3, "refund_rate": 0.5}],
    outside=[{"orders": 2, "refund_rate": 1.0}, {"orders": 3, "refund_rate": 0.49}],
)
def high_refunders(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Got back half or more of what they paid, over three orders or more: leave them out of offers."""
    return (customers.orders >= 3) & (customers.refund_rate >= 0.5)


@segment(
    "content-customers",
    owner="data-team",
    needs=("orders", "refund_rate", "days_since_last_order"),
    inside=[{"orders": 2, "refund_rate": 0.0, "days_since_last_order": 30}],
    outside=[
        {"orders": 1, "refund_rate": 0.0, "days_since_last_order": 30},
        {"orders": 2, "refund_rate": 0.1, "days_since_last_order": 30},
        {"orders": 2, "refund_rate": 0.0, "days_since_last_order": 91},
    ],
)
def content_customers(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered twice or more, the latest within 90 days, and never had money back: ask them for a review."""
    return (customers.orders >= 2) & (customers.refund_rate == 0) & (customers.days_since_last_order <= 90)
