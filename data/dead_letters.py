"""Dead letters: records that were refused and kept, with the reason, the dearest first.

A payload may hold an address: it stays in this table and never enters a log.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import database, tables

OPEN = "open"
_MAX_PRIORITY = 2**31 - 1


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record that could not be used. `reason` holds no personal data; `priority` is the value at stake."""

    row_number: int
    reason: str
    payload: dict[str, Any]
    priority: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A bad row as it is kept: from which source, and where in it."""

    id: int
    source: str
    location: str
    row: BadRow
    state: str
    created_at: datetime


def put(
    connection: sa.Connection,
    rows: Iterable[BadRow],
    *,
    account_id: str | None,
    source: str,
    location: str,
    now: datetime,
) -> None:
    """Keep the rows; one that is kept already (same place, same payload) is not kept twice."""
    values = [
        _values(row) | {"account_id": account_id, "source": source, "location": location, "created_at": now}
        for row in rows
    ]
    for value in values:
        # The table's key does not name the account: two accounts may load files of one name.
        value["payload_hash"] = _hash(account_id, value["payload"])
    if values:
        connection.execute(database.insert(connection, tables.dead_letters).on_conflict_do_nothing(), values)


def _values(row: BadRow) -> dict[str, Any]:
    return {
        "row_number": row.row_number,
        "reason": row.reason,
        "payload": _storable(row.payload),
        "priority": max(0, min(row.priority, _MAX_PRIORITY)),
        "state": OPEN,
    }


def _storable(value: Any) -> Any:
    """The same JSON with U+2400 for NUL, which PostgreSQL cannot hold."""
    if isinstance(value, str):
        return value.replace("\0", "\N{SYMBOL FOR NULL}")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value


def _hash(account_id: str | None, payload: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([account_id, payload], sort_keys=True).encode()).hexdigest()


def listing(
    connection: sa.Connection, account_id: str | None, *, source: str | None = None, limit: int = 100
) -> list[DeadLetter]:
    """The open letters of an account and those of nobody, the dearest first and of equals the oldest."""
    letters = tables.dead_letters.c
    # A webhook's element may name nobody: kept from every account, its letter would never be seen.
    theirs = (letters.account_id == account_id) | letters.account_id.is_(None)
    query = sa.select(tables.dead_letters).where(theirs, letters.state == OPEN)
    if source is not None:
        query = query.where(letters.source == source)
    query = query.order_by(letters.priority.desc(), letters.id).limit(limit)
    return [_letter(row) for row in connection.execute(query)]


def _letter(row: sa.Row[Any]) -> DeadLetter:
    return DeadLetter(
        id=row.id,
        source=row.source,
        location=row.location,
        row=BadRow(row.row_number, row.reason, row.payload, row.priority),
        state=row.state,
        created_at=row.created_at,
    )
