"""The rows of orders, their lines and timelines: what is held of them, and how a decided state is written."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any

import orjson
import sqlalchemy as sa

from data import bulk, database, tables
from data.features import marks
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
_DIGEST_BYTES = 16
_whole_line = attrgetter("line_no", *_LINE[2:])
_whole_event = attrgetter(*_EVENT[2:])
# The same for the content hash: amounts apart, as JSON has no decimals.
_of_order = attrgetter(
    *("status", "currency", "placed_at", "cancelled_at", "is_test", "number", "kind", "replaces", "coupons"),
    *("shop_currency", "notify"),
)
_amounts_of = attrgetter("total", "refunded", "tax", "shipping", "discount", "shop_total", "shop_refunded")
_of_line = attrgetter("line_no", "sku", "title", "category", "quantity", "external_id", "brand")
_amounts_of_line = attrgetter("total", "discount", "tax")
_of_event = attrgetter("step", "at", "reference", "carrier", "tracking_number", "tracking_url", "note")


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


def version(updated_at: datetime, observed_at: datetime | None) -> tuple[datetime, datetime]:
    """Of two states of an order, the one with the larger version is the newer (Order.version)."""
    return updated_at, observed_at or _LONG_AGO


def content_hash(order: Order, who: str) -> str:
    """Equal for equal orders. `who` placed it: a customer number, or what stands for that of a guest (parties.key).

    Addresses and names are left out: exports add today's to every old order. Raises ValueError where a value can be
    stored in no database.
    """
    content = (
        who,
        order.channel_status.casefold(),
        _of_order(order),
        [_units(amount) for amount in _amounts_of(order)],
        [
            (*_of_line(line), *(_units(amount) for amount in _amounts_of_line(line)))
            for line in sorted(order.lines, key=lambda line: line.line_no)
        ],
        [(*_of_event(event), _units(event.amount)) for event in order.events],
    )
    try:
        return hashlib.blake2b(orjson.dumps(content), digest_size=_DIGEST_BYTES).hexdigest()
    except TypeError as error:  # half a pair of surrogates, or more than 64 bits: the text would quote it
        raise ValueError("a value of the order can be stored in no database") from error


def _units(amount: Decimal | None) -> int | None:
    return None if amount is None else money.to_units(amount)


def known(connection: sa.Connection, account_id: str, channel: str, external_ids: Iterable[str]) -> dict[str, Known]:
    """What is held of these orders, by external id."""
    orders = tables.orders.c
    query = sa.select(orders.external_id, orders.id, orders.updated_at, orders.observed_at, orders.content_hash).where(
        orders.account_id == account_id, orders.channel == channel, orders.external_id.in_(list(external_ids))
    )
    return {
        row.external_id: Known(row.id, version(_changed_at(row), row.observed_at), row.content_hash)
        for row in connection.execute(query)
    }


def _changed_at(row: sa.Row[Any]) -> datetime:
    """The state's own time. One that an earlier version of this program hashed cannot be compared: the next one holds."""
    at: datetime = row.updated_at
    return at if len(row.content_hash) == 2 * _DIGEST_BYTES else at - timedelta(microseconds=1)


def write(
    connection: sa.Connection,
    account_id: str,
    channel: str,
    placed: Sequence[Placed],
    held: Mapping[str, Known],
    *,
    now: datetime,
) -> dict[str, int]:
    """Insert the orders that are not in `held`, bring the others to their new state, and replace all that is theirs.

    Whose orders they are, and were, is marked: their features are out of date. Returns the row ids of the orders, by
    external id, without those that the channel has deleted.
    """
    gone = deletions(connection, account_id, channel, [item.order.external_id for item in placed])
    new = [item for item in placed if item.order.external_id not in held]
    changed = [item for item in placed if item.order.external_id in held]
    bulk.insert_rows(
        connection,
        tables.orders,
        ("account_id", "channel", "external_id", "recorded_at", "first_recorded_at", *_STATE),
        ((account_id, channel, item.order.external_id, now, now, *_state(item, gone)) for item in new),
    )
    inserted = known(connection, account_id, channel, [item.order.external_id for item in new])
    row_ids = {external_id: state.id for external_id, state in (*held.items(), *inserted.items())}
    out_of_date = {item.party_id for item in placed}
    if changed:
        out_of_date |= _owners(connection, [row_ids[item.order.external_id] for item in changed])
        _update(connection, changed, row_ids, gone, now)
    marks.mark(connection, account_id, out_of_date)
    bulk.insert_rows(connection, tables.order_lines, _LINE, _lines(placed, row_ids))
    bulk.insert_rows(connection, tables.order_events, _EVENT, _events(placed, row_ids))
    return {
        item.order.external_id: row_id
        for item in placed
        if (row_id := row_ids[item.order.external_id]) is not None and _deleted_at(item.order, gone) is None
    }


def _owners(connection: sa.Connection, order_ids: Collection[int | None]) -> set[int]:
    orders = tables.orders.c
    return set(connection.scalars(sa.select(orders.party_id).where(orders.id.in_(order_ids))))


def _lines(placed: Sequence[Placed], row_ids: Mapping[str, int | None]) -> Iterator[tuple[Any, ...]]:
    for item in placed:
        order_id = row_ids[item.order.external_id]
        for line in item.order.lines:
            yield (order_id, *_whole_line(line))


def _events(placed: Sequence[Placed], row_ids: Mapping[str, int | None]) -> Iterator[tuple[Any, ...]]:
    for item in placed:
        order_id = row_ids[item.order.external_id]
        for position, event in enumerate(item.order.events, start=1):
            yield (order_id, position, *_whole_event(event))


def _update(
    connection: sa.Connection,
    changed: Sequence[Placed],
    row_ids: Mapping[str, int | None],
    gone: Mapping[str, datetime],
    now: datetime,
) -> None:
    values = [
        dict(zip(_STATE, _state(item, gone), strict=True))
        | {"row_id": row_ids[item.order.external_id], "recorded_at": now}
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
        _deleted_at(order, gone),
        order.notify,
    )


def _deleted_at(order: Order, gone: Mapping[str, datetime]) -> datetime | None:
    """When it was deleted, unless it was changed later."""
    deleted_at = gone.get(order.external_id)
    return deleted_at if deleted_at is not None and deleted_at >= order.updated_at else None


def deletions(
    connection: sa.Connection, account_id: str, channel: str, external_ids: Iterable[str]
) -> dict[str, datetime]:
    """Which of these orders the channel deleted, and when."""
    gone = tables.order_deletions.c
    query = sa.select(gone.external_id, gone.deleted_at).where(
        gone.account_id == account_id, gone.channel == channel, gone.external_id.in_(list(external_ids))
    )
    return {row.external_id: row.deleted_at for row in connection.execute(query)}


def delete(connection: sa.Connection, account_id: str, channel: str, gone: Sequence[Deletion], *, now: datetime) -> int:
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
        .values(deleted_at=sa.bindparam("gone_at", type_=orders.updated_at.type), recorded_at=now),
        [{"gone_id": one.external_id, "gone_at": one.deleted_at} for one in news],
    )
    ids = [state.id for state in known(connection, account_id, channel, [one.external_id for one in news]).values()]
    marks.mark(connection, account_id, _owners(connection, ids))
    return len(news)
