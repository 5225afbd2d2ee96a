"""The webhook inbox: raw bodies of verified webhooks, stored before the ESP gets its answer, read afterwards."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from data import database, dead_letters, tables

# A body that fails this often fails for good: it must not cost every run a try for ever.
STRIKES = 3


class BodyState(StrEnum):
    """Where a body is. A dead one is kept and can be set back to pending; of an emptied one only its hash is left."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"
    EMPTIED = "emptied"


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


def pending(
    connection: sa.Connection, limit: int, *, after: int = 0, fresh_of: Collection[str] | None = None
) -> Sequence[sa.Row[Any]]:
    """The oldest unread bodies with an id above `after`, locked until the transaction ends.

    `fresh_of`: only those of these providers that never failed. Bodies that another processor holds are passed over
    (PostgreSQL; on SQLite there is one writer anyway).
    """
    inbox = tables.webhook_inbox
    query = sa.select(inbox).where(inbox.c.state == BodyState.PENDING, inbox.c.id > after)
    if fresh_of is not None:
        query = query.where(_fresh(fresh_of))
    return connection.execute(query.order_by(inbox.c.id).limit(limit).with_for_update(skip_locked=True)).all()


def behind(connection: sa.Connection) -> tuple[int, datetime | None]:
    """How many bodies wait to be read, of all providers, and when the oldest of them came."""
    inbox = tables.webhook_inbox.c
    oldest = sa.select(inbox.received_at).where(inbox.state == BodyState.PENDING).order_by(inbox.id).limit(1)
    return backlog(connection), connection.scalar(oldest)


def fresh_waits(connection: sa.Connection, providers: Collection[str]) -> bool:
    """Is there a body of one of these providers to be read that never failed? Cheap: it reads what waits, and no body."""
    inbox = tables.webhook_inbox.c
    waits = sa.exists().where(inbox.state == BodyState.PENDING, _fresh(providers))
    return bool(connection.scalar(sa.select(waits)))


def _fresh(providers: Collection[str]) -> sa.ColumnElement[bool]:
    inbox = tables.webhook_inbox.c
    return inbox.provider.in_(sorted(providers)) & (inbox.strikes == 0)


def get(connection: sa.Connection, inbox_id: int) -> sa.Row[Any]:
    """Provider and raw body."""
    inbox = tables.webhook_inbox
    return connection.execute(sa.select(inbox.c.provider, inbox.c.body).where(inbox.c.id == inbox_id)).one()


def last_received(connection: sa.Connection, provider: str) -> datetime | None:
    """When the newest body of a provider came; None where none ever did."""
    inbox = tables.webhook_inbox.c
    newest = sa.select(inbox.received_at).where(inbox.provider == provider).order_by(inbox.id.desc()).limit(1)
    found: datetime | None = connection.scalar(newest)
    return found


def counts(connection: sa.Connection) -> dict[str, int]:
    """How many bodies wait, and how many are dead. The many that were read are not counted."""
    inbox = tables.webhook_inbox
    query = sa.select(inbox.c.state, sa.func.count()).where(inbox.c.state.in_((BodyState.PENDING, BodyState.DEAD)))
    return {state: int(number) for state, number in connection.execute(query.group_by(inbox.c.state))}


def finish(connection: sa.Connection, inbox_ids: Collection[int], *, now: datetime) -> None:
    """These bodies were read; the raw bytes stay until their retention ends (data.inbox_retention)."""
    inbox = tables.webhook_inbox
    connection.execute(
        inbox.update().where(inbox.c.id.in_(inbox_ids)).values(state=BodyState.DONE, processed_at=now, error=None)
    )


def strike(connection: sa.Connection, inbox_id: int, *, error: str, now: datetime) -> bool:
    """The body could not be read this time; True when it was the last try. `error` holds no address.

    Nothing happens to one that somebody else has read meanwhile.
    """
    inbox = tables.webhook_inbox
    struck = (
        inbox.update()
        .where(inbox.c.id == inbox_id, inbox.c.state == BodyState.PENDING)
        .values(
            strikes=inbox.c.strikes + 1,
            error=error,
            state=sa.case((inbox.c.strikes + 1 >= STRIKES, BodyState.DEAD), else_=BodyState.PENDING),
        )
        .returning(inbox.c.state, inbox.c.provider)
    )
    row = connection.execute(struck).one_or_none()
    dead = row is not None and row.state == BodyState.DEAD
    if row is not None and dead:
        reason = f"tried {STRIKES} times: {error}"
        refuse(connection, provider=row.provider, inbox_id=inbox_id, position=0, reason=reason, now=now)
    return dead


def refuse(
    connection: sa.Connection, *, provider: str, inbox_id: int, position: int, reason: str, now: datetime
) -> None:
    """Make a dead letter of one element; its raw text stays in the inbox row, to which the letter points."""
    letter = dead_letters.BadRow(position, reason, {"inbox_id": inbox_id, "position": position})
    dead_letters.put(
        connection,
        [letter],
        account_id=None,
        source=f"{dead_letters.WEBHOOK}{provider}",
        location=f"inbox {inbox_id}",
        now=now,
    )


def end_letters(connection: sa.Connection, inbox_id: int, *, besides: Collection[int], now: datetime) -> None:
    """The body was read again: what was refused of it then and was not this time is mended."""
    letter = tables.dead_letters
    ours = letter.c.source.startswith(dead_letters.WEBHOOK) & (letter.c.location == f"inbox {inbox_id}")
    mended = ours & (letter.c.state == dead_letters.State.OPEN) & letter.c.row_number.not_in(sorted(besides))
    connection.execute(
        letter.update()
        .where(mended)
        .values(state=dead_letters.State.FIXED, ended_at=now, ended_by="replay", next_try_at=None)
    )


def bodies(connection: sa.Connection) -> Sequence[sa.Row[Any]]:
    """Of each provider and state: how many bodies there are, and when the oldest came."""
    inbox = tables.webhook_inbox.c
    oldest = sa.func.min(inbox.received_at).label("oldest")
    query = sa.select(inbox.provider, inbox.state, sa.func.count().label("bodies"), oldest)
    return connection.execute(query.group_by(inbox.provider, inbox.state).order_by(inbox.provider, inbox.state)).all()


def dead(connection: sa.Connection, *, limit: int) -> Sequence[sa.Row[Any]]:
    """The newest bodies that could not be read: id, provider, when it came, why."""
    inbox = tables.webhook_inbox.c
    query = sa.select(inbox.id, inbox.provider, inbox.received_at, inbox.error).where(inbox.state == BodyState.DEAD)
    return connection.execute(query.order_by(inbox.id.desc()).limit(limit)).all()


def refused(connection: sa.Connection, *, limit: int) -> Sequence[sa.Row[Any]]:
    """The newest elements that were refused, of bodies that were read: body, provider, place in it, when, why."""
    inbox, letter = tables.webhook_inbox.c, tables.dead_letters.c
    ours = letter.source.startswith(dead_letters.WEBHOOK)
    # Of an order a field of that name may be anything: a plain cast could be made before the condition is tried.
    body = sa.case((ours, letter.payload["inbox_id"].as_integer()))
    query = (
        sa.select(inbox.id, inbox.provider, letter.row_number.label("element"), letter.created_at, letter.reason)
        .join_from(tables.dead_letters, tables.webhook_inbox, inbox.id == body)
        .where(ours, letter.state == dead_letters.State.OPEN)
        .where(inbox.state != BodyState.DEAD)
    )
    return connection.execute(query.order_by(letter.id.desc()).limit(limit)).all()
