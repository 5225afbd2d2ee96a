"""A look at a raw order that could not be read: what it is about, for its priority and for whoever works on it.

A best guess, by the names that channels give to such things; what cannot be told is None. Nothing is decided by it but
the order in which people look at dead letters, and which later state of an order ends one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from data.channels import fields
from data.channels.channel import Unfit
from domain import money
from domain.orders import Order

_ID = ("legacyResourceId", "AmazonOrderId", "orderId", "entity_id", "order_id", "id", "InvoiceNo", "OrderId")
_UPDATED = ("updated_at", "updatedAt", "date_modified_gmt", "lastUpdatedTime", "LastUpdateDate", "placed_at", "created_at")
_TOTAL = (
    *("total_price", "currentTotalPriceSet.presentmentMoney.amount", "totalPriceSet.presentmentMoney.amount"),
    *("proceeds.grandTotal.amount", "OrderTotal.Amount", "grand_total", "order_total", "total"),
)
_CURRENCY = (
    *("presentment_currency", "currency", "currencyCode", "currency_code", "order_currency_code"),
    *("proceeds.grandTotal.currencyCode", "OrderTotal.CurrencyCode"),
)
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


def at_payload(payload: Any) -> Glance:
    """Look at a raw order; of one that came as rows at the first."""
    raw = payload[0] if isinstance(payload, list) and payload else payload
    external_id = _first(raw, _ID, fields.optional_id)
    return Glance(
        external_id=external_id.rpartition("/")[2] if external_id else None,  # gid://shopify/Order/123
        updated_at=_first(raw, _UPDATED, lambda one, path: fields.optional_instant(one, path, zone=fields.UTC_ZONE)),
        amount=_first(raw, _TOTAL, fields.decimal),
        currency=_first(raw, _CURRENCY, _code),
        email=_first(raw, _EMAIL, fields.text),
    )


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
