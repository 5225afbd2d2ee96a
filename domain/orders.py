"""Orders in one governed model, whatever channel they came from."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from domain.consent import Consent


class OrderStatus(StrEnum):
    """A small closed set; the channel's own word is kept beside it."""

    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class Customer:
    """Who ordered, by the shop's own customer number; an empty one means a guest, known by the address alone."""

    external_id: str
    email: str | None
    first_name: str | None = None
    last_name: str | None = None
    country: str | None = None
    consent: Consent | None = None


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One position of an order; `total` is what was charged for it."""

    line_no: int
    sku: str
    title: str | None
    category: str | None
    quantity: int
    total: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """One order. `refunded` is the sum of refunds so far, as a positive amount."""

    external_id: str
    customer: Customer
    status: OrderStatus
    channel_status: str  # the channel's own word
    currency: str
    total: Decimal
    refunded: Decimal
    placed_at: datetime
    updated_at: datetime
    cancelled_at: datetime | None
    is_test: bool
    lines: tuple[OrderLine, ...]
