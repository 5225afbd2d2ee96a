"""What the sandbox knows, for those who check an engine against it: acceptances, outcomes, one message's story.

Counts are of distinct messages, by the fates that were decided at acceptance, whether or not posted yet. They are final
for a receiver when `events_due` is 0. No address leaves here unless asked for.
"""

import sqlite3
from typing import Any

from providers.sandbox import acceptance
from providers.sandbox.fate import End, Kind


def accepted(connection: sqlite3.Connection, run: str) -> dict[str, int]:
    """How many times each message of a run was accepted; anything but 1 is a fault of the sender."""
    rows = connection.execute(
        "SELECT message_id, COUNT(*) FROM recipients WHERE run = ? AND NOT copy GROUP BY message_id", (run,)
    )
    return {message_id: times for message_id, times in rows}  # noqa: C416 - dict() does not take sqlite3.Row


def summary(connection: sqlite3.Connection, run: str | None) -> dict[str, Any]:
    """Count what became of a run's messages, or of all."""
    of_run, parameters = ("WHERE r.run = :run", {"run": run}) if run is not None else ("", {})
    totals = connection.execute(
        f"SELECT SUM(NOT copy) AS accepted, COUNT(DISTINCT message_id) AS messages FROM recipients r {of_run}",  # noqa: S608 - no user's text in it
        parameters,
    ).fetchone()
    by_end = _distinct(connection, "r.fate", f"recipients r {of_run}", parameters)
    joined = f"events e JOIN recipients r ON r.id = e.recipient_id {of_run}"
    by_kind = _distinct(connection, "e.kind", joined, parameters)
    posts = connection.execute(
        f"SELECT COUNT(*) - COUNT(e.posted_at) AS due, COUNT(e.posted_at) AS posted FROM {joined}",  # noqa: S608 - as above
        parameters,
    ).fetchone()
    opened = connection.execute(
        f"SELECT COUNT(DISTINCT CASE WHEN e.kind IN ('open', 'machine_open') THEN r.message_id END) FROM {joined}",  # noqa: S608 - as above
        parameters,
    ).fetchone()[0]
    return {
        "accepted": totals["accepted"] or 0,
        "distinct": totals["messages"],
        "delivered": by_kind.get(Kind.DELIVERED, 0),
        "bounced": {end.value: by_end.get(end, 0) for end in (End.HARD, End.SOFT, End.BLOCK)},
        "dropped": by_kind.get(Kind.DROPPED, 0),
        "complained": by_kind.get(Kind.SPAM_REPORT, 0),
        "unsubscribed": by_kind.get(Kind.UNSUBSCRIBE, 0),
        "opened_unique": opened,
        "opened_human": by_kind.get(Kind.OPEN, 0),
        "clicked_unique": by_kind.get(Kind.CLICK, 0),
        "events_due": posts["due"],
        "events_posted": posts["posted"],
    }


def _distinct(connection: sqlite3.Connection, column: str, source: str, parameters: dict[str, str]) -> dict[str, int]:
    rows = connection.execute(
        f"SELECT {column}, COUNT(DISTINCT r.message_id) FROM {source} GROUP BY {column}",  # noqa: S608 - as above
        parameters,
    )
    return {value: count for value, count in rows}  # noqa: C416 - as above


def message(connection: sqlite3.Connection, message_id: str, *, with_address: bool) -> list[dict[str, Any]]:
    """Tell every acceptance of one message, oldest first, each with its events."""
    rows = connection.execute(
        "SELECT r.*, q.x_message_id, q.accepted_at FROM recipients r JOIN requests q ON q.id = r.request_id"
        " WHERE r.run = ? AND r.message_id = ? ORDER BY r.id",
        (acceptance.run_of(message_id), message_id),
    ).fetchall()
    shown = ("attempt_id", "x_message_id", "accepted_at", "fate", *(("address",) if with_address else ()))
    return [{name: row[name] for name in shown} | {"events": _events(connection, row["id"])} for row in rows]


def _events(connection: sqlite3.Connection, recipient_id: int) -> list[dict[str, Any]]:
    rows = connection.execute(
        "SELECT kind, occurred_at, due_at, posted_at, repeat FROM events WHERE recipient_id = ? ORDER BY due_at",
        (recipient_id,),
    )
    return [
        {
            "kind": row["kind"],
            "occurred_at": row["occurred_at"],
            "due_at": row["due_at"],
            "posted_at": row["posted_at"],
            "repeated": bool(row["repeat"]),
        }
        for row in rows
    ]
