"""Delivery events that came before their message was known: placed as soon as it is, with all that follows from them.

The effects are the same joins and unions as for an event that was placed at once, so the state ends up the same. The
event is read anew from its body: what is stored of it names nobody.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import (
    correlation,
    database,
    deliveries,
    events_apply,
    events_effects,
    inbox,
    reactions,
    transactional_proofs,
    unplaced,
)
from data.correlation import Element, Placed
from data.strays import Origins
from domain.delivery import DeliveryEvent
from domain.ports import EventReader


@dataclass(frozen=True, slots=True)
class Late:
    """What another look at the waiting events brought."""

    placed: int = 0
    given_up: int = 0
    suppressions: int = 0
    failed: int = 0  # bodies whose waiting events could not be applied; they wait on, and are given up like any other


def look_again(
    engine: sa.Engine,
    *,
    readers: Mapping[str, EventReader],
    origins: Origins,
    pepper: str,
    now: datetime,
    limit: int,
) -> Late:
    """Try to place the waiting events of up to `limit` bodies whose time has come, one transaction a body.

    A body that cannot be applied stands in nobody's way. Raises what the database raises that is in trouble itself.
    """
    placed = given_up = suppressions = failed = inbox_id = 0
    for _ in range(limit):
        with database.read(engine) as connection:
            found = unplaced.next_body(connection, now=now, after=inbox_id)
        if found is None:
            break
        inbox_id = found
        with database.write(engine) as connection:
            late = _of_body(connection, inbox_id, readers, origins, pepper, now)
        placed, given_up = placed + late.placed, given_up + late.given_up
        suppressions, failed = suppressions + late.suppressions, failed + late.failed
    return Late(placed, given_up, suppressions, failed)


def _of_body(
    connection: sa.Connection,
    inbox_id: int,
    readers: Mapping[str, EventReader],
    origins: Origins,
    pepper: str,
    now: datetime,
) -> Late:
    rows = unplaced.due(connection, inbox_id, now=now)
    try:
        with connection.begin_nested():
            return _place(connection, inbox_id, rows, readers, origins, pepper, now)
    except Exception as error:
        if database.in_trouble(error):
            raise
        return Late(given_up=unplaced.put_off(connection, rows, now=now), failed=1)


def _place(
    connection: sa.Connection,
    inbox_id: int,
    rows: Sequence[sa.Row[Any]],
    readers: Mapping[str, EventReader],
    origins: Origins,
    pepper: str,
    now: datetime,
) -> Late:
    events = _read_again(connection, inbox_id, {row.position for row in rows}, readers) if rows else {}
    numbered = [(Element(inbox_id, position), event) for position, event in events.items()]
    tried = correlation.place(connection, numbered, pepper=pepper, vendors=origins.vendors)
    known = [one for one in tried if one.run_id is not None]
    suppressions = events_effects.suppress(connection, known, pepper=pepper, origins=origins, now=now, late=True)
    _react(connection, known, {row.position: row.kept_at for row in rows}, now)
    deliveries.join(connection, events_apply.folded(known))
    transactional_proofs.record(connection, events_apply.waited_for(known), now=now)
    event_ids = {row.position: row.event_id for row in rows}
    unplaced.place(connection, {event_ids[one.element.position]: one for one in known}, now=now)
    places = {one.element.position for one in known}
    given_up = unplaced.put_off(connection, [row for row in rows if row.position not in places], now=now)
    return Late(len(known), given_up, suppressions)


def _react(connection: sa.Connection, known: Sequence[Placed], kept_at: Mapping[int, datetime], now: datetime) -> None:
    """What an event states of its own address stands since it was kept; without one, since its message is known."""
    since = defaultdict(list)
    for one in known:
        since[now if one.event.address is None else kept_at[one.element.position]].append(one)
    for at, some in since.items():
        reactions.keep(connection, some, now=at)


def _read_again(
    connection: sa.Connection, inbox_id: int, positions: set[int], readers: Mapping[str, EventReader]
) -> dict[int, DeliveryEvent]:
    """The events at these positions of a body; none where nothing here reads it, or it makes its reader fail now."""
    row: Any = inbox.get(connection, inbox_id)
    reader = readers.get(row.provider)
    if reader is None:
        return {}
    try:
        elements: Sequence[Any] = list(reader.parse(row.body))
    except Exception:  # noqa: BLE001 - it was read before; whatever it is now, these wait on and others go first
        return {}
    return {place: one for place, one in enumerate(elements) if place in positions and isinstance(one, DeliveryEvent)}
