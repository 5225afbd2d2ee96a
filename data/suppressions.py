"""Suppressions: standing refusals to mail an address, by its keyed hash. Our list is the authority, ESPs' lists feed it.

One row an address and reason. Refusals only gather: what an ESP's list no longer names stays, until it expires or a
person lifts it and says why.
"""

import csv
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TextIO

import sqlalchemy as sa

from data import audit_log, database, tables
from domain import addresses, suppression
from domain.ports import ListedSuppression
from domain.suppression import Reason

# Rows of an ESP's list that are hashed and written at once.
_AT_ONCE = 1000
_EXPORTED = ("address_hash", "reason", "scope", "source", "created_at", "expires_at")
# What a spreadsheet takes for the start of a formula, full-width forms included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """A refusal to keep. `created_at` is when the reason arose; `evidence` says where to look, without the address."""

    account_id: str
    address_hash: str
    reason: Reason
    source: str
    evidence: str
    created_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What reading an ESP's list brought. `unreadable`: entries that are no address, so nobody can be mailed there."""

    listed: int
    added: int
    unreadable: int


def add_many(connection: sa.Connection, rows: Sequence[NewSuppression]) -> int:
    """Keep refusals; how many (by address and reason) are new, stand again, or stand longer.

    A lifted one stands again if the reason arose after the lift: an old one that comes once more proves nothing.
    """
    ordered = sorted(rows, key=lambda row: (row.account_id, row.address_hash, row.reason, row.created_at))
    last = {_key(row): row for row in ordered}
    first = {_key(row): row for row in reversed(ordered)}
    # Two statements, as none may hold a key twice: the first row says since when, the last whether it stands again.
    again = [row for key, row in last.items() if row is not first[key]]
    return _upsert(connection, [first[key] for key in last]) + _upsert(connection, again)


def add(
    connection: sa.Connection,
    *,
    account_id: str,
    address_hash: str,
    reason: Reason,
    source: str,
    evidence: str,
    now: datetime,
) -> bool:
    """Keep one refusal; False when it stood already."""
    return add_many(connection, [NewSuppression(account_id, address_hash, reason, source, evidence, now)]) == 1


def _key(row: NewSuppression) -> tuple[str, str, Reason]:
    return row.account_id, row.address_hash, row.reason


def _upsert(connection: sa.Connection, rows: Sequence[NewSuppression]) -> int:
    if not rows:
        return 0
    table = tables.suppressions
    statement = database.insert(connection, table)
    new = statement.excluded
    again = table.c.lifted_at < new.created_at
    longer = (
        table.c.lifted_at.is_(None)
        & table.c.expires_at.is_not(None)
        & (new.expires_at.is_(None) | (new.expires_at > table.c.expires_at))
    )
    kept = statement.on_conflict_do_update(
        index_elements=["account_id", "address_hash", "reason"],
        # null(), not None: with a parameter in here SQLAlchemy would send row by row.
        set_={"lifted_at": sa.null(), "expires_at": new.expires_at, "source": new.source, "evidence": new.evidence},
        where=again | longer,
    )
    values = [
        {
            "account_id": row.account_id,
            "address_hash": row.address_hash,
            "reason": row.reason.value,
            "scope": suppression.SCOPE_OF[row.reason].value,
            "source": row.source,
            "evidence": row.evidence,
            "created_at": row.created_at,
            "expires_at": row.expires_at,
        }
        for row in rows
    ]
    return len(connection.execute(kept.returning(table.c.id), values).all())


def lift(
    connection: sa.Connection,
    *,
    account_id: str,
    address_hash: str,
    actor: str,
    reason: str,
    now: datetime,
    only: Collection[Reason] = tuple(Reason),
) -> int:
    """Lift the refusals of an address, or of them `only` these, and log who did and why; how many they were."""
    if not reason.strip():
        raise ValueError("a suppression is lifted for a reason: say why, the audit log keeps it")
    table = tables.suppressions
    lifted = (
        table.update()
        .where(table.c.account_id == account_id, table.c.address_hash == address_hash, table.c.lifted_at.is_(None))
        .where(table.c.reason.in_(only))
        .values(lifted_at=now)
        .returning(table.c.reason)
    )
    reasons = sorted(connection.scalars(lifted))
    if reasons:
        audit_log.write(
            connection,
            account_id=account_id,
            actor=actor,
            action="suppression lifted",
            subject=f"address {address_hash}",
            detail={"why": reason, "reasons": reasons},
            now=now,
        )
    return len(reasons)


def listing(connection: sa.Connection, account_id: str, *, limit: int, offset: int = 0) -> Sequence[sa.Row[Any]]:
    """What is not lifted, newest first: the columns of the export and `evidence`."""
    table = tables.suppressions
    return connection.execute(
        _not_lifted(account_id, *_EXPORTED, "evidence")
        .order_by(table.c.created_at.desc(), table.c.id.desc())
        .limit(limit)
        .offset(offset)
    ).all()


def _not_lifted(account_id: str, *columns: str) -> sa.Select[Any]:
    table = tables.suppressions
    return sa.select(*(table.c[name] for name in columns)).where(
        table.c.account_id == account_id, table.c.lifted_at.is_(None)
    )


def export_csv(connection: sa.Connection, account_id: str, file: TextIO) -> int:
    """Write what is not lifted as CSV that no spreadsheet executes; how many rows."""
    table = tables.suppressions
    writer = csv.writer(file)
    writer.writerow(_EXPORTED)
    query = _not_lifted(account_id, *_EXPORTED).order_by(table.c.address_hash, table.c.reason)
    count = 0
    for row in connection.execute(query.execution_options(yield_per=_AT_ONCE)):
        writer.writerow([_cell(value) for value in row])
        count += 1
    return count


def _cell(value: Any) -> str:
    text = value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value or "")
    return f"'{text}" if text.startswith(_FORMULA) else text


def merge_listed(
    connection: sa.Connection,
    *,
    account_id: str,
    provider: str,
    listed: Iterable[ListedSuppression],
    pepper: str,
    now: datetime,
) -> MergeReport:
    """Add an ESP's list to ours. Union: an address that the ESP no longer lists stays suppressed here."""
    entries = iter(listed)
    total = added = unreadable = 0
    while some := list(islice(entries, _AT_ONCE)):
        rows = [row for row in (_listed(entry, account_id, provider, pepper, now) for entry in some) if row is not None]
        total += len(some)
        unreadable += len(some) - len(rows)
        added += add_many(connection, rows)
    return MergeReport(total, added, unreadable)


def _listed(
    entry: ListedSuppression, account_id: str, provider: str, pepper: str, now: datetime
) -> NewSuppression | None:
    try:
        address_hash = addresses.address_hash(entry.address, pepper)
    except addresses.InvalidAddress:
        return None
    return NewSuppression(
        account_id=account_id,
        address_hash=address_hash,
        reason=entry.reason,
        source=f"esp:{provider}",
        # Not `entry.detail`: ESPs quote the address in it.
        evidence=f"on {provider}'s list",
        # A clock ahead of ours must not overrule a lift that is yet to come.
        created_at=min(entry.created_at, now),
    )


def read_until(connection: sa.Connection, *, account_id: str, provider: str) -> datetime | None:
    """Up to when the ESP's lists were read for this account; None before the first time."""
    cursor = tables.sync_cursors
    return connection.scalar(
        sa.select(cursor.c.read_until).where(cursor.c.account_id == account_id, cursor.c.provider == provider)
    )


def advance(connection: sa.Connection, *, account_id: str, provider: str, until: datetime) -> None:
    """The ESP's lists were read up to `until`; a cursor never goes back."""
    statement = database.insert(connection, tables.sync_cursors).values(
        provider=provider, account_id=account_id, read_until=until
    )
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["provider", "account_id"],
            set_={"read_until": new.read_until},
            where=tables.sync_cursors.c.read_until < new.read_until,
        )
    )
