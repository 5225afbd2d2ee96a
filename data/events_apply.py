"""Apply delivery events: each stored once, folded into one state a message, then what follows from it.

All of it is a join on a lattice and unions, so neither order nor repetition matters. Statements are bulk: their number
does not grow with the events. Rows are written in one order everywhere, so that two processors never deadlock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter

import sqlalchemy as sa

from data import (
    correlation,
    deliveries,
    events_effects,
    proofs,
    reactions,
    seeds,
    staging,
    tables,
    transactional_proofs,
    unplaced,
)
from data.correlation import Element, Placed
from data.strays import Origins
from domain import delivery, machine_activity
from domain.delivery import DeliveryEvent, DeliveryState
from domain.transactional import is_id

_AS_TOLD = ("provider", "attempt_id", "occurred_at", "bounce_class", "fault", "detail", "machine", "cause")
_as_told = attrgetter(*_AS_TOLD)
_COLUMNS = ("inbox_id", "position", "dedupe_key", "run_id", "ordinal", "kind", "url", *_AS_TOLD)


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
    for one in numbered:
        unique.setdefault(one[1].dedupe_key(pepper), one)
    found = correlation.place(connection, unique.values(), pepper=pepper, vendors=origins.vendors)
    placed = dict(zip(unique, found, strict=True))
    stored = _insert(connection, placed)
    new = [placed[key] for key in stored]
    nameless = {key: one.event for key, one in zip(stored, new, strict=True) if one.run_id is None}
    unplaced.keep(connection, [key for key, event in nameless.items() if correlation.may_come(event)], now=now)
    suppressions = events_effects.suppress(connection, new, pepper=pepper, origins=origins, now=now)
    reactions.keep(connection, new, now=now)
    deliveries.join(connection, folded(new))
    attempts = {one.event.attempt_id: one.element.inbox_id for one in new if one.event.attempt_id}
    proofs.record(connection, attempts | proofs.parts_named(connection, new), now=now)
    transactional_proofs.record(connection, waited_for(new), now=now)
    seeds.confirm(connection, nameless.values(), now=now)
    return Applied(
        events=len(new),
        duplicates=len(numbered) - len(new),
        uncorrelated=sum(not seeds.is_seed(event) for event in nameless.values()),
        suppressions=suppressions,
    )


def _insert(connection: sa.Connection, placed: dict[str, Placed]) -> Sequence[str]:
    """Store what is not stored yet; the dedupe keys of that."""
    if not placed:
        return ()
    table = tables.delivery_events
    rows = [_row(key, one) for key, one in placed.items()]
    return staging.insert_new(connection, table, _COLUMNS, rows, key="dedupe_key")


def _row(key: str, one: Placed) -> tuple[object, ...]:
    element, event, run_id, ordinal, _ = one
    # A link of transactional mail may be the secret itself, such as a password reset: no ESP is to track it, none is kept.
    page = machine_activity.bare(event.url) if event.url and not (run_id and is_id(run_id)) else None
    return (*element, key, run_id, ordinal, event.kind.value, page, *_as_told(event))


def waited_for(new: Iterable[Placed]) -> dict[tuple[str, str], int]:
    """Transactional messages and the attempts of them that events name, with the body of each."""
    return {
        (one.run_id, one.event.attempt_id): one.element.inbox_id
        for one in new
        if one.event.attempt_id and one.run_id is not None and is_id(one.run_id)
    }


def folded(new: Iterable[Placed]) -> dict[tuple[str, int], DeliveryState]:
    """The state of each message (run, ordinal) that these events alone prove."""
    states: dict[tuple[str, int], DeliveryState] = {}
    for _, event, run_id, ordinal, _ in new:
        if run_id is not None and ordinal is not None:
            message, state = (run_id, ordinal), delivery.state_of(event)
            before = states.get(message)
            states[message] = state if before is None else delivery.join(before, state)
    return states
