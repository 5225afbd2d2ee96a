"""A shop drawn at random, as rows of the real tables and as plain values that an independent reckoning reads."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from data import database, tables
from data.features import refresh
from tests.conftest import NOW

DAY = timedelta(days=1)
CATEGORIES = ("tea", "toys", "books", "pots", None)
BRANDS = ("Acme", "Zenith", None)
COUPONS = ("SPRING10", "SPRING100", "VIP,spring10", None, None, None)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order."""

    sku: str
    category: str | None
    brand: str | None
    quantity: int


@dataclass(frozen=True, slots=True)
class Order:
    """One counted order; money in whole cents."""

    placed_at: datetime
    total: int
    refunded: int
    discount: int
    coupons: str | None
    channel: str
    lines: tuple[Line, ...]

    @property
    def net(self) -> int:
        return self.total - self.refunded


@dataclass(slots=True)
class Customer:
    """One customer with the counted orders, oldest first."""

    id: int
    country: str | None
    language: str | None
    orders: list[Order] = field(default_factory=list)
    cancelled: int = 0

    @property
    def first(self) -> datetime:
        return self.orders[0].placed_at

    @property
    def last(self) -> datetime:
        return self.orders[-1].placed_at

    @property
    def net(self) -> int:
        return sum(order.net for order in self.orders)

    @property
    def gap(self) -> float | None:
        """Mean days between orders."""
        count = len(self.orders) - 1
        return (self.last - self.first) / DAY / count if count else None

    @property
    def silent(self) -> int:
        return (NOW - self.last) // DAY

    def within(self, days: int) -> list[Order]:
        return [order for order in self.orders if order.placed_at > NOW - days * DAY]

    def bought(self, **words: str) -> list[Order]:
        """Orders with a line of these values."""
        return [
            order
            for order in self.orders
            if any(all(getattr(line, name) == value for name, value in words.items()) for line in order.lines)
        ]


def fill(engine: sa.Engine, account_id: str, *, customers: int = 400, seed: int = 11) -> list[Customer]:
    """Write the shop, refresh its features, and tell who bought what."""
    draw = random.Random(seed)
    people = [_customer(draw, number) for number in range(1, customers + 1)]
    with database.write(engine) as connection:
        connection.execute(
            tables.parties.insert(),
            [
                {
                    "id": one.id,
                    "account_id": account_id,
                    "external_id": f"c{one.id}",
                    "country": one.country,
                    "locale": one.language and f"{one.language}-XX",
                    "created_at": NOW,
                    "updated_at": NOW,
                }
                for one in people
            ],
        )
        for one in people:
            for number, order in enumerate(one.orders):
                _write(connection, account_id, one.id, f"{one.id}-{number}", order)
            for number in range(one.cancelled):
                _write(connection, account_id, one.id, f"{one.id}-c{number}", one.orders[0], "cancelled")
    refresh.refresh(engine, account_id=account_id, as_of=NOW, now=NOW)
    return people


def _customer(draw: random.Random, number: int) -> Customer:
    made = Customer(number, draw.choice(("DE", "AT", "FR", None)), draw.choice(("de", "fr", None)))
    made.cancelled = draw.choice((0, 0, 0, 1, 3))
    rhythm, discounts = draw.choice((7, 30, 60, 120)), draw.choice((0.0, 0.3, 1.0))
    taste = draw.sample(CATEGORIES, k=draw.choice((1, 2, 5)))
    # Now and then to the microsecond at the edge of a window.
    ago = draw.choice((0, 7, 14, 30, 60, 90, 180, 365)) * DAY if draw.random() < 0.3 else draw.uniform(0, 700) * DAY
    steady = draw.random() < 0.3
    for _ in range(draw.choice((1, 1, 1, 2, 2, 3, 4, 6, 9))):
        made.orders.append(_order(draw, NOW - ago, discounts, taste))
        ago += (rhythm if steady else draw.uniform(0.2, 2.5) * rhythm) * DAY
    made.orders.reverse()
    return made


def _order(draw: random.Random, placed_at: datetime, discounts: float, taste: list[str | None]) -> Order:
    total = draw.choice((1000, 2500, 5000, 9999, 10000, 20000, draw.randint(500, 40000)))
    reduced = draw.random() < discounts
    lines = tuple(
        Line(f"S{draw.randint(1, 6)}", draw.choice(taste), draw.choice(BRANDS), draw.randint(1, 3))
        for _ in range(draw.randint(1, 3))
    )
    refunded = total if draw.random() < 0.15 else 0
    coupons = draw.choice(COUPONS) if reduced else None
    return Order(placed_at, total, refunded, 100 if reduced else 0, coupons, draw.choice(("web", "till")), lines)


def _write(
    connection: sa.Connection, account_id: str, party_id: int, name: str, order: Order, status: str = "completed"
) -> None:
    values: dict[str, Any] = {
        "account_id": account_id,
        "channel": order.channel,
        "external_id": name,
        "party_id": party_id,
        "status": status,
        "channel_status": status,
        "currency": "USD",
        "total": Decimal(order.total).scaleb(-2),
        "refunded": Decimal(order.refunded).scaleb(-2),
        "discount": Decimal(order.discount).scaleb(-2),
        "coupons": order.coupons,
        "placed_at": order.placed_at,
        "updated_at": order.placed_at,
        "is_test": False,
        "content_hash": name,
    }
    order_id = connection.execute(tables.orders.insert().values(**values).returning(tables.orders.c.id)).scalar_one()
    connection.execute(
        tables.order_lines.insert(),
        [
            {
                "order_id": order_id,
                "line_no": number,
                "sku": line.sku,
                "category": line.category,
                "brand": line.brand,
                "quantity": line.quantity,
                "total": Decimal(1),
            }
            for number, line in enumerate(order.lines, 1)
        ],
    )
