"""When they bought: in a window of days, in a season, with a coupon, for much at once. Selects over orders."""

import datetime as dt
import decimal
from datetime import datetime

import sqlalchemy as sa

from segments import instants
from segments.population import Shop
from segments.registry import segment


@segment(
    "bought-in-window",
    owner="data-team",
    inside=[
        [{"days_ago": 59.9}],
        [{"days_ago": 30}, {"days_ago": 1}],
        {"with": {"oldest": 10, "newest": 0}, "orders": [{"days_ago": 0}]},
    ],
    outside=[
        [{"days_ago": 60}],
        [{"days_ago": 29.9}],
        [{"days_ago": 90}, {"days_ago": 1}],
        {"with": {"oldest": 10, "newest": 0}, "orders": [{"days_ago": 10}]},
    ],
)
def bought_in_window(shop: Shop, as_of: datetime, *, oldest: int = 60, newest: int = 30) -> sa.Select[tuple[int]]:
    """Ordered between 60 and 30 days ago, whatever they did before and since.

    oldest: the window begins so many days ago
    newest: the window ends so many days ago
    """
    orders = shop.orders.c
    begin, end = instants.ago(as_of, oldest), instants.ago(as_of, newest)
    return sa.select(orders.party_id).where(orders.placed_at > begin, orders.placed_at <= end)


@segment(
    "seasonal-buyers",
    owner="data-team",
    inside=[
        [{"days_ago": 364.9}],
        [{"days_ago": 335}],
        [{"days_ago": 720}],
        {"with": {"days": 7}, "orders": [{"days_ago": 358}]},
    ],
    outside=[
        [{"days_ago": 365}],
        [{"days_ago": 334.9}],
        [{"days_ago": 10}],
        [{"days_ago": 350}, {"days_ago": 29.9}],
        {"with": {"days": 7}, "orders": [{"days_ago": 357.9}]},
    ],
)
def seasonal_buyers(shop: Shop, as_of: datetime, *, days: int = 30) -> sa.Select[tuple[int]]:
    """Ordered in the 30 days after this date, a year ago or two, and not in the last 30: their season begins.

    days: how long the season is
    """
    orders = shop.orders.c
    placed = orders.placed_at
    begins = [instants.ago(as_of, 365), instants.ago(as_of, 730)]
    season = sa.or_(*((placed > begin) & (placed <= instants.ago(begin, -days)) for begin in begins))
    return (
        sa.select(orders.party_id)
        .group_by(orders.party_id)
        .having(
            sa.func.max(sa.case((season, 1), else_=0)) == 1,
            sa.func.max(placed) <= instants.ago(as_of, days),
        )
    )


@segment(
    "holiday-buyers",
    owner="data-team",
    inside=[
        # The instant of the examples is 15 June 2026, noon.
        [{"days_ago": 166}],
        [{"days_ago": 226}],
        [{"days_ago": 591}],
        {"with": {"first_month": 5, "last_month": 5, "years": 0}, "orders": [{"days_ago": 15}]},
        {"with": {"first_month": 12, "last_month": 1}, "orders": [{"days_ago": 135}]},
    ],
    outside=[
        [{"days_ago": 165}],
        [{"days_ago": 227}],
        [{"days_ago": 592}],
        [{"days_ago": 900}],
        {"with": {"first_month": 5, "last_month": 5, "years": 0}, "orders": [{"days_ago": 14}]},
        {"with": {"first_month": 12, "last_month": 1}, "orders": [{"days_ago": 134}]},
    ],
)
def holiday_buyers(
    shop: Shop, as_of: datetime, *, first_month: int = 11, last_month: int = 12, years: int = 2
) -> sa.Select[tuple[int]]:
    """Ordered in November or December of this year or the two before: the ones who buy presents.

    Months of UTC. A season may reach into the next year: 12 and 1 are December and January.

    first_month: the season's first month, 1 to 12
    last_month: the season's last month, 1 to 12
    years: how many years back, besides this one
    """
    orders = shop.orders.c
    midnight = as_of.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    seasons = []
    for year in range(as_of.year, as_of.year - years - 1, -1):
        begin = midnight.replace(year=year, month=first_month)
        last = midnight.replace(year=year + (last_month < first_month), month=last_month)
        end = (last + dt.timedelta(days=31)).replace(day=1)
        seasons.append((orders.placed_at >= begin) & (orders.placed_at < end))
    return sa.select(orders.party_id).where(sa.or_(sa.false(), *seasons))


@segment(
    "used-coupon",
    owner="data-team",
    inside=[
        {"with": {"code": "spring10"}, "orders": [{"coupon": "SPRING10", "days_ago": 364.9}, {}]},
        {"with": {"code": "SPRING10", "days": 30}, "orders": [{"coupon": "spring10", "days_ago": 29.9}]},
        {"with": {"code": "spring10"}, "orders": [{"coupon": "VIP,SPRING10"}]},
    ],
    outside=[
        [{"coupon": "SPRING10"}],
        {"with": {"code": "spring10"}, "orders": [{"coupon": "SPRING10", "days_ago": 365}, {"coupon": "OTHER"}]},
        {"with": {"code": "spring10"}, "orders": [{"coupon": "SPRING100"}, {"coupon": None}]},
        {"with": {"code": "spring_0"}, "orders": [{"coupon": "SPRING10"}]},
        {"with": {"code": "%"}, "orders": [{"coupon": "SPRING10"}]},
    ],
)
def used_coupon(shop: Shop, as_of: datetime, *, code: str = "", days: int = 365) -> sa.Select[tuple[int]]:
    """Used one coupon within the last year; small and capital letters are the same.

    code: which coupon; nobody is in until one is named
    days: within how many days
    """
    orders = shop.orders.c
    used = sa.func.lower("," + orders.coupons + ",").contains(f",{code.strip().lower()},", autoescape=True)
    return sa.select(orders.party_id).where(
        used, orders.coupons != "", sa.literal(code.strip()) != "", orders.placed_at > instants.ago(as_of, days)
    )


@segment(
    "placed-a-large-order",
    owner="data-team",
    inside=[
        [{"total": 200.0, "days_ago": 364.9}, {"total": 5.0}],
        [{"total": 250.0, "refunded": 50.0}],
        {"with": {"amount": 50, "days": 30}, "orders": [{"total": 50.0, "days_ago": 29.9}]},
    ],
    outside=[
        [{"total": 199.99}, {"total": 199.99}],
        [{"total": 200.0, "days_ago": 365}],
        [{"total": 250.0, "refunded": 50.01}],
        {"with": {"amount": 50, "days": 30}, "orders": [{"total": 50.0, "days_ago": 30}]},
    ],
)
def placed_a_large_order(shop: Shop, as_of: datetime, *, amount: float = 200, days: int = 365) -> sa.Select[tuple[int]]:
    """Placed a single order of 200 or more within the last year, less what they got back of it.

    Orders whose money is known only in another currency are not looked at.

    amount: the order's value, at least, in the account's currency
    days: within how many days
    """
    orders = shop.orders.c
    least = decimal.Decimal(f"{amount:.4f}")
    return sa.select(orders.party_id).where(orders.net >= least, orders.placed_at > instants.ago(as_of, days))
