"""What an order's parts add up to: the amounts of a receipt, each rounded as it is shown, and together the total.

Channels differ in whether prices hold the tax, whether the order's discount is taken off the lines already, and in costs
that they tell of nowhere but in the total. So the parts are read in the way that makes the total; where none does, what
is left stands there by itself, under a name that claims nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import product

from domain import money

_NOTHING = Decimal(0)
_PARTS = 3  # each of which may be half a unit off, as each line may


@dataclass(frozen=True, slots=True)
class Line:
    """What one line costs after its own discount, and that discount where it is known."""

    total: Decimal
    discount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """items + shipping + tax + other_costs - discount - other_deductions + rounding = total.

    None of them is there where it is nothing. `tax_included` and `discount_included` are in the others already.
    """

    lines: tuple[Decimal, ...]
    total: Decimal
    items: Decimal | None = None
    shipping: Decimal | None = None
    tax: Decimal | None = None
    discount: Decimal | None = None
    other_costs: Decimal | None = None
    other_deductions: Decimal | None = None
    rounding: Decimal | None = None
    tax_included: Decimal | None = None
    discount_included: Decimal | None = None


@dataclass(frozen=True, slots=True)
class _Reading:
    """What of the parts is added to the lines, or taken off them."""

    tax: Decimal
    discount: Decimal
    shipping: Decimal

    @property
    def sum(self) -> Decimal:
        return self.tax + self.shipping - self.discount


def reckon(
    lines: Sequence[Line],
    total: Decimal,
    currency: str,
    *,
    shipping: Decimal | None,
    tax: Decimal | None,
    discount: Decimal | None,
) -> Sums:
    """The amounts of the receipt. An order without lines has its total and nothing else."""
    unit = Decimal(1).scaleb(-money.digits(currency))
    total, shown = rounded(total, currency), tuple(rounded(one.total, currency) for one in lines)
    if not lines:
        return Sums((), total)
    items = sum(shown, _NOTHING)
    levied, taken, carried = (max(rounded(one or _NOTHING, currency), _NOTHING) for one in (tax, discount, shipping))
    inside = [one.discount for one in lines if one.discount is not None]
    beyond = max(taken - rounded(sum(inside, _NOTHING), currency), _NOTHING) if inside else _NOTHING
    best = min(
        _readings(levied, taken, carried, beyond), key=lambda one: abs(total - items - one.sum)
    )  # of equal ones the first
    left = total - items - best.sum
    if abs(left) > unit * (len(lines) + _PARTS) / 2:
        return _unexplained(shown, total, items, carried)
    return Sums(
        shown,
        total,
        items,
        shipping=best.shipping or None,
        tax=best.tax or None,
        discount=best.discount or None,
        rounding=left or None,
        tax_included=levied - best.tax or None,
        discount_included=taken - best.discount or None,
    )


def _readings(tax: Decimal, discount: Decimal, shipping: Decimal, beyond: Decimal) -> Iterator[_Reading]:
    """The usual ones first. `beyond`: what of the discount is in no line, such as what was taken off the shipping."""
    for carried, taken, added in product((shipping, _NOTHING), (_NOTHING, beyond, discount), (_NOTHING, tax)):
        yield _Reading(added, taken, carried)


def _unexplained(shown: tuple[Decimal, ...], total: Decimal, items: Decimal, shipping: Decimal) -> Sums:
    """Nobody knows what the rest is: fees, tips, taxes, a gift card."""
    left = total - items - shipping
    return Sums(
        shown,
        total,
        items,
        shipping=shipping or None,
        other_costs=left if left > 0 else None,
        other_deductions=-left if left < 0 else None,
    )


def rounded(amount: Decimal, currency: str) -> Decimal:
    """As it is paid: half a unit up."""
    return amount.quantize(Decimal(1).scaleb(-money.digits(currency)), ROUND_HALF_UP)
