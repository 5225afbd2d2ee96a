"""Unsubscribe groups: kinds of mail that a person can leave without leaving all. Who left one is on its own list.

Rules: SendGrid's API reference, "Suppressions - Unsubscribe Groups" and "Suppressions - Suppressions".
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from providers.sandbox import suppressions
from providers.sandbox.suppressions import Entry

MOST = 200
_COLUMNS = "SELECT id, name, description, is_default FROM unsubscribe_groups"


def listing(group_id: int) -> str:
    """The group's list among the suppressions."""
    return f"group:{group_id}"


def create(connection: sqlite3.Connection, name: str, description: str, *, is_default: bool) -> dict[str, Any] | None:
    """A new group; None when there are as many as an account may have."""
    (count,) = connection.execute("SELECT COUNT(*) FROM unsubscribe_groups").fetchone()
    if count >= MOST:
        return None
    row = connection.execute(
        "INSERT INTO unsubscribe_groups (name, description, is_default) VALUES (?, ?, ?)",
        (name, description, is_default),
    )
    return {"id": row.lastrowid, "name": name, "description": description, "is_default": is_default}


def every(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """All groups, with how many left each."""
    return [_shown(connection, row) for row in connection.execute(f"{_COLUMNS} ORDER BY id").fetchall()]


def get(connection: sqlite3.Connection, group_id: int) -> dict[str, Any] | None:
    """One group, or None."""
    row = connection.execute(f"{_COLUMNS} WHERE id = ?", (group_id,)).fetchone()
    return None if row is None else _shown(connection, row)


def _shown(connection: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    found = {**dict(row), "is_default": bool(row["is_default"]), "last_email_sent_at": None}
    return found | {"unsubscribes": len(left(connection, row["id"]))}


def delete(connection: sqlite3.Connection, group_id: int) -> bool:
    """Who had left it is mailed again. False where there is no such group."""
    connection.execute("DELETE FROM suppressions WHERE list = ?", (listing(group_id),))
    return connection.execute("DELETE FROM unsubscribe_groups WHERE id = ?", (group_id,)).rowcount > 0


def leave(connection: sqlite3.Connection, group_id: int, emails: Sequence[str], now: float) -> None:
    """Put addresses on a group's list, or, where there is no such group, on the global one: so SendGrid does."""
    if get(connection, group_id) is None:
        suppressions.add(connection, [suppressions.unsubscribe(email, now) for email in emails])
        return
    suppressions.add(connection, [Entry(email.lower(), listing(group_id), now, "", "") for email in emails])


def left(connection: sqlite3.Connection, group_id: int) -> list[str]:
    """Who is on a group's list."""
    rows = connection.execute("SELECT email FROM suppressions WHERE list = ? ORDER BY email", (listing(group_id),))
    return [row["email"] for row in rows]


def come_back(connection: sqlite3.Connection, group_id: int, email: str) -> None:
    """Take an address off a group's list."""
    connection.execute("DELETE FROM suppressions WHERE list = ? AND email = ?", (listing(group_id), email.lower()))
