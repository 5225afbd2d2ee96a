from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import money


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("19.90", "EUR", "19.90"),
        ("0", "JPY", "0"),
        ("1500", "JPY", "1500"),
        ("1.234", "KWD", "1.234"),
        ("-5.00", "USD", "-5.00"),
        (" 7 ", "EUR", "7"),
        ("10.100", "EUR", "10.1"),
    ],
)
def test_amounts_are_read_as_the_currency_writes_them(text: str, currency: str, amount: str) -> None:
    assert money.parse(text, currency) == Decimal(amount)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("19,90", "EUR"),
        ("1.5", "JPY"),
        ("1.2345", "KWD"),
        ("NaN", "EUR"),
        ("Infinity", "EUR"),
        ("", "EUR"),
        ("1e15", "EUR"),
        ("12 EUR", "EUR"),
        ("0.001", "USD"),
    ],
)
def test_these_are_no_amounts(text: str, currency: str) -> None:
    with pytest.raises(money.InvalidAmount):
        money.parse(text, currency)


@pytest.mark.parametrize("code", ["EU", "EURO", "E1R", "", "ÄÖÜ"])
def test_these_are_no_currencies(code: str) -> None:
    with pytest.raises(money.InvalidAmount):
        money.check_currency(code)


@given(st.decimals(min_value=-(10**10), max_value=10**10, places=4))
def test_units_come_back_to_the_last_digit(amount: Decimal) -> None:
    assert money.from_units(money.to_units(amount)) == amount
