"""Delivery events, from the raw bodies of the inbox to what is known of each message: one transaction a body.

A crash in the middle of a body leaves it pending, and reading it again gives the same state. One bad element never
loses its neighbours: it becomes a dead letter, the rest is applied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import database, events_apply, inbox, proofs
from data.events_apply import Applied
from domain.delivery import DeliveryEvent, UnreadableEvent
from domain.ports import EventReader


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """What one round over the inbox did."""

    bodies: int  # read to the end
    failed: int  # bodies that could not be read; each gets three tries
    events: int
    duplicates: int
    unreadable: int
    uncorrelated: int
    suppressions: int
    confirmed_batches: int

    def counts(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Read:
    """One body: what it brought, and how many elements were refused; nothing at all when it failed."""

    inbox_id: int
    applied: Applied | None
    unreadable: int = 0


def process(
    engine: sa.Engine, *, readers: Mapping[str, EventReader], pepper: str, now: datetime, limit: int
) -> ProcessReport:
    """Read up to `limit` pending bodies, oldest first, each at most once. Any number of processors may run at once."""
    read: list[_Read] = []
    while len(read) < limit:
        after = read[-1].inbox_id if read else 0
        with database.write(engine) as connection:
            rows = inbox.pending(connection, 1, after=after)
            if not rows:
                break
            read.append(_read(connection, rows[0], readers, pepper, now))
    with database.write(engine) as connection:
        confirmed = proofs.confirm(connection, now=now)
    whole = [body.applied for body in read if body.applied is not None]
    total = sum(whole, Applied())
    return ProcessReport(
        bodies=len(whole),
        failed=len(read) - len(whole),
        events=total.events,
        duplicates=total.duplicates,
        unreadable=sum(body.unreadable for body in read),
        uncorrelated=total.uncorrelated,
        suppressions=total.suppressions,
        confirmed_batches=confirmed,
    )


def _read(connection: sa.Connection, row: Any, readers: Mapping[str, EventReader], pepper: str, now: datetime) -> _Read:
    reader = readers.get(row.provider)
    if reader is None:
        return _failed(connection, row, f"nothing here reads events of {row.provider}", now)
    try:
        elements = list(reader.parse(row.body))
    except Exception as error:  # noqa: BLE001 - whatever a body does to its reader, the next body is read
        # The class only: the text of an exception may quote an address.
        return _failed(connection, row, f"the body made its reader fail ({type(error).__name__})", now)
    unreadable = {element.position: element.reason for element in elements if isinstance(element, UnreadableEvent)}
    numbered = [(place, element) for place, element in enumerate(elements) if isinstance(element, DeliveryEvent)]
    applied, refused = _apply(connection, row.id, numbered, pepper, now)
    unreadable |= refused
    for position, reason in unreadable.items():
        inbox.refuse(connection, provider=row.provider, inbox_id=row.id, position=position, reason=reason, now=now)
    inbox.finish(connection, row.id, now=now)
    return _Read(row.id, applied, len(unreadable))


def _failed(connection: sa.Connection, row: Any, error: str, now: datetime) -> _Read:
    inbox.strike(connection, row.id, error=error, now=now)
    return _Read(row.id, None)


def _apply(
    connection: sa.Connection,
    inbox_id: int,
    numbered: Sequence[tuple[int, DeliveryEvent]],
    pepper: str,
    now: datetime,
) -> tuple[Applied, dict[int, str]]:
    """Apply all at once; where a value cannot be stored (a NUL in a text, say), halve down to the culprits.

    Anything else that goes wrong is the database's trouble or ours, not the body's: it rises, and the body stays pending.
    """
    try:
        with connection.begin_nested():
            return events_apply.apply(connection, inbox_id, numbered, pepper=pepper, now=now), {}
    except database.not_storable(connection.engine) as error:
        if len(numbered) == 1:
            return Applied(), {numbered[0][0]: f"the event could not be applied ({type(error).__name__})"}
    middle = len(numbered) // 2
    first, refused = _apply(connection, inbox_id, numbered[:middle], pepper, now)
    second, also_refused = _apply(connection, inbox_id, numbered[middle:], pepper, now)
    return first + second, refused | also_refused
