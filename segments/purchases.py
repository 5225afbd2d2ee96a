"""What they bought, and when: what no column of the customer frame says, as selects over orders and lines.

Products, categories and brands are the shop's own words, so no default could fit: until one is named, nobody is in.
"In the last N days" is half open, as in domain/features.py: an order exactly N days old is not in it.
"""

from datetime import datetime

import sqlalchemy as sa

from segments import instants
from segments.population import Shop
from segments.registry import segment


@segment(
    "bought-product",
    owner="data-team",
    inside=[
        {"with": {"sku": "MUG-1"}, "orders": [{"sku": "MUG-1", "days_ago": 364.9}, {"sku": "CUP"}]},
        {"with": {"sku": "MUG-1"}, "orders": [{"lines": [{"sku": "CUP"}, {"sku": "MUG-1"}]}]},
        {"with": {"sku": "MUG-1", "days": 30}, "orders": [{"sku": "MUG-1", "days_ago": 29.9}]},
    ],
    outside=[
        [{"sku": "MUG-1"}],
        {"with": {"sku": "MUG-1"}, "orders": [{"sku": "MUG-1", "days_ago": 365}, {"sku": "mug-10"}]},
        {"with": {"sku": "MUG-1", "days": 30}, "orders": [{"sku": "MUG-1", "days_ago": 30}]},
    ],
)
def bought_product(shop: Shop, as_of: datetime, *, sku: str = "", days: int = 365) -> sa.Select[tuple[int]]:
    """Bought one product within the last year.

    sku: which product, by its sku as the shop writes it
    days: within how many days
    """
    lines = shop.lines.c
    return sa.select(lines.party_id).where(
        lines.sku == sku, lines.sku != "", lines.placed_at > instants.ago(as_of, days)
    )


@segment(
    "bought-category",
    owner="data-team",
    inside=[
        {"with": {"category": "books"}, "orders": [{"category": "books", "days_ago": 364.9}, {"category": "toys"}]},
        {"with": {"category": "books", "days": 30}, "orders": [{"category": "books", "days_ago": 29.9}]},
        {"with": {"category": "books", "orders": 2}, "orders": [{"category": "books"}, {"category": "books"}]},
    ],
    outside=[
        [{"category": "books"}],
        {"with": {"category": "books"}, "orders": [{"category": "books", "days_ago": 365}, {"category": "toys"}]},
        {"with": {"category": "books", "days": 30}, "orders": [{"category": "books", "days_ago": 30}]},
        {
            "with": {"category": "books", "orders": 2},
            "orders": [{"lines": [{"category": "books", "sku": "a"}, {"category": "books", "sku": "b"}]}],
        },
    ],
)
def bought_category(
    shop: Shop, as_of: datetime, *, category: str = "", days: int = 365, orders: int = 1
) -> sa.Select[tuple[int]]:
    """Bought from one category within the last year.

    category: which category, as the shop writes it
    days: within how many days
    orders: in how many orders, at least
    """
    lines = shop.lines.c
    return (
        sa.select(lines.party_id)
        .where(lines.category == category, lines.placed_at > instants.ago(as_of, days))
        .group_by(lines.party_id)
        .having(sa.func.count(lines.order_id.distinct()) >= orders)
    )


@segment(
    "bought-brand",
    owner="data-team",
    inside=[
        {"with": {"brand": "Acme"}, "orders": [{"brand": "Acme", "days_ago": 364.9}]},
        {"with": {"brand": "Acme", "days": 30}, "orders": [{"brand": "Acme", "days_ago": 29.9}]},
    ],
    outside=[
        [{"brand": "Acme"}],
        {"with": {"brand": "Acme"}, "orders": [{"brand": "Acme", "days_ago": 365}, {"brand": "Zenith"}]},
        {"with": {"brand": "Acme", "days": 30}, "orders": [{"brand": "Acme", "days_ago": 30}]},
    ],
)
def bought_brand(shop: Shop, as_of: datetime, *, brand: str = "", days: int = 365) -> sa.Select[tuple[int]]:
    """Bought one brand within the last year.

    brand: which brand, as the shop writes it
    days: within how many days
    """
    lines = shop.lines.c
    return sa.select(lines.party_id).where(lines.brand == brand, lines.placed_at > instants.ago(as_of, days))


@segment(
    "cross-sell",
    owner="data-team",
    inside=[
        {"with": {"bought": "tea", "missing": "pots"}, "orders": [{"category": "tea"}, {"category": "toys"}]},
        {"with": {"bought": "tea", "missing": "pots"}, "orders": [{"category": "tea", "days_ago": 2000}]},
    ],
    outside=[
        [{"category": "tea"}],
        {"with": {"bought": "tea", "missing": "pots"}, "orders": [{"category": "toys"}]},
        {"with": {"bought": "tea", "missing": "pots"}, "orders": [{"category": "tea"}, {"category": "pots"}]},
        {
            "with": {"bought": "tea", "missing": "pots"},
            "orders": [{"category": "pots", "days_ago": 2000}, {"category": "tea"}],
        },
    ],
)
def cross_sell(shop: Shop, as_of: datetime, *, bought: str = "", missing: str = "") -> sa.Select[tuple[int]]:
    """Bought from one category and never from another that goes with it: offer the other.

    bought: the category that they bought from
    missing: the category that they never bought from
    """
    lines = shop.lines.c
    other = sa.case((lines.category == missing, 1), else_=0)
    return (
        sa.select(lines.party_id)
        .where(lines.category.in_((bought, missing)))
        .group_by(lines.party_id)
        .having(sa.func.max(other) == 0)
    )


@segment(
    "cross-sell-product",
    owner="data-team",
    inside=[{"with": {"bought": "POT", "missing": "LID"}, "orders": [{"sku": "POT"}, {"sku": "CUP"}]}],
    outside=[
        [{"sku": "POT"}],
        {"with": {"bought": "POT", "missing": "LID"}, "orders": [{"sku": "CUP"}]},
        {"with": {"bought": "POT", "missing": "LID"}, "orders": [{"lines": [{"sku": "POT"}, {"sku": "LID"}]}]},
    ],
)
def cross_sell_product(shop: Shop, as_of: datetime, *, bought: str = "", missing: str = "") -> sa.Select[tuple[int]]:
    """Bought one product and never another that goes with it: offer the other.

    bought: the sku that they bought
    missing: the sku that they never bought
    """
    lines = shop.lines.c
    other = sa.case((lines.sku == missing, 1), else_=0)
    return (
        sa.select(lines.party_id)
        .where(lines.sku.in_((bought, missing)), lines.sku != "")
        .group_by(lines.party_id)
        .having(sa.func.max(other) == 0)
    )


@segment(
    "left-a-category",
    owner="data-team",
    inside=[
        {"with": {"category": "tea"}, "orders": [{"category": "tea", "days_ago": 180}, {"category": "toys"}]},
        {
            "with": {"category": "tea", "days": 30},
            "orders": [{"category": "tea", "days_ago": 30}, {"category": None, "days_ago": 29.9}],
        },
    ],
    outside=[
        [{"category": "tea", "days_ago": 400}, {"category": "toys"}],
        {"with": {"category": "tea"}, "orders": [{"category": "tea", "days_ago": 179.9}, {"category": "toys"}]},
        {"with": {"category": "tea"}, "orders": [{"category": "tea", "days_ago": 400}]},
        {"with": {"category": "tea"}, "orders": [{"category": "tea", "days_ago": 400}, {"sku": "x", "days_ago": 180}]},
        {"with": {"category": "tea"}, "orders": [{"category": "toys", "days_ago": 400}, {"category": "toys"}]},
    ],
)
def left_a_category(shop: Shop, as_of: datetime, *, category: str = "", days: int = 180) -> sa.Select[tuple[int]]:
    """Bought from one category, but not within the last 180 days, though they did buy other things since.

    category: which category, as the shop writes it
    days: for how many days nothing of it
    """
    lines = shop.lines.c
    since = instants.ago(as_of, days)
    latest = sa.func.max(sa.case((lines.category == category, lines.placed_at)))
    return (
        sa.select(lines.party_id).group_by(lines.party_id).having(latest <= since, sa.func.max(lines.placed_at) > since)
    )


@segment(
    "began-with-category",
    owner="data-team",
    inside=[
        {"with": {"category": "tea"}, "orders": [{"category": "tea", "days_ago": 90}, {"category": "toys"}]},
        {"with": {"category": "tea"}, "orders": [{"lines": [{"category": "toys", "sku": "a"}, {"category": "tea"}]}]},
    ],
    outside=[
        [{"category": "tea"}],
        {"with": {"category": "tea"}, "orders": [{"category": "toys", "days_ago": 90}, {"category": "tea"}]},
    ],
)
def began_with_category(shop: Shop, as_of: datetime, *, category: str = "") -> sa.Select[tuple[int]]:
    """Bought from one category in their very first order, whatever came later.

    category: which category, as the shop writes it
    """
    lines, customers = shop.lines.c, shop.customers.c
    first = (customers.party_id == lines.party_id) & (customers.first_order_at == lines.placed_at)
    return sa.select(lines.party_id).join_from(shop.lines, shop.customers, first).where(lines.category == category)


@segment(
    "variety-buyers",
    owner="data-team",
    inside=[
        [{"category": "tea"}, {"category": "toys"}, {"category": "books"}],
        {"with": {"categories": 2}, "orders": [{"lines": [{"category": "tea"}, {"category": "toys"}]}]},
    ],
    outside=[
        [{"category": "tea"}, {"category": "toys"}, {"category": "toys"}, {"category": None}],
        {"with": {"categories": 2}, "orders": [{"category": "tea"}, {"category": "tea"}]},
    ],
)
def variety_buyers(shop: Shop, as_of: datetime, *, categories: int = 3) -> sa.Select[tuple[int]]:
    """Bought from three categories or more: they know the shop.

    categories: from how many, at least
    """
    lines = shop.lines.c
    return (
        sa.select(lines.party_id)
        .group_by(lines.party_id)
        .having(sa.func.count(lines.category.distinct()) >= categories)
    )


@segment(
    "buy-the-same-again",
    owner="data-team",
    inside=[
        [{"sku": "TEA"}, {"sku": "TEA", "days_ago": 30}, {"sku": "TEA", "days_ago": 60}],
        {"with": {"times": 2}, "orders": [{"sku": "TEA"}, {"sku": "TEA", "days_ago": 30}]},
    ],
    outside=[
        [{"sku": "TEA", "quantity": 3}, {"sku": "TEA", "days_ago": 30}],
        [{"sku": "TEA"}, {"sku": "MATE", "days_ago": 30}, {"sku": "POT", "days_ago": 60}],
    ],
)
def buy_the_same_again(shop: Shop, as_of: datetime, *, times: int = 3) -> sa.Select[tuple[int]]:
    """Bought the same product in three orders or more, whichever product: offer them a subscription.

    times: in how many orders, at least
    """
    lines = shop.lines.c
    return (
        sa.select(lines.party_id)
        .where(lines.sku != "")
        .group_by(lines.party_id, lines.sku)
        .having(sa.func.count(lines.order_id.distinct()) >= times)
    )
