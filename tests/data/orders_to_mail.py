"""Orders for mails about them, as rows of the store."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from data import database, tables

PLACED = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # in Berlin it is the next day already


def add(
    engine: sa.Engine,
    *,
    number: str | None = "#1001",
    lines: list[dict[str, Any]] | None = None,
    events: list[dict[str, Any]] | None = None,
    person: dict[str, Any] | None = None,
    channel: str = "csv",
    account_id: str = "shop",
    external_id: str = "1001",
    **facts: Any,
) -> int:
    """An order of Johanna's over two lines unless said otherwise; its id."""
    who = {
        "account_id": account_id,
        "external_id": f"c-{channel}-{external_id}",
        "email": "johanna@delivered.test",
        "address_hash": f"hash-{external_id}",
        "mailbox_provider": "other",
        "first_name": "Johanna",
        "last_name": "Lindqvist",
        "created_at": PLACED,
        "updated_at": PLACED,
        **(person or {}),
    }
    what = {
        "account_id": account_id,
        "channel": channel,
        "external_id": external_id,
        "status": "placed",
        "channel_status": "placed",
        "currency": "EUR",
        "total": Decimal("44.90"),
        "shipping": Decimal("4.90"),
        "refunded": Decimal(0),
        "placed_at": PLACED,
        "updated_at": PLACED,
        "is_test": False,
        "content_hash": "x",
        "number": number,
        **facts,
    }
    if lines is None:
        lines = [
            {"title": "Harbour Lights", "total": "27.90"},
            {"title": "Record brush", "quantity": 2, "total": "12.10"},
        ]
    with database.write(engine) as connection:
        party = connection.execute(tables.parties.insert().values(**who).returning(tables.parties.c.id)).scalar_one()
        order = tables.orders.insert().values(party_id=party, **what).returning(tables.orders.c.id)
        order_id = int(connection.execute(order).scalar_one())
        for place, one in enumerate(lines):
            line = {"sku": "x", "title": None, "quantity": 1, **one, "total": Decimal(one["total"])}
            connection.execute(tables.order_lines.insert().values(order_id=order_id, line_no=place, **line))
        for place, one in enumerate(events or []):
            event = {"at": PLACED, "reference": "", **one}
            connection.execute(tables.order_events.insert().values(order_id=order_id, position=place, **event))
    return order_id
