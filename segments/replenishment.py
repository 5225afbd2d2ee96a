"""Who has used up what they bought: each against their own gap in one category."""

from datetime import datetime

import sqlalchemy as sa

from segments import instants
from segments.population import Shop
from segments.registry import segment


@segment(
    "replenishment-due",
    owner="data-team",
    inside=[
        # The customers of these examples buy every 30 days, so that is the category's gap as well.
        {"with": {"category": "coffee"}, "orders": [{"category": "coffee", "days_ago": ago} for ago in (30, 60, 90)]},
        {"with": {"category": "coffee"}, "orders": [{"category": "coffee", "days_ago": ago} for ago in (23, 53)]},
        {"with": {"category": "coffee"}, "orders": [{"category": "coffee", "days_ago": ago} for ago in (44, 74)]},
        {"with": {"category": "coffee"}, "orders": [{"category": "coffee", "days_ago": 30}]},
    ],
    outside=[
        [{"category": "coffee", "days_ago": ago} for ago in (30, 60, 90)],
        {"with": {"category": "coffee"}, "orders": [{"category": "coffee", "days_ago": ago} for ago in (22, 52)]},
        {"with": {"category": "coffee"}, "orders": [{"category": "coffee", "days_ago": ago} for ago in (46, 76)]},
        {"with": {"category": "coffee"}, "orders": [{"category": "toys", "days_ago": ago} for ago in (30, 60)]},
    ],
)
def replenishment_due(
    shop: Shop, as_of: datetime, *, category: str = "", early: float = 0.75, late: float = 1.5
) -> sa.Select[tuple[int]]:
    """Bought from one category, and by now will have used it up: about their usual gap has passed since.

    Their usual gap: the mean of their own gaps between orders of that category, drawn to its median over all customers
    by the weight of five gaps, for with one or two gaps the personal mean is worse than the category's median
    (facts/segments.md section 5). Who bought once has the median alone; where nobody bought twice, nobody is due.

    category: which category, as the shop writes it
    early: from how many usual gaps after the latest order
    late: until how many usual gaps after the latest order
    """
    lines = shop.lines.c
    trips = (
        sa.select(
            lines.party_id,
            sa.func.count(lines.order_id.distinct()).label("orders"),
            sa.func.min(lines.placed_at).label("first"),
            sa.func.max(lines.placed_at).label("latest"),
        )
        .where(lines.category == category)
        .group_by(lines.party_id)
        .cte("trips")
    )
    gap = instants.days(trips.c.first, trips.c.latest) / (trips.c.orders - 1)
    ranked = (
        sa.select(
            gap.label("gap"),
            sa.func.row_number().over(order_by=gap).label("place"),
            sa.func.count().over().label("many"),
        )
        .where(trips.c.orders >= 2)
        .subquery("ranked")
    )
    median = sa.select(sa.func.min(ranked.c.gap)).where(2 * ranked.c.place >= ranked.c.many).scalar_subquery()
    # The sum of the gaps is the time from the first to the latest order; there is one gap less than orders.
    usual = (instants.days(trips.c.first, trips.c.latest) + 5 * median) / (trips.c.orders + 4)
    since = instants.days(trips.c.latest, as_of)
    return sa.select(trips.c.party_id).where(since >= early * usual, since <= late * usual)
