"""A look at a raw order that could not be read: what it is about, for its priority and for whoever works on it.

A best guess, by the names that channels give to such things; what cannot be told is None. Nothing is decided by it but
the order in which people look at dead letters, and which later state of an order ends one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from data.channels import fields, mapped_parts
from data.channels.channel import Unfit
from data.channels.mapped_parts import Part
from data.channels.mapping import Mapping
from data.channels.mapping_values import Terms
from domain import money
from domain.orders import Order

_ID = ("legacyResourceId", "AmazonOrderId", "orderId", "entity_id", "order_id", "id", "InvoiceNo", "OrderId")
_UPDATED = (
    "updated_at",
    "updatedAt",
    "date_modified_gmt",
    "lastUpdatedTime",
    "LastUpdateDate",
    "placed_at",
    "created_at",
)
# In the currency of the order, where a channel tells two.
_TOTAL = (
    *("total_price_set.presentment_money.amount", "total_price", "totalPriceSet.presentmentMoney.amount"),
    *("proceeds.grandTotal.amount", "OrderTotal.Amount", "grand_total", "order_total", "total", "total.value"),
)
_CURRENCY = (
    *("presentment_currency", "currency", "currencyCode", "currency_code", "order_currency_code"),
    *("proceeds.grandTotal.currencyCode", "OrderTotal.CurrencyCode"),
)
_GID = "gid://"  # gid://shopify/Order/123; other shops' numbers such as 2026/123 stay whole
_EMAIL = ("email", "contact_email", "customer.email", "billing.email", "customer_email")


@dataclass(frozen=True, slots=True)
class Glance:
    """What a raw order seems to be about."""

    external_id: str | None = None
    updated_at: datetime | None = None
    amount: Decimal | None = None
    currency: str | None = None
    email: str | None = None


def at_order(order: Order) -> Glance:
    """The same of an order that could be read."""
    return Glance(order.external_id, order.updated_at, order.total, order.currency, order.customer.email)


def at_payload(payload: Any, mapping: Mapping | None = None, zone: ZoneInfo = fields.UTC_ZONE) -> Glance:
    """Look at a raw order; of one that came as rows at the first.

    `mapping`: where the shop declared one, and then `zone` is that of times without one.
    """
    if mapping is not None:
        return _by_mapping(payload, mapping, zone)
    raw = payload[0] if isinstance(payload, list) and payload else payload
    external_id = _first(raw, _ID, fields.optional_id)
    return Glance(
        external_id=external_id.rpartition("/")[2] if external_id and external_id.startswith(_GID) else external_id,
        updated_at=_first(raw, _UPDATED, lambda one, path: fields.optional_instant(one, path, zone=fields.UTC_ZONE)),
        amount=_first(raw, _TOTAL, fields.decimal),
        currency=_first(raw, _CURRENCY, _code),
        email=_first(raw, _EMAIL, fields.text),
    )


def _by_mapping(payload: Any, mapping: Mapping, zone: ZoneInfo) -> Glance:
    """What the mapping finds, field by field: others than the one that made the order unfit."""
    rows = [row for row in (payload if isinstance(payload, list) else [payload]) if isinstance(row, dict)]
    if not rows:
        return Glance()
    terms = Terms(mapping.own_zone or zone, mapping.decimal, mapping.thousands)
    order, customer = Part(mapping.order, rows, terms), Part(mapping.customer, rows, terms)
    currency = _code({"code": _found(order, "currency")}, "code")
    priced = order._replace(terms=terms._replace(currency=currency or ""))
    return Glance(
        external_id=_found(order, "external_id"),
        updated_at=_found(order, "updated_at") or _found(order, "placed_at"),
        amount=_total(mapping, priced) if currency else None,
        currency=currency,
        email=_found(customer, "email"),
    )


def _total(mapping: Mapping, order: Part) -> Decimal | None:
    if not mapping.order.total.computed:
        amount: Decimal | None = _found(order, "total")
        return amount
    try:
        return sum(
            (line.total for line in mapped_parts.lines(mapping, order.rows, order.terms, credit=True)), Decimal(0)
        )
    except Unfit:
        return None


def _found(part: Part, name: str) -> Any:
    try:
        return part.get(name)
    except Unfit:
        return None


def _code(raw: Any, path: str) -> str | None:
    text = fields.text(raw, path)
    try:
        return money.check_currency(text) if text else None
    except money.InvalidAmount:
        return None


def _first(raw: Any, paths: Iterable[str], read: Any) -> Any:
    for path in paths:
        try:
            value = read(raw, path)
        except Unfit:
            continue
        if value is not None:
            return value
    return None
