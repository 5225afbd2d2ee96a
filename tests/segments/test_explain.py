"""Why a customer is in a segment or not, condition by condition."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.samples import example_shop
from domain.example_orders import ExampleOrder
from segments import conditions_of_code, explain, registry
from segments.definition import FrameSegment, Segment
from segments.explain import Condition, Joined, NotACustomer
from tests.segments.given import AS_OF, Frame, any_customers, room

LIBRARY = registry.load()
WITHOUT_SELECT = [name for name, one in LIBRARY.items() if one.kind == "frame"]


def frame(**columns) -> Frame:
    count = len(next(iter(columns.values())))
    return Frame(pd.DataFrame({"party_id": np.arange(1, count + 1), **columns}))


def told(name: str, population, party_id: int, **arguments) -> list[str]:
    one = registry.failing().get(name) or registry.parse(name)  # the examples of those made here are of no account
    return list(explain.lines(explain.conditions(one, population, arguments, party_id)))


def test_each_condition_is_told_with_the_customers_value() -> None:
    shop = frame(net_revenue=[800.0, 800.0], days_since_last_order=[91, 12])
    assert told("lapsed-vip", shop, 2) == [
        "totals of counted orders less refunds and credits: 800, must be more than 500: yes",
        "days since the latest counted order: 12, must be more than 90: no",
    ]
    assert told("lapsed-vip", shop, 2, days="11")[1].endswith("12, must be more than 11: yes")
    first, _ = explain.conditions(registry.get("lapsed-vip"), shop, {}, 1)
    assert first == Condition(
        "totals of counted orders less refunds and credits: 800, must be more than 500", True, {"net_revenue": 800.0}
    )


def test_a_condition_that_compares_customers_is_reckoned_over_all_of_them() -> None:
    shop = frame(orders=[3] * 11, net_revenue=[float(n) for n in range(11)])
    with_bound = "must be at least 9, the bound of the shop's top tenth"
    source = """
    from segments.registry import segment

    @segment("top", owner="x", needs=("net_revenue",), inside=[{"net_revenue": 1.0}], outside=[{"net_revenue": 1.0}])
    def top(customers, as_of):
        '''The best.'''
        return customers.net_revenue >= customers.net_revenue.quantile(0.9, interpolation='lower')
    """
    with _one(source):
        for party_id, answer in ((11, "yes"), (9, "no")):
            (line,) = explain.lines(explain.conditions(of_room("top"), shop, {}, party_id))
            assert line.partition(", ")[2] == f"{with_bound}: {answer}"
        (one,) = explain.conditions(of_room("top"), shop, {}, 11, currency="USD")
        assert one.text == (
            "totals of counted orders less refunds and credits: 10.00 USD, must be at least 9.00 USD, "
            "the bound of the shop's top tenth"
        )
        code = "customers.net_revenue >= customers.net_revenue.quantile(0.9, interpolation='lower')"
        assert list(explain.sources([one])) == [(one.text, code)]


CODE = '''
import pandas as pd
from segments.registry import segment

@segment("tried", owner="x", needs=("orders", "country", "first_order_at", "refund_rate", "mean_days_between_orders"),
    inside=[], outside=[])
def tried(customers, as_of, *, land: str = "DE"):
    """Tried.

    land: which country
    """
    BODY
'''
SHOP = frame(
    orders=[1, 2, 3],
    country=pd.Series(["DE", None, "FR"], dtype="str"),
    first_order_at=pd.to_datetime(["2026-06-01", "2025-06-01", "2020-01-01"], utc=True),
    refund_rate=[0.0, 0.25, 1.0],
    mean_days_between_orders=[np.nan, 1.5, 30.0],
)


@contextmanager
def _one(source: str) -> Iterator[None]:
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        room(Path(folder), patch, theme=source),
    ):
        yield


def lines_of(body: str, party_id: int) -> list[str]:
    source = CODE.replace("BODY", body.replace("\n", "\n    "))
    example = "{name: None for name in ('country', 'first_order_at', 'mean_days_between_orders')} | {'orders': 1, 'refund_rate': 0}"
    with _one(source.replace("inside=[], outside=[]", f"inside=[{example}], outside=[{example}]")):
        return list(explain.lines(explain.conditions(of_room("tried"), SHOP, {}, party_id)))


def of_room(name: str) -> Segment:
    """Also one whose examples are not what it says."""
    return (registry.load() | registry.failing())[name]


@pytest.mark.parametrize(
    ("body", "party_id", "lines"),
    [
        ("return customers.country == land", 3, ["the customer's country: FR, must be DE: no"]),
        ("return customers.country != 'DE'", 1, ["the customer's country: DE, must not be DE: no"]),
        (
            "return customers.country.isna()",
            2,
            ["the customer's country: not known, must not be known: yes"],
        ),
        ("return customers['country'].notna()", 1, ["the customer's country: DE, must be known: yes"]),
        ("return customers.country.isin(['FR', 'DE'])", 1, ["the customer's country: DE, must be one of: DE, FR: yes"]),
        (
            "return customers.orders.between(2, 3)",
            1,
            ["counted orders in the customer's life: 1, must be between 2 and 3, both included: no"],
        ),
        ("return 2 <= customers.orders", 2, ["counted orders in the customer's life: 2, must be at least 2: yes"]),
        (
            "return customers.orders > 2 * customers.mean_days_between_orders",
            2,
            ["counted orders in the customer's life: 2, must be more than 3: no"],
        ),
        (
            "return customers.first_order_at < pd.Timestamp('2026-01-01', tz='UTC')",
            1,
            [
                "when the first counted order was placed: 2026-06-01 00:00 UTC, must be less than 2026-01-01 00:00 UTC: no"
            ],
        ),
        (
            "first: pd.Series[int] = customers.first_order_at\nreturn first.dt.month == as_of.month",
            1,
            ["a condition reckoned from when the first counted order was placed: 2026-06-01 00:00 UTC: yes"],
        ),
        (
            "often = customers.orders > 1\nkeeps = customers.refund_rate < 0.5\nreturn often & ~(keeps | (customers.orders == 3))",
            2,
            [
                "counted orders in the customer's life: 2, must be more than 1: yes",
                "this must not hold: no",
                "  any of these must hold: yes",
                "    refunds divided by totals before refunds: 0.25, must be less than 0.5: yes",
                "    counted orders in the customer's life: 2, must be 3: no",
            ],
        ),
        ("return (customers.orders > 1) & (as_of.year > 2000)", 1, None),
        (
            "return customers.country.isin(list('ABCDEFG'))",
            1,
            ["the customer's country: DE, must be one of 7 values: no"],
        ),
        (
            "return customers.country == land if land else customers.orders > 1",
            3,
            ["the customer's country: FR, must be DE: no"],
        ),
        *(
            (f"return customers.orders {code}", 2, [f"counted orders in the customer's life: 2, must be {words}"])
            for code, words in (
                (">= customers.orders.median()", "at least 2, the bound of the shop's upper half: yes"),
                ("<= customers.orders.quantile()", "at most 2, the bound of the shop's lower half: yes"),
                ("== customers.orders.quantile(q=0.5)", "2, the shop's median: yes"),
                ("> customers.orders.quantile(0.75)", "more than 2.5, the bound of the shop's top quarter: no"),
                ("> customers.orders.quantile(0)", "more than 1, the shop's smallest value: yes"),
                (">= customers.orders.quantile(0.875)", "at least 2.75, the bound of the shop's top 12.5 percent: no"),
                (
                    "<= customers.orders[customers.orders > 1].quantile(0.2)",
                    "at most 2.2, the bound of the bottom fifth of those whom it compares: yes",
                ),
            )
        ),
    ],
)
def test_conditions_in_words(body: str, party_id: int, lines: list[str] | None) -> None:
    found = lines_of(body, party_id)
    assert found == lines if lines else found[1] == "a condition that is the same for every customer: yes"


def test_code_that_cannot_be_taken_apart_is_told_as_a_whole() -> None:
    for body in (
        "if as_of.year > 2000:\n    return customers.orders > 1\nreturn customers.orders > 2",
        "return (customers.orders > 1).astype('boolean')",
    ):
        assert lines_of(body, 2) == ["tried (by default land DE): Tried: yes"]


def test_a_combined_segment_explains_its_parts_by_name() -> None:
    shop = any_customers(3, 50)
    (rule,) = explain.conditions(registry.parse("not (repeat-customers or one-time-buyers)"), shop, {}, 3)
    assert rule.joined is Joined.NOT
    (either,) = rule.parts
    assert [part.text.partition(":")[0] for part in either.parts] == ["in repeat-customers", "in one-time-buyers"]
    assert either.parts[1].parts[0].text.startswith("counted orders in the customer's life: ")


def test_rfm_scores_are_told_one_by_one() -> None:
    shop = frame(rfm=[555, 211])
    assert told("rfm-champions", shop, 1) == [
        "RFM scores 5-5-5 (recency, frequency, money), which is one of this group's: yes"
    ]
    assert told("rfm-champions", shop, 2) == [
        "RFM scores 2-1-1 (recency, frequency, money), which must be one of this group's: no"
    ]


def test_an_amount_is_never_rounded_to_a_bound_that_it_missed() -> None:
    shop = frame(revenue_90d=[150.004, 10.0], revenue_180d=[250.005, 20.0])
    (_, bound) = explain.conditions(registry.get("rising-spend"), shop, {}, 1, currency="EUR")
    assert "150.004 EUR, must be at least 150.0015 EUR" in bound.text


def test_the_arguments_in_force_are_named() -> None:
    bought = registry.get("bought-category")
    assert explain.in_force(bought, {"category": "toys"}) == (
        "bought-category with category toys (by default days 365, orders 1)"
    )
    assert explain.in_force(bought, {"category": "toys", "days": "365", "orders": "2"}) == (
        "bought-category with category toys, days 365, orders 2"
    )
    assert explain.in_force(registry.get("vip"), {}) == "vip"


def test_no_line_about_the_library_shows_code() -> None:
    population = any_customers(5, 25)
    party_id = int(population.customers.party_id[3])
    for name in WITHOUT_SELECT:
        found = explain.conditions(LIBRARY[name], population, {}, party_id, currency="EUR")
        for line in explain.lines(found):
            assert not any(code in line for code in ("customers.", "(0.", "==", "&", "_", ".:")), line


def test_a_select_is_told_as_a_whole() -> None:
    selects = [one for one in LIBRARY.values() if one.kind == "select"]
    with example_shop.opened([[ExampleOrder()]], AS_OF) as shop:
        for one in selects:
            (whole,) = explain.conditions(one, shop, {}, 1)
            text = f"{explain.in_force(one, {})}: {one.description.removesuffix('.')}"
            assert whole == Condition(text, bool(one.members(shop).iloc[0]))


def test_a_party_without_an_order_is_no_customer() -> None:
    with pytest.raises(NotACustomer, match="customer 9 has no counted order as of 2026-06-15"):
        told("vip", frame(orders=[3], net_revenue=[1.0]), 9)


@given(st.integers(0, 10_000), st.sampled_from(WITHOUT_SELECT))
@settings(deadline=None, max_examples=100)
def test_the_conditions_say_what_the_segment_says(seed: int, name: str) -> None:
    segment, population = LIBRARY[name], any_customers(seed, 25)
    members = segment.members(population)
    for row in range(0, 25, 6):
        party_id = int(population.customers.party_id[row])
        found = explain.conditions(segment, population, {}, party_id)
        assert explain.verdict(found) == members[row] == all(one.holds for one in found)


def test_they_do_so_for_every_segment_over_a_real_shop() -> None:
    shop = [
        [
            ExampleOrder(days_ago=start + gap * n, category=("books", "toys")[n % 2], discount=n % 2)
            for n in range(count)
        ]
        for start in (1, 45, 100, 200, 400)
        for gap in (20, 90)
        for count in (1, 2, 4, 7)
    ]
    with example_shop.opened(shop, AS_OF) as population:
        for segment in LIBRARY.values():
            members = segment.members(population)
            for row in (0, 9, 17, 25, 39):
                found = explain.conditions(segment, population, {}, row + 1)
                assert explain.verdict(found) == members[row], segment.name


@pytest.mark.parametrize("name", WITHOUT_SELECT)
def test_every_segment_of_the_library_can_be_taken_apart(name: str) -> None:
    segment, population = LIBRARY[name], any_customers(11, 25)
    assert isinstance(segment, FrameSegment)
    tree = conditions_of_code.tree(segment, population.frame(segment.needs), AS_OF, segment.values({}))
    assert tree is not None
    pd.testing.assert_series_equal(conditions_of_code.answer(tree, population.customers), segment.members(population))
