"""What a receipt shows makes the order's total, whatever the channel's prices hold."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import money
from domain.order_sums import Line, Sums, reckon

NOTHING = Decimal(0)
CURRENCIES = ["EUR", "USD", "JPY", "KWD"]


def made(sums: Sums) -> Decimal:
    added = (sums.items, sums.shipping, sums.tax, sums.other_costs, sums.rounding)
    taken = (sums.discount, sums.other_deductions)
    return sum((one or NOTHING for one in added), NOTHING) - sum((one or NOTHING for one in taken), NOTHING)


def euro(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def shares(low: int = -(10**9), high: int = 10**9) -> st.SearchStrategy[Decimal]:
    """As they are stored: whole ten-thousandths."""
    return st.integers(low, high).map(money.from_units)


@given(
    st.lists(st.builds(Line, shares(), st.none() | shares()), max_size=12),
    shares(),
    st.sampled_from(CURRENCIES),
    st.none() | shares(),
    st.none() | shares(),
    st.none() | shares(),
)
def test_whatever_came_in_the_parts_make_the_total(
    lines: list[Line],
    total: Decimal,
    currency: str,
    shipping: Decimal | None,
    tax: Decimal | None,
    discount: Decimal | None,
) -> None:
    sums = reckon(lines, total, currency, shipping=shipping, tax=tax, discount=discount)
    unit = Decimal(1).scaleb(-money.digits(currency))
    assert sums.total == total.quantize(unit, "ROUND_HALF_UP")
    assert len(sums.lines) == len(lines)
    if lines:
        assert made(sums) == sums.total
        assert sum(sums.lines) == sums.items
    shown = [one for one in (sums.shipping, sums.tax, sums.discount, sums.other_costs, sums.other_deductions) if one]
    assert all(one >= unit and one % unit == 0 for one in shown)


@given(
    st.lists(st.integers(1, 99_999), min_size=1, max_size=8),
    st.integers(0, 2_000),
    st.integers(1, 9_999),
    st.integers(0, 5_000),
    st.booleans(),
    st.booleans(),
)
def test_an_order_of_a_usual_convention_has_no_part_that_nobody_can_name(
    cents: list[int], carried: int, tax: int, off: int, taxed: bool, reduced: bool
) -> None:
    lines = [Line(Decimal(one) / 100) for one in cents]
    shipping, levied, discount = (Decimal(one) / 100 for one in (carried, tax, off))
    total = sum((one.total for one in lines), shipping) + levied * (not taxed) - discount * (not reduced)
    sums = reckon(lines, total, "EUR", shipping=shipping, tax=levied, discount=discount)
    assert (sums.other_costs, sums.other_deductions, sums.rounding) == (None, None, None)
    assert made(sums) == total


# Of each channel an order as its adapter hands it over: lines, shipping, tax, discount, total, and what is shown.
CASES = {
    "prices with tax (Medusa, Shopify in Europe)": (
        [("20.00", "2.00"), ("10.00", "0")], "5.00", "5.59", "2.00", "35.00",
        {"shipping": "5.00", "tax_included": "5.59", "discount_included": "2.00"},
    ),
    "prices without tax (WooCommerce, Adobe Commerce)": (
        [("20.00", None), ("10.00", None)], "5.00", "6.65", "0", "41.65", {"shipping": "5.00", "tax": "6.65"},
    ),
    "the discount is on the order alone": (
        [("20.00", None), ("10.00", None)], "5.00", None, "3.00", "32.00", {"shipping": "5.00", "discount": "3.00"},
    ),
    "a part of the discount is on the shipping (Shopify in the US)": (
        [("18.00", "2.00")], "5.00", "1.50", "5.00", "21.50",
        {"shipping": "5.00", "tax": "1.50", "discount": "3.00", "discount_included": "2.00"},
    ),
    "a fee of which nothing is told": ([("20.00", None)], "5.00", "4.75", None, "32.25", {"shipping": "5.00", "other_costs": "7.25"}),
    "a gift card": ([("20.00", None)], "5.00", "3.99", None, "10.00", {"shipping": "5.00", "other_deductions": "15.00"}),
    "finer than the currency": ([("3.3333", None)] * 3, None, None, None, "10.00", {"rounding": "0.01"}),
    "shipping is in the prices": ([("20.00", None)], "5.00", None, None, "20.00", {}),
    "sent for nothing": ([("20.00", None)], None, None, None, "0", {"other_deductions": "20.00"}),
    "no lines": ([], "5.00", "1.00", "2.00", "10.00", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_parts_are_read_as_the_channel_means_them(name: str) -> None:
    lines, shipping, tax, discount, total, shown = CASES[name]
    found = reckon(
        [Line(Decimal(one), euro(off)) for one, off in lines],
        Decimal(total),
        "EUR",
        shipping=euro(shipping),
        tax=euro(tax),
        discount=euro(discount),
    )
    parts = ("shipping", "tax", "discount", "other_costs", "other_deductions", "rounding", "tax_included")
    told = {one: getattr(found, one) for one in (*parts, "discount_included") if getattr(found, one) is not None}
    assert told == {one: Decimal(text) for one, text in shown.items()}
