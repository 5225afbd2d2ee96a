from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from math import floor

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.features import compute
from domain import money
from domain.features import FEATURES

AS_OF = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ORDER = {
    "total": 100_0000,
    "refunded": 0,
    "placed_at": AS_OF - DAY,
    "cancelled": False,
    "is_test": False,
    "is_credit": False,
}


def order(order_id: int, party_id: int, **values) -> dict:
    return {"order_id": order_id, "party_id": party_id, **ORDER, **values}


def frames(orders: list[dict], lines: list[dict], customers: list[dict]) -> tuple[pd.DataFrame, ...]:
    order_columns = ["order_id", "party_id", "total", "refunded", "placed_at", "cancelled", "is_test", "is_credit"]
    return (
        pd.DataFrame(orders, columns=order_columns).astype({"placed_at": "datetime64[us, UTC]"}),
        pd.DataFrame(lines, columns=["order_id", "category", "quantity"]).astype({"category": "str"}),
        pd.DataFrame(customers, columns=["party_id", "country"]).astype({"country": "str"}),
    )


def computed(orders: list[dict], lines: list[dict] = (), customers: list[dict] = (), as_of: datetime = AS_OF) -> dict:
    frame = compute.features(*frames(orders, list(lines), list(customers)), as_of=as_of)
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return {record.pop("party_id"): record for record in records}


def naive(orders: list[dict], lines: list[dict], customers: list[dict], as_of: datetime) -> dict:
    """The contract said once more, a customer at a time in plain Python."""
    by_party, given_back = defaultdict(list), Counter()
    for row in orders:
        if not row["cancelled"] and not row["is_test"] and row["placed_at"] <= as_of:
            if row["is_credit"]:
                given_back[row["party_id"]] += row["refunded"]
            else:
                by_party[row["party_id"]].append(row)
    return {
        party_id: naive_customer(party_id, own, given_back[party_id], lines, customers, as_of)
        for party_id, own in by_party.items()
    }


def naive_customer(
    party_id: int, own: list[dict], credit: int, lines: list[dict], customers: list[dict], as_of: datetime
) -> dict:
    totals = [max(row["total"], 0) for row in own]
    refunds = [min(max(row["refunded"], 0), total) for row, total in zip(own, totals, strict=True)] + [credit]
    net = sum(totals) - sum(refunds)
    placed = sorted(row["placed_at"] for row in own)
    ids = {row["order_id"] for row in own}
    units = Counter()
    for line in lines:
        if line["order_id"] in ids and line["category"] is not None:
            units[line["category"]] += line["quantity"]
    bought = [(-count, category) for category, count in units.items() if count > 0]
    span = (placed[-1] - placed[0]) // timedelta(microseconds=1)
    return {
        "orders": len(own),
        **{f"orders_{days}d": sum(at > as_of - days * DAY for at in placed) for days in (30, 90, 365)},
        "net_revenue": net / money.UNIT,
        "average_order_value": floor(Fraction(net, len(own)) + Fraction(1, 2)) / money.UNIT,
        "refund_rate": min(1.0, sum(refunds) / sum(totals)) if sum(totals) else 0.0,
        "first_order_at": placed[0],
        "last_order_at": placed[-1],
        "days_since_first_order": (as_of - placed[0]) // DAY,
        "days_since_last_order": (as_of - placed[-1]) // DAY,
        "mean_days_between_orders": span / ((len(own) - 1) * 86_400_000_000) if len(own) > 1 else None,
        "favourite_category": min(bought)[1] if bought else None,
        "country": next((row["country"] for row in customers if row["party_id"] == party_id), None),
    }


parties = st.integers(1, 6)
# Around the edges of the windows as often as anywhere.
instants = st.one_of(
    st.integers(-3 * 10**6, 800 * 86_400 * 10**6).map(lambda us: AS_OF - timedelta(microseconds=us)),
    st.tuples(st.sampled_from([0, 30, 90, 365]), st.integers(-1, 1)).map(
        lambda edge: AS_OF - edge[0] * DAY + timedelta(microseconds=edge[1])
    ),
)
order_rows = st.fixed_dictionaries(
    {
        "party_id": parties,
        "total": st.one_of(st.integers(0, 30), st.integers(0, 10**13), st.just(-5)),
        "refunded": st.one_of(st.just(0), st.integers(-2, 40), st.integers(0, 10**13)),
        "placed_at": instants,
        "cancelled": st.booleans(),
        "is_test": st.sampled_from([False, False, True]),
        "is_credit": st.sampled_from([False, False, False, True]),
    }
)
line_rows = st.fixed_dictionaries(
    {
        "order_id": st.integers(0, 20),
        "category": st.sampled_from([None, "Äpfel", "apples", "Zinc", "b"]),
        "quantity": st.integers(-1, 3),
    }
)


@given(
    orders=st.lists(order_rows, max_size=20),
    lines=st.lists(line_rows, max_size=30),
    countries=st.dictionaries(parties, st.sampled_from(["DE", "US", None])),
    order_ids=st.permutations(range(20)),
)
def test_the_vectors_agree_with_plain_python(orders, lines, countries, order_ids) -> None:
    numbered = [{"order_id": order_id, **row} for order_id, row in zip(order_ids, orders, strict=False)]
    customers = [{"party_id": party_id, "country": country} for party_id, country in countries.items()]
    assert computed(numbered, lines, customers) == naive(numbered, lines, customers, AS_OF)


def test_the_columns_and_their_types_are_the_contract() -> None:
    for orders in ([], [order(1, 7)]):
        frame = compute.features(*frames(orders, [], []), as_of=AS_OF)
        assert list(frame.columns) == ["party_id", *(feature.name for feature in FEATURES)]
        assert {feature.name: str(frame[feature.name].dtype) for feature in FEATURES} == {
            feature.name: feature.type.dtype for feature in FEATURES
        }


def test_cancelled_test_and_future_orders_do_not_count() -> None:
    rows = [
        order(1, 1),
        order(2, 1, cancelled=True),
        order(3, 1, is_test=True),
        order(4, 1, placed_at=AS_OF + timedelta(microseconds=1)),
        order(5, 2, cancelled=True),
    ]
    result = computed(rows)
    assert set(result) == {1}
    assert result[1]["orders"] == 1


def test_an_order_at_the_very_instant_counts() -> None:
    assert computed([order(1, 1, placed_at=AS_OF)])[1]["days_since_last_order"] == 0


def test_windows_end_where_whole_days_do() -> None:
    just_inside = computed([order(1, 1, placed_at=AS_OF - 30 * DAY + timedelta(microseconds=1))])[1]
    just_outside = computed([order(1, 1, placed_at=AS_OF - 30 * DAY)])[1]
    assert (just_inside["orders_30d"], just_inside["days_since_last_order"]) == (1, 29)
    assert (just_outside["orders_30d"], just_outside["days_since_last_order"]) == (0, 30)


def test_money_is_summed_exactly() -> None:
    result = computed([order(number, 1, total=1000) for number in range(3)])[1]  # three times 0.10
    assert result["net_revenue"] == 0.3


def test_a_refund_takes_away_at_most_its_own_order() -> None:
    result = computed([order(1, 1, total=100_0000, refunded=150_0000), order(2, 1, total=50_0000)])[1]
    assert result["net_revenue"] == 50.0
    assert result["refund_rate"] == pytest.approx(2 / 3)


def test_of_equally_bought_categories_the_first_by_alphabet_is_named() -> None:
    lines = [
        {"order_id": 1, "category": "wine", "quantity": 2},
        {"order_id": 2, "category": "books", "quantity": 1},
        {"order_id": 2, "category": "books", "quantity": 1},
        {"order_id": 3, "category": "tea", "quantity": 9},
    ]
    rows = [order(1, 1), order(2, 1), order(3, 1, cancelled=True)]
    assert computed(rows, lines)[1]["favourite_category"] == "books"


def test_the_zone_of_the_instant_changes_nothing() -> None:
    rows = [order(1, 1, placed_at=AS_OF - 90 * DAY), order(2, 1)]
    in_tokyo = AS_OF.astimezone(timezone(timedelta(hours=9)))
    assert computed(rows, as_of=in_tokyo) == computed(rows)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        computed([order(1, 1)], as_of=AS_OF.replace(tzinfo=None))
