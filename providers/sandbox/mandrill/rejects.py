"""The denylist of Transactional: whom it refuses, since when, and until when.

Terms: facts/reliability.md, check 30: a soft bounce is remembered for a day, a hard one for a week, who left or complained
for a year; whom somebody put there for ever.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

import orjson

from providers.sandbox.fate import End, Kind
from providers.sandbox.mandrill.templates import written
from providers.sandbox.suppressions import Entry

LISTING = "mandrill"  # beside SendGrid's lists in one table
_DAY = 86_400.0
_REMEMBERED = {"soft-bounce": _DAY, "hard-bounce": 7 * _DAY, "spam": 365 * _DAY, "unsub": 365 * _DAY}
_MOST = 1000


def entry(end: End, kind: Kind, address: str, at: float) -> Entry | None:
    """Say for which reason an event puts its address on the list, if any."""
    reason = {Kind.SPAM_REPORT: "spam", Kind.UNSUBSCRIBE: "unsub"}.get(kind)
    if kind is Kind.BOUNCE:
        reason = {End.HARD: "hard-bounce", End.SOFT: "soft-bounce"}.get(end)
    return None if reason is None else Entry(address.lower(), LISTING, at, "", reason)


def put(connection: sqlite3.Connection, address: str, comment: str, *, now: float) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO suppressions VALUES (?, ?, ?, ?, 'custom')", (address.lower(), LISTING, now, comment)
    )


def take_off(connection: sqlite3.Connection, address: str) -> bool:
    """Whether it was there."""
    gone = connection.execute("DELETE FROM suppressions WHERE email = ? AND list = ?", (address.lower(), LISTING))
    return gone.rowcount > 0


def reasons(connection: sqlite3.Connection, addresses: Sequence[str], now: float) -> dict[str, str]:
    """Why mail to these addresses (in lower case) is refused now, where it is."""
    rows = connection.execute(
        "SELECT s.* FROM json_each(?) AS asked JOIN suppressions AS s ON s.email = asked.value"
        " WHERE s.list = ? AND s.created <= ?",
        (orjson.dumps(addresses).decode(), LISTING, now),
    )
    return {row["email"]: row["status"] for row in rows if not _expired(row, now)}


def listed(
    connection: sqlite3.Connection, email: str | None, *, include_expired: bool, now: float
) -> list[dict[str, Any]]:
    """Up to a thousand rows, newest first."""
    rows = connection.execute(
        "SELECT * FROM suppressions WHERE list = ? AND created <= ? AND (? IS NULL OR email = ?)"
        " ORDER BY created DESC, email",
        (LISTING, now, email, email),
    ).fetchall()
    return [_shown(row, now) for row in rows if include_expired or not _expired(row, now)][:_MOST]


def _expired(row: Any, now: float) -> bool:
    remembered = _REMEMBERED.get(row["status"])
    return remembered is not None and row["created"] + remembered <= now


def _shown(row: Any, now: float) -> dict[str, Any]:
    remembered = _REMEMBERED.get(row["status"])
    return {
        "email": row["email"],
        "reason": row["status"],
        "detail": row["reason"],
        "created_at": written(row["created"]),
        "last_event_at": written(row["created"]),
        "expires_at": None if remembered is None else written(row["created"] + remembered),
        "expired": _expired(row, now),
        "subaccount": None,
        "sender": None,
    }
