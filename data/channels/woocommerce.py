"""WooCommerce: orders of REST API v3, as its webhooks and GET /wp-json/wc/v3/orders send them.

Sources: woocommerce-rest-api-docs, source/includes/wp-api-v3 (_orders.md, _order-refunds.md, _webhooks.md).
What WooCommerce does not say is taken from when the order last changed: when a refund was made (an order's own list of
refunds has no dates) and when an order was cancelled. `date_created` and its like are in the site's zone and without
an offset; the same with `_gmt` behind it in UTC, which is preferred.

Options of a connection: `consent_meta_key` (where a plugin keeps the consent of the checkout) and `consent_wording`;
`statuses` (a shop's own status → ours, such as {"packed": "paid"}); `test_gateways` (payment methods of test orders).
"""

import html
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from data.channels import documents, fields, woocommerce_pull, woocommerce_push
from data.channels.channel import Channel, Delivery, Element, Ignored, Origin, Unfit, Unreadable, utc
from domain.consent import Consent, ConsentStatus
from domain.orders import Customer, Deletion, Order, OrderEvent, OrderLine, OrderStatus, OrderStep

_DECLINED = "failed"
_STATUS = {
    "pending": OrderStatus.PLACED,
    "on-hold": OrderStatus.PLACED,
    "processing": OrderStatus.PAID,
    "completed": OrderStatus.COMPLETED,
    "cancelled": OrderStatus.CANCELLED,
    "refunded": OrderStatus.REFUNDED,
    _DECLINED: OrderStatus.CANCELLED,  # nothing will be sent; nobody cancelled it either
}
_DRAFTS = {"checkout-draft", "auto-draft", "draft"}
_GRANTED, _SILENT = {"1", "yes", "true", "on"}, {"", "0", "no", "false", "off"}
# Which plugin notes in an order that it was paid in test mode: WooPayments, PayPal Payments.
_TEST_MODES = (("_wcpay_mode", {"test", "dev"}), ("_ppcp_paypal_payment_mode", {"sandbox"}))
_PARCELS = "_wc_shipment_tracking_items"  # of the plugins Shipment Tracking and Advanced Shipment Tracking
_NOTHING = Decimal(0)
_DELETED = "order.deleted"
_OF_AN_ORDER = ("total", "line_items")


def elements(body: bytes, _delivery: Delivery) -> Iterator[Element]:
    """One order, a page of them, or a line for each."""
    try:
        document = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        if b"\n" in body.strip():
            yield from documents.elements(body, _cut)
            return
        raise Unreadable("this is no JSON: send the order as WooCommerce's REST API does, in UTF-8") from error
    for position, raw in enumerate(_cut(document), 1):
        yield Element(position, raw)


def _cut(document: Any) -> list[Any]:
    return document if isinstance(document, list) else [document]


def order(raw: Any, delivery: Delivery) -> Order | Deletion | Ignored:
    """Convert one raw order.

    A deletion (order.deleted) is its id alone. The topic is in a header, which the signature does not cover, so it
    deletes nothing whose body is an order.
    """
    if delivery.topic and not delivery.topic.startswith("order."):
        return Ignored(f"a notice of {delivery.topic} is no order")
    if not isinstance(raw, Mapping):
        raise Unfit("not_an_order", "this is no JSON object, so it cannot be an order: send the order as it was")
    number = fields.identifier(raw, "id")
    if delivery.topic == _DELETED:
        if told := next((name for name in _OF_AN_ORDER if name in raw), None):
            raise _deletion_with_an_order(told)
        return Deletion(number, utc(delivery.observed_at or delivery.received_at))
    status = fields.required_text(raw, "status").removeprefix("wc-")
    if status in _DRAFTS:
        return Ignored("a draft is no order yet")
    if status == "trash":
        return Deletion(number, _time(raw, "date_modified", delivery) or utc(delivery.received_at))
    return _order(raw, delivery, number, status)


def _deletion_with_an_order(told: str) -> Unfit:
    return Unfit(
        "deletion_with_an_order",
        f"the topic {_DELETED}, which is not signed, came with an order ({told}), and a deletion holds an id alone: "
        "nothing was deleted. Discard this if the shop still has the order; else have it send the deletion again",
        (told,),
    )


def _order(raw: Any, delivery: Delivery, number: str, word: str) -> Order:
    currency = fields.currency(raw, "currency")
    status = _status(word, delivery)
    placed_at = _time(raw, "date_created", delivery)
    if placed_at is None:
        raise Unfit(
            "placed_at_missing", "date_created_gmt and date_created are empty: patch one in", ("date_created_gmt",)
        )
    updated_at = _time(raw, "date_modified", delivery) or placed_at
    total = fields.optional_amount(raw, "total", currency)
    if total is None:
        raise Unfit("total_missing", "total is empty, and without it nobody knows what the order cost", ("total",))
    cancelled_at = updated_at if status is OrderStatus.CANCELLED and word != _DECLINED else None
    refunds = _refunds(raw, currency, updated_at)
    refunded = sum((one.amount or _NOTHING for one in refunds), _NOTHING)
    if not refunds and status is OrderStatus.REFUNDED:
        refunded = total  # set by hand: the status is all that says it
    return Order(
        external_id=number,
        customer=_customer(raw, delivery, placed_at),
        status=status,
        channel_status=word,
        currency=currency,
        total=total,
        refunded=refunded,
        placed_at=placed_at,
        updated_at=updated_at,
        cancelled_at=cancelled_at,
        is_test=_is_test(raw, delivery),
        lines=_lines(raw),
        number=fields.text(raw, "number"),
        tax=fields.share(raw, "total_tax"),
        shipping=fields.share(raw, "shipping_total"),
        discount=fields.share(raw, "discount_total"),
        coupons=_coupons(raw),
        events=_events(raw, delivery, refunds, cancelled_at),
        # WooCommerce builds a notice's body when it delivers it; a page is read when it is asked for.
        observed_at=utc(delivery.received_at) if delivery.origin is Origin.PUSH else delivery.observed_at,
    )


def _status(word: str, delivery: Delivery) -> OrderStatus:
    own = delivery.options.get("statuses")
    meant = own.get(word) if isinstance(own, Mapping) else None
    if meant in set(OrderStatus):
        return OrderStatus(meant)
    if word not in _STATUS:
        raise Unfit(
            "status_unknown",
            f"status is none of: {', '.join(sorted(_STATUS))}. Patch it to the one that it means, or declare it under "
            f"options.statuses of this connection as one of: {', '.join(OrderStatus)}; then replay",
            ("status",),
        )
    return _STATUS[word]


def _time(raw: Any, name: str, delivery: Delivery) -> datetime | None:
    in_utc = fields.optional_instant(raw, f"{name}_gmt", zone=fields.UTC_ZONE)
    return in_utc or fields.optional_instant(raw, name, zone=delivery.zone)


def _lines(raw: Any) -> tuple[OrderLine, ...]:
    """`total` is after discounts and without tax, which WooCommerce keeps apart whatever the shop's prices hold."""
    found = []
    for at in range(len(fields.rows(raw, "line_items"))):
        path = f"line_items.{at}"
        total, before = fields.share(raw, f"{path}.total"), fields.share(raw, f"{path}.subtotal")
        if total is None:
            raise Unfit("line_total_missing", f"{path}.total is empty: what was charged?", (f"{path}.total",))
        found.append(
            OrderLine(
                line_no=at + 1,
                sku=_sku(raw, path),
                title=html.unescape(fields.text(raw, f"{path}.name") or "") or None,  # comes with &ndash; and &times;
                category=None,
                quantity=fields.count(raw, f"{path}.quantity"),
                total=total,
                external_id=fields.optional_id(raw, f"{path}.id"),
                discount=None if before is None else before - total,
                tax=fields.share(raw, f"{path}.total_tax"),
            )
        )
    return tuple(found)


def _sku(raw: Any, path: str) -> str:
    """Where the shop gives none, the number of the variation or product: a line has to be told from another."""
    numbers = (fields.optional_id(raw, f"{path}.{name}") for name in ("variation_id", "product_id"))
    return fields.text(raw, f"{path}.sku") or next((one for one in numbers if one and one != "0"), "")


def _coupons(raw: Any) -> tuple[str, ...]:
    codes = (fields.text(raw, f"coupon_lines.{at}.code") for at in range(len(fields.rows(raw, "coupon_lines"))))
    return tuple(code for code in codes if code)


def _refunds(raw: Any, currency: str, updated_at: datetime) -> list[OrderEvent]:
    """An order's list has a negative `total`, the refunds endpoint a positive `amount` and a date of its own."""
    found = []
    for at in range(len(fields.rows(raw, "refunds"))):
        path = f"refunds.{at}"
        name = "total" if fields.find(raw, f"{path}.total") is not None else "amount"
        amount = abs(fields.amount(raw, f"{path}.{name}", currency))
        when = fields.optional_instant(raw, f"{path}.date_created_gmt", zone=fields.UTC_ZONE) or updated_at
        found.append(OrderEvent(OrderStep.REFUNDED, when, fields.optional_id(raw, f"{path}.id") or "", amount))
    return found


def _events(
    raw: Any, delivery: Delivery, refunds: list[OrderEvent], cancelled_at: datetime | None
) -> tuple[OrderEvent, ...]:
    events = [*refunds, *_parcels(raw)]
    if paid_at := _time(raw, "date_paid", delivery):
        events.append(OrderEvent(OrderStep.PAID, paid_at))
    if completed_at := _time(raw, "date_completed", delivery):
        events.append(OrderEvent(OrderStep.COMPLETED, completed_at))
    if cancelled_at:
        events.append(OrderEvent(OrderStep.CANCELLED, cancelled_at))
    return tuple(sorted(events, key=lambda event: event.at))


def _meta(raw: Any, key: str) -> str | None:
    """Where the entry of that key is in meta_data, as a path; the last one of several holds."""
    rows = fields.rows(raw, "meta_data")
    found = [at for at, row in enumerate(rows) if row.get("key") == key]
    return f"meta_data.{found[-1]}.value" if found else None


def _parcels(raw: Any) -> Iterator[OrderEvent]:
    """One event a parcel. `date_shipped` is in seconds since 1970, as text or number."""
    path = _meta(raw, _PARCELS)
    for at in range(len(fields.rows(raw, path)) if path and fields.find(raw, path) != "" else 0):
        one = f"{path}.{at}"
        seconds = fields.decimal(raw, f"{one}.date_shipped")
        if seconds is None:
            continue  # a parcel that is packed and not sent
        try:
            shipped_at = datetime.fromtimestamp(int(seconds), UTC)
        except (OverflowError, OSError, ValueError) as error:
            field = f"{one}.date_shipped"
            raise Unfit("date_shipped_unreadable", f"{field} is no time in seconds since 1970", (field,)) from error
        yield OrderEvent(
            OrderStep.SHIPPED,
            shipped_at,
            fields.text(raw, f"{one}.tracking_id") or "",
            carrier=fields.text(raw, f"{one}.custom_tracking_provider") or fields.text(raw, f"{one}.tracking_provider"),
            tracking_number=fields.text(raw, f"{one}.tracking_number"),
            tracking_url=fields.text(raw, f"{one}.custom_tracking_link"),
        )


def _is_test(raw: Any, delivery: Delivery) -> bool:
    for key, words in _TEST_MODES:
        path = _meta(raw, key)
        if path and fields.text(raw, path) in words:
            return True
    gateways = delivery.options.get("test_gateways")
    return isinstance(gateways, list | tuple) and fields.text(raw, "payment_method") in gateways


def _customer(raw: Any, delivery: Delivery, placed_at: datetime) -> Customer:
    number = fields.optional_id(raw, "customer_id") or ""
    return Customer(
        external_id="" if number == "0" else number,
        email=fields.text(raw, "billing.email"),
        first_name=fields.text(raw, "billing.first_name"),
        last_name=fields.text(raw, "billing.last_name"),
        country=fields.country(raw, "billing.country") or fields.country(raw, "shipping.country"),
        consent=_consent(raw, delivery, placed_at),
    )


def _consent(raw: Any, delivery: Delivery, placed_at: datetime) -> Consent | None:
    """WooCommerce knows none. A box that was not ticked is no withdrawal."""
    key = delivery.options.get("consent_meta_key")
    path = _meta(raw, key) if isinstance(key, str) and key else None
    if path is None:
        return None
    value = fields.find(raw, path)
    said = str(value).strip().lower() if isinstance(value, str | int) else ""
    if said not in _GRANTED | _SILENT:
        raise Unfit("consent_unreadable", f"{path} is neither yes nor no: is consent_meta_key the right one?", (path,))
    if said in _SILENT:
        return None
    return Consent(
        status=ConsentStatus.GRANTED,
        basis="consent",
        source="woocommerce",
        wording=str(delivery.options.get("consent_wording", "")),
        occurred_at=placed_at,
    )


CHANNEL = Channel(
    name="woocommerce",
    title="WooCommerce",
    elements=elements,
    order=order,
    push=woocommerce_push.PUSH,
    pull=woocommerce_pull.PULL,
)
