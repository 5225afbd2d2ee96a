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
from segments.definition import FrameSegment
from segments.explain import Condition, Joined, NotACustomer
from tests.segments.given import AS_OF, Frame, any_customers, room

LIBRARY = registry.load()
WITHOUT_SELECT = [name for name, one in LIBRARY.items() if one.kind == "frame"]


def frame(**columns) -> Frame:
    count = len(next(iter(columns.values())))
    return Frame(pd.DataFrame({"party_id": np.arange(1, count + 1), **columns}))


def told(name: str, population, party_id: int, **arguments) -> list[str]:
    return list(explain.lines(explain.conditions(registry.parse(name), population, arguments, party_id)))


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
    with_bound = "must be at least 9 (reckoned: customers.net_revenue.quantile(0.9, interpolation='lower'))"
    source = """
    from segments.registry import segment

    @segment("top", owner="x", needs=("net_revenue",), inside=[{"net_revenue": 1.0}], outside=[{"net_revenue": 1.0}])
    def top(customers, as_of):
        '''The best.'''
        return customers.net_revenue >= customers.net_revenue.quantile(0.9, interpolation='lower')
    """
    with _one(source):
        assert [line.partition(", ")[2] for line in told("top", shop, 11)] == [f"{with_bound}: yes"]
        assert told("top", shop, 9)[0].endswith("no")


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
        return told("tried", SHOP, party_id)


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
            [
                "counted orders in the customer's life: 2, must be more than 3 (reckoned: 2 * customers.mean_days_between_orders): no"
            ],
        ),
        (
            "return customers.first_order_at < pd.Timestamp('2026-01-01', tz='UTC')",
            1,
            [
                "when the first counted order was placed: 2026-06-01 00:00 UTC, must be less than 2026-01-01 00:00 UTC (reckoned: pd.Timestamp('2026-01-01', tz='UTC')): no"
            ],
        ),
        (
            "first: pd.Series[int] = customers.first_order_at\nreturn first.dt.month == as_of.month",
            1,
            ["first.dt.month == as_of.month (when the first counted order was placed: 2026-06-01 00:00 UTC): yes"],
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
    ],
)
def test_conditions_in_words(body: str, party_id: int, lines: list[str] | None) -> None:
    found = lines_of(body, party_id)
    assert found == lines if lines else found[1] == "as_of.year > 2000: yes"


def test_code_that_cannot_be_taken_apart_is_told_as_a_whole() -> None:
    for body in (
        "if as_of.year > 2000:\n    return customers.orders > 1\nreturn customers.orders > 2",
        "return (customers.orders > 1).astype('boolean')",
    ):
        assert lines_of(body, 2) == ["tried: Tried.: yes"]


def test_a_combined_segment_explains_its_parts_by_name() -> None:
    shop = any_customers(3, 50)
    (rule,) = explain.conditions(registry.parse("not (repeat-customers or one-time-buyers)"), shop, {}, 3)
    assert rule.joined is Joined.NOT
    (either,) = rule.parts
    assert [part.text.partition(":")[0] for part in either.parts] == ["in repeat-customers", "in one-time-buyers"]
    assert either.parts[1].parts[0].text.startswith("counted orders in the customer's life: ")


def test_a_select_is_told_as_a_whole() -> None:
    selects = [one for one in LIBRARY.values() if one.kind == "select"]
    with example_shop.opened([[ExampleOrder()]], AS_OF) as shop:
        for one in selects:
            (whole,) = explain.conditions(one, shop, {}, 1)
            assert whole == Condition(f"{one.name}: {one.description}", bool(one.members(shop).iloc[0]))


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
