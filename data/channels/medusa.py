"""Medusa v2, orders of its admin API.

Source: medusajs/medusa, packages/core/types/src/http/order. Amounts are in the currency's main unit and may be reckoned
finer than it (a tax of 2.0881): totals are rounded as a payment is, half up. They come as JSON numbers, or as Medusa's
BigNumber `{"value": "10.99", "precision": 20}`. A line's total is after its discount and with its tax.

Where a paid order was edited down, Medusa lowers `total` *and* counts what was given back in `refunded_total`; our
total is the one before refunds, so that part is added again (see `_before_refunds`). A deleted order is not told;
an archived one stays what it was.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from data.channels import documents, fields, medusa_pull, standard_webhooks
from data.channels.channel import Channel, Delivery, Element, Ignored, Unfit
from domain import money
from domain.consent import Consent, ConsentStatus
from domain.orders import Customer, Order, OrderEvent, OrderLine, OrderStatus, OrderStep

_STATUS = {"pending", "completed", "draft", "archived", "canceled", "cancelled", "requires_action"}
_PAYMENT = {
    *("not_paid", "awaiting", "authorized", "partially_authorized", "captured", "partially_captured"),
    *("partially_refunded", "refunded", "canceled", "requires_action"),
}
_FULFILLMENT = {
    *("not_fulfilled", "partially_fulfilled", "fulfilled", "partially_shipped", "shipped"),
    *("partially_delivered", "delivered", "canceled"),
}
_PAID = {"captured", "partially_refunded"}
_SHIPPED = {"shipped", "partially_delivered", "delivered"}
_CANCELLED = {"canceled", "cancelled"}
_CONSENT = {status.value: status for status in ConsentStatus}
_PEOPLE = ("customer", "shipping_address", "billing_address")


def elements(body: bytes, _delivery: Delivery) -> Iterator[Element]:
    """Pages, single orders and signed envelopes, whole or as JSON lines. Raises Unreadable."""
    return documents.elements(body, _orders_in)


def _orders_in(document: Any) -> list[Any]:
    document = standard_webhooks.content(document)
    if isinstance(document, Mapping) and isinstance(document.get("orders"), list):
        return list(document["orders"])
    if isinstance(document, Mapping) and isinstance(document.get("order"), Mapping):
        return [document["order"]]
    return document if isinstance(document, list) else [document]


def order(raw: Any, delivery: Delivery) -> Order | Ignored:
    """One order. Raises Unfit."""
    external_id = fields.identifier(raw, "id")
    word = _word(raw, "status", _STATUS)
    if word == "draft" or fields.flag(raw, "is_draft_order"):
        return Ignored("a draft: it is no order until somebody completes it")
    code = fields.currency(raw, "currency_code")
    placed_at, updated_at = fields.instant(raw, "created_at"), fields.instant(raw, "updated_at")
    refunded = _refunded(raw, code)
    status = _status_of(raw, word)
    cancelled_at = fields.optional_instant(raw, "canceled_at")
    if status is OrderStatus.CANCELLED and cancelled_at is None:
        cancelled_at = updated_at
    items = fields.rows(raw, "items")
    return Order(
        external_id=external_id,
        customer=_customer(raw, placed_at, delivery),
        status=status,
        channel_status="/".join(_words(raw)),
        currency=code,
        total=_before_refunds(raw, code, refunded),
        refunded=refunded,
        placed_at=placed_at,
        updated_at=updated_at,
        cancelled_at=cancelled_at,
        is_test=False,
        lines=tuple(_line(number, item) for number, item in enumerate(items, start=1)),
        number=fields.optional_id(raw, "custom_display_id") or fields.optional_id(raw, "display_id"),
        tax=_share(raw, "tax_total"),
        shipping=_share(raw, "shipping_total"),
        discount=_share(raw, "discount_total"),
        coupons=_coupons(raw),
        events=tuple(_events(raw, code, refunded, cancelled_at, updated_at)),
        observed_at=delivery.observed_at,
        notify=not fields.flag(raw, "no_notification"),
    )


def _word(raw: Any, path: str, known: set[str]) -> str:
    word = fields.required_text(raw, path)
    if word not in known:
        raise Unfit(
            "status_unknown",
            f"{path} is a word that Medusa does not document: patch it to the one that it means, and replay the order",
            (path,),
        )
    return word


def _words(raw: Any) -> list[str]:
    paths = ("status", "payment_status", "fulfillment_status")
    return [fields.text(raw, path) or "-" for path in paths]


def _status_of(raw: Any, word: str) -> OrderStatus:
    has = fields.text
    paid = _word(raw, "payment_status", _PAYMENT) if has(raw, "payment_status") else ""
    sent = _word(raw, "fulfillment_status", _FULFILLMENT) if has(raw, "fulfillment_status") else ""
    if word in _CANCELLED or fields.optional_instant(raw, "canceled_at"):
        return OrderStatus.CANCELLED
    if paid == "refunded":
        return OrderStatus.REFUNDED
    if word == "completed":
        return OrderStatus.COMPLETED
    if sent in _SHIPPED:
        return OrderStatus.SHIPPED
    return OrderStatus.PAID if paid in _PAID else OrderStatus.PLACED


def _decimal(raw: Any, path: str) -> Decimal | None:
    """A number, or what a BigNumber holds."""
    return fields.decimal(raw, f"{path}.value" if isinstance(fields.find(raw, path), Mapping) else path)


def _share(raw: Any, path: str) -> Decimal | None:
    return fields.share(raw, f"{path}.value" if isinstance(fields.find(raw, path), Mapping) else path)


def _money(raw: Any, path: str, code: str) -> Decimal | None:
    value = _decimal(raw, path)
    return None if value is None else value.quantize(Decimal(1).scaleb(-money.digits(code)), ROUND_HALF_UP)


def _refunded(raw: Any, code: str) -> Decimal:
    """Of the summary; where it is left out, of the transactions."""
    told = _money(raw, "summary.refunded_total", code)
    if told is not None:
        return told
    refunds = [one for one in fields.rows(raw, "transactions") if fields.text(one, "reference") == "refund"]
    return sum((abs(_money(one, "amount", code) or Decimal(0)) for one in refunds), Decimal(0))


def _before_refunds(raw: Any, code: str, refunded: Decimal) -> Decimal:
    """The total with what was refunded because an edit had lowered it: paid 100, edited to 60, 40 back is 100 less 40."""
    total = _money(raw, "total", code)
    if total is None:
        raise Unfit("total_missing", "total is empty: ask Medusa with fields=+total, as our own pull does", ("total",))
    paid = _money(raw, "summary.paid_total", code) or Decimal(0)
    return total + min(refunded, max(Decimal(0), paid - total))


def _customer(raw: Any, placed_at: datetime, delivery: Delivery) -> Customer:
    """Medusa keeps a customer without an account for each guest's address; the address alone tells who it is."""
    email = fields.text(raw, "email") or fields.text(raw, "customer.email")
    is_guest = fields.find(raw, "customer.has_account") is False and email is not None
    return Customer(
        external_id="" if is_guest else fields.optional_id(raw, "customer_id") or "",
        email=email,
        first_name=_of_person(raw, "first_name"),
        last_name=_of_person(raw, "last_name"),
        country=fields.country(raw, "shipping_address.country_code")
        or fields.country(raw, "billing_address.country_code"),
        consent=_consent(raw, placed_at, delivery),
        locale=fields.text(raw, "locale"),
    )


def _of_person(raw: Any, name: str) -> str | None:
    return next((found for one in _PEOPLE if (found := fields.text(raw, f"{one}.{name}"))), None)


def _consent(raw: Any, placed_at: datetime, delivery: Delivery) -> Consent | None:
    """What the shop's checkout wrote into the order's metadata, under the key that the connection names.

    true: given with the order. Or an object with `status` (granted, withdrawn), `at`, `source`, `basis`, `wording`,
    `level`. Anything else, also a box that was not ticked, says nothing.
    """
    metadata, key = fields.find(raw, "metadata"), delivery.options.get("consent_metadata_key")
    told = metadata.get(key) if isinstance(metadata, Mapping) and isinstance(key, str) else None
    if told is True:
        return Consent(ConsentStatus.GRANTED, "consent", "medusa checkout", "", placed_at)
    if not isinstance(told, Mapping):
        return None
    word = fields.required_text(told, "status")
    if word not in _CONSENT:
        raise Unfit("consent_unreadable", "the consent's status is neither granted nor withdrawn", ("metadata",))
    return Consent(
        status=_CONSENT[word],
        basis=fields.text(told, "basis") or "consent",
        source=fields.text(told, "source") or "medusa checkout",
        wording=fields.text(told, "wording") or "",
        occurred_at=fields.optional_instant(told, "at", zone=delivery.zone) or placed_at,
        level=fields.text(told, "level") or "",
    )


def _line(number: int, item: Any) -> OrderLine:
    quantity = fields.count(
        item, "quantity.value" if isinstance(fields.find(item, "quantity"), Mapping) else "quantity"
    )
    total = _share(item, "total")
    if total is None:
        total = (_share(item, "unit_price") or Decimal(0)) * quantity - (_share(item, "discount_total") or Decimal(0))
    ids = (fields.optional_id(item, name) for name in ("variant_sku", "variant_id", "product_id", "id"))
    return OrderLine(
        line_no=number,
        sku=next((one for one in ids if one), None) or fields.identifier(item, "id"),
        title=fields.text(item, "product_title") or fields.text(item, "title"),
        category=fields.text(item, "product_type"),
        quantity=quantity,
        total=total,
        external_id=fields.optional_id(item, "id"),
        discount=_share(item, "discount_total"),
        tax=_share(item, "tax_total"),
    )


def _coupons(raw: Any) -> tuple[str, ...]:
    parts = (*fields.rows(raw, "items"), *fields.rows(raw, "shipping_methods"))
    codes = (fields.text(one, "code") for part in parts for one in fields.rows(part, "adjustments"))
    return tuple(dict.fromkeys(one for one in codes if one))


def _events(
    raw: Any, code: str, refunded: Decimal, cancelled_at: datetime | None, updated_at: datetime
) -> Iterator[OrderEvent]:
    payments = list(_payments(raw, code))
    yield from payments
    if refunded and not any(one.step is OrderStep.REFUNDED for one in payments):
        yield OrderEvent(OrderStep.REFUNDED, updated_at, amount=refunded)
    for parcel in fields.rows(raw, "fulfillments"):
        if fields.optional_instant(parcel, "canceled_at") is None:
            yield from _parcel(parcel)
    if cancelled_at is not None:
        yield OrderEvent(OrderStep.CANCELLED, cancelled_at)


def _payments(raw: Any, code: str) -> Iterator[OrderEvent]:
    steps = {"capture": OrderStep.PAID, "refund": OrderStep.REFUNDED}
    for one in fields.rows(raw, "transactions"):
        step, amount = steps.get(fields.text(one, "reference") or ""), _money(one, "amount", code)
        if step is not None and amount is not None:
            reference = fields.optional_id(one, "reference_id") or fields.optional_id(one, "id") or ""
            yield OrderEvent(step, fields.instant(one, "created_at"), reference=reference, amount=abs(amount))


def _parcel(parcel: Any) -> Iterator[OrderEvent]:
    reference = fields.optional_id(parcel, "id") or ""
    shipped_at = fields.optional_instant(parcel, "shipped_at")
    if shipped_at is not None:
        for label in fields.rows(parcel, "labels") or [{}]:
            yield OrderEvent(
                OrderStep.SHIPPED,
                shipped_at,
                reference=reference,
                tracking_number=fields.text(label, "tracking_number"),
                tracking_url=fields.text(label, "tracking_url"),
            )
    if (delivered_at := fields.optional_instant(parcel, "delivered_at")) is not None:
        yield OrderEvent(OrderStep.DELIVERED, delivered_at, reference=reference)


CHANNEL = Channel(
    name="medusa",
    title="Medusa v2",
    elements=elements,
    order=order,
    push=standard_webhooks.PUSH,
    pull=medusa_pull.PULL,
)
