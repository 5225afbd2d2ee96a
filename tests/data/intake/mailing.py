"""Orders that ask for mail: raw ones of Shopify placed just now, the rules, and the intents that came of them."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from data import database, order_triggers, tables
from data.channels.connections import Connections
from data.message_rules import MessageRules
from data.order_triggers import TriggerBook
from tests.conftest import NOW
from tests.data.intake import raw

MINUTE = timedelta(minutes=1)
MESSAGES = {
    "placed": "order-confirmation",
    "paid": "payment-received",
    "shipped": "shipped",
    "delivered": "delivered",
    "refunded": "refunded",
    "cancelled": "order-cancelled",
}


def book(channels: dict[str, Any] | None = None, **about: Any) -> TriggerBook:
    """Rules of the account `shop`: everything is mailed, of the last two days."""
    section = {"since": NOW - timedelta(days=30), "messages": MESSAGES, "channels": channels or {}} | about
    file = MessageRules.model_validate({"accounts": {"shop": section}})
    return order_triggers.book(file, Connections(), None)


def order(number: int = 1001, minute: int = 0, **more: Any) -> dict[str, Any]:
    """An order of Shopify's, an hour old, as it was so many minutes after it was placed; not paid."""
    placed = NOW - timedelta(hours=1)
    about = {
        "created_at": placed.isoformat(),
        "processed_at": placed.isoformat(),
        "updated_at": (placed + minute * MINUTE).isoformat(),
        "financial_status": "pending",
    }
    return raw.shopify(number, **about | more)


def parcel(number: int, minute: int, *, delivered: int | None = None, tracking: int = 1) -> dict[str, Any]:
    """A fulfillment."""
    placed = NOW - timedelta(hours=1)
    found: dict[str, Any] = {
        "id": number,
        "status": "success",
        "created_at": (placed + minute * MINUTE).isoformat(),
        "tracking_numbers": [f"T{number}-{at}" for at in range(tracking)],
    }
    if delivered is not None:
        found |= {"shipment_status": "delivered", "updated_at": (placed + delivered * MINUTE).isoformat()}
    return found


def intents(engine: sa.Engine) -> list[tuple[str, str, str]]:
    """Order, step and reference of each, sorted."""
    message, order_ = tables.transactional_messages.c, tables.orders.c
    query = sa.select(order_.external_id, message.step, message.reference).join_from(
        tables.transactional_messages, tables.orders, order_.id == message.order_id
    )
    with database.read(engine) as connection:
        return sorted((number, step, reference or "") for number, step, reference in connection.execute(query))
