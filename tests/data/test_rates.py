from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from data import database, rates, rates_file, tables
from data.features import conversion, marks, reading
from data.rates import Loaded, Rates
from data.rates_file import UnusableRates
from tests.data import judged
from tests.data.test_features_reading import an_order, insert, party

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
ECB = """Date,USD,JPY,CYP,GBP,
2026-05-29,1.2000,160.25,N/A,0.80000,
2026-05-28,1.1900,160.0,N/A,N/A,
2007-12-31,1.4721,164.93,0.585274,0.73335,
"""
PLAIN = "day,currency,rate\n2026-05-29,EUR,0.9\n2026-05-28,CHF,1.05\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rates.csv"
    path.write_text(text, "utf-8")
    return path


def load(engine: sa.Engine, tmp_path: Path, text: str, base: str = "EUR", source: str = "ECB") -> Loaded:
    return rates.load(engine, written(tmp_path, text), base=base, source=source, now=NOW)


def kept(engine: sa.Engine) -> set[tuple]:
    rate = tables.currency_rates.c
    with database.read(engine) as connection:
        query = sa.select(rate.currency, rate.day, rate.base, rate.rate, rate.source)
        return {tuple(row) for row in connection.execute(query)}


def test_the_banks_own_file_is_loaded_and_a_second_time_adds_nothing(engine: sa.Engine, tmp_path: Path) -> None:
    first = load(engine, tmp_path, ECB)
    assert (first.rates, first.added, first.replaced) == (9, 9, 0)
    assert (first.currencies, first.first, first.last) == (
        ("CYP", "GBP", "JPY", "USD"),
        date(2007, 12, 31),
        date(2026, 5, 29),
    )
    assert ("USD", date(2026, 5, 29), "EUR", "1.2", "ECB") in kept(engine)
    before = kept(engine)
    again = load(engine, tmp_path, ECB, source="somebody else")
    assert (again.rates, again.added, again.replaced) == (9, 0, 0)
    assert kept(engine) == before


def test_a_rate_that_differs_replaces_the_old_one_and_says_so(engine: sa.Engine, tmp_path: Path) -> None:
    load(engine, tmp_path, ECB)
    changed = load(engine, tmp_path, ECB.replace("1.1900", "1.1901"), source="corrected")
    assert (changed.added, changed.replaced) == (0, 1)
    assert {row for row in kept(engine) if row[4] == "corrected"} == {
        ("USD", date(2026, 5, 28), "EUR", "1.1901", "corrected")
    }
    other_base = load(engine, tmp_path, "day,currency,rate\n2026-05-28,USD,1.1901\n", base="GBP")
    assert (other_base.added, other_base.replaced) == (0, 1)


def test_a_plain_file_is_loaded_and_listed(engine: sa.Engine, tmp_path: Path) -> None:
    load(engine, tmp_path, "\ufeff" + PLAIN.replace("\n", "\r\n"), base="usd", source=" The bank ")
    with database.read(engine) as connection:
        listed = rates.listing(connection)
    day = date(2026, 5, 28)
    assert listed == [
        rates.Known("CHF", "USD", "The bank", 1, day, day),
        rates.Known("EUR", "USD", "The bank", 1, day + DAY, day + DAY),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: the header is neither"),
        ("a,b\n1,2\n", "line 1: the header is neither"),
        ("day,currency,rate\n", "has no rates"),
        ("Date,USD\n2026-05-29,N/A\n", "has no rates"),
        (PLAIN + "\n2026-13-01,CHF,1\n", "line 5: a day is written as 2026-11-20"),
        (PLAIN + "2026-05-01,CHF,1,05\n2026-05-02,CHF,x\n", "line 5: the rate of CHF is no number"),
        (PLAIN + "2026-05-01,CHF\n", "line 4: the rate of CHF is no number"),
        (PLAIN + "2026-05-01,CHF,0\n", "line 4: the rate of CHF is not above zero"),
        (PLAIN + "2026-05-01,CHF,-1\n", "line 4: the rate of CHF is not above zero"),
        (PLAIN + "2026-05-01,CHF,NaN\n", "line 4: the rate of CHF is not above zero"),
        (PLAIN + "2026-05-01,CHF,1E999999\n", "line 4: the rate of CHF is not above zero, or has more than 20 digits"),
        (PLAIN + "2026-05-01,Franken,1\n", "line 4: a currency is a three-letter ISO 4217 code"),
        (PLAIN + "2026-05-01,USD,1\n", "line 4: USD is the base itself"),
        (PLAIN + "2026-05-28,CHF,1.05\n", "line 4: CHF of 2026-05-28 stands in line 3 already"),
        (PLAIN + "2026-06-03,CHF,1\n", "line 4: 2026-06-03 is in the future"),
        ("Date,USD,GBP\n2026-05-29,1.2,zero\n", "line 2: the rate of GBP is no number"),
        ("Date,USD,GBP,\n2026-05-29,1.2,0.8,\n29.05.2026,1.2,0.8,\n", "line 3: a day is written"),
        ("day,currency,rate\n" + "x,CHF,1\n" * 9, "; and 4 more. Nothing was loaded"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableRates) as failure:
        rates_file.read(written(tmp_path, text), base="EUR" if text.startswith("Date") else "USD", today=NOW.date())
    assert told in str(failure.value)
    assert str(failure.value).endswith("Nothing was loaded")


def test_of_a_file_with_a_fault_nothing_is_loaded(engine: sa.Engine, tmp_path: Path) -> None:
    with pytest.raises(UnusableRates, match="line 4"):
        load(engine, tmp_path, PLAIN + "2026-05-01,CHF,x\n", base="USD")
    with pytest.raises(UnusableRates, match="the base 'Euro' is no currency"):
        load(engine, tmp_path, PLAIN, base="Euro")
    with pytest.raises(UnusableRates, match="whose rates"):
        load(engine, tmp_path, PLAIN, base="USD", source=" ")
    with pytest.raises(UnusableRates, match="cannot be read: No such file"):
        rates.load(engine, tmp_path / "none.csv", base="USD", source="x", now=NOW)
    (tmp_path / "rates.zip").write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(UnusableRates, match="unpacked"):
        rates.load(engine, tmp_path / "rates.zip", base="USD", source="x", now=NOW)
    assert kept(engine) == set()


def converted(engine: sa.Engine, **values) -> tuple[Decimal, Decimal, dict]:
    insert(engine, tables.orders, [an_order(1, 1, **values)])
    facts = reading.read(engine, "shop", as_of=NOW)
    (row,) = facts.orders.to_dict("records")
    return row["total"], row["refunded"], facts.conversion


AMOUNTS = {"total": Decimal("10.00"), "refunded": Decimal("0.03")}
NOON = datetime(2026, 5, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "total", "refunded"),
    [
        ({"currency": "EUR"}, "12.0000", "0.0360"),  # the base itself
        ({"currency": "GBP"}, "15.0000", "0.0450"),  # by way of the base
        ({"currency": "JPY"}, "0.0749", "0.0002"),  # 0.07488…, 0.000224…
        ({"currency": "EUR", "placed_at": datetime(2026, 5, 28, 23, 59, 59, tzinfo=UTC)}, "11.9000", "0.0357"),
        ({"currency": "EUR", "placed_at": datetime(2026, 5, 29, tzinfo=UTC)}, "12.0000", "0.0360"),
        ({"currency": "EUR", "placed_at": datetime(2026, 6, 5, 23, tzinfo=UTC)}, "12.0000", "0.0360"),
    ],
)
def test_an_amount_is_reckoned_by_the_rate_of_the_day(
    engine: sa.Engine, account_id: str, tmp_path: Path, values: dict, total: str, refunded: str
) -> None:
    load(engine, tmp_path, ECB)
    insert(engine, tables.parties, [party(1)])
    found = converted(engine, **AMOUNTS | {"placed_at": NOON} | values)
    assert found[:2] == (int(Decimal(total) * 10000), int(Decimal(refunded) * 10000))
    assert found[2] == {"orders_converted": 1, "orders_without_rate": 0, "sources": ["ECB"]}


@pytest.mark.parametrize(
    "values",
    [
        {"currency": "EUR", "placed_at": datetime(2026, 6, 6, tzinfo=UTC)},
        {"currency": "EUR", "placed_at": datetime(2007, 12, 30, 23, tzinfo=UTC)},
        {"currency": "CHF", "placed_at": NOON},
        {"currency": "CYP", "placed_at": NOON},
        # The channel says the total, and not what was refunded of it.
        {"currency": "CHF", "placed_at": NOON, "shop_currency": "USD", "shop_total": Decimal(11)},
    ],
)
def test_what_has_no_rate_stays_and_is_counted(
    engine: sa.Engine, account_id: str, tmp_path: Path, values: dict
) -> None:
    load(engine, tmp_path, ECB)
    insert(engine, tables.parties, [party(1)])
    total, refunded, told = converted(engine, **AMOUNTS | values)
    assert (total, refunded) == (10_0000, 300)
    assert told == {"orders_converted": 0, "orders_without_rate": 1, "sources": []}


@pytest.mark.parametrize(
    ("told", "total", "refunded"),
    [({"shop_refunded": Decimal("0.5")}, 11_0000, 5000), ({"refunded": Decimal(0)}, 11_0000, 0)],
)
def test_what_the_channel_says_goes_before_any_rate(
    engine: sa.Engine, account_id: str, tmp_path: Path, told: dict, total: int, refunded: int
) -> None:
    load(engine, tmp_path, ECB)
    insert(engine, tables.parties, [party(1)])
    shop = {"currency": "GBP", "shop_currency": "USD", "shop_total": Decimal(11), "placed_at": NOON}
    found = converted(engine, **AMOUNTS | shop | told)
    assert found == (total, refunded, {"orders_converted": 0, "orders_without_rate": 0, "sources": []})


amounts = st.integers(0, 10**15)
prices = st.decimals("0.0001", "99999", places=5)


@given(units=amounts, sold=prices, bought=prices)
def test_reckoning_is_exact_and_rounds_half_up(units: int, sold: Decimal, bought: Decimal) -> None:
    day = date(2026, 5, 29)
    known = Rates([("GBP", day, "EUR", str(sold), "a"), ("USD", day, "EUR", str(bought), "b")])
    found = known.conversion("GBP", "USD", day + 3 * DAY)
    assert found is not None
    assert found.sources == {"a", "b"}
    exact = Fraction(units) * Fraction(bought) / Fraction(sold)
    times = (np.array([found.factor.numerator], dtype=object), np.array([found.factor.denominator], dtype=object))
    if exact + Fraction(1, 2) >= 10**16:
        with pytest.raises(UnusableRates, match="a trillion or more"):
            conversion._times(np.array([units]), *times)
        return
    (got,) = conversion._times(np.array([units]), *times)
    assert Fraction(-1, 2) < int(got) - exact <= Fraction(1, 2)
    assert known.conversion("GBP", "USD", day + 8 * DAY) is None


@given(st.sets(st.integers(0, 40), max_size=12), st.sets(st.integers(0, 40), max_size=12))
def test_spans_and_single_days_say_the_same(sold: set[int], bought: set[int]) -> None:
    start = date(2026, 1, 1)
    rows = [("GBP", start + day * DAY, "EUR", "2", "x") for day in sold]
    rows += [("USD", start + day * DAY, "EUR", "3", "x") for day in bought]
    known = Rates(rows)
    spans = known.spans("GBP", "USD")
    for day in range(-2, 60):
        at = datetime(2026, 1, 1, 23, 59, tzinfo=UTC) + day * DAY
        assert any(begin <= at < end for begin, end in spans) == (
            known.conversion("GBP", "USD", start + day * DAY) is not None
        )


def test_the_gate_stops_only_for_what_can_be_reckoned_in_no_way(
    engine: sa.Engine, account_id: str, tmp_path: Path
) -> None:
    load(engine, tmp_path, ECB)
    insert(engine, tables.parties, [party(1)])
    last = datetime(2026, 6, 6, tzinfo=UTC)
    sound = [
        {"currency": "EUR", "placed_at": NOON},
        {"currency": "GBP", "placed_at": last - MICROSECOND},
        {"currency": "CHF", "placed_at": NOON, "shop_currency": "USD", "shop_total": Decimal(1)},
        {"currency": "CHF", "status": "cancelled"},
        {"currency": "CYP", "placed_at": datetime(2007, 12, 31, tzinfo=UTC)},
    ]
    faulty = [
        {"currency": "EUR", "placed_at": last},
        {"currency": "CHF", "placed_at": NOON},
        {"currency": "CYP", "placed_at": NOON},
        {"currency": "EUR", "placed_at": datetime(2007, 12, 31, tzinfo=UTC) - MICROSECOND},
        {"currency": "CHF", "refunded": Decimal(1), "shop_currency": "USD", "shop_total": Decimal(1)},
    ]
    insert(engine, tables.orders, [an_order(number, 1, **values) for number, values in enumerate(sound)])

    def failures():
        return judged.of_orders(engine, account_id="shop", now=last, newest_within_days=14).failures()

    assert failures() == ()
    insert(engine, tables.orders, [an_order(100 + number, 1, **values) for number, values in enumerate(faulty)])
    (failure,) = failures()
    assert failure.failing_ids == tuple(f"web {100 + number}" for number in range(len(faulty)))
    facts = reading.read(engine, "shop", as_of=last)
    assert (facts.conversion["orders_converted"], facts.conversion["orders_without_rate"]) == (3, 6)  # one is cancelled


def test_whoever_a_rate_concerns_is_marked(engine: sa.Engine, account_id: str, tmp_path: Path) -> None:
    insert(engine, tables.parties, [party(number) for number in range(1, 8)])
    orders = [
        {"currency": "GBP", "placed_at": NOON},
        {"currency": "GBP", "placed_at": NOON + 7 * DAY},
        {"currency": "GBP", "placed_at": NOON + 8 * DAY},
        {"currency": "GBP", "placed_at": NOON - DAY},
        {"currency": "JPY", "placed_at": NOON},
        {"currency": "USD", "placed_at": NOON},
        {"currency": "EUR", "placed_at": NOON},
    ]
    insert(engine, tables.orders, [an_order(number, number, **one) for number, one in enumerate(orders, start=1)])

    def marked() -> list[int]:
        with database.write(engine) as connection:
            newest = marks.last(connection, account_id)
            found = marks.marked(connection, account_id, newest).tolist()
            marks.take(connection, account_id, newest)
        return found

    told = load(engine, tmp_path, "day,currency,rate\n2026-05-29,GBP,0.8\n")
    assert (marked(), told.marked) == ([1, 2, 7], 3)  # 7: of the base, which may be reckoned now
    assert load(engine, tmp_path, "day,currency,rate\n2026-05-29,GBP,0.8\n").marked == 0
    assert marked() == []
    load(engine, tmp_path, "day,currency,rate\n2026-05-29,USD,1.2\n")
    assert marked() == [1, 2, 5, 7]  # of the account's own currency: all foreign orders
