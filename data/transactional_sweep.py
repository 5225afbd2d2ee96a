"""Closing what nobody works on: dead workers' messages, those unknown for too long, those that outlived their use.

Each step takes the rows that nobody else has in hand, some at a time, and by an index: neither a large backlog nor a
second sweeper makes it wait, and what is left is the next sweep's, seconds later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import tables, transactional_proofs, transactional_queue
from domain import transactional
from domain.ledger import BatchState, OutcomeKind

_message = tables.transactional_messages
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep moved: messages by what became of them."""

    lost: int = 0
    confirmed: int = 0
    resent: int = 0
    held: int = 0
    expired: int = 0


def sweep(connection: sa.Connection, now: datetime) -> Swept:
    """Close it. In this order: an event may have come before the worker died, and no second one need ever come."""
    lost = _lost(connection, now)
    confirmed = transactional_proofs.confirm(connection, now=now, among=_unknown_and_proved(connection))
    silent = _ended(connection, _silent(now), now, lambda row: _after_silence(row, now))
    late = _ended(connection, _late(now), now, lambda row: transactional.ended(BatchState.EXPIRED, resent=row.resent))
    held = silent.get(BatchState.HELD, 0) + late.get(BatchState.HELD, 0)
    return Swept(lost, confirmed, silent.get(BatchState.PLANNED, 0), held, late.get(BatchState.EXPIRED, 0))


def _state(state: BatchState) -> sa.ColumnElement[bool]:
    """In the index's own words: SQLite takes a partial index for nothing else."""
    return _message.c.state == sa.literal_column(f"'{state.value}'")


def _silent(now: datetime) -> sa.ColumnElement[bool]:
    return _state(BatchState.UNKNOWN) & (_message.c.finished_at <= now - transactional.RESEND_AFTER)


def _late(now: datetime) -> sa.ColumnElement[bool]:
    return _state(BatchState.PLANNED) & (_message.c.expires_at <= now)


def _after_silence(row: Any, now: datetime) -> BatchState:
    return transactional.after_silence(resent=row.resent, expires_at=row.expires_at, now=now)


def _taken(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[Any]:
    """Some of them, locked; not those that somebody else is about to change."""
    table = _message.c
    query = sa.select(table.id, table.attempt_id, table.resent, table.expires_at).where(which)
    query = query.limit(_AT_ONCE).with_for_update(skip_locked=True, key_share=True)
    return list(connection.execute(query))


def _lost(connection: sa.Connection, now: datetime) -> int:
    """Messages whose worker died, or was paused past its lease; the attempt is unknown, too."""
    rows = _taken(connection, _state(BatchState.INFLIGHT) & (_message.c.lease_expires_at <= now))
    if rows:
        _change(connection, [row.id for row in rows], transactional_queue.moved(BatchState.UNKNOWN, now, None))
        attempt = tables.transactional_attempts
        theirs = attempt.c.id.in_([row.attempt_id for row in rows]) & attempt.c.outcome.is_(None)
        detail = "its worker died, or was paused past its lease"
        values = {"outcome": OutcomeKind.UNKNOWN, "finished_at": now, "detail": detail}
        connection.execute(attempt.update().where(theirs).values(**values))
    return len(rows)


def _unknown_and_proved(connection: sa.Connection) -> list[str]:
    return [row.id for row in _taken(connection, _state(BatchState.UNKNOWN) & transactional_proofs.confirmed())]


def _ended(
    connection: sa.Connection, which: sa.ColumnElement[bool], now: datetime, becomes: Callable[[Any], BatchState]
) -> dict[BatchState, int]:
    """Move each of these to what becomes of it; how many moved to what."""
    found: dict[BatchState, list[str]] = {}
    for row in _taken(connection, which):
        found.setdefault(becomes(row), []).append(row.id)
    for state, ids in found.items():
        values = transactional_queue.moved(state, now, transactional_queue.WHY_OVER.get(state))
        if state is BatchState.PLANNED:
            values |= {"resent": True, "not_before": now}
        _change(connection, ids, values)
    return {state: len(ids) for state, ids in found.items()}


def _change(connection: sa.Connection, ids: list[str], values: dict[str, Any]) -> None:
    connection.execute(_message.update().where(_message.c.id.in_(ids)).values(**values))
