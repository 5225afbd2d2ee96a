"""Static segments, which are tags: a name, and addresses. Addresses that nobody knows are ignored in silence."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from providers.sandbox.marketing import members
from providers.sandbox.marketing.problems import Problem, invalid, missing

_MOST_FIELDS = 30
_LONGEST_TAG = 10


def make(connection: sqlite3.Connection, name: str, emails: Iterable[str]) -> dict[str, Any]:
    """Raises Problem for a name that there is already."""
    if connection.execute("SELECT 1 FROM marketing_segments WHERE name = ?", (name,)).fetchone():
        raise Problem(400, "Sorry, that tag already exists.", title="Bad Request")
    made = connection.execute("INSERT INTO marketing_segments (name) VALUES (?)", (name,))
    segment = made.lastrowid or 0
    change(connection, segment, add=list(emails), remove=[])
    return one(connection, segment)


def one(connection: sqlite3.Connection, segment: int) -> dict[str, Any]:
    row = connection.execute("SELECT * FROM marketing_segments WHERE id = ?", (segment,)).fetchone()
    if row is None:
        raise missing()
    return {"id": row["id"], "name": row["name"], "type": "static", "member_count": _size(connection, segment)}


def _size(connection: sqlite3.Connection, segment: int) -> int:
    (size,) = connection.execute(
        "SELECT COUNT(*) FROM marketing_segment_members s JOIN marketing_members m ON m.email = s.email"
        " WHERE s.segment_id = ? AND m.status = 'subscribed'",
        (segment,),
    ).fetchone()
    return int(size)


def every(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    return [one(connection, row["id"]) for row in connection.execute("SELECT id FROM marketing_segments").fetchall()]


def remove(connection: sqlite3.Connection, segment: int) -> None:
    one(connection, segment)
    connection.execute("DELETE FROM marketing_segment_members WHERE segment_id = ?", (segment,))
    connection.execute("DELETE FROM marketing_segments WHERE id = ?", (segment,))


def change(
    connection: sqlite3.Connection, segment: int, *, add: Sequence[str], remove: Sequence[str]
) -> dict[str, Any]:
    """Put in, take out. Who is in already, or was not in, is told as an error."""
    if max(len(add), len(remove)) > members.AT_ONCE:
        raise invalid("members_to_add", f"Exceeded the maximum of {members.AT_ONCE} members")
    known = {email: row for email in {*add, *remove} if (row := members.find(connection, email)) is not None}
    added = [
        known[e]
        for e in add
        if e in known and _changed(connection, "INSERT OR IGNORE INTO {} VALUES (?, ?)", segment, e)
    ]
    gone = [
        known[e]
        for e in remove
        if e in known and _changed(connection, "DELETE FROM {} WHERE segment_id = ? AND email = ?", segment, e)
    ]
    idle = len([email for email in (*add, *remove) if email in known]) - len(added) - len(gone)
    return {
        "members_added": [members.shown(row) for row in added],
        "members_removed": [members.shown(row) for row in gone],
        "errors": [{"email_addresses": [], "error": "Some were there already, or not"}] if idle else [],
        "total_added": len(added),
        "total_removed": len(gone),
        "error_count": 1 if idle else 0,
    }


def _changed(connection: sqlite3.Connection, statement: str, segment: int, email: str) -> bool:
    return connection.execute(statement.format("marketing_segment_members"), (segment, email.lower())).rowcount > 0


def page(
    connection: sqlite3.Connection, segment: int, *, statuses: Sequence[str], count: int, offset: int
) -> dict[str, Any]:
    """The segment's members in these states."""
    one(connection, segment)
    rows = [row for row in _rows(connection, segment) if row["status"] in statuses]
    return {"members": [members.shown(row) for row in rows[offset : offset + count]], "total_items": len(rows)}


def mailed(connection: sqlite3.Connection, segment: int) -> list[sqlite3.Row]:
    """Those whom a campaign to it goes to."""
    return [row for row in _rows(connection, segment) if row["status"] == "subscribed"]


def _rows(connection: sqlite3.Connection, segment: int) -> list[sqlite3.Row]:
    return connection.execute(
        "SELECT m.* FROM marketing_segment_members s JOIN marketing_members m ON m.email = s.email"
        " WHERE s.segment_id = ? ORDER BY m.email",
        (segment,),
    ).fetchall()


def add_field(connection: sqlite3.Connection, tag: str, name: str) -> dict[str, Any]:
    """A merge field. Raises Problem."""
    if not tag or len(tag) > _LONGEST_TAG or not tag.replace("_", "A").isalnum() or tag != tag.upper():
        raise invalid("tag", "The tag has at most ten characters of A-Z, 0-9 and _")
    if connection.execute("SELECT 1 FROM marketing_fields WHERE tag = ?", (tag,)).fetchone():
        raise Problem(
            400, f'A Merge Field with the tag "{tag}" already exists for this list.', title="Invalid Resource"
        )
    if connection.execute("SELECT COUNT(*) FROM marketing_fields").fetchone()[0] >= _MOST_FIELDS:
        raise Problem(400, "Merge Max Limit Exceeded", title="Merge Max Limit Exceeded")
    made = connection.execute("INSERT INTO marketing_fields (tag, name) VALUES (?, ?)", (tag, name))
    return {"merge_id": made.lastrowid, "tag": tag, "name": name, "type": "text"}


def fields(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    rows = connection.execute("SELECT * FROM marketing_fields ORDER BY id").fetchall()
    return [{"merge_id": row["id"], "tag": row["tag"], "name": row["name"], "type": "text"} for row in rows]


def remove_field(connection: sqlite3.Connection, merge_id: int) -> None:
    if not connection.execute("DELETE FROM marketing_fields WHERE id = ?", (merge_id,)).rowcount:
        raise missing()
