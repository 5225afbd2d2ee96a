"""Apply delivery events: each stored once, folded into one state a message, then what follows from it.

All of it is a join on a lattice and unions, so neither order nor repetition matters. Statements are bulk: their number
does not grow with the events. Rows are written in one order everywhere, so that two processors never deadlock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import correlation, events_effects, proofs, staging, tables
from data.correlation import Placed
from domain import delivery
from domain.delivery import DeliveryEvent, DeliveryState

_TIMES = tuple(field.name for field in fields(DeliveryState) if field.name.endswith("_at"))


@dataclass(frozen=True, slots=True)
class Applied:
    """What a body brought."""

    events: int = 0  # new ones
    duplicates: int = 0
    uncorrelated: int = 0  # new ones that tell of no message of ours; they are kept
    suppressions: int = 0

    def __add__(self, other: "Applied") -> "Applied":
        return Applied(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def apply(
    connection: sa.Connection,
    inbox_id: int,
    numbered: Sequence[tuple[int, DeliveryEvent]],
    *,
    pepper: str,
    now: datetime,
) -> Applied:
    """Apply events of one body, each with its position, in the caller's transaction."""
    unique: dict[str, tuple[int, DeliveryEvent]] = {}
    for position, event in numbered:
        unique.setdefault(event.dedupe_key, (position, event))
    placed = dict(zip(unique, correlation.place(connection, unique.values()), strict=True))
    new = [placed[key] for key in _insert(connection, inbox_id, placed)]
    _upsert(connection, _folded(new))
    attempts = {one.event.attempt_id for one in new if one.event.attempt_id}
    proofs.record(connection, attempts, inbox_id=inbox_id, now=now)
    return Applied(
        events=len(new),
        duplicates=len(numbered) - len(new),
        uncorrelated=sum(one.run_id is None for one in new),
        suppressions=events_effects.suppress(connection, new, inbox_id=inbox_id, pepper=pepper, now=now),
    )


def _insert(connection: sa.Connection, inbox_id: int, placed: dict[str, Placed]) -> Sequence[str]:
    """Store what is not stored yet; the dedupe keys of that."""
    if not placed:
        return ()
    rows = (
        (
            inbox_id,
            one.position,
            one.event.provider,
            key,
            one.run_id,
            one.ordinal,
            one.event.attempt_id,
            one.event.kind,
            one.event.occurred_at,
            one.event.bounce_class,
            one.event.fault,
            one.event.detail,
            one.event.machine,
            one.event.url,
        )
        for key, one in placed.items()
    )
    table = tables.delivery_events
    columns = [column.name for column in table.c if column is not table.c.id]
    with staging.staged(connection, table, columns, rows, order_by=["dedupe_key"]) as insert:
        stored = insert.on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(table.c.dedupe_key)
        return connection.scalars(stored).all()


def _folded(new: Iterable[Placed]) -> dict[tuple[str, int], DeliveryState]:
    states: dict[tuple[str, int], DeliveryState] = {}
    for one in new:
        if one.run_id is None or one.ordinal is None:
            continue
        message = (one.run_id, one.ordinal)
        state = delivery.state_of(one.event)
        states[message] = delivery.join(states[message], state) if message in states else state
    return states


def _upsert(connection: sa.Connection, states: dict[tuple[str, int], DeliveryState]) -> None:
    """Join each state with the one on record: `delivery.join`, said in SQL."""
    if not states:
        return
    table = tables.message_delivery
    columns = [column.name for column in table.c]
    rows = (
        (run_id, ordinal, int(state.seen), int(state.severity), state.fault, *(getattr(state, name) for name in _TIMES))
        for (run_id, ordinal), state in states.items()
    )
    with staging.staged(connection, table, columns, rows, order_by=["run_id", "ordinal"]) as insert:
        old, new = table.c, insert.excluded
        worse = (new.severity > old.severity) | (
            (new.severity == old.severity) & (sa.func.coalesce(new.fault, "") > sa.func.coalesce(old.fault, ""))
        )
        joined = {
            "seen": old.seen.bitwise_or(new.seen),
            "severity": sa.case((worse, new.severity), else_=old.severity),
            "fault": sa.case((worse, new.fault), else_=old.fault),
            **{name: _first(old[name], new[name]) for name in _TIMES},
        }
        connection.execute(insert.on_conflict_do_update(index_elements=["run_id", "ordinal"], set_=joined))


def _first(old: sa.ColumnElement[Any], new: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.case((old.is_(None), new), (new < old, new), else_=old)
