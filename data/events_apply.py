"""Apply delivery events: each stored once, folded into one state a message, then what follows from it.

All of it is a join on a lattice and unions, so neither order nor repetition matters. Statements are bulk: their number
does not grow with the events. Rows are written in one order everywhere, so that two processors never deadlock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import sqlalchemy as sa

from data import correlation, deliveries, events_effects, proofs, reactions, seeds, staging, tables, unplaced
from data.correlation import Element, Placed
from data.strays import Origins
from domain import delivery
from domain.delivery import DeliveryEvent, DeliveryState


@dataclass(frozen=True, slots=True)
class Applied:
    """What a body brought, or several."""

    events: int = 0  # new ones
    duplicates: int = 0
    uncorrelated: int = 0  # new ones that tell of no message of ours; they are kept
    suppressions: int = 0

    def __add__(self, other: "Applied") -> "Applied":
        return Applied(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def apply(
    connection: sa.Connection,
    numbered: Sequence[tuple[Element, DeliveryEvent]],
    *,
    pepper: str,
    origins: Origins,
    now: datetime,
) -> Applied:
    """Apply events of one body or of several, in the caller's transaction.

    What cannot be placed yet waits (data.late_events); the refusals that it states stand at once.
    """
    unique: dict[str, tuple[Element, DeliveryEvent]] = {}
    for element, event in numbered:
        unique.setdefault(event.dedupe_key(pepper), (element, event))
    found = correlation.place(connection, unique.values(), pepper=pepper, vendors=origins.vendors)
    placed = dict(zip(unique, found, strict=True))
    stored = _insert(connection, placed)
    waiting = [key for key in stored if placed[key].run_id is None and correlation.may_come(placed[key].event)]
    unplaced.keep(connection, waiting, now=now)
    new = [placed[key] for key in stored]
    suppressions = events_effects.suppress(connection, new, pepper=pepper, origins=origins, now=now)
    reactions.keep(connection, new, now=now)
    deliveries.join(connection, folded(new))
    attempts = {one.event.attempt_id: one.element.inbox_id for one in new if one.event.attempt_id}
    proofs.record(connection, attempts, now=now)
    seeds.confirm(connection, (one.event for one in new), now=now)
    return Applied(
        events=len(new),
        duplicates=len(numbered) - len(new),
        uncorrelated=sum(one.run_id is None and not seeds.is_seed(one.event) for one in new),
        suppressions=suppressions,
    )


def _insert(connection: sa.Connection, placed: dict[str, Placed]) -> Sequence[str]:
    """Store what is not stored yet; the dedupe keys of that."""
    if not placed:
        return ()
    rows = (
        (
            *one.element,
            one.event.provider,
            key,
            one.run_id,
            one.ordinal,
            one.event.attempt_id,
            one.event.kind.value,
            one.event.occurred_at,
            one.event.bounce_class,
            one.event.fault,
            one.event.detail,
            one.event.machine,
            _page(one.event.url),
            one.event.cause,
        )
        for key, one in placed.items()
    )
    table = tables.delivery_events
    columns = [column.name for column in table.c if column is not table.c.id]
    return staging.insert_new(connection, table, columns, rows, key="dedupe_key")


def _page(url: str | None) -> str | None:
    """Which page was clicked. What follows it often says by whom: shops put addresses and tokens there."""
    return url.partition("?")[0].partition("#")[0] or None if url else None


def folded(new: Iterable[Placed]) -> dict[tuple[str, int], DeliveryState]:
    """The state of each message (run, ordinal) that these events alone prove."""
    states: dict[tuple[str, int], DeliveryState] = {}
    for one in new:
        if one.run_id is None or one.ordinal is None:
            continue
        message = (one.run_id, one.ordinal)
        state = delivery.state_of(one.event)
        states[message] = delivery.join(states[message], state) if message in states else state
    return states
