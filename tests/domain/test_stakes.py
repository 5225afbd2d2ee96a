from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import stakes

NOBODY = {"customer_value": Decimal(0), "waiting": False}
whole = st.integers(0, 10**9)


@pytest.mark.parametrize(
    ("amount", "currency", "customer_value", "waiting", "stake"),
    [
        ("99.90", "EUR", "0", False, 109),
        ("99.90", "EUR", "1000", False, 209),
        ("99.90", "EUR", "1000", True, 627),
        ("-50", "EUR", "0", False, 60),  # a refund is money too
        ("17500", "JPY", "0", False, 185),
        ("17.500", "KWD", "0", False, 27),
        ("17500", None, "0", False, 17510),
        (None, "EUR", "0", False, 10),
        (None, None, "-80", True, 30),  # who sent back more than he bought is worth no less than a stranger
    ],
)
def test_what_is_at_stake(
    amount: str | None, currency: str | None, customer_value: str, waiting: bool, stake: int
) -> None:
    told = Decimal(amount) if amount else None
    assert stakes.stake(told, currency, customer_value=Decimal(customer_value), waiting=waiting) == stake


@given(whole, whole, whole)
def test_more_of_anything_is_never_worth_less(amount: int, value: int, more: int) -> None:
    def stake(amount: int, value: int, *, waiting: bool = False) -> int:
        return stakes.stake(Decimal(amount), "EUR", customer_value=Decimal(value), waiting=waiting)

    one = stake(amount, value)
    assert one <= stake(amount + more, value)
    assert one <= stake(amount, value + more)
    assert one < stake(amount, value, waiting=True)


@given(whole, whole, st.integers(1, 10_000))
def test_nothing_waits_for_ever(cheap: int, dear: int, days: int) -> None:
    cheap, dear = sorted(stakes.stake(Decimal(one), "EUR", **NOBODY) for one in (cheap, dear))
    assert stakes.score(cheap, timedelta(days=days)) <= stakes.score(dear, timedelta(days=days))
    # The dear one came when the cheap one had waited for so many days: it is overtaken in the end.
    needed = dear // cheap
    assert stakes.score(cheap, timedelta(days=needed)) >= stakes.score(dear, timedelta(0))


def test_a_letter_of_nothing_overtakes_one_of_500_after_50_days() -> None:
    nothing, dear = stakes.stake(None, None, **NOBODY), stakes.stake(Decimal(500), "EUR", **NOBODY)
    assert stakes.score(nothing, timedelta(days=49)) < stakes.score(dear, timedelta(0))
    assert stakes.score(nothing, timedelta(days=50)) >= stakes.score(dear, timedelta(0))


def test_a_clock_that_is_behind_takes_nothing_away() -> None:
    assert stakes.score(100, timedelta(days=-5)) == stakes.score(100, timedelta(0)) == 100
    assert stakes.score(100, timedelta(hours=12)) == 150
