"""A small shop for tests of rules: orders of a few dozen customers, drawn at random, as rows and as plain values."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from data import database, tables
from data.features import refresh
from tests.conftest import NOW
from tests.data import ledger_rows

# Names that break statements which are put together from text, and such as differ in case only.
NASTY = (
    *("a'b", 'a"b', "100%", "%", "_", "50_off", "back\\slash", "\\'", "{x}", "{0.__class__}", "%s", "%(x)s", ":x"),
    *(
        "'; DROP TABLE orders; --",
        "' OR '1'='1",
        "$1",
        "?",
        "/",
        "/*",
        "`ls`",
        "$(ls)",
        "{{ 7*7 }}",
        "__import__('os')",
    ),
)
CATEGORIES = (None, "toys", "Toys", "TOYS", "Bücher", "BÜCHER", "bücher", "ÉTÉ", "Été", "books", *NASTY)
COUPONS = (None, "SAVE10", "save10,Welcome", "50%_OFF", "a'b", "back\\slash,{x}", "Ü5")
CHANNELS = ("web", "Shopify", "till's")


@dataclass(frozen=True, slots=True)
class Order:
    """One counted order, as an independent reckoning reads it."""

    customer: int
    placed_at: datetime
    net: Decimal
    coupons: str | None
    channel: str
    lines: tuple[tuple[str, str | None, str | None], ...]  # SKU, category, brand


def fill(engine: sa.Engine, account_id: str, *, customers: int = 40, seed: int = 7) -> dict[int, list[Order]]:
    """Write the shop; the counted orders of each party id. Cancelled, test and future orders are written besides."""
    draw = random.Random(seed)
    with database.write(engine) as connection:
        party_ids = ledger_rows.add_parties(connection, account_id, customers)
        shop: dict[int, list[Order]] = {}
        for number in range(customers * 5):
            order = _order(draw, draw.choice(party_ids), number)
            void = draw.choice(["", "", "", "", "", "cancelled", "test", "future"]) if order.customer in shop else ""
            _write(connection, account_id, number, order, void)
            if not void:
                shop.setdefault(order.customer, []).append(order)
    refresh.refresh(engine, account_id=account_id, as_of=NOW, now=NOW)
    return shop


def _order(draw: random.Random, customer: int, number: int) -> Order:
    days = draw.choice([0, 1, 6, 7, 20, 30, 31, 44, 45, 46, 89, 90, 91, 200, 365, 400])
    # Now and then to the microsecond at the edge of a window.
    placed = NOW - timedelta(days=days, microseconds=draw.choice([0, 0, 1, 3_600_000_000]))
    lines = tuple(
        (f"sku-{draw.choice(NASTY)}", draw.choice(CATEGORIES), draw.choice(CATEGORIES))
        for _ in range(draw.randint(0, 3))
    )
    net = Decimal(draw.randint(0, 40)) * Decimal("12.35")
    return Order(customer, placed, net, draw.choice(COUPONS), draw.choice(CHANNELS), lines)


def _write(connection: sa.Connection, account_id: str, number: int, order: Order, void: str) -> None:
    refunded = Decimal("5.10")
    placed = order.placed_at if void != "future" else NOW + timedelta(days=1)
    values: dict[str, Any] = {
        "account_id": account_id,
        "channel": order.channel,
        "external_id": str(number),
        "party_id": order.customer,
        "status": "cancelled" if void == "cancelled" else "paid",
        "channel_status": "paid",
        "currency": "USD",
        "total": order.net + refunded,
        "refunded": refunded,
        "placed_at": placed,
        "updated_at": placed,
        "is_test": void == "test",
        "content_hash": str(number),
        "coupons": order.coupons,
    }
    order_id = connection.execute(tables.orders.insert().values(**values).returning(tables.orders.c.id)).scalar_one()
    rows = [
        {"order_id": order_id, "line_no": n, "sku": s, "category": c, "brand": b, "quantity": 1, "total": Decimal(1)}
        for n, (s, c, b) in enumerate(order.lines, 1)
    ]
    if rows:
        connection.execute(tables.order_lines.insert(), rows)
