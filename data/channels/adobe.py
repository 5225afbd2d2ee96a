"""Adobe Commerce and Magento Open Source 2.4, orders of the REST API.

Source: AdobeDocs/commerce-webapi, src/openapi/admin-schema-2.4.9.yaml, `sales-data-order-interface`. Our pull puts what
the API keeps apart into each order: `credit_memos`, `shipments` and `customer`.

- An order is known by `entity_id`, as everything else refers to it; `increment_id` is what people call it.
- `state` is a closed set and is mapped; `status` is the shop's own word and is kept beside it.
- Times are UTC without a zone (magento2 #24985). Amounts are JSON numbers; lines are without tax, after discount.
- The total is `grand_total` less `total_canceled`, unless the whole order was cancelled: what is never delivered was
  never to be paid, and Magento takes it out of no other figure.
- A product with variants comes as two rows: the parent has the price, the child repeats it as zero. Of a bundle either
  the parent has the price (fixed) or its children have (dynamic; the parent then repeats their sum).
- The newsletter subscription has no time. A grant counts from when the customer registered, so that it never overrides
  a later withdrawal. No subscription is a withdrawal as of when it was seen, with the basis `domain.consent.SEEN`:
  Magento does not tell who unsubscribed from who never subscribed, so the store counts it only against a grant that it
  has. One who subscribes again after that is mailed again once he says so by a way that has a time.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from data.channels import adobe_pull, documents, fields, standard_webhooks
from data.channels.channel import Channel, Delivery, Element, Unfit, utc
from domain.consent import SEEN, Consent, ConsentStatus
from domain.orders import Customer, Order, OrderEvent, OrderLine, OrderStatus, OrderStep

_STATE = {
    "new": OrderStatus.PLACED,
    "pending_payment": OrderStatus.PLACED,
    "payment_review": OrderStatus.PLACED,
    "holded": OrderStatus.PLACED,
    "processing": OrderStatus.PAID,
    "complete": OrderStatus.COMPLETED,
    "closed": OrderStatus.REFUNDED,
    "canceled": OrderStatus.CANCELLED,
    "cancelled": OrderStatus.CANCELLED,
}
_CANCELLED = {"canceled", "cancelled"}
_MEMO_CANCELLED = 3  # Magento\Sales\Model\Order\Creditmemo::STATE_CANCELED
_SHIPPING_ADDRESS = "extension_attributes.shipping_assignments.0.shipping.address"
_ADDRESSES = ("billing_address", _SHIPPING_ADDRESS)
_NEVER_SHIPPED = {"virtual", "downloadable", "giftcard"}
_ZERO = Decimal(0)


def elements(body: bytes, _delivery: Delivery) -> Iterator[Element]:
    """Search results, single orders and signed envelopes, whole or as JSON lines. Raises Unreadable."""
    return documents.elements(body, _orders_in)


def _orders_in(document: Any) -> list[Any]:
    document = standard_webhooks.content(document)
    # An order has `items` too, but they are not counted.
    if isinstance(document, Mapping) and "total_count" in document and isinstance(document.get("items"), list):
        return list(document["items"])
    if isinstance(document, Mapping) and isinstance(document.get("order"), Mapping):
        return [document["order"]]
    return document if isinstance(document, list) else [document]


def order(raw: Any, delivery: Delivery) -> Order:
    """One order. Raises Unfit."""
    external_id = fields.identifier(raw, "entity_id")
    state = fields.required_text(raw, "state")
    items = fields.rows(raw, "items")
    status = _status(raw, state, items)
    code = fields.currency(raw, "order_currency_code")
    shop_currency = fields.currency(raw, "base_currency_code") if fields.text(raw, "base_currency_code") else None
    placed_at, updated_at = _instant(raw, "created_at"), _instant(raw, "updated_at")
    refunded = _refunded(raw, code)
    cancelled_at = _cancelled_at(raw, updated_at) if status is OrderStatus.CANCELLED else None
    discount, coupon = fields.share(raw, "discount_amount"), fields.text(raw, "coupon_code")
    lost = _ZERO if status is OrderStatus.CANCELLED else fields.optional_amount(raw, "total_canceled", code) or _ZERO
    return Order(
        external_id=external_id,
        customer=_customer(raw, placed_at, utc(delivery.observed_at or updated_at)),
        status=status,
        channel_status=f"{state}/{fields.text(raw, 'status') or '-'}",
        currency=code,
        total=fields.amount(raw, "grand_total", code) - lost,
        refunded=refunded,
        placed_at=placed_at,
        updated_at=updated_at,
        cancelled_at=cancelled_at,
        is_test=False,
        lines=tuple(_line(number, item) for number, item in enumerate(_priced(items), start=1)),
        number=fields.optional_id(raw, "increment_id"),
        tax=fields.share(raw, "tax_amount"),
        shipping=fields.share(raw, "shipping_amount"),
        discount=None if discount is None else abs(discount),
        coupons=(coupon,) if coupon else (),
        shop_currency=shop_currency,
        shop_total=_shop_total(raw, status) if shop_currency else None,
        shop_refunded=(fields.share(raw, "base_total_refunded") or _ZERO) if shop_currency else None,
        events=tuple(_events(raw, code, refunded, cancelled_at, updated_at)),
        observed_at=delivery.observed_at,
    )


def _instant(raw: Any, path: str) -> datetime:
    return fields.instant(raw, path, zone=fields.UTC_ZONE)


def _status(raw: Any, state: str, items: list[Any]) -> OrderStatus:
    status = _STATE.get(state)
    if status is None:
        raise Unfit(
            "status_unknown",
            f"state is none of: {', '.join(sorted(_STATE))}. Patch it to the one that it means and replay it; a new state "
            "has to be declared in the adapter (a shop's own words belong into `status`)",
            ("state",),
        )
    if state == "holded" and (fields.decimal(raw, "total_paid") or _ZERO) > 0:
        return OrderStatus.PAID
    if state == "processing" and _is_all_shipped(items):
        return OrderStatus.SHIPPED
    return status


def _is_all_shipped(items: list[Any]) -> bool:
    """Has everything that goes by parcel gone? The rows above tell, not the parts of a bundle or of a variant."""
    goods = [item for item in _top(items) if fields.text(item, "product_type") not in _NEVER_SHIPPED]
    gone = [_quantity(item, "qty_shipped") for item in goods]
    return any(gone) and all(quantity >= _due(item) for quantity, item in zip(gone, goods, strict=True))


def _due(item: Any) -> Decimal:
    return _quantity(item, "qty_ordered") - _quantity(item, "qty_canceled") - _quantity(item, "qty_refunded")


def _quantity(item: Any, name: str) -> Decimal:
    return fields.decimal(item, name) or _ZERO


def _shop_total(raw: Any, status: OrderStatus) -> Decimal | None:
    total = fields.share(raw, "base_grand_total")
    if total is None or status is OrderStatus.CANCELLED:
        return total
    return total - (fields.share(raw, "base_total_canceled") or _ZERO)


def _refunded(raw: Any, code: str) -> Decimal:
    """The order's own sum; Magento leaves it out while there is none."""
    told = fields.optional_amount(raw, "total_refunded", code)
    if told is not None:
        return told
    return sum((fields.amount(memo, "grand_total", code) for memo in _memos(raw)), _ZERO)


def _memos(raw: Any) -> list[Any]:
    return [memo for memo in fields.rows(raw, "credit_memos") if fields.decimal(memo, "state") != _MEMO_CANCELLED]


def _cancelled_at(raw: Any, updated_at: datetime) -> datetime:
    """Of the order's history where it is there; else the time of change."""
    notes = [note for note in fields.rows(raw, "status_histories") if fields.text(note, "status") in _CANCELLED]
    return min((at for note in notes if (at := _optional_instant(note, "created_at"))), default=updated_at)


def _optional_instant(raw: Any, path: str) -> datetime | None:
    return fields.optional_instant(raw, path, zone=fields.UTC_ZONE)


def _customer(raw: Any, placed_at: datetime, seen_at: datetime) -> Customer:
    is_guest = fields.flag(raw, "customer_is_guest")
    countries = (fields.country(raw, f"{address}.country_id") for address in _ADDRESSES)
    return Customer(
        external_id="" if is_guest else fields.optional_id(raw, "customer_id") or "",
        email=fields.text(raw, "customer_email"),
        first_name=_name(raw, "firstname"),
        last_name=_name(raw, "lastname"),
        country=next((one for one in countries if one), None),
        consent=None if is_guest else _consent(raw, placed_at, seen_at),
    )


def _name(raw: Any, part: str) -> str | None:
    paths = (f"customer_{part}", *(f"{address}.{part}" for address in _ADDRESSES))
    return next((found for path in paths if (found := fields.text(raw, path))), None)


def _consent(raw: Any, placed_at: datetime, seen_at: datetime) -> Consent | None:
    """See the module: a grant counts from the registration, and no subscription from when it was seen."""
    path = "customer.extension_attributes.is_subscribed"
    if fields.find(raw, path) is None:
        return None
    if not fields.flag(raw, path):
        return Consent(ConsentStatus.WITHDRAWN, SEEN, "adobe", "", seen_at)
    registered_at = _optional_instant(raw, "customer.created_at")
    return Consent(ConsentStatus.GRANTED, "newsletter subscription", "adobe", "", registered_at or placed_at)


def _top(items: list[Any]) -> list[Any]:
    known = {fields.optional_id(item, "item_id") for item in items}
    return [item for item in items if fields.optional_id(item, "parent_item_id") not in known - {None}]


def _priced(items: list[Any]) -> Iterator[Any]:
    """The rows that carry the price, each amount once."""
    children: dict[str | None, list[Any]] = {}
    for item in items:
        children.setdefault(fields.optional_id(item, "parent_item_id"), []).append(item)
    for item in _top(items):
        own = fields.optional_id(item, "item_id")
        below = children.get(own, []) if own else []
        yield from below if any(fields.decimal(child, "row_total") for child in below) else [item]


def _line(number: int, item: Any) -> OrderLine:
    discount = fields.share(item, "discount_amount")
    # What a discount on prices with tax takes off the tax is added again, or the lines would not make up the total.
    compensation = fields.share(item, "discount_tax_compensation_amount") or _ZERO
    quantity = fields.count(item, "qty_ordered")
    total = fields.share(item, "row_total")
    if total is None:
        total = (fields.share(item, "price") or _ZERO) * quantity
    return OrderLine(
        line_no=number,
        sku=fields.optional_id(item, "sku") or fields.identifier(item, "product_id"),
        title=fields.text(item, "name"),
        category=None,
        quantity=quantity,
        total=total - abs(discount or _ZERO) + compensation,
        external_id=fields.optional_id(item, "item_id"),
        discount=None if discount is None else abs(discount),
        tax=fields.share(item, "tax_amount"),
    )


def _events(
    raw: Any, code: str, refunded: Decimal, cancelled_at: datetime | None, updated_at: datetime
) -> Iterator[OrderEvent]:
    memos = _memos(raw)
    for memo in memos:
        amount = fields.amount(memo, "grand_total", code)
        yield OrderEvent(OrderStep.REFUNDED, _instant(memo, "created_at"), _reference(memo), amount)
    if refunded and not memos:
        yield OrderEvent(OrderStep.REFUNDED, updated_at, amount=refunded)
    for shipment in fields.rows(raw, "shipments"):
        for track in fields.rows(shipment, "tracks") or [{}]:
            yield OrderEvent(
                OrderStep.SHIPPED,
                _instant(shipment, "created_at"),
                reference=_reference(shipment),
                carrier=fields.text(track, "title") or fields.text(track, "carrier_code"),
                tracking_number=fields.text(track, "track_number"),
            )
    if cancelled_at is not None:
        yield OrderEvent(OrderStep.CANCELLED, cancelled_at)


def _reference(document: Any) -> str:
    return fields.optional_id(document, "increment_id") or fields.optional_id(document, "entity_id") or ""


CHANNEL = Channel(
    name="adobe",
    title="Adobe Commerce and Magento 2.4",
    elements=elements,
    order=order,
    push=standard_webhooks.PUSH,
    pull=adobe_pull.PULL,
)
