"""Shopify: REST order JSON as webhooks and the REST Admin API send it, and order nodes of the Admin GraphQL API.

A GraphQL node is first brought into REST's words (shopify_graphql), so there is one reading of an order. Its money is
in shopify_money, its events are in shopify_timeline, and the pull, which is GraphQL's, is in shopify_pull. Sources:
shopify-api-ruby test/rest/2026_07/order_test.rb; shopify.dev: admin-graphql/latest/objects/Order, and its webhooks.

Shopify has no word for a replacement or an exchange (tags are the shop's own), so every order is a sale. Only `test`
says that an order is a test: the name of the gateway does not.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from data.channels import documents, fields, shopify_graphql, shopify_money, shopify_pull, shopify_timeline
from data.channels.channel import Channel, Delivery, Element, Ignored, Push, PushMeta, Unfit, Unreadable, Urgency, utc
from data.channels.shopify_money import Currencies, id_text
from domain.consent import Consent, ConsentStatus
from domain.orders import Customer, Deletion, Order, OrderStatus

_DELETED = "orders/delete"
_OF_AN_ORDER = ("total_price", "total_price_set", "totalPriceSet", "line_items", "lineItems")
# Their bodies are orders. Those of orders/edited, refunds/* and fulfillments/* are not; orders/updated comes with each.
_ORDER_TOPICS = {
    *("orders/create", "orders/updated", "orders/paid", "orders/cancelled"),
    *("orders/fulfilled", "orders/partially_fulfilled"),
}
_URGENT = _ORDER_TOPICS | {"orders/edited", "refunds/create", "fulfillments/create", "fulfillments/update"}
_FINANCIAL = {
    **dict.fromkeys(("pending", "authorized", "expired", "partially_paid"), OrderStatus.PLACED),
    **dict.fromkeys(("paid", "partially_refunded"), OrderStatus.PAID),
    "refunded": OrderStatus.REFUNDED,
    "voided": OrderStatus.CANCELLED,  # the payment was called off, and there will be none
}
# REST's words, GraphQL's, and "pending", which Shopify's own test notifications have.
_FULFILLED = "fulfilled"
_FULFILLMENT = {
    *("unfulfilled", "partial", _FULFILLED, "restocked", "pending", "open", "in_progress", "on_hold", "scheduled"),
    *("pending_fulfillment", "request_declined"),
}
_WITHDRAWN = {"unsubscribed", "redacted", "invalid"}
_REDACTED = "redacted"


def elements(body: bytes, _delivery: Delivery) -> Iterator[Element]:
    """One order, a list of them, {"order"} or {"orders"} of REST, a page or a node of GraphQL, or a line for each."""
    try:
        document = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        if b"\n" in body.strip():
            yield from documents.elements(body, _cut)
            return
        raise Unreadable("this is no JSON: send the order as Shopify sends it, in UTF-8") from error
    for position, raw in enumerate(_cut(document), 1):
        yield Element(position, raw)


def _cut(document: Any) -> list[Any]:
    if isinstance(document, list):
        return document
    inner = fields.find(document, "data")
    inner = inner if isinstance(inner, Mapping) else document
    if isinstance(inner, Mapping):
        for name in ("orders", "nodes"):
            if name in inner:
                return shopify_graphql.nodes(inner[name])
        if "order" in inner:
            return [inner["order"]]
        if "errors" in inner and "id" not in inner:
            raise Unreadable("Shopify answers with errors instead of orders: look into them and ask again")
    return [inner]


def order(raw: Any, delivery: Delivery) -> Order | Deletion | Ignored:
    """Convert one raw order of either API.

    A deletion is its id alone. The topic is in a header, which the signature does not cover, so it deletes nothing
    whose body is an order.
    """
    if delivery.topic == _DELETED:
        number = id_text(raw, "id")
        if number is None:
            raise Unfit("id_missing", "id is empty, so nobody knows which order was deleted: send it", ("id",))
        if told := next((name for name in _OF_AN_ORDER if name in raw), None):
            raise _deletion_with_an_order(told)
        return Deletion(number, utc(delivery.observed_at or delivery.received_at))
    if delivery.topic and delivery.topic not in _ORDER_TOPICS:
        return Ignored(f"a notice of {delivery.topic} is no order; what it changes in one comes with orders/updated")
    if not isinstance(raw, Mapping):
        raise Unfit("not_an_order", "this is no JSON object, so it cannot be an order: send the order as it was")
    if not shopify_graphql.is_node(raw):
        return _order(raw, delivery)
    try:
        return _order(shopify_graphql.as_rest(raw), delivery)
    except Unfit as unfit:
        raise shopify_graphql.in_its_words(unfit, raw) from unfit


def _deletion_with_an_order(told: str) -> Unfit:
    return Unfit(
        "deletion_with_an_order",
        f"the topic {_DELETED}, which is not signed, came with an order ({told}), and a deletion holds an id alone: "
        "nothing was deleted. Discard this if Shopify still has the order; else have it send the deletion again",
        (told,),
    )


def _order(raw: Any, delivery: Delivery) -> Order:
    number = id_text(raw, "id")
    if number is None:
        raise Unfit("id_missing", "id is empty, and an order cannot do without it", ("id",))
    currencies = Currencies.of(raw)
    placed_at = fields.optional_instant(raw, "processed_at") or fields.instant(raw, "created_at")
    updated_at = fields.optional_instant(raw, "updated_at") or placed_at
    cancelled_at = fields.optional_instant(raw, "cancelled_at")
    financial, fulfillment = _words(raw)
    refunds = shopify_money.refunds(raw, currencies, otherwise=updated_at)
    totals = shopify_money.totals(raw, currencies, refunds, is_cancelled=cancelled_at is not None)
    found = Order(
        external_id=number,
        customer=_customer(raw, delivery, placed_at, updated_at),
        status=_status(financial, fulfillment, cancelled_at, fields.optional_instant(raw, "closed_at")),
        channel_status=f"{financial}/{fulfillment}",
        currency=currencies.order,
        total=totals.total,
        refunded=totals.refunded,
        placed_at=placed_at,
        updated_at=updated_at,
        cancelled_at=cancelled_at,
        is_test=fields.flag(raw, "test"),
        lines=shopify_money.lines(raw, currencies, totals.removals),
        number=fields.text(raw, "name"),
        tax=totals.tax,
        shipping=fields.share(raw, currencies.path(raw, "total_shipping_price")),
        discount=totals.discount,
        coupons=_coupons(raw),
        shop_currency=currencies.shop,
        shop_total=totals.shop_total,
        shop_refunded=totals.shop_refunded,
        observed_at=delivery.observed_at,
    )
    return replace(found, events=shopify_timeline.events(raw, found, currencies, refunds))


def _words(raw: Any) -> tuple[str, str]:
    """Shopify's two words. No fulfillment means that none has begun (REST); no financial status says nothing."""
    financial = fields.required_text(raw, "financial_status")
    fulfillment = fields.text(raw, "fulfillment_status") or "unfulfilled"
    for path, word, known in (
        ("financial_status", financial, _FINANCIAL.keys()),
        ("fulfillment_status", fulfillment, _FULFILLMENT),
    ):
        if word not in known:
            raise Unfit(
                "status_unknown",
                f"{path} is none of: {', '.join(sorted(known))}. Patch it to the one that it means and "
                "replay it; a new word of Shopify's has to be declared in its adapter",
                (path,),
            )
    return financial, fulfillment


def _status(financial: str, fulfillment: str, cancelled_at: datetime | None, closed_at: datetime | None) -> OrderStatus:
    """Shopify closes an order once all is sent and paid, and a shop may close any: only the former is completed."""
    if cancelled_at:
        return OrderStatus.CANCELLED
    paid = _FINANCIAL[financial]
    if paid not in {OrderStatus.PLACED, OrderStatus.PAID} or fulfillment != _FULFILLED:
        return paid
    return OrderStatus.COMPLETED if closed_at and paid is OrderStatus.PAID else OrderStatus.SHIPPED


def _coupons(raw: Any) -> tuple[str, ...]:
    codes = (fields.text(raw, f"discount_codes.{at}.code") for at in range(len(fields.rows(raw, "discount_codes"))))
    return tuple(code for code in codes if code)


def _customer(raw: Any, delivery: Delivery, placed_at: datetime, updated_at: datetime) -> Customer:
    """Of a customer whom Shopify has erased only the number is left, to find by it the person to be erased here."""
    number = id_text(raw, "customer.id") or ""
    consent = _consent(raw, delivery, placed_at, updated_at)
    if fields.find(raw, "customer.email_marketing_consent.state") == _REDACTED:
        return Customer(number, None, consent=consent, redacted=True)
    return Customer(
        external_id=number,
        email=fields.text(raw, "email") or fields.text(raw, "contact_email") or fields.text(raw, "customer.email"),
        first_name=fields.text(raw, "customer.first_name") or fields.text(raw, "billing_address.first_name"),
        last_name=fields.text(raw, "customer.last_name") or fields.text(raw, "billing_address.last_name"),
        country=fields.country(raw, "billing_address.country_code")
        or fields.country(raw, "shipping_address.country_code")
        or fields.country(raw, "customer.default_address.country_code"),
        consent=consent,
        locale=fields.text(raw, "customer_locale"),
    )


def _consent(raw: Any, delivery: Delivery, placed_at: datetime, updated_at: datetime) -> Consent | None:
    """The customer's state decides where it is said; the box at checkout counts alone only where it is not.

    A grant without a time is the one at checkout or none at all. A withdrawal without one holds as of when it was seen.
    """
    told = "customer.email_marketing_consent"
    at = fields.optional_instant(raw, f"{told}.consent_updated_at")
    at_checkout = placed_at if fields.flag(raw, "buyer_accepts_marketing") else None
    if fields.find(raw, told) is None:
        state, at = "subscribed" if at_checkout else "", at_checkout
    else:
        state = fields.text(raw, f"{told}.state") or ""
    level = fields.text(raw, f"{told}.opt_in_level") or ""
    if state in _WITHDRAWN:
        status, at = ConsentStatus.WITHDRAWN, at or utc(delivery.observed_at or updated_at)
    elif state == "subscribed" and (at or at_checkout):
        status = ConsentStatus.GRANTED
    else:
        return None
    return Consent(
        status=status,
        basis="consent",
        source="shopify",
        wording=str(delivery.options.get("consent_wording", "")),
        occurred_at=at or placed_at,
        level="" if level == "unknown" else level,
    )


def _verify(headers: Mapping[str, str], body: bytes, secret: str, _now: datetime) -> bool:
    """Base64 of HMAC-SHA256 over the raw body (shopify.dev, webhooks: verify)."""
    signature = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256))
    said = headers.get("x-shopify-hmac-sha256", "").encode(errors="replace")
    return bool(secret) and hmac.compare_digest(signature, said)


def _meta(headers: Mapping[str, str], _body: bytes, _now: datetime) -> PushMeta:
    """`delivery_id`: X-Shopify-Webhook-Id is one delivery's; X-Shopify-Event-Id is shared by all topics of one event."""
    topic = headers.get("x-shopify-topic", "")
    try:
        observed_at = fields.optional_instant(headers, "x-shopify-triggered-at")
    except Unfit:
        observed_at = None
    return PushMeta(
        topic=topic,
        observed_at=observed_at,
        delivery_id=headers.get("x-shopify-webhook-id") or headers.get("x-shopify-event-id", ""),
        urgency=Urgency.NOW if topic in _URGENT else Urgency.USUAL,
    )


CHANNEL = Channel(
    name="shopify",
    title="Shopify",
    elements=elements,
    order=order,
    push=Push(verify=_verify, meta=_meta),
    pull=shopify_pull.PULL,
)
