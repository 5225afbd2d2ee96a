"""Quarantines: a channel of an account whose batch was past its thresholds waits for a person; all others flow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import accounts, audit_log, tables

_table = tables.intake_quarantines
_open = _table.c.ended_at.is_(None)


class NotQuarantined(LookupError):
    """Nothing of that account and channel waits; the message names what does."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """`reason` is for a person; `facts` are the figures behind it. While it is open, `ended_at` is None."""

    id: int
    account_id: str
    channel: str
    since: datetime
    reason: str
    facts: dict[str, Any]
    ended_at: datetime | None
    ended_by: str | None
    note: str | None


def open_of(connection: sa.Connection) -> frozenset[tuple[str, str]]:
    """The (account, channel) pairs whose records wait."""
    rows = connection.execute(sa.select(_table.c.account_id, _table.c.channel).where(_open))
    return frozenset((row.account_id, row.channel) for row in rows)


def put(
    connection: sa.Connection,
    account_id: str,
    channel: str,
    reason: str,
    facts: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Begin one, in a transaction that writes; False when one is open, which stays as it is. Raises UnknownAccount."""
    accounts.lock(connection, account_id)  # of two at once, the second waits here and then sees the first's
    if connection.scalar(sa.select(_table.c.id).where(*_of(account_id, channel), _open)) is not None:
        return False
    row = {"account_id": account_id, "channel": channel, "since": now, "reason": reason, "facts": dict(facts)}
    connection.execute(_table.insert().values(row))
    return True


def listing(connection: sa.Connection, account_id: str | None, *, limit: int = 100) -> Sequence[Quarantine]:
    """Of one account or of all: the open ones first, then the newest."""
    query = sa.select(_table).order_by(_open.desc(), _table.c.since.desc(), _table.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(_table.c.account_id == account_id)
    return [Quarantine(**row) for row in connection.execute(query).mappings()]


def release(connection: sa.Connection, account_id: str, channel: str, by: str, note: str, now: datetime) -> None:
    """End the open one, by a person's word: what was received up to now passes without the gate. Raises NotQuarantined.

    Row rules hold as ever: orders that they refuse become dead letters.
    """
    end = _table.update().where(*_of(account_id, channel), _open).values(ended_at=now, ended_by=by, note=note)
    ended = connection.execute(end.returning(_table.c.since, _table.c.reason)).one_or_none()
    if ended is None:
        waiting = sorted(theirs for account, theirs in open_of(connection) if account == account_id)
        raise NotQuarantined(
            f"channel {channel!r} of account {account_id!r} is not in quarantine; "
            f"those that are: {', '.join(waiting) or 'none'}"
        )
    audit_log.write(
        connection,
        account_id=account_id,
        actor=by,
        action="quarantine released",
        subject=f"channel {channel}",
        detail={"note": note, "since": ended.since.isoformat(), "reason": ended.reason},
        now=now,
    )


def waived_until(connection: sa.Connection, account_id: str, channel: str) -> datetime | None:
    """Records received up to then pass without the gate: the end of the last quarantine that was released."""
    last = sa.select(sa.func.max(_table.c.ended_at)).where(*_of(account_id, channel))
    ended_at: datetime | None = connection.scalar(last)
    return ended_at


def _of(account_id: str, channel: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return _table.c.account_id == account_id, _table.c.channel == channel
