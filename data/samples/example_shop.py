"""A small shop for the length of a test: customers as lists of orders, in the real tables of a database of its own."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from data import database, tables
from data.features import refresh
from data.features.population import Customers
from domain.example_orders import ExampleLine, ExampleOrder
from domain.orders import OrderStatus

ACCOUNT = "example"
CURRENCY = "EUR"


@contextmanager
def opened(customers: Sequence[Sequence[ExampleOrder]], as_of: datetime) -> Iterator[Customers]:
    """The population of these customers as of an instant: party ids are 1, 2, 3 and so on, in their order.

    A customer without an order is nobody to a segment: he is in no frame.
    """
    with tempfile.TemporaryDirectory(prefix="example-shop-") as folder:
        engine = database.engine_for(f"sqlite:///{Path(folder) / 'shop.db'}")
        try:
            tables.metadata.create_all(engine)
            with database.write(engine) as connection:
                _fill(connection, customers, as_of)
            refresh.refresh(engine, account_id=ACCOUNT, as_of=as_of, now=as_of)
            yield Customers(engine, ACCOUNT)
        finally:
            engine.dispose()


def _fill(connection: sa.Connection, customers: Sequence[Sequence[ExampleOrder]], as_of: datetime) -> None:
    connection.execute(
        tables.accounts.insert().values(
            id=ACCOUNT,
            name="Example",
            currency=CURRENCY,
            timezone="UTC",
            postal_address="1 Example Street",
            sender_email="news@example.com",
            sender_name="Example",
            created_at=as_of,
        )
    )
    for party_id, orders in enumerate(customers, 1):
        connection.execute(
            tables.parties.insert().values(
                id=party_id, account_id=ACCOUNT, external_id=f"c{party_id}", created_at=as_of, updated_at=as_of
            )
        )
        for number, order in enumerate(orders):
            _add(connection, party_id, f"o{party_id}-{number}", order, as_of)


def _add(connection: sa.Connection, party_id: int, name: str, order: ExampleOrder, as_of: datetime) -> None:
    placed_at = as_of - timedelta(days=order.days_ago)
    made = connection.execute(
        tables.orders.insert().values(
            account_id=ACCOUNT,
            channel=order.channel,
            external_id=name,
            party_id=party_id,
            status=OrderStatus.COMPLETED.value,
            channel_status=OrderStatus.COMPLETED.value,
            currency=CURRENCY,
            total=_money(order.total),
            refunded=_money(order.refunded),
            discount=_money(order.discount),
            coupons=order.coupon,
            placed_at=placed_at,
            updated_at=placed_at,
            is_test=False,
            content_hash=name,
        )
    )
    (order_id,) = made.inserted_primary_key or (None,)
    rows = [_line(order_id, number, line, order) for number, line in enumerate(order.lines or (_only_line(order),), 1)]
    connection.execute(tables.order_lines.insert(), rows)


def _only_line(order: ExampleOrder) -> ExampleLine:
    return ExampleLine(order.sku, order.title, order.category, order.brand, order.quantity, order.total)


def _line(order_id: Any, number: int, line: ExampleLine, order: ExampleOrder) -> dict[str, Any]:
    shared = _money(order.total) / max(1, len(order.lines))
    return {
        "order_id": order_id,
        "line_no": number,
        "sku": line.sku,
        "title": line.title,
        "category": line.category,
        "brand": line.brand,
        "quantity": line.quantity,
        "total": round(shared, 4) if line.total is None else _money(line.total),
    }


def _money(amount: float) -> Decimal:
    return Decimal(str(amount))
