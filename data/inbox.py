"""The webhook inbox: raw bodies of verified webhooks, stored before the ESP gets its answer, read afterwards."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from data import database, dead_letters, tables

# A body that fails this often fails for good: it must not cost every run a try for ever.
_STRIKES = 3


class BodyState(StrEnum):
    """Where a body is. A dead one is kept and can be set back to pending."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"


def store(connection: sa.Connection, *, provider: str, body: bytes, now: datetime) -> bool:
    """Keep a verified body; False when this very body is known already (ESPs repeat what they think was lost)."""
    row = database.insert(connection, tables.webhook_inbox).values(
        provider=provider,
        body_hash=hashlib.sha256(body).hexdigest(),
        body=body,
        received_at=now,
        state=BodyState.PENDING,
    )
    stored = row.on_conflict_do_nothing().returning(tables.webhook_inbox.c.id)
    return connection.scalar(stored) is not None


def backlog(connection: sa.Connection) -> int:
    """How many bodies wait to be read."""
    inbox = tables.webhook_inbox
    return connection.execute(
        sa.select(sa.func.count()).select_from(inbox).where(inbox.c.state == BodyState.PENDING)
    ).scalar_one()


def pending(connection: sa.Connection, limit: int, *, after: int = 0) -> Sequence[sa.Row[tuple[int, str, bytes]]]:
    """The oldest unread bodies (id, provider, body) with an id above `after`, locked until the transaction ends.

    Bodies that another processor holds are passed over (PostgreSQL; on SQLite there is one writer anyway).
    """
    inbox = tables.webhook_inbox
    query = (
        sa.select(inbox.c.id, inbox.c.provider, inbox.c.body)
        .where(inbox.c.state == BodyState.PENDING, inbox.c.id > after)
        .order_by(inbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(query).all()


def finish(connection: sa.Connection, inbox_id: int, *, now: datetime) -> None:
    """The body was read; the raw bytes stay until their retention ends."""
    inbox = tables.webhook_inbox
    connection.execute(
        inbox.update().where(inbox.c.id == inbox_id).values(state=BodyState.DONE, processed_at=now, error=None)
    )


def strike(connection: sa.Connection, inbox_id: int, *, error: str, now: datetime) -> bool:
    """The body could not be read this time; True when it was the last try. `error` holds no address."""
    inbox = tables.webhook_inbox
    struck = (
        inbox.update()
        .where(inbox.c.id == inbox_id)
        .values(
            strikes=inbox.c.strikes + 1,
            error=error,
            state=sa.case((inbox.c.strikes + 1 >= _STRIKES, BodyState.DEAD), else_=BodyState.PENDING),
        )
        .returning(inbox.c.state, inbox.c.provider)
    )
    row = connection.execute(struck).one()
    dead: bool = row.state == BodyState.DEAD
    if dead:
        reason = f"tried {_STRIKES} times: {error}"
        refuse(connection, provider=row.provider, inbox_id=inbox_id, position=0, reason=reason, now=now)
    return dead


def refuse(
    connection: sa.Connection, *, provider: str, inbox_id: int, position: int, reason: str, now: datetime
) -> None:
    """Make a dead letter of one element; its raw text stays in the inbox row, to which the letter points."""
    letter = dead_letters.BadRow(position, reason, {"inbox_id": inbox_id, "position": position})
    dead_letters.put(
        connection, [letter], account_id=None, source=f"webhook:{provider}", location=f"inbox {inbox_id}", now=now
    )
