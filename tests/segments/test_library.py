"""The library against predicates over plain order histories: what its sentences say, said again and without its code."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from data.features.population import Customers
from segments import registry
from segments.definition import FrameSegment, Segment
from tests.conftest import NOW
from tests.segments.library_shop import DAY, Customer, fill

Says = Callable[[Customer], bool]


def at(share: float, values: Iterable[float]) -> float:
    """The value at this share of all, from below."""
    found = sorted(values)
    return found[math.floor(share * (len(found) - 1))]


def above(share: float, values: Iterable[float]) -> float:
    """The value at this share of all, from above."""
    found = sorted(values)
    return found[math.ceil(share * (len(found) - 1))]


def average(one: Customer) -> int:
    """Net revenue an order, in ten-thousandths, rounded half up."""
    count = len(one.orders)
    return (200 * one.net + count) // (2 * count)


def middle(values: Iterable[float]) -> float:
    """The value that half of all do not exceed."""
    found = sorted(values)
    return found[math.ceil(len(found) / 2) - 1]


def drawn(gaps: int, own: float, median: float) -> float:
    """An own mean drawn to a median by the weight of five gaps."""
    return (gaps * own + 5 * median) / (gaps + 5)


def share_of_favourite(one: Customer, kind: str) -> tuple[str | None, float]:
    units: Counter[str] = Counter()
    for order in one.orders:
        for line in order.lines:
            if getattr(line, kind):
                units[getattr(line, kind)] += line.quantity
    best = min(units, key=lambda name: (-units[name], name), default=None)
    return best, units[best] / units.total() if best else 0.0


def discounts(one: Customer) -> float:
    return sum(bool(order.discount or order.coupons) for order in one.orders) / len(one.orders)


def refunds(one: Customer) -> float:
    return sum(order.refunded for order in one.orders) / sum(order.total for order in one.orders)


def last_gap(one: Customer) -> float:
    return (one.last - one.orders[-2].placed_at) / DAY if len(one.orders) > 1 else -1


def spent(one: Customer, days: int) -> int:
    return sum(order.net for order in one.within(days))


def before(one: Customer) -> int:
    return spent(one, 180) - spent(one, 90)


def in_window(one: Customer, begin: datetime, end: datetime) -> bool:
    return any(begin < order.placed_at <= end for order in one.orders)


def frames(people: list[Customer]) -> dict[str, Says]:
    median = middle(one.gap for one in people if one.gap is not None)
    best = at(0.9, (one.net for one in people))
    best_this_year = at(0.9, (spent(one, 365) for one in people if one.within(365)))
    averages = [average(one) for one in people]
    many = at(0.9, (len(one.orders) for one in people))
    returning = sorted(len(one.orders) for one in people if len(one.orders) > 1)
    usual = (returning[(len(returning) - 1) // 2] + returning[len(returning) // 2]) / 2

    def overdue(one: Customer) -> float:
        return one.silent / max(1, drawn(len(one.orders) - 1, one.gap or 0, median))

    def count(one: Customer) -> int:
        return len(one.orders)

    return {
        "all-customers": lambda _: True,
        "new-customers": lambda one: one.first > NOW - 31 * DAY,
        "first-time-buyers": lambda one: count(one) == 1 and one.first > NOW - 31 * DAY,
        "active-90-days": lambda one: bool(one.within(90)),
        "at-risk": lambda one: count(one) >= 3 and 91 <= one.silent <= 180,
        "lapsed": lambda one: count(one) >= 2 and one.silent > 180,
        "lapsed(days=100)": lambda one: count(one) >= 2 and one.silent > 100,
        "dormant": lambda one: one.silent > 365,
        "back-after-a-lapse": lambda one: last_gap(one) >= 180 and one.silent <= 30,
        "long-standing-customers(years=1)": lambda one: (NOW - one.first) // DAY >= 365 and one.silent < 365,
        "one-time-buyers": lambda one: count(one) == 1,
        "second-order-nudge": lambda one: count(one) == 1 and 14 <= one.silent <= 60,
        "third-order-nudge": lambda one: count(one) == 2 and 14 <= one.silent <= 60,
        "repeat-customers": lambda one: count(one) > 1,
        "loyal": lambda one: count(one) >= 4 and one.silent <= 180,
        "regulars-this-year": lambda one: len(one.within(365)) >= 3,
        "vip-by-frequency": lambda one: count(one) >= many and count(one) >= 2 * usual,
        "due-for-an-order": lambda one: count(one) >= 2 and 0.75 <= overdue(one) <= 1.25,
        "off-rhythm": lambda one: count(one) >= 2 and overdue(one) > 2 and one.silent > 30,
        "lapsed-by-rhythm": lambda one: count(one) >= 2 and overdue(one) > 3,
        "never-came-back": lambda one: count(one) == 1 and overdue(one) > 2,
        "long-lost": lambda one: count(one) >= 2 and overdue(one) > 6 and one.silent > 365,
        "vip": lambda one: count(one) >= 3 and one.net >= best,
        "vip-this-year": lambda one: len(one.within(365)) >= 2 and spent(one, 365) >= best_this_year,
        "high-order-value": lambda one: average(one) >= above(0.8, averages),
        "low-order-value": lambda one: average(one) <= at(0.2, averages),
        "big-first-order(days=90)": lambda one: (
            count(one) == 1 and (NOW - one.first) // DAY <= 90 and average(one) >= above(0.9, averages)
        ),
        "lapsed-vip": lambda one: one.net > 50_000 and one.silent > 90,
        "spent-at-least": lambda one: one.net >= 20_000,
        "big-spenders": lambda one: one.net >= 10_000 * count(one),
        "order-value-between": lambda one: 2_500 * count(one) <= one.net < 5_000 * count(one),
        "few-large-orders": lambda one: count(one) <= 2 and one.net >= 30_000,
        "rising-spend": lambda one: before(one) > 0 and spent(one, 90) >= 1.5 * before(one),
        "falling-spend": lambda one: 0 < spent(one, 90) <= 0.5 * before(one),
        "category-fans": lambda one: count(one) >= 3 and share_of_favourite(one, "category")[1] >= 0.5,
        'category-fans(category="tea")': lambda one: (
            count(one) >= 3
            and share_of_favourite(one, "category")[0] == "tea"
            and share_of_favourite(one, "category")[1] >= 0.5
        ),
        "brand-fans": lambda one: count(one) >= 3 and share_of_favourite(one, "brand")[1] >= 0.5,
        "discount-seekers": lambda one: count(one) >= 2 and discounts(one) >= 0.75,
        "discount-only-buyers": lambda one: count(one) >= 2 and discounts(one) == 1,
        "full-price-buyers": lambda one: count(one) >= 2 and discounts(one) == 0,
        "coupon-users": lambda one: any(order.coupons for order in one.orders),
        "high-refunders": lambda one: count(one) >= 3 and refunds(one) >= 0.5,
        "frequent-cancellers": lambda one: one.cancelled >= count(one) and one.cancelled + count(one) >= 3,
        "content-customers": lambda one: count(one) >= 2 and refunds(one) == 0 and one.silent <= 90,
        "from-country": lambda one: one.country == "DE",
        'from-country(country="at")': lambda one: one.country == "AT",
        'speaks-language(language="fr")': lambda one: one.language == "fr",
        'bought-through-channel(channel="till")': lambda one: any(order.channel == "till" for order in one.orders),
        "multi-channel-buyers": lambda one: len({order.channel for order in one.orders}) > 1,
        "vip-at-risk": lambda one: count(one) >= 3 and one.net >= best and 1.5 < overdue(one) <= 3 and one.silent > 30,
        "win-back-vip": lambda one: count(one) >= 3 and one.net >= best and overdue(one) > 3,
    }


def selects(people: list[Customer]) -> dict[str, Says]:
    trips = {one.id: [order.placed_at for order in one.bought(category="tea")] for one in people}
    gaps = {one: (placed[-1] - placed[0]) / DAY / (len(placed) - 1) for one, placed in trips.items() if len(placed) > 1}
    median = middle(gaps.values())

    def due(one: Customer) -> bool:
        placed = trips[one.id]
        if not placed:
            return False
        usual = drawn(len(placed) - 1, gaps.get(one.id, 0), median)
        return 0.75 * usual <= (NOW - placed[-1]) / DAY <= 1.5 * usual

    def left(one: Customer) -> bool:
        return bool(trips[one.id]) and trips[one.id][-1] <= NOW - 90 * DAY and bool(one.within(90))

    def coupon(one: Customer) -> bool:
        return any("spring10" in (order.coupons or "").lower().split(",") for order in one.within(365))

    def seasonal(one: Customer) -> bool:
        years = (NOW - 365 * DAY, NOW - 730 * DAY)
        return not one.within(30) and any(in_window(one, begin, begin + 30 * DAY) for begin in years)

    def holidays(one: Customer) -> bool:
        return any(order.placed_at.month in (11, 12) and order.placed_at.year >= 2024 for order in one.orders)

    def same_again(one: Customer) -> bool:
        orders = Counter(sku for order in one.orders for sku in {line.sku for line in order.lines})
        return max(orders.values()) >= 3

    return {
        'bought-product(sku="S1")': lambda one: any(order in one.within(365) for order in one.bought(sku="S1")),
        'bought-category(category="tea", days=90)': lambda one: any(
            order in one.within(90) for order in one.bought(category="tea")
        ),
        'bought-category(category="tea", days=9999, orders=2)': lambda one: len(trips[one.id]) >= 2,
        'bought-brand(brand="Acme", days=60)': lambda one: any(
            order in one.within(60) for order in one.bought(brand="Acme")
        ),
        'cross-sell(bought="tea", missing="pots")': lambda one: bool(
            one.bought(category="tea") and not one.bought(category="pots")
        ),
        'cross-sell-product(bought="S1", missing="S2")': lambda one: bool(
            one.bought(sku="S1") and not one.bought(sku="S2")
        ),
        'left-a-category(category="tea", days=90)': left,
        'began-with-category(category="tea")': lambda one: one.orders[0] in one.bought(category="tea"),
        "variety-buyers": lambda one: (
            len({line.category for order in one.orders for line in order.lines if line.category}) >= 3
        ),
        "buy-the-same-again": same_again,
        "bought-in-window": lambda one: in_window(one, NOW - 60 * DAY, NOW - 30 * DAY),
        "seasonal-buyers": seasonal,
        "holiday-buyers": holidays,
        'used-coupon(code="Spring10")': coupon,
        "placed-a-large-order": lambda one: any(order.net >= 20_000 for order in one.within(365)),
        'replenishment-due(category="tea")': due,
    }


def test_a_shop_of_400_is_judged_as_its_plain_histories_say(engine: sa.Engine, account_id: str) -> None:
    people = fill(engine, account_id)
    population = Customers(engine, account_id)
    party_ids = population.frame(())["party_id"]
    wrong, empty = {}, []
    for name, says in (frames(people) | selects(people)).items():
        found = set(party_ids[registry.parse(name).members(population)])
        expected = {one.id for one in people if says(one)}
        if found != expected:
            wrong[name] = {"only found": sorted(found - expected), "only expected": sorted(expected - found)}
        if not expected:
            empty.append(name)
    assert not wrong
    assert not empty, "nobody is in these, so that nothing was proved of them"


@pytest.mark.parametrize(
    ("as_of", "days", "expected"),
    [
        ("2026-02-28", 0, {"28 February"}),
        ("2026-03-01", 0, {"29 February", "1 March"}),
        ("2028-02-29", 0, {"29 February"}),
        ("2028-03-01", 0, {"1 March"}),
        ("2026-02-20", 9, {"28 February", "29 February", "1 March"}),
        ("2026-12-25", 7, {"1 January", "31 December"}),
        ("2026-06-15", 36_500, {"28 February", "29 February", "1 March", "31 December", "1 January"}),
    ],
)
def test_an_anniversary_comes_each_year_also_on_leap_days_and_at_its_end(as_of: str, days: int, expected: set) -> None:
    first = ["2024-02-28", "2024-02-29", "2024-03-01", "2023-12-31", "2024-01-01"]
    names = ["28 February", "29 February", "1 March", "31 December", "1 January"]
    customers = pd.DataFrame({"first_order_at": pd.to_datetime(first, utc=True)}, index=names)
    segment = registry.get("anniversary-soon")
    assert isinstance(segment, FrameSegment)
    answer = segment.evaluate(customers, datetime.fromisoformat(f"{as_of}T12:00+00:00"), {"days": days})
    assert set(answer.index[answer]) == expected


def test_nobody_is_in_what_was_bought_until_a_product_is_named(engine: sa.Engine, account_id: str) -> None:
    fill(engine, account_id, customers=30)
    population = Customers(engine, account_id)
    named = ("sku", "category", "brand", "code", "bought")
    unnamed = {
        name: one.members(population).sum()
        for name, one in registry.load().items()
        if one.kind == "select" and any(parameter.name in named for parameter in one.parameters)
    }
    assert len(unnamed) > 5
    assert set(unnamed.values()) == {0}


@pytest.mark.parametrize("most", [False, True])
def test_no_number_within_its_bounds_breaks_a_select(engine: sa.Engine, account_id: str, most: bool) -> None:
    fill(engine, account_id, customers=5)
    population = Customers(engine, account_id)
    tried = [
        one.members(population, {parameter.name: str(int(min(parameter.bounds[most], 10**15 - 1)))}).sum()
        for one in registry.load().values()
        for parameter in one.parameters
        if one.kind == "select" and parameter.type is not str
    ]
    assert len(tried) > 5


# --- the catalogue ----------------------------------------------------------------------------------------------------

CATALOGUE = (Path(__file__).parent.parent.parent / "docs/segments.md").read_text()
ROWS = {
    found[1]: [cell.strip() for cell in found[0].strip("|").split("|")]
    for found in re.finditer(r"^\| `([a-z0-9-]+)` \|.*\|$", CATALOGUE, re.MULTILINE)
}
THEMES = re.findall(r"^## .*\(`(segments/[a-z]+\.py)`\)$", CATALOGUE, re.MULTILINE)
# A file of one's own need not be listed; the library's are.
LIBRARY = {name: one for name, one in registry.load().items() if one.file in THEMES}


def told(one: Segment) -> list[str]:
    parameters = ", ".join(f"{parameter.name} = {parameter.default!r}" for parameter in one.parameters)
    return [f"`{one.name}`", one.description, f"`{parameters}`" if parameters else "–"]


def test_the_catalogue_lists_the_library_and_nothing_else() -> None:
    assert len(THEMES) >= 12
    assert len(LIBRARY) >= 90
    missing = "\n".join(f"| {' | '.join(told(LIBRARY[name]))} | why |" for name in sorted(set(LIBRARY) - set(ROWS)))
    assert not missing, f"docs/segments.md lacks these rows:\n{missing}"
    assert set(ROWS) == set(LIBRARY)


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_the_catalogue_says_what_the_segment_says(name: str) -> None:
    *words, why = ROWS[name]
    assert words == told(LIBRARY[name])
    assert why


def test_every_segment_can_be_chosen_by_its_sentence() -> None:
    sentences = Counter(one.description for one in LIBRARY.values())
    assert [sentence for sentence, count in sentences.items() if count > 1] == []
    assert [one.name for one in LIBRARY.values() if not 20 <= len(one.description) <= 120] == []
    assert [one.name for one in LIBRARY.values() if "|" in one.description] == []
