"""Amazon by the Selling Partner API for Orders, 2026-01-01 and v0 (amazon_v0.py), told apart by their fields.

Source: selling-partner-api-models, models/orders-api-model/orders_2026-01-01.json. Amazon mails its buyers itself, so
no mail of ours is due (`notify`). It dates neither a cancellation (the time of change stands for it) nor an arrival,
and tells refunds in another API only. A line's total is its ITEM share less its own discount, without shipping; prices
follow the marketplace, without tax in the US and with it in Europe.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from data.channels import amazon_pull, amazon_terms, amazon_v0, documents, fields, standard_webhooks
from data.channels.channel import Channel, Delivery, Element, Ignored
from domain.orders import Order, OrderEvent, OrderKind, OrderLine, OrderStatus, OrderStep

# UNSHIPPED is "ready for shipment": the payment is authorised, and Amazon stands for it.
_STATUS = {
    "PENDING_AVAILABILITY": OrderStatus.PLACED,
    "PENDING": OrderStatus.PLACED,
    "UNSHIPPED": OrderStatus.PAID,
    "PARTIALLY_SHIPPED": OrderStatus.PAID,
    "SHIPPED": OrderStatus.SHIPPED,
    "CANCELLED": OrderStatus.CANCELLED,
    "UNFULFILLABLE": OrderStatus.CANCELLED,
}
_TOTAL = ("proceeds.grandTotal.amount", "proceeds.grandTotal.currencyCode", "salesChannel.marketplaceId")
_REPLACES = {"REPLACEMENT_ORIGINAL_ID", "EXCHANGE_ORIGINAL_ID"}
_NOT_UNDER_WAY = {"PENDING", "CANCELLED"}


def elements(body: bytes, _delivery: Delivery) -> Iterator[Element]:
    """Pages, single orders and notices of either version, whole or as JSON lines. Raises Unreadable."""
    return documents.elements(body, _orders_in)


def _orders_in(document: Any) -> list[Any]:
    document = standard_webhooks.content(document)
    if isinstance(document, Mapping) and isinstance(document.get("payload"), Mapping):
        document = document["payload"]  # v0 wraps every answer
    if isinstance(document, Mapping):
        for name in ("orders", "Orders"):
            if isinstance(document.get(name), list):
                return list(document[name])
        if isinstance(document.get("order"), Mapping):
            return [document["order"]]
    return document if isinstance(document, list) else [document]


def order(raw: Any, delivery: Delivery) -> Order | Ignored:
    """One order of either version. Raises Unfit."""
    if any(fields.find(raw, name) is not None for name in ("NotificationType", "notificationType")):
        return Ignored("a notice that an order changed, without the order: the next pull brings it")
    if amazon_v0.is_mine(raw):
        return amazon_v0.order(raw, delivery)
    external_id = fields.identifier(raw, "orderId")
    if fields.text(raw, "salesChannel.channelName") == "NON_AMAZON":
        return Ignored("sold elsewhere and only shipped by Amazon: it comes in by the channel that sold it")
    return _order(raw, external_id, delivery)


def _order(raw: Any, external_id: str, delivery: Delivery) -> Order | Ignored:
    word = fields.required_text(raw, "fulfillment.fulfillmentStatus")
    status = _STATUS.get(word)
    if status is None:
        raise amazon_terms.status_unknown("fulfillment.fulfillmentStatus", _STATUS)
    cancelled = status is OrderStatus.CANCELLED
    is_replacement, replaces = _original(raw)
    free = cancelled or is_replacement
    cost = amazon_terms.total(raw, _TOTAL, pending=status is OrderStatus.PLACED, free=free)
    if isinstance(cost, Ignored):
        return cost
    code, total = cost
    updated_at = fields.instant(raw, "lastUpdatedTime")
    items = fields.rows(raw, "orderItems")
    discount = _part(raw, items, "DISCOUNT")
    return Order(
        external_id=external_id,
        customer=amazon_terms.buyer(raw, "recipient.deliveryAddress.countryCode"),
        status=status,
        channel_status=word,
        currency=code,
        total=total,
        refunded=Decimal(0),
        placed_at=fields.instant(raw, "createdTime"),
        updated_at=updated_at,
        cancelled_at=updated_at if cancelled else None,
        is_test=False,
        lines=tuple(_line(number, item) for number, item in enumerate(items, start=1)),
        number=external_id,
        kind=OrderKind.REPLACEMENT if is_replacement else OrderKind.SALE,
        replaces=replaces,
        tax=_part(raw, items, "TAX"),
        shipping=_part(raw, items, "SHIPPING"),
        discount=None if discount is None else abs(discount),
        coupons=_promotions(items),
        events=(*_parcels(raw), *((_cancellation(items, updated_at),) if cancelled else ())),
        observed_at=delivery.observed_at,
        notify=False,
    )


def _original(raw: Any) -> tuple[bool, str | None]:
    """Is it a replacement, and of which order?"""
    for one in fields.rows(raw, "associatedOrders"):
        if fields.text(one, "associationType") in _REPLACES:
            return True, fields.optional_id(one, "orderId")
    return False, None


def _part(raw: Any, items: list[Any], kind: str) -> Decimal | None:
    """A part of the order's total; the order's own breakdown is the sum of its items', and may be left out."""
    if fields.rows(raw, "proceeds.breakdowns"):
        return _subtotal(raw, kind)
    return amazon_terms.sum_of([_subtotal(item, kind) for item in items])


def _subtotal(raw: Any, kind: str) -> Decimal | None:
    rows = [row for row in fields.rows(raw, "proceeds.breakdowns") if fields.text(row, "type") == kind]
    return amazon_terms.sum_of([fields.share(row, "subtotal.amount") for row in rows])


def _own_part(item: Any, kind: str) -> Decimal | None:
    """The part that concerns the goods themselves, not their shipping or wrapping, where Amazon tells them apart."""
    rows = [row for row in fields.rows(item, "proceeds.breakdowns") if fields.text(row, "type") == kind]
    details = [detail for row in rows for detail in fields.rows(row, "detailedBreakdowns")]
    own = [fields.share(detail, "value.amount") for detail in details if fields.text(detail, "subtype") == "ITEM"]
    return amazon_terms.sum_of(own) if details else _subtotal(item, kind)


def _line(number: int, item: Any) -> OrderLine:
    discount = _own_part(item, "DISCOUNT")
    quantity = fields.count(item, "quantityOrdered")
    price = _subtotal(item, "ITEM")
    if price is not None:
        # The model does not say whether a discount is negative; it never makes a thing dearer.
        total = price - abs(discount or Decimal(0))
    else:
        unit = fields.share(item, "product.price.unitPrice.amount") or Decimal(0)
        all_told = fields.share(item, "proceeds.proceedsTotal.amount")
        total = unit * quantity if all_told is None else all_told
    return OrderLine(
        line_no=number,
        sku=fields.optional_id(item, "product.sellerSku") or fields.identifier(item, "product.asin"),
        title=fields.text(item, "product.title"),
        category=None,
        quantity=quantity,
        total=total,
        external_id=fields.optional_id(item, "orderItemId"),
        discount=None if discount is None else abs(discount),
        tax=_own_part(item, "TAX"),
    )


def _promotions(items: list[Any]) -> tuple[str, ...]:
    ids = (fields.text(one, "promotionId") for item in items for one in fields.rows(item, "promotion.breakdowns"))
    return tuple(dict.fromkeys(one for one in ids if one))


def _parcels(raw: Any) -> Iterator[OrderEvent]:
    """Parcels on their way. Amazon lists them for orders that the merchant ships only."""
    for package in fields.rows(raw, "packages"):
        shipped_at = fields.optional_instant(package, "shipTime")
        if shipped_at is None or fields.text(package, "packageStatus.status") in _NOT_UNDER_WAY:
            continue
        yield OrderEvent(
            OrderStep.SHIPPED,
            shipped_at,
            reference=fields.optional_id(package, "packageReferenceId") or "",
            carrier=fields.text(package, "carrier"),
            tracking_number=fields.text(package, "trackingNumber"),
        )


def _cancellation(items: list[Any], at: datetime) -> OrderEvent:
    reasons = (fields.text(item, "cancellation.cancellationExecution.cancelReason") for item in items)
    return OrderEvent(OrderStep.CANCELLED, at, note=next((one for one in reasons if one), None))


CHANNEL = Channel(
    name="amazon",
    title="Amazon (Selling Partner API)",
    elements=elements,
    order=order,
    push=standard_webhooks.PUSH,
    pull=amazon_pull.PULL,
    mails_customers=True,
)
