"""Each stored column against the contract said once more in plain Python, a customer at a time."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise
from math import floor, sqrt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.features import compute, grouped
from data.features.facts import Facts
from domain import money
from domain.features import MAIL_WINDOWS, STORED, WINDOWS

AS_OF = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
ZONE = "America/New_York"
INSTANT = "datetime64[us, UTC]"
ORDER = {
    "total": 100_0000,
    "refunded": 0,
    "placed_at": AS_OF - DAY,
    "cancelled": False,
    "is_test": False,
    "is_credit": False,
    "discounted": False,
    "coupon": False,
    "channel": "web",
}
MAILS = {"last_opened_at": None, "last_clicked_at": None, "mails_30d": 0, "mails_90d": 0}


def order(order_id: int, party_id: int, **values) -> dict:
    return {"order_id": order_id, "party_id": party_id, **ORDER, **values}


def facts_of(orders: list[dict], lines: list[dict] = (), customers: list[dict] = (), mails: list[dict] = ()) -> Facts:
    opened = {"last_opened_at": INSTANT, "last_clicked_at": INSTANT, "mails_30d": "int64", "mails_90d": "int64"}
    flags = dict.fromkeys(("cancelled", "is_test", "is_credit", "discounted", "coupon"), "bool")
    return Facts(
        orders=pd.DataFrame(orders, columns=["order_id", "party_id", *ORDER]).astype(
            {"placed_at": INSTANT, "channel": "str", "order_id": "int64", "party_id": "int64", **flags}
        ),
        lines=pd.DataFrame(lines, columns=["order_id", "category", "brand", "quantity"]).astype(
            {"order_id": "int64", "category": "str", "brand": "str", "quantity": "int64"}
        ),
        customers=pd.DataFrame(customers, columns=["party_id", "country", "language"]).astype(
            {"party_id": "int64", "country": "str", "language": "str"}
        ),
        engagement=pd.DataFrame(mails, columns=["party_id", *MAILS]).astype({"party_id": "int64", **opened}),
        conversion={},
    )


def computed(
    orders: list[dict],
    lines: list[dict] = (),
    customers: list[dict] = (),
    mails: list[dict] = (),
    as_of: datetime = AS_OF,
    zone: str = ZONE,
) -> dict:
    frame = compute.features(facts_of(orders, list(lines), list(customers), list(mails)), as_of=as_of, zone=zone)
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return {record.pop("party_id"): record for record in records}


def naive(
    orders: list[dict], lines: list[dict], customers: list[dict], mails: list[dict], as_of: datetime, zone: str
) -> dict:
    """The contract said once more, a customer at a time in plain Python."""
    by_party, credits_of, cancelled = defaultdict(list), defaultdict(list), Counter()
    for row in orders:
        if row["is_test"] or row["placed_at"] > as_of:
            continue
        if row["cancelled"]:
            cancelled[row["party_id"]] += not row["is_credit"]
        elif row["is_credit"]:
            credits_of[row["party_id"]].append(row)
        else:
            by_party[row["party_id"]].append(row)
    told = {row["party_id"]: row for row in customers}
    mailed = {row["party_id"]: row for row in mails}
    return {
        party_id: {
            **naive_money(own, credits_of[party_id], as_of),
            **naive_rhythm(own, as_of),
            **naive_habits(own, told.get(party_id, {}).get("country"), zone),
            **naive_favourite("category", own, lines),
            **naive_favourite("brand", own, lines),
            "cancellation_rate": cancelled[party_id] / (cancelled[party_id] + len(own)),
            "discounted_share": sum(row["discounted"] or row["coupon"] for row in own) / len(own),
            "coupon_orders": sum(row["coupon"] for row in own),
            "channels": ",".join(sorted({row["channel"] for row in own})),
            **{name: told.get(party_id, {}).get(name) for name in ("country", "language")},
            **{name: mailed.get(party_id, MAILS)[name] for name in MAILS},
        }
        for party_id, own in by_party.items()
    }


def naive_money(own: list[dict], given_back: list[dict], as_of: datetime) -> dict:
    totals = sum(max(row["total"], 0) for row in own)

    def net(since: datetime) -> int:
        paid = sum(
            max(row["total"], 0) - min(max(row["refunded"], 0), max(row["total"], 0))
            for row in own
            if row["placed_at"] > since
        )
        return paid - sum(row["refunded"] for row in given_back if row["placed_at"] > since)

    ever = net(datetime.min.replace(tzinfo=UTC))
    return {
        "net_revenue": ever / money.UNIT,
        **{f"revenue_{days}d": net(as_of - days * DAY) / money.UNIT for days in WINDOWS},
        "average_order_value": floor(Fraction(ever, len(own)) + Fraction(1, 2)) / money.UNIT,
        "refund_rate": min(1.0, (totals - ever) / totals) if totals else 0.0,
    }


def naive_rhythm(own: list[dict], as_of: datetime) -> dict:
    placed = sorted(row["placed_at"] for row in own)
    gaps = [(later - earlier) // MICROSECOND for earlier, later in pairwise(placed)]
    day = DAY // MICROSECOND
    spread = None
    if len(gaps) > 1:
        mean = Fraction(sum(gaps), len(gaps))
        spread = sqrt(sum((gap - mean) ** 2 for gap in gaps) / (len(gaps) - 1)) / day
    return {
        "orders": len(own),
        **{f"orders_{days}d": sum(at > as_of - days * DAY for at in placed) for days in WINDOWS},
        "first_order_at": placed[0],
        "last_order_at": placed[-1],
        "mean_days_between_orders": sum(gaps) / (len(gaps) * day) if gaps else None,
        "spread_days_between_orders": spread if spread is None else pytest.approx(spread, rel=1e-12, abs=0),
        "last_gap_days": gaps[-1] / day if gaps else None,
    }


# What domain.zones says of these countries.
ZONES = {"DE": "Europe/Berlin", "AU": "Australia/Sydney", "NP": "Asia/Kathmandu", "US": "America/New_York"}


def naive_habits(own: list[dict], country: str | None, zone: str) -> dict:
    local = [row["placed_at"].astimezone(ZoneInfo(ZONES.get(country, zone))) for row in own]
    weekdays = Counter(at.isoweekday() for at in local)
    hours = Counter(at.hour for at in local)
    return {
        "favourite_weekday": min(weekdays, key=lambda one: (-weekdays[one], one)),
        "favourite_hour": min(hours, key=lambda one: (-hours[one], one)),
    }


def naive_favourite(what: str, own: list[dict], lines: list[dict]) -> dict:
    ids = {row["order_id"] for row in own}
    units = Counter()
    for line in lines:
        if line["order_id"] in ids and line[what] is not None:
            units[line[what]] += line["quantity"]
    bought = sorted((-count, name) for name, count in units.items() if count > 0)
    return {
        f"favourite_{what}": bought[0][1] if bought else None,
        f"favourite_{what}_share": -bought[0][0] / -sum(count for count, _ in bought) if bought else None,
    }


parties = st.integers(1, 6)
# Around the edges of the windows, and of summer time, as often as anywhere.
CLOCKS = [
    datetime(2025, 10, 26, 1, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
]
instants = st.one_of(
    st.integers(-3 * 10**6, 800 * 86_400 * 10**6).map(lambda us: AS_OF - us * MICROSECOND),
    st.tuples(st.sampled_from([0, *WINDOWS]), st.integers(-1, 1)).map(
        lambda edge: AS_OF - edge[0] * DAY + edge[1] * MICROSECOND
    ),
    st.tuples(st.sampled_from(CLOCKS), st.integers(-1, 1)).map(lambda edge: edge[0] + edge[1] * MICROSECOND),
    st.just(datetime(1999, 12, 31, 23, 59, tzinfo=UTC)),
)
flags = st.sampled_from([False, False, True])
order_rows = st.fixed_dictionaries(
    {
        "party_id": parties,
        "total": st.one_of(st.integers(0, 30), st.integers(0, 10**13), st.just(-5)),
        "refunded": st.one_of(st.just(0), st.integers(-2, 40), st.integers(0, 10**13)),
        "placed_at": instants,
        "cancelled": flags,
        "is_test": flags,
        "is_credit": st.sampled_from([False, False, False, True]),
        "discounted": flags,
        "coupon": flags,
        "channel": st.sampled_from(["web", "app", "Markt"]),
    }
)
names = st.sampled_from([None, "Äpfel", "apples", "Zinc", "b"])
line_rows = st.fixed_dictionaries(
    {"order_id": st.integers(0, 20), "category": names, "brand": names, "quantity": st.integers(-1, 3)}
)
customer_rows = st.fixed_dictionaries(
    {"country": st.sampled_from([*ZONES, "XX", None]), "language": st.sampled_from(["de", None])}
)
mail_rows = st.fixed_dictionaries(
    {
        "last_opened_at": st.one_of(st.none(), instants),
        "last_clicked_at": st.one_of(st.none(), instants),
        **{f"mails_{days}d": st.integers(0, 9) for days in MAIL_WINDOWS},
    }
)
# A few ids, and ids too far apart for a table.
ids = st.sampled_from([1, 10**9])
histories = st.tuples(
    st.lists(order_rows, max_size=20),
    st.lists(line_rows, max_size=30),
    st.dictionaries(parties, customer_rows),
    st.dictionaries(parties, mail_rows),
    st.permutations(range(20)),
    ids,
).map(lambda drawn: numbered(*drawn))


def numbered(orders, lines, customers, mails, order_ids, step) -> tuple[list[dict], ...]:
    return (
        [{"order_id": order_id * step, **row} for order_id, row in zip(order_ids, orders, strict=False)],
        [{**line, "order_id": line["order_id"] * step} for line in lines],
        [{"party_id": party_id, **row} for party_id, row in sorted(customers.items())],
        [{"party_id": party_id, **row} for party_id, row in sorted(mails.items())],
    )


@given(history=histories, zone=st.sampled_from([ZONE, "Asia/Kolkata", "Europe/Berlin"]))
def test_the_vectors_agree_with_plain_python(history, zone) -> None:
    assert computed(*history, zone=zone) == naive(*history, AS_OF, zone)


@given(history=histories, parts=st.integers(1, 6), seed=st.randoms(use_true_random=False))
def test_whoever_is_computed_together_no_digit_changes(history, parts, seed) -> None:
    whole = compute.features(facts_of(*history), as_of=AS_OF, zone=ZONE)
    part_of = {party_id: seed.randrange(parts) for party_id in range(1, 7)}
    orders, lines, customers, mails = ([*rows] for rows in history)
    for rows in (orders, lines, mails):
        seed.shuffle(rows)
    rows = [
        compute.features(
            facts_of(
                *([row for row in some if part_of[row["party_id"]] == part] for some in (orders,)),
                lines,
                [row for row in customers if part_of[row["party_id"]] == part],
                mails,
            ),
            as_of=AS_OF,
            zone=ZONE,
        )
        for part in range(parts)
    ]
    together = pd.concat(rows, ignore_index=True).sort_values("party_id", ignore_index=True)
    pd.testing.assert_frame_equal(together, whole, check_exact=True)


def test_the_columns_and_their_types_are_the_contract() -> None:
    for orders in ([], [order(1, 7)]):
        frame = compute.features(facts_of(orders), as_of=AS_OF, zone=ZONE)
        assert list(frame.columns) == ["party_id", *(feature.name for feature in STORED)]
        assert {feature.name: str(frame[feature.name].dtype) for feature in STORED} == {
            feature.name: feature.type.dtype for feature in STORED
        }


def test_cancelled_test_and_future_orders_do_not_count() -> None:
    rows = [
        order(1, 1),
        order(2, 1, cancelled=True),
        order(3, 1, is_test=True),
        order(4, 1, placed_at=AS_OF + MICROSECOND),
        order(5, 2, cancelled=True),
    ]
    result = computed(rows)
    assert set(result) == {1}
    assert (result[1]["orders"], result[1]["cancellation_rate"]) == (1, 0.5)


def test_an_order_at_the_very_instant_counts() -> None:
    assert computed([order(1, 1, placed_at=AS_OF)])[1]["orders_7d"] == 1


def test_windows_are_half_open() -> None:
    just_inside = computed([order(1, 1, placed_at=AS_OF - 30 * DAY + MICROSECOND)])[1]
    just_outside = computed([order(1, 1, placed_at=AS_OF - 30 * DAY)])[1]
    assert (just_inside["orders_30d"], just_inside["revenue_30d"]) == (1, 100.0)
    assert (just_outside["orders_30d"], just_outside["revenue_30d"]) == (0, 0.0)


def test_money_is_summed_exactly() -> None:
    result = computed([order(number, 1, total=1000) for number in range(3)])[1]  # three times 0.10
    assert result["net_revenue"] == 0.3


def test_a_refund_takes_away_at_most_its_own_order() -> None:
    result = computed([order(1, 1, total=100_0000, refunded=150_0000), order(2, 1, total=50_0000)])[1]
    assert result["net_revenue"] == 50.0
    assert result["refund_rate"] == pytest.approx(2 / 3)


def test_a_credit_lowers_the_revenue_of_the_window_in_which_it_was_given() -> None:
    rows = [order(1, 1, placed_at=AS_OF - 100 * DAY), order(2, 1, is_credit=True, total=0, refunded=30_0000)]
    result = computed(rows)[1]
    assert (result["revenue_90d"], result["revenue_180d"], result["net_revenue"]) == (-30.0, 70.0, 70.0)
    assert (result["orders"], result["last_order_at"]) == (1, AS_OF - 100 * DAY)


def test_of_equally_bought_categories_the_first_by_alphabet_is_named() -> None:
    lines = [
        {"order_id": 1, "category": "wine", "brand": None, "quantity": 2},
        {"order_id": 2, "category": "books", "brand": "Ace", "quantity": 1},
        {"order_id": 2, "category": "books", "brand": None, "quantity": 1},
        {"order_id": 3, "category": "tea", "brand": "Zed", "quantity": 9},
    ]
    result = computed([order(1, 1), order(2, 1), order(3, 1, cancelled=True)], lines)[1]
    assert (result["favourite_category"], result["favourite_category_share"]) == ("books", 0.5)
    assert (result["favourite_brand"], result["favourite_brand_share"]) == ("Ace", 1.0)


@pytest.mark.parametrize(
    ("country", "weekday", "hour"), [("DE", 1, 1), ("US", 7, 19), ("JP", 1, 8), (None, 7, 17), ("XX", 7, 17)]
)
def test_weekday_and_hour_are_those_of_the_customers_own_clock(country, weekday, hour) -> None:
    late = datetime(2026, 5, 31, 23, 30, tzinfo=UTC)  # a Sunday
    told = [{"party_id": 1, "country": country, "language": None}]
    result = computed([order(1, 1, placed_at=late)], customers=told, zone="America/Mexico_City")[1]
    assert (result["favourite_weekday"], result["favourite_hour"]) == (weekday, hour)


def test_a_credit_exactly_at_the_edge_of_a_window_is_outside_as_an_order_is() -> None:
    rows = [order(1, 1), order(2, 1, is_credit=True, total=0, refunded=30_0000, placed_at=AS_OF - 30 * DAY)]
    assert [computed(rows)[1][name] for name in ("revenue_30d", "revenue_90d")] == [100.0, 70.0]


def test_what_came_back_of_one_category_is_no_part_of_another_ones_share() -> None:
    bought = [("tea", 3), ("cups", 1), ("wine", -2)]
    lines = [{"order_id": 1, "category": name, "brand": None, "quantity": units} for name, units in bought]
    assert computed([order(1, 1)], lines)[1]["favourite_category_share"] == 0.75


@pytest.mark.parametrize("ids", [[1, 2, 3], [1, 2**61, 2**62 + 1]])
def test_orders_are_sorted_by_customer_and_time_however_far_apart_their_ids_are(ids: list[int]) -> None:
    rng = np.random.default_rng(9)
    party_ids, placed = rng.choice(ids, 200), rng.integers(0, 2**51, 200)
    sequence = grouped.by_customer_and_time(party_ids, placed)
    found = list(zip(party_ids[sequence], placed[sequence], strict=True))
    assert found == sorted(zip(party_ids, placed, strict=True))


@pytest.mark.parametrize("size", [2, 3, 5, 40])
def test_equal_gaps_have_no_spread(size: int) -> None:
    rows = [order(number, 1, placed_at=AS_OF - number * (30 * DAY + 7 * MICROSECOND)) for number in range(size)]
    assert computed(rows)[1]["spread_days_between_orders"] == (0.0 if size > 2 else None)


def test_the_spread_is_that_of_numpy_also_over_decades_and_within_microseconds() -> None:
    rng = np.random.default_rng(3)
    for scale in (10, 10**6, 10**15):
        placed = np.sort(rng.integers(0, scale, 500))
        rows = [order(n, 1, placed_at=AS_OF - int(us) * MICROSECOND) for n, us in enumerate(placed)]
        expected = np.diff(placed).astype(float).std(ddof=1) / 86_400_000_000
        assert computed(rows)[1]["spread_days_between_orders"] == pytest.approx(expected, rel=1e-9, abs=0)


def test_the_zone_of_the_instant_changes_nothing() -> None:
    rows = [order(1, 1, placed_at=AS_OF - 90 * DAY), order(2, 1)]
    in_tokyo = AS_OF.astimezone(timezone(timedelta(hours=9)))
    assert computed(rows, as_of=in_tokyo) == computed(rows)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        computed([order(1, 1)], as_of=AS_OF.replace(tzinfo=None))
