"""Webhook bodies that are to be read again: dead ones once their reader is mended, or all of some days.

Reading a body again is safe any number of times: an event that is stored is known, and states only ever grow.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from data import audit_log, tables
from data.inbox import BodyState


@dataclass(frozen=True, slots=True)
class Which:
    """Bodies by number, the dead ones, or those that came since: what is given must hold together."""

    inbox_ids: Sequence[int] = ()
    dead: bool = False
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """How many bodies of a provider in a state are meant. Those that wait are read anyway, and are not."""

    provider: str
    state: str
    bodies: int


def choose(connection: sa.Connection, which: Which) -> list[Chosen]:
    """What a replay would set back."""
    inbox = tables.webhook_inbox.c
    query = sa.select(inbox.provider, inbox.state, sa.func.count()).where(_meant(which))
    found = connection.execute(query.group_by(inbox.provider, inbox.state).order_by(inbox.provider, inbox.state))
    return [Chosen(*row) for row in found]


def replay(connection: sa.Connection, which: Which, *, by: str, now: datetime) -> list[Chosen]:
    """Set these bodies back to pending, with three tries, and log who did; what they were."""
    chosen = choose(connection, which)
    if not chosen:
        return []
    connection.execute(tables.webhook_inbox.update().where(_meant(which)).values(state=BodyState.PENDING, strikes=0))
    detail = {
        "inbox": list(which.inbox_ids),
        "dead": which.dead,
        "since": which.since.isoformat() if which.since else None,
        "bodies": [asdict(one) for one in chosen],
    }
    audit_log.write(
        connection, account_id=None, actor=by, action="replay", subject="webhook bodies", detail=detail, now=now
    )
    return chosen


def emptied(connection: sa.Connection, which: Which) -> int:
    """How many of these bodies were kept long enough: nothing is left of them to be read."""
    inbox = tables.webhook_inbox.c
    query = sa.select(sa.func.count()).select_from(tables.webhook_inbox)
    return connection.execute(query.where(_named(which), inbox.state == BodyState.EMPTIED)).scalar_one()


def _meant(which: Which) -> sa.ColumnElement[bool]:
    return _named(which) & tables.webhook_inbox.c.state.not_in((BodyState.PENDING, BodyState.EMPTIED))


def _named(which: Which) -> sa.ColumnElement[bool]:
    inbox = tables.webhook_inbox.c
    meant: sa.ColumnElement[bool] = sa.true()
    if which.inbox_ids:
        meant &= inbox.id.in_(which.inbox_ids)
    if which.dead:
        meant &= inbox.state == BodyState.DEAD
    if which.since is not None:
        meant &= inbox.received_at >= which.since
    return meant
