"""Orders as one writes them in an example: everything may be left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ExampleLine:
    """One line of an example's order. `total` is in the shop's currency; None: the order's total, shared evenly."""

    sku: str = "sku"
    title: str | None = None
    category: str | None = None
    brand: str | None = None
    quantity: int = 1
    total: float | None = None


@dataclass(frozen=True, slots=True)
class ExampleOrder:
    """One order of an example's customer, placed so many days before the instant that the example is judged at.

    What it bought is either said here, for an order of one line, or in `lines`.
    """

    days_ago: float = 0
    total: float = 10.0
    refunded: float = 0.0
    discount: float = 0.0
    coupon: str | None = None
    channel: str = "web"
    sku: str = "sku"
    title: str | None = None
    category: str | None = None
    brand: str | None = None
    quantity: int = 1
    lines: tuple[ExampleLine, ...] = ()


def order_of(said: Mapping[str, Any]) -> ExampleOrder:
    """The order that an example says. Raises TypeError for a name that an order does not have."""
    lines = tuple(ExampleLine(**line) for line in said.get("lines", ()))
    return ExampleOrder(**{**said, "lines": lines})
