"""What they like, at which price, and what they send back."""

from datetime import datetime

import pandas as pd

from segments.registry import Members, segment


@segment(
    "category-fans",
    owner="data-team",
    needs=("orders", "favourite_category", "favourite_category_share"),
    inside=[
        {"orders": 3, "favourite_category": "books", "favourite_category_share": 0.5},
        {"orders": 3, "favourite_category": "toys", "favourite_category_share": 0.5, "with": {"category": "toys"}},
        {"orders": 3, "favourite_category": "toys", "favourite_category_share": 0.3, "with": {"share": 0.3}},
    ],
    outside=[
        {"orders": 2, "favourite_category": "books", "favourite_category_share": 1.0},
        {"orders": 3, "favourite_category": "books", "favourite_category_share": 0.49},
        {"orders": 3, "favourite_category": None, "favourite_category_share": None},
        {"orders": 3, "favourite_category": "books", "favourite_category_share": 1.0, "with": {"category": "toys"}},
    ],
)
def category_fans(customers: pd.DataFrame, as_of: datetime, *, category: str = "", share: float = 0.5) -> Members:
    """Ordered three times or more, and at least half of what they bought is of one category.

    category: which category, as the shop writes it; empty for whichever is their favourite
    share: the category's share of the units they bought, at least
    """
    fans = (customers.orders >= 3) & (customers.favourite_category_share >= share)
    return fans & (customers.favourite_category == category) if category else fans


@segment(
    "brand-fans",
    owner="data-team",
    needs=("orders", "favourite_brand", "favourite_brand_share"),
    inside=[
        {"orders": 3, "favourite_brand": "Acme", "favourite_brand_share": 0.5},
        {"orders": 3, "favourite_brand": "Zenith", "favourite_brand_share": 0.5, "with": {"brand": "Zenith"}},
        {"orders": 3, "favourite_brand": "Zenith", "favourite_brand_share": 0.3, "with": {"share": 0.3}},
    ],
    outside=[
        {"orders": 2, "favourite_brand": "Acme", "favourite_brand_share": 1.0},
        {"orders": 3, "favourite_brand": "Acme", "favourite_brand_share": 0.49},
        {"orders": 3, "favourite_brand": None, "favourite_brand_share": None},
        {"orders": 3, "favourite_brand": "Acme", "favourite_brand_share": 1.0, "with": {"brand": "Zenith"}},
    ],
)
def brand_fans(customers: pd.DataFrame, as_of: datetime, *, brand: str = "", share: float = 0.5) -> Members:
    """Ordered three times or more, and at least half of what they bought is of one brand.

    brand: which brand, as the shop writes it; empty for whichever is their favourite
    share: the brand's share of the units they bought, at least
    """
    fans = (customers.orders >= 3) & (customers.favourite_brand_share >= share)
    return fans & (customers.favourite_brand == brand) if brand else fans


@segment(
    "discount-seekers",
    owner="data-team",
    needs=("orders", "discounted_share"),
    inside=[{"orders": 2, "discounted_share": 0.75}, {"orders": 2, "discounted_share": 0.5, "with": {"share": 0.5}}],
    outside=[
        {"orders": 1, "discounted_share": 1.0},
        {"orders": 4, "discounted_share": 0.74},
        {"orders": 2, "discounted_share": 0.49, "with": {"share": 0.5}},
    ],
)
def discount_seekers(customers: pd.DataFrame, as_of: datetime, *, share: float = 0.75) -> Members:
    """Ordered twice or more, three quarters of the orders with a discount or a coupon: sales bring them.

    share: the share of their orders with a discount or a coupon, at least
    """
    return (customers.orders >= 2) & (customers.discounted_share >= share)


@segment(
    "discount-only-buyers",
    owner="data-team",
    needs=("orders", "discounted_share"),
    inside=[{"orders": 2, "discounted_share": 1.0}],
    outside=[{"orders": 1, "discounted_share": 1.0}, {"orders": 10, "discounted_share": 0.9}],
)
def discount_only_buyers(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered twice or more, and never without a discount or a coupon."""
    return (customers.orders >= 2) & (customers.discounted_share == 1)


@segment(
    "full-price-buyers",
    owner="data-team",
    needs=("orders", "discounted_share"),
    inside=[{"orders": 2, "discounted_share": 0.0}],
    outside=[{"orders": 1, "discounted_share": 0.0}, {"orders": 20, "discounted_share": 0.05}],
)
def full_price_buyers(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered twice or more, and never with a discount or a coupon: do not give away what they pay."""
    return (customers.orders >= 2) & (customers.discounted_share == 0)


@segment(
    "coupon-users",
    owner="data-team",
    needs=("coupon_orders",),
    inside=[{"coupon_orders": 1}, {"coupon_orders": 3, "with": {"orders": 3}}],
    outside=[{"coupon_orders": 0}, {"coupon_orders": 2, "with": {"orders": 3}}],
)
def coupon_users(customers: pd.DataFrame, as_of: datetime, *, orders: int = 1) -> Members:
    """Used a coupon at least once, whichever.

    orders: in how many orders, at least
    """
    return customers.coupon_orders >= orders


@segment(
    "high-refunders",
    owner="data-team",
    needs=("orders", "refund_rate"),
    inside=[{"orders": 3, "refund_rate": 0.5}, {"orders": 3, "refund_rate": 0.3, "with": {"share": 0.3}}],
    outside=[
        {"orders": 2, "refund_rate": 1.0},
        {"orders": 3, "refund_rate": 0.49},
        {"orders": 3, "refund_rate": 0.29, "with": {"share": 0.3}},
    ],
)
def high_refunders(customers: pd.DataFrame, as_of: datetime, *, share: float = 0.5) -> Members:
    """Got back half or more of what they paid, over three orders or more: leave them out of offers.

    share: the share of what they paid that they got back, at least
    """
    return (customers.orders >= 3) & (customers.refund_rate >= share)


@segment(
    "frequent-cancellers",
    owner="data-team",
    needs=("orders", "cancellation_rate"),
    inside=[
        {"orders": 2, "cancellation_rate": 0.5},
        {"orders": 1, "cancellation_rate": 0.75},
        {"orders": 7, "cancellation_rate": 0.3, "with": {"share": 0.3}},
    ],
    outside=[
        {"orders": 1, "cancellation_rate": 0.5},
        {"orders": 4, "cancellation_rate": 0.4999},
        {"orders": 5, "cancellation_rate": 0.375},
        {"orders": 9, "cancellation_rate": 0.0},
    ],
)
def frequent_cancellers(customers: pd.DataFrame, as_of: datetime, *, share: float = 0.5) -> Members:
    """Cancelled half or more of their orders, and three orders or more in all, cancelled ones included.

    share: the share of their orders that was cancelled, at least
    """
    placed = (customers.orders / (1 - customers.cancellation_rate)).round()
    return (placed >= 3) & (customers.cancellation_rate >= share)


@segment(
    "content-customers",
    owner="data-team",
    needs=("orders", "refund_rate", "days_since_last_order"),
    inside=[
        {"orders": 2, "refund_rate": 0.0, "days_since_last_order": 0},
        {"orders": 2, "refund_rate": 0.0, "days_since_last_order": 90},
    ],
    outside=[
        {"orders": 1, "refund_rate": 0.0, "days_since_last_order": 30},
        {"orders": 2, "refund_rate": 0.1, "days_since_last_order": 30},
        {"orders": 2, "refund_rate": 0.0, "days_since_last_order": 91},
    ],
)
def content_customers(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Ordered twice or more, the latest within 90 days, and never had money back: ask them for a review."""
    return (customers.orders >= 2) & (customers.refund_rate == 0) & (customers.days_since_last_order <= 90)
