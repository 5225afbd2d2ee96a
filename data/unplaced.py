"""Delivery events whose message is not known yet: tried again at growing intervals, then given up as strays.

The event stays where it is (data.events_apply), with its raw text in the inbox; here is when to look again. Rows are
kept, so that it can be counted what was placed late and what never was.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import tables
from data.correlation import Placed

# An event overtakes the commit of its request by seconds; an unknown batch is settled in hours; ESPs repeat for a day.
_PAUSES = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=3),
    timedelta(hours=12),
    timedelta(hours=24),
)
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Unplaced:
    """How many events of one provider wait, were placed late, and were given up."""

    provider: str
    waiting: int
    placed: int
    strays: int


def keep(connection: sa.Connection, dedupe_keys: Sequence[str], *, now: datetime) -> None:
    """These stored events wait for their message from now on."""
    event, table = tables.delivery_events.c, tables.unplaced_events
    first_try = now + _PAUSES[0]
    for start in range(0, len(dedupe_keys), _AT_ONCE):
        waits = sa.select(
            *(event.id, event.inbox_id, event.position),
            sa.literal(first_try, table.c.next_try_at.type),
            sa.literal(now, table.c.kept_at.type),
        ).where(event.dedupe_key.in_(dedupe_keys[start : start + _AT_ONCE]))
        columns = ["event_id", "inbox_id", "position", "next_try_at", "kept_at"]
        connection.execute(table.insert().from_select(columns, waits.order_by(event.id)))


def next_body(connection: sa.Connection, *, now: datetime, after: int) -> int | None:
    """The first body, by its id, above `after` of which an event is to be tried again."""
    row = tables.unplaced_events.c
    # The condition of the index, in which those that ended are not: they are many, and kept.
    waits = row.next_try_at.is_not(None)
    due = sa.select(sa.func.min(row.inbox_id)).where(waits, row.next_try_at <= now, row.inbox_id > after)
    inbox_id: int | None = connection.execute(due).scalar_one()
    return inbox_id


def due(connection: sa.Connection, inbox_id: int, *, now: datetime) -> Sequence[sa.Row[Any]]:
    """What is to be tried again of a body, locked: event id, position, tries, since when it is kept.

    Not what somebody else has locked.
    """
    row = tables.unplaced_events.c
    query = sa.select(row.event_id, row.position, row.tries, row.kept_at)
    query = query.where(row.inbox_id == inbox_id, row.next_try_at.is_not(None), row.next_try_at <= now)
    return connection.execute(query.order_by(row.event_id).with_for_update(skip_locked=True)).all()


def place(connection: sa.Connection, found: Mapping[int, Placed], *, now: datetime) -> None:
    """The messages of these events, by their ids, are known now."""
    if not found:
        return
    event, waits = tables.delivery_events, tables.unplaced_events
    rows = [{"which": one, "run": found[one].run_id, "number": found[one].ordinal} for one in sorted(found)]
    placed = event.update().where(event.c.id == sa.bindparam("which"))
    connection.execute(placed.values(run_id=sa.bindparam("run"), ordinal=sa.bindparam("number")), rows)
    done = waits.update().where(waits.c.event_id == sa.bindparam("which"))
    connection.execute(done.values(placed_at=now, next_try_at=None), [{"which": row["which"]} for row in rows])


def put_off(connection: sa.Connection, rows: Iterable[sa.Row[Any]], *, now: datetime) -> int:
    """The messages of these are still not known: look again later, or give up; how many were given up."""
    table = tables.unplaced_events
    values = [
        {
            "which": row.event_id,
            "again": now + _PAUSES[row.tries + 1] if row.tries + 1 < len(_PAUSES) else None,
            "ended": None if row.tries + 1 < len(_PAUSES) else now,
        }
        for row in rows
    ]
    if values:
        later = table.update().where(table.c.event_id == sa.bindparam("which"))
        changes: dict[str, Any] = {"next_try_at": sa.bindparam("again"), "given_up_at": sa.bindparam("ended")}
        connection.execute(later.values(tries=table.c.tries + 1, **changes), values)
    return sum(one["ended"] is not None for one in values)


def waiting(connection: sa.Connection) -> int:
    """How many events wait for their message."""
    row = tables.unplaced_events.c
    return connection.execute(sa.select(sa.func.count()).where(row.next_try_at.is_not(None))).scalar_one()


def summary(connection: sa.Connection, *, since: datetime) -> list[Unplaced]:
    """By provider: all that wait, and what was placed late or given up since."""
    row, event = tables.unplaced_events.c, tables.delivery_events.c

    def count(which: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.func.sum(sa.case((which, 1), else_=0)), 0)

    waits, placed, ended = row.next_try_at.is_not(None), row.placed_at >= since, row.given_up_at >= since
    query = (
        sa.select(event.provider, count(waits), count(placed), count(ended))
        .join_from(tables.unplaced_events, tables.delivery_events, event.id == row.event_id)
        .where(waits | placed | ended)
        .group_by(event.provider)
        .order_by(event.provider)
    )
    return [Unplaced(name, *map(int, counts)) for name, *counts in connection.execute(query)]
