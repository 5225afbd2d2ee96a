"""What a mail about an order says: its values, and who gets it, as they are when the mail is written."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from data import tables


@dataclass(frozen=True, slots=True)
class OrderMail:
    """The customer's mailbox as it is now, the locale that she shops in, and the fields of templates about orders."""

    email: str | None
    address_hash: str | None
    mailbox_group: str | None
    locale: str | None
    values: dict[str, Any]


def of_order(connection: sa.Connection, order_id: int, *, step: str | None, reference: str | None) -> OrderMail:
    """Read all of it. `step` and `reference`: which entry of the timeline the mail is about, such as a parcel."""
    order, party, account = tables.orders, tables.parties, tables.accounts
    row: Any = connection.execute(
        sa.select(
            order,
            *(party.c.email, party.c.address_hash, party.c.mailbox_provider, party.c.locale),
            *(party.c.first_name, party.c.last_name, account.c.timezone),
        )
        .select_from(
            order.join(party, party.c.id == order.c.party_id).join(account, account.c.id == order.c.account_id)
        )
        .where(order.c.id == order_id)
    ).one()
    zone = ZoneInfo(row.timezone)
    values = {
        "first_name": row.first_name,
        "last_name": row.last_name,
        "order_number": row.number or row.external_id,
        "ordered_on": row.placed_at.astimezone(zone).date(),
        "order_total": _money(row.total, row.currency),
        "shipping_cost": _money(row.shipping, row.currency) if row.shipping else None,
        "line_items": list(_lines(connection, order_id, row.currency)),
        **_of_step(connection, order_id, step, reference, zone),
    }
    return OrderMail(
        row.email,
        row.address_hash,
        row.mailbox_provider,
        row.locale,
        {name: value for name, value in values.items() if value is not None},
    )


def _money(amount: Decimal, currency: str) -> dict[str, str]:
    return {"amount": str(amount), "currency": currency}


def _lines(connection: sa.Connection, order_id: int, currency: str) -> Iterator[dict[str, Any]]:
    line = tables.order_lines
    for row in connection.execute(sa.select(line).where(line.c.order_id == order_id).order_by(line.c.line_no)):
        yield {"name": row.title or row.sku, "quantity": row.quantity, "price": _money(row.total, currency)}


def _of_step(
    connection: sa.Connection, order_id: int, step: str | None, reference: str | None, zone: ZoneInfo
) -> dict[str, Any]:
    """What the entry of the timeline adds: the parcel's carrier and number, the day."""
    event = tables.order_events
    found: Any = connection.execute(
        sa.select(event)
        .where(event.c.order_id == order_id, event.c.step == step)
        .order_by(event.c.reference != (reference or ""), event.c.position)
        .limit(1)
    ).one_or_none()
    if found is None:
        return {}
    named = {"shipped": "shipped_on", "delivered": "delivered_on"}.get(found.step)
    return {
        **({named: found.at.astimezone(zone).date()} if named else {}),
        "carrier": found.carrier,
        "tracking_number": found.tracking_number,
        "tracking_url": found.tracking_url,
    }
