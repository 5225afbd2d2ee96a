"""The rows of orders and their lines: what is held of them, and how a decided state is written."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa

from data import bulk, tables
from domain import money
from domain.orders import Order

_STATE = (
    *("party_id", "status", "channel_status", "currency", "total", "refunded", "placed_at", "updated_at"),
    *("cancelled_at", "is_test", "content_hash"),
)
_LINE = ("order_id", "line_no", "sku", "title", "category", "quantity", "total")


@dataclass(frozen=True, slots=True)
class Known:
    """The state of an order that is held; `id` is None before its row is written."""

    id: int | None
    updated_at: datetime
    content_hash: str


@dataclass(frozen=True, slots=True)
class Placed:
    """An order to write, with its party's id and its content hash."""

    order: Order
    party_id: int
    content_hash: str


def content_hash(order: Order) -> str:
    """Equal for equal orders. Customer data are left out: exports add today's address to every old order."""
    content = [
        order.customer.external_id,
        order.status,
        order.currency,
        money.to_units(order.total),
        money.to_units(order.refunded),
        order.placed_at.astimezone(UTC),
        order.cancelled_at and order.cancelled_at.astimezone(UTC),
        order.is_test,
        *(
            [line.line_no, line.sku, line.title, line.category, line.quantity, money.to_units(line.total)]
            for line in sorted(order.lines, key=lambda line: line.line_no)
        ),
    ]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


def known(connection: sa.Connection, account_id: str, channel: str, external_ids: Iterable[str]) -> dict[str, Known]:
    """What is held of these orders, by external id."""
    orders = tables.orders.c
    query = sa.select(orders.external_id, orders.id, orders.updated_at, orders.content_hash).where(
        orders.account_id == account_id, orders.channel == channel, orders.external_id.in_(list(external_ids))
    )
    return {row.external_id: Known(row.id, row.updated_at, row.content_hash) for row in connection.execute(query)}


def write(
    connection: sa.Connection, account_id: str, channel: str, placed: Sequence[Placed], held: Mapping[str, Known]
) -> None:
    """Insert the orders that are not in `held`, bring the others to their new state, and replace all their lines."""
    new = [item for item in placed if item.order.external_id not in held]
    changed = [item for item in placed if item.order.external_id in held]
    bulk.insert_rows(
        connection,
        tables.orders,
        ("account_id", "channel", "external_id", *_STATE),
        ((account_id, channel, item.order.external_id, *_state(item)) for item in new),
    )
    inserted = known(connection, account_id, channel, [item.order.external_id for item in new])
    row_ids = {external_id: state.id for external_id, state in (*held.items(), *inserted.items())}
    if changed:
        _update(connection, changed, row_ids)
    lines = (
        (row_ids[item.order.external_id], line.line_no, line.sku, line.title, line.category, line.quantity, line.total)
        for item in placed
        for line in item.order.lines
    )
    bulk.insert_rows(connection, tables.order_lines, _LINE, lines)


def _update(connection: sa.Connection, changed: Sequence[Placed], row_ids: Mapping[str, int | None]) -> None:
    orders, lines = tables.orders, tables.order_lines
    values = [
        dict(zip(_STATE, _state(item), strict=True)) | {"row_id": row_ids[item.order.external_id]} for item in changed
    ]
    connection.execute(sa.update(orders).where(orders.c.id == sa.bindparam("row_id")), values)
    connection.execute(sa.delete(lines).where(lines.c.order_id.in_([value["row_id"] for value in values])))


def _state(item: Placed) -> tuple[Any, ...]:
    """The values of _STATE."""
    order = item.order
    return (
        item.party_id,
        order.status.value,
        order.channel_status,
        order.currency,
        order.total,
        order.refunded,
        order.placed_at,
        order.updated_at,
        order.cancelled_at,
        order.is_test,
        item.content_hash,
    )
