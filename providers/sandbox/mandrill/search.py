"""messages/search, as far as it is needed here: by one field of the metadata, `u_name:"value"`, or by recipient."""

import re
import sqlite3
from typing import Any

from providers.sandbox.fate import End, Kind
from providers.sandbox.mandrill import events
from providers.sandbox.mandrill.errors import Failed

_QUERY = re.compile(r"""(?:u_(?P<field>\w+)|(?P<to>full_email|email)):(?P<mark>"?)(?P<value>[^"]+)(?P=mark)""")
_AFTER_SENT = frozenset({Kind.BOUNCE, Kind.DROPPED, Kind.SPAM_REPORT, Kind.UNSUBSCRIBE, Kind.DEFERRED, Kind.DELIVERED})


def found(
    connection: sqlite3.Connection, query: str, *, since: float, limit: int, behind: float, now: float
) -> list[dict[str, Any]]:
    """Newest first. Raises Failed."""
    asked = _QUERY.fullmatch(query.strip())
    if asked is None:
        raise Failed("ValidationError", "Validation error: this sandbox reads u_name:value and email:value alone")
    column, values = "LOWER(r.address)", [asked["value"].lower()]
    if asked["field"] == "attempt_id":  # by its own column: the JSON of a million messages takes seconds to read
        column, values = "r.attempt_id", [asked["value"]]
    elif asked["field"]:
        column, values = "json_extract(r.custom_args, ?)", [f'$."{asked["field"]}"', asked["value"]]
    rows = connection.execute(
        f"SELECT r.*, q.x_message_id, q.accepted_at, q.common FROM recipients r"  # noqa: S608 - columns of ours
        f" JOIN requests q ON q.id = r.request_id WHERE q.vendor = ? AND {column} = ?"
        " AND q.accepted_at BETWEEN ? AND ? ORDER BY r.id DESC LIMIT ?",
        (events.VENDOR, *values, since, now - behind, limit),
    ).fetchall()
    return [events.shown(row, _state(connection, row, now)) for row in rows]


def _state(connection: sqlite3.Connection, row: Any, now: float) -> str:
    happened = connection.execute(
        "SELECT kind FROM events WHERE recipient_id = ? AND occurred_at <= ? AND repeat = 0"
        " ORDER BY occurred_at DESC, position DESC",
        (row["id"], now),
    )
    kinds = [Kind(one["kind"]) for one in happened]
    last = next((kind for kind in kinds if kind in _AFTER_SENT), Kind.PROCESSED)
    return events.state(last, End(row["fate"]))
