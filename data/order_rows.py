"""The rows of orders, their lines and timelines: what is held of them, and how a decided state is written."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

import orjson
import sqlalchemy as sa

from data import bulk, database, tables
from domain import money
from domain.orders import Deletion, Order

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_STATE = (
    *("party_id", "status", "channel_status", "currency", "total", "refunded", "placed_at", "updated_at"),
    *("cancelled_at", "is_test", "content_hash", "number", "kind", "replaces", "tax", "shipping", "discount"),
    *("coupons", "shop_currency", "shop_total", "shop_refunded", "observed_at", "deleted_at", "notify"),
)
_LINE = (
    *("order_id", "line_no", "sku", "title", "category", "quantity", "total"),
    *("external_id", "brand", "discount", "tax"),
)
_EVENT = (
    *("order_id", "position", "step", "at", "reference", "amount"),
    *("carrier", "tracking_number", "tracking_url", "note"),
)
_of_line = attrgetter("line_no", *_LINE[2:])
_of_event = attrgetter(*_EVENT[2:])


@dataclass(frozen=True, slots=True)
class Known:
    """The state of an order that is held; `id` is None before its row is written."""

    id: int | None
    version: tuple[datetime, datetime]
    content_hash: str


@dataclass(frozen=True, slots=True)
class Placed:
    """An order to write, with its party's id and its content hash."""

    order: Order
    party_id: int
    content_hash: str


def content_hash(order: Order) -> str:
    """Equal for equal orders. Customer data are left out: exports add today's address to every old order."""
    content = (
        order.customer.external_id,
        order.status,
        order.currency,
        money.to_units(order.total),
        money.to_units(order.refunded),
        order.placed_at,
        order.cancelled_at,
        order.is_test,
        order.kind,
        order.replaces,
        _units(order.tax),
        _units(order.shipping),
        _units(order.discount),
        order.coupons,
        _units(order.shop_total),
        _units(order.shop_refunded),
        [
            (line.line_no, line.sku, line.title, line.category, line.quantity, money.to_units(line.total))
            for line in sorted(order.lines, key=lambda line: line.line_no)
        ],
        [
            (event.step, event.at, event.reference, _units(event.amount), event.tracking_number)
            for event in order.events
        ],
    )
    return hashlib.blake2b(orjson.dumps(content), digest_size=16).hexdigest()


def _units(amount: Any) -> int | None:
    return None if amount is None else money.to_units(amount)


def known(connection: sa.Connection, account_id: str, channel: str, external_ids: Iterable[str]) -> dict[str, Known]:
    """What is held of these orders, by external id."""
    orders = tables.orders.c
    query = sa.select(orders.external_id, orders.id, orders.updated_at, orders.observed_at, orders.content_hash).where(
        orders.account_id == account_id, orders.channel == channel, orders.external_id.in_(list(external_ids))
    )
    return {
        row.external_id: Known(row.id, (row.updated_at, row.observed_at or _LONG_AGO), row.content_hash)
        for row in connection.execute(query)
    }


def write(
    connection: sa.Connection, account_id: str, channel: str, placed: Sequence[Placed], held: Mapping[str, Known]
) -> None:
    """Insert the orders that are not in `held`, bring the others to their new state, and replace all that is theirs."""
    gone = deletions(connection, account_id, channel, [item.order.external_id for item in placed])
    new = [item for item in placed if item.order.external_id not in held]
    changed = [item for item in placed if item.order.external_id in held]
    bulk.insert_rows(
        connection,
        tables.orders,
        ("account_id", "channel", "external_id", *_STATE),
        ((account_id, channel, item.order.external_id, *_state(item, gone)) for item in new),
    )
    inserted = known(connection, account_id, channel, [item.order.external_id for item in new])
    row_ids = {external_id: state.id for external_id, state in (*held.items(), *inserted.items())}
    if changed:
        _update(connection, changed, row_ids, gone)
    bulk.insert_rows(connection, tables.order_lines, _LINE, _lines(placed, row_ids))
    bulk.insert_rows(connection, tables.order_events, _EVENT, _events(placed, row_ids))


def _lines(placed: Sequence[Placed], row_ids: Mapping[str, int | None]) -> Iterator[tuple[Any, ...]]:
    for item in placed:
        order_id = row_ids[item.order.external_id]
        for line in item.order.lines:
            yield (order_id, *_of_line(line))


def _events(placed: Sequence[Placed], row_ids: Mapping[str, int | None]) -> Iterator[tuple[Any, ...]]:
    for item in placed:
        order_id = row_ids[item.order.external_id]
        for position, event in enumerate(item.order.events, start=1):
            yield (order_id, position, *_of_event(event))


def _update(
    connection: sa.Connection,
    changed: Sequence[Placed],
    row_ids: Mapping[str, int | None],
    gone: Mapping[str, datetime],
) -> None:
    values = [
        dict(zip(_STATE, _state(item, gone), strict=True)) | {"row_id": row_ids[item.order.external_id]}
        for item in changed
    ]
    orders = tables.orders
    connection.execute(sa.update(orders).where(orders.c.id == sa.bindparam("row_id")), values)
    for table in (tables.order_lines, tables.order_events):
        connection.execute(sa.delete(table).where(table.c.order_id.in_([value["row_id"] for value in values])))


def note_seen(connection: sa.Connection, seen: Mapping[int, datetime]) -> None:
    """These states (by row id) were seen again later, unchanged."""
    if seen:
        orders = tables.orders
        connection.execute(
            sa.update(orders).where(orders.c.id == sa.bindparam("row_id")),
            [{"row_id": row_id, "observed_at": at} for row_id, at in seen.items()],
        )


def _state(item: Placed, gone: Mapping[str, datetime]) -> tuple[Any, ...]:
    """The values of _STATE."""
    order = item.order
    deleted_at = gone.get(order.external_id)
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
        order.number,
        order.kind.value,
        order.replaces,
        order.tax,
        order.shipping,
        order.discount,
        ",".join(order.coupons) or None,
        order.shop_currency,
        order.shop_total,
        order.shop_refunded,
        order.observed_at,
        deleted_at if deleted_at is not None and deleted_at >= order.updated_at else None,
        order.notify,
    )


def deletions(
    connection: sa.Connection, account_id: str, channel: str, external_ids: Iterable[str]
) -> dict[str, datetime]:
    """Which of these orders the channel deleted, and when."""
    gone = tables.order_deletions.c
    query = sa.select(gone.external_id, gone.deleted_at).where(
        gone.account_id == account_id, gone.channel == channel, gone.external_id.in_(list(external_ids))
    )
    return {row.external_id: row.deleted_at for row in connection.execute(query)}


def delete(connection: sa.Connection, account_id: str, channel: str, gone: Sequence[Deletion]) -> int:
    """Note deletions; return how many were news. The order's row stays: what was deleted is out of all figures."""
    newest = {one.external_id: one for one in sorted(gone, key=lambda one: one.deleted_at)}
    held = deletions(connection, account_id, channel, newest)
    news = [one for one in newest.values() if one.external_id not in held or one.deleted_at > held[one.external_id]]
    if not news:
        return 0
    table, orders = tables.order_deletions, tables.orders.c
    statement = database.insert(connection, table)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["account_id", "channel", "external_id"],
            set_={"deleted_at": statement.excluded.deleted_at},
        ),
        [
            {
                "account_id": account_id,
                "channel": channel,
                "external_id": one.external_id,
                "deleted_at": one.deleted_at,
            }
            for one in news
        ],
    )
    connection.execute(
        sa.update(tables.orders)
        .where(
            orders.account_id == account_id,
            orders.channel == channel,
            orders.external_id == sa.bindparam("gone_id"),
            orders.updated_at <= sa.bindparam("gone_at", type_=orders.updated_at.type),
        )
        .values(deleted_at=sa.bindparam("gone_at", type_=orders.updated_at.type)),
        [{"gone_id": one.external_id, "gone_at": one.deleted_at} for one in news],
    )
    return len(news)
