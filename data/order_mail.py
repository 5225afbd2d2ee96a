"""What a mail about an order says: its values, and who gets it, as they are when the mail is written.

An order that came in can be mailed: whatever its channel told (a title of ten lines, no line at all, a link that is none)
is made fit here, and nothing is refused for its looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from data import field_values, order_timeline, tables
from domain import order_sums
from domain.order_sums import Line
from domain.orders import OrderStatus

MOST_SHOWN = 60  # lines; of more, the mail says how many and what they cost: Gmail cuts a mail at 102 KB
_LONGEST_TITLE, _LONGEST_WORD = 160, 80
_NAMELESS = "–"


@dataclass(frozen=True, slots=True)
class OrderMail:
    """The customer's mailbox as it is now, the locale that she shops in, and the fields of templates about orders."""

    email: str | None
    address_hash: str | None
    mailbox_group: str | None
    locale: str | None
    values: dict[str, Any]
    is_off: bool = False  # cancelled, or deleted in its channel


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
    line, event = tables.order_lines, tables.order_events
    lines = connection.execute(sa.select(line).where(line.c.order_id == order_id).order_by(line.c.line_no)).all()
    events = connection.execute(sa.select(event).where(event.c.order_id == order_id).order_by(event.c.position)).all()
    zone = ZoneInfo(row.timezone)
    values = {
        "first_name": field_values.printable(row.first_name, _LONGEST_WORD),
        "last_name": field_values.printable(row.last_name, _LONGEST_WORD),
        "order_number": field_values.printable(row.number, _LONGEST_WORD)
        or field_values.printable(row.external_id, _LONGEST_WORD)
        or _NAMELESS,
        "ordered_on": row.placed_at.astimezone(zone).date(),
        **amounts(row, lines),
        **order_timeline.values(row, events, step=step, reference=reference, zone=zone),
    }
    return OrderMail(
        row.email,
        row.address_hash,
        row.mailbox_provider,
        field_values.known_locale(row.locale),
        {name: value for name, value in values.items() if value is not None},
        row.deleted_at is not None or row.status == OrderStatus.CANCELLED,
    )


def amounts(order: Any, lines: Sequence[Any]) -> dict[str, Any]:
    """The lines and what they add up to. What is shown makes the total, to the last cent."""
    sums = order_sums.reckon(
        [Line(one.total, one.discount) for one in lines],
        order.total,
        order.currency,
        shipping=order.shipping,
        tax=order.tax,
        discount=order.discount,
    )
    shown = len(lines) if len(lines) <= MOST_SHOWN + 1 else MOST_SHOWN  # "and 1 more" would take as much room
    parts = {
        "order_total": sums.total,
        "items_total": sums.items,
        "more_items_total": sum(sums.lines[shown:], Decimal(0)) if sums.lines[shown:] else None,
        "shipping_cost": sums.shipping,
        "tax": sums.tax,
        "discount": sums.discount,
        "other_costs": sums.other_costs,
        "other_deductions": sums.other_deductions,
        "rounding": sums.rounding,
        "tax_included": sums.tax_included,
        "discount_included": sums.discount_included,
    }
    items = zip(lines[:shown], sums.lines, strict=False)
    return {
        **{name: order_timeline.money(one, order.currency) for name, one in parts.items() if one is not None},
        "line_items": [_item(one, price, order.currency) for one, price in items],
        "more_items": len(lines) - shown or None,
    }


def _item(line: Any, price: Decimal, currency: str) -> dict[str, Any]:
    name = (
        field_values.printable(line.title, _LONGEST_TITLE)
        or field_values.printable(line.sku, _LONGEST_WORD)
        or _NAMELESS
    )
    # A line of no pieces is a discount or a fee: "0 ×" says nothing.
    return {"name": name, "quantity": line.quantity or None, "price": order_timeline.money(price, currency)}
