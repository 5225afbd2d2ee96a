"""Orders in one governed model, whatever channel they came from."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from domain.consent import Consent

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class OrderStatus(StrEnum):
    """A small closed set; the channel's own word is kept beside it."""

    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class OrderKind(StrEnum):
    """Only a sale is revenue. A replacement is sent for nothing; a credit gives money back for an order unnamed."""

    SALE = "sale"
    REPLACEMENT = "replacement"
    CREDIT = "credit"


class OrderStep(StrEnum):
    """What may happen to an order once it is placed."""

    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One entry of the order's timeline. `reference`: the channel's id of the refund or the parcel.

    `amount`: of a refund or a payment, positive, in the order's currency. A parcel may have a carrier and a tracking
    number. `note`: the channel's own word for a reason.
    """

    step: OrderStep
    at: datetime
    reference: str = ""
    amount: Decimal | None = None
    carrier: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """Who ordered, by the channel's own customer number; an empty one means a guest, known by the address alone.

    `relay`: the channel keeps the address to itself and forwards (Amazon). Such an address is no match key and is
    never mailed; adapters leave `email` empty then. `locale`: the language that the customer shops in, such as de-DE.
    """

    external_id: str
    email: str | None
    first_name: str | None = None
    last_name: str | None = None
    country: str | None = None
    consent: Consent | None = None
    locale: str | None = None
    relay: bool = False
    redacted: bool = False  # the channel erased the customer: what is known of him is erased here too


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One position of an order. `total` is what was charged for it after its own discount.

    Whether `total` holds the tax follows the channel's prices; `discount` and `tax` are None where it does not say.
    """

    line_no: int
    sku: str
    title: str | None
    category: str | None
    quantity: int
    total: Decimal
    external_id: str | None = None
    brand: str | None = None
    discount: Decimal | None = None
    tax: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One order at one time. Amounts are in `currency`; the `shop_` ones are the same in the shop's own currency.

    `total`: what the customer was to pay, before refunds. `refunded`: the sum of refunds so far, positive.
    `updated_at`, then `observed_at`, say which of two states is the newer one: `observed_at` is when the state was
    seen, where the channel tells (many count `updated_at` in whole seconds, and change an order twice in one).
    `notify`: whether transactional mail about it may be sent: not where the channel mails its customers itself.
    """

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
    number: str | None = None  # what the customer knows it by, such as #1001
    kind: OrderKind = OrderKind.SALE
    replaces: str | None = None  # external id of the order that a replacement or a credit belongs to
    tax: Decimal | None = None
    shipping: Decimal | None = None
    discount: Decimal | None = None  # positive
    coupons: tuple[str, ...] = ()
    shop_currency: str | None = None
    shop_total: Decimal | None = None
    shop_refunded: Decimal | None = None
    events: tuple[OrderEvent, ...] = ()
    observed_at: datetime | None = None
    notify: bool = True

    @property
    def version(self) -> tuple[datetime, datetime]:
        """Of two states of an order, the one with the larger version is the newer."""
        return self.updated_at, self.observed_at or _LONG_AGO


@dataclass(frozen=True, slots=True)
class Deletion:
    """The channel says that it deleted the order at that time. A state changed later brings it back."""

    external_id: str
    deleted_at: datetime
