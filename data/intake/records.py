"""Intake records: raw documents of channels, kept before anybody is told that they arrived, read afterwards.

One document may hold one order (a webhook) or hundreds (a page of an API, a piece of a file). Bodies lie compressed.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

from data import database, tables
from data.channels.channel import Origin, Urgency

_CODEC: Final = "zstd"
_STRIKES = 3
_MOST_RECORDS, _MOST_BYTES = 1000, 2**20  # of one claim: some 4,000 orders, which are held in memory at once


class State(StrEnum):
    """Where a record is. `held`: its channel and account are in quarantine. `dead`: nobody could read it; it is kept."""

    PENDING = "pending"
    HELD = "held"
    DONE = "done"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One document as it came. `first_row`: the row of the file at which it begins, 1 where there is no file."""

    body: bytes
    origin: Origin
    source: str
    received_at: datetime
    topic: str = ""
    observed_at: datetime | None = None
    urgency: Urgency = Urgency.USUAL
    first_row: int = 1


@dataclass(frozen=True, slots=True)
class Record:
    """One stored document of a channel and account."""

    id: int
    account_id: str
    channel: str
    incoming: Incoming
    reread: bool = False


def store(connection: sa.Connection, account_id: str, channel: str, documents: Iterable[Incoming]) -> int:
    """Keep the documents; return how many were new: the same bytes with the same headers are kept once."""
    values = [_values(one) | {"account_id": account_id, "channel": channel} for one in documents]
    table = tables.intake_records
    statement = database.insert(connection, table).on_conflict_do_nothing().returning(table.c.id)
    return len(connection.execute(statement, values).all()) if values else 0


def _values(one: Incoming) -> dict[str, Any]:
    headers = f"{one.topic}\n{one.observed_at.isoformat() if one.observed_at else ''}\n".encode()
    return {
        "origin": one.origin,
        "source": one.source,
        "topic": one.topic,
        "observed_at": one.observed_at,
        "urgency": one.urgency,
        "first_row": one.first_row,
        "body": pa.compress(one.body, codec=_CODEC, asbytes=True),
        "body_bytes": len(one.body),
        "body_hash": hashlib.sha256(headers + one.body).hexdigest(),
        "received_at": one.received_at,
        "state": State.PENDING,
    }


def backlog(connection: sa.Connection, account_id: str, channel: str, *, files_too: bool = True) -> int:
    """How many records of the channel wait, those in quarantine included; or only what was pushed or pulled lately."""
    record = tables.intake_records.c
    return connection.execute(
        sa.select(sa.func.count()).where(
            record.account_id == account_id,
            record.channel == channel,
            record.state.in_((State.PENDING, State.HELD)),
            *([record.urgency != Urgency.BULK] if not files_too else []),
        )
    ).scalar_one()


def next_batch(
    connection: sa.Connection, *, only: tuple[str, str] | None = None, passed: Sequence[int] = ()
) -> list[Record]:
    """The most urgent pending records of one channel and account, oldest first; empty when there are none.

    `only`: of this account and channel. `passed`: ids that could not be done this time.
    """
    record = tables.intake_records.c
    pending = [record.state == State.PENDING]
    if only is not None:
        pending += [record.account_id == only[0], record.channel == only[1]]
    if passed:
        pending.append(record.id.not_in(passed))
    head = connection.execute(
        sa.select(record.account_id, record.channel, record.urgency)
        .where(*pending)
        .order_by(record.urgency, record.id)
        .limit(1)
    ).one_or_none()
    if head is None:
        return []
    sizes = connection.execute(
        sa.select(record.id, record.body_bytes)
        .where(*pending, record.account_id == head.account_id, record.channel == head.channel)
        .where(record.urgency == head.urgency)
        .order_by(record.id)
        .limit(_MOST_RECORDS)
    ).all()
    return _read(connection, _fitting(sizes))


def _fitting(sizes: Sequence[Any]) -> list[int]:
    """The first records whose bodies fit into memory together; one at least."""
    ids: list[int] = []
    total = 0
    for row in sizes:
        total += row.body_bytes
        if ids and total > _MOST_BYTES:
            break
        ids.append(row.id)
    return ids


def _read(connection: sa.Connection, ids: Sequence[int]) -> list[Record]:
    record = tables.intake_records
    rows = connection.execute(sa.select(record).where(record.c.id.in_(ids)).order_by(record.c.id))
    return [
        Record(
            row.id,
            row.account_id,
            row.channel,
            Incoming(
                pa.decompress(row.body, row.body_bytes, codec=_CODEC, asbytes=True),
                Origin(row.origin),
                row.source,
                row.received_at,
                row.topic,
                row.observed_at,
                Urgency(row.urgency),
                row.first_row,
            ),
            row.reread,
        )
        for row in rows
    ]


def finish(
    connection: sa.Connection, ids: Sequence[int], *, state: State = State.DONE, error: str | None = None, now: datetime
) -> frozenset[int]:
    """Take these records off the queue; return those that were still on it: another drain may have been quicker."""
    record = tables.intake_records
    done = (
        sa.update(record)
        .where(record.c.id.in_(ids), record.c.state == State.PENDING)
        .values(state=state, processed_at=now, error=error, reread=False)
        .returning(record.c.id)
    )
    return frozenset(connection.scalars(done))


def reread(connection: sa.Connection, account_id: str, channel: str, *, since: datetime) -> int:
    """Put what was done back on the queue, to be read by the mapping and the program of today; return how many."""
    record = tables.intake_records.c
    return connection.execute(
        sa.update(tables.intake_records)
        .where(record.account_id == account_id, record.channel == channel, record.state == State.DONE)
        .where(record.received_at >= since)
        .values(state=State.PENDING, reread=True, urgency=Urgency.BULK, strikes=0)
    ).rowcount


def again(connection: sa.Connection, record_id: int) -> bool:
    """Put a dead record back on the queue; False when it is not dead or its retention has ended."""
    record = tables.intake_records.c
    done = connection.execute(
        sa.update(tables.intake_records)
        .where(record.id == record_id, record.state == State.DEAD)
        .values(state=State.PENDING, error=None, processed_at=None)
    )
    return done.rowcount == 1


def _quarantined() -> sa.ColumnElement[bool]:
    """The record's channel and account are in quarantine: looked up in the very statement that acts on it."""
    record, held = tables.intake_records.c, tables.intake_quarantines.c
    return sa.exists().where(
        held.account_id == record.account_id, held.channel == record.channel, held.ended_at.is_(None)
    )


def out_of_place(connection: sa.Connection) -> bool:
    """Is a record held that nobody quarantines, or pending though it is quarantined?"""
    record = tables.intake_records.c
    held = sa.select(record.id).where(record.state == State.HELD, ~_quarantined()).limit(1)
    if connection.scalar(held) is not None:
        return True
    open_one = tables.intake_quarantines.c
    pairs = connection.execute(sa.select(open_one.account_id, open_one.channel).where(open_one.ended_at.is_(None)))
    return any(
        connection.scalar(
            sa.select(record.id)
            .where(record.account_id == one.account_id, record.channel == one.channel)
            .where(record.state == State.PENDING)
            .limit(1)
        )
        is not None
        for one in pairs.all()
    )


def heed_quarantines(connection: sa.Connection) -> None:
    """Hold the pending records of channels in quarantine, and free those of all others."""
    record = tables.intake_records.c
    move = sa.update(tables.intake_records)
    connection.execute(move.where(record.state == State.HELD, ~_quarantined()).values(state=State.PENDING))
    connection.execute(move.where(record.state == State.PENDING, _quarantined()).values(state=State.HELD))


def strike(connection: sa.Connection, record_id: int, *, error: str, now: datetime) -> bool:
    """The record could not be applied this time; True when it was the last try. `error` holds no personal data."""
    record = tables.intake_records
    struck = (
        sa.update(record)
        .where(record.c.id == record_id, record.c.state == State.PENDING)
        .values(
            strikes=record.c.strikes + 1,
            error=error,
            processed_at=now,
            state=sa.case((record.c.strikes + 1 >= _STRIKES, State.DEAD), else_=State.PENDING),
        )
        .returning(record.c.state)
    )
    return connection.scalar(struck) == State.DEAD


def purge(connection: sa.Connection, *, before: datetime) -> int:
    """Remove the raw bodies of records that were done before that time; dead ones stay until somebody ends them."""
    record = tables.intake_records.c
    return connection.execute(
        sa.delete(tables.intake_records).where(record.state == State.DONE, record.processed_at < before)
    ).rowcount
