"""Email Activity: which messages there are, found by SendGrid's query language as far as it is needed here.

`(unique_args['name']="value")`, `to_email="…"`, `msg_id="…"`, `msg_id LIKE "…%"`, joined by AND; brackets mean nothing
without OR. Grammar: docs, "Getting started with the Email Activity Feed API". A message is in the feed from the moment
that it went, later by the knob; what was cancelled never went. Sender and subject are not kept, so they are not shown.
"""

import re
import sqlite3
from datetime import UTC, datetime
from typing import Any, NamedTuple

from providers.sandbox.problems import Refused, Violation

_CONDITION = re.compile(
    r"""(?:unique_args\[(?P<mark>['"])(?P<argument>[\w-]+)(?P=mark)\]|(?P<field>to_email|msg_id))"""
    r"""\s*(?P<operator>=|LIKE)\s*"(?P<value>[^"]*)"(?:\s+AND\s+(?=\S)|$)"""
)
# Outside of quotes, brackets group; within they are a part of the value.
_BRACKETS = re.compile(r'("[^"]*")|[()]')
_NOT_DELIVERED = ("bounce", "dropped")


class Condition(NamedTuple):
    """One comparison, as SQL and its parameter."""

    sql: str
    value: str


def conditions(query: str) -> list[Condition]:
    """Read a query. Raises Refused."""
    text = _BRACKETS.sub(lambda found: found[1] or "", query).strip()
    found, at = [], 0
    while at < len(text):
        match = _CONDITION.match(text, at)
        if match is None:
            raise Refused(400, Violation("invalid query", "query"))
        found.append(_condition(match))
        at = match.end()
    if not found:
        raise Refused(400, Violation("query is required", "query"))
    return found


def _condition(match: re.Match[str]) -> Condition:
    name, value, operator = match["argument"], match["value"], match["operator"]
    if name == "attempt_id":  # by its own column: the JSON of a million messages takes seconds to read
        return Condition(f"r.attempt_id {operator} ?", value)
    if name is not None:
        return Condition(f"""json_extract(r.custom_args, '$."{name}"') {operator} ?""", value)
    column = {"to_email": "r.address", "msg_id": "q.x_message_id || '.' || r.id"}[match["field"]]
    return Condition(f"{column} {operator} ?", value)


def search(
    connection: sqlite3.Connection, query: str, *, limit: int, behind: float, now: float
) -> list[dict[str, Any]]:
    """The messages that a query finds, newest first. Raises Refused."""
    asked = conditions(query)
    where = " AND ".join(one.sql for one in asked)
    rows = connection.execute(
        "SELECT r.id, r.address, q.x_message_id FROM recipients r JOIN requests q ON q.id = r.request_id"  # noqa: S608 - columns of ours
        f" LEFT JOIN scheduled s ON s.x_message_id = q.x_message_id WHERE {where}"
        " AND MAX(q.accepted_at, COALESCE(s.send_at, 0)) <= ? ORDER BY r.id DESC LIMIT ?",
        (*(one.value for one in asked), now - behind, limit),
    ).fetchall()
    return [_message(connection, row, now) for row in rows]


def _message(connection: sqlite3.Connection, row: sqlite3.Row, now: float) -> dict[str, Any]:
    happened = connection.execute(
        "SELECT kind, occurred_at FROM events WHERE recipient_id = ? AND occurred_at <= ?", (row["id"], now)
    ).fetchall()
    kinds = [one["kind"] for one in happened]
    failed = any(kind in kinds for kind in _NOT_DELIVERED)
    last = max((one["occurred_at"] for one in happened), default=now)
    return {
        "msg_id": f"{row['x_message_id']}.{row['id']}",
        "to_email": row["address"],
        "status": "not_delivered" if failed else "delivered" if "delivered" in kinds else "processing",
        "opens_count": sum(kind in {"open", "machine_open"} for kind in kinds),
        "clicks_count": kinds.count("click"),
        "last_event_time": f"{datetime.fromtimestamp(last, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
