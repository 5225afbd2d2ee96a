"""Seed messages: a small mail to the shop's own mailbox by each route, which shows that it delivers and that events come.

Each is written before it is sent, as every mail is. What its ESP tells of it confirms it: a silent ESP is one whose event
channel is broken, and that is noticed here within minutes and nowhere else.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from data import tables
from domain.delivery import DeliveryEvent, EventKind
from domain.ledger import Outcome, OutcomeKind
from domain.routes import Route

_PREFIX = "seed."  # no run's id: those begin with r
CONFIRMED_WITHIN = timedelta(minutes=10)  # facts/reliability.md D41
# What is older says nothing of now.
_LATELY = timedelta(hours=1)
_KEPT = timedelta(days=7)
_TROUBLE = frozenset({EventKind.BOUNCED, EventKind.DROPPED})


class SeedState(StrEnum):
    """How an ESP fares by its seed messages of the last hour."""

    WELL = "well"
    SILENT = "silent"  # it takes mail and tells nothing of it
    REFUSED = "refused"  # it did not take the last one
    BOUNCED = "bounced"  # it took the last one, which did not reach the mailbox
    UNPROVEN = "unproven"  # nothing was sent, or it is too early to tell


@dataclass(frozen=True, slots=True)
class SeedHealth:
    """The state, since when (of the message that shows it), and in the ESP's words why."""

    provider: str
    state: SeedState
    since: datetime | None = None
    detail: str = ""


def message_id(seed_id: str) -> str:
    """What the ESP gives back in its events."""
    return f"{_PREFIX}{seed_id}"


def is_seed(event: DeliveryEvent) -> bool:
    """Does the event tell of a seed message?"""
    return (event.message_id or "").startswith(_PREFIX)


def begin(connection: sa.Connection, route: Route, *, now: datetime) -> str:
    """Write down that one is about to be sent by this route; return its id."""
    seed_id = uuid.uuid4().hex
    connection.execute(
        tables.seed_messages.insert().values(
            id=seed_id,
            account_id=route.account_id,
            provider=route.provider,
            pool=route.pool,
            stream=route.stream,
            sent_at=now,
        )
    )
    return seed_id


def finish(connection: sa.Connection, seed_id: str, outcome: Outcome) -> None:
    """Write what the ESP said. Its event may have come before: what that told stays."""
    seed = tables.seed_messages
    told = sa.func.coalesce(seed.c.detail, outcome.detail or None)
    connection.execute(seed.update().where(seed.c.id == seed_id).values(outcome=outcome.kind, detail=told))


def confirm(connection: sa.Connection, events: Iterable[DeliveryEvent], *, now: datetime) -> None:
    """Take in what events tell of seed messages: the first confirms it, a bounce is kept in the ESP's words."""
    told: dict[str, str | None] = {}
    for event in events:
        if is_seed(event):
            seed_id = (event.message_id or "").removeprefix(_PREFIX)
            trouble = f"{event.kind}: {event.detail or 'no reason given'}" if event.kind in _TROUBLE else None
            told[seed_id] = trouble or told.get(seed_id)
    seed = tables.seed_messages
    for seed_id in sorted(told):
        values: dict[str, Any] = {
            "confirmed_at": sa.func.coalesce(seed.c.confirmed_at, sa.literal(now, seed.c.confirmed_at.type))
        }
        if told[seed_id]:
            values["detail"] = told[seed_id]
        connection.execute(seed.update().where(seed.c.id == seed_id).values(**values))


def told(connection: sa.Connection, seed_id: str) -> str | None:
    """What its events said of it: "" where nothing but good, the ESP's words of trouble; None: nothing came yet."""
    seed = tables.seed_messages
    row = connection.execute(sa.select(seed.c.confirmed_at, seed.c.detail).where(seed.c.id == seed_id)).one_or_none()
    if row is None or row.confirmed_at is None:
        return None
    return row.detail if (row.detail or "").startswith(tuple(f"{kind}:" for kind in _TROUBLE)) else ""


def health(connection: sa.Connection, provider: str, now: datetime) -> SeedHealth:
    """How this ESP fares by the seed messages of the last hour, those of all accounts."""
    seed = tables.seed_messages
    query = (
        sa.select(seed)
        .where(seed.c.provider == provider, seed.c.sent_at > now - _LATELY, seed.c.sent_at <= now)
        .order_by(seed.c.sent_at.desc(), seed.c.id)
    )
    rows = [row for row in connection.execute(query) if row.outcome is not None or row.confirmed_at is not None]
    if not rows:
        return SeedHealth(provider, SeedState.UNPROVEN)
    newest = rows[0]
    if newest.confirmed_at is None and newest.outcome != OutcomeKind.ACCEPTED:
        return SeedHealth(provider, SeedState.REFUSED, newest.sent_at, newest.detail or newest.outcome)
    # One that is too young to be silent says nothing yet, unless it is confirmed.
    telling = [row for row in rows if row.confirmed_at is not None or _overdue(row, now)]
    if not telling:
        return SeedHealth(provider, SeedState.UNPROVEN)
    if telling[0].confirmed_at is None:
        return SeedHealth(provider, SeedState.SILENT, _silent_since(telling))
    if (telling[0].detail or "").startswith(tuple(f"{kind}:" for kind in _TROUBLE)):
        return SeedHealth(provider, SeedState.BOUNCED, telling[0].sent_at, telling[0].detail)
    return SeedHealth(provider, SeedState.WELL, telling[0].confirmed_at)


def _overdue(row: Any, now: datetime) -> bool:
    return bool(row.outcome == OutcomeKind.ACCEPTED and now - row.sent_at >= CONFIRMED_WITHIN)


def _silent_since(rows: Iterable[Any]) -> datetime | None:
    """When the oldest of those was sent that were all left without an event."""
    since = None
    for row in rows:
        if row.confirmed_at is not None:
            break
        since = row.sent_at
    return since


def purge(connection: sa.Connection, *, now: datetime) -> int:
    """Remove those of more than a week ago; how many."""
    seed = tables.seed_messages
    return connection.execute(seed.delete().where(seed.c.sent_at < now - _KEPT)).rowcount
