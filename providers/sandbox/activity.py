"""Email Activity: which messages there are, found by SendGrid's query language as far as it is needed here; one's story.

`(unique_args['name']="value")`, `to_email="…"`, `msg_id="…"`, `msg_id LIKE "…%"`, joined by AND; brackets mean nothing
without OR. Grammar: docs, "Getting started with the Email Activity Feed API". A message is in the feed from the moment
that it went, later by the knob; what was cancelled never went. Sender and subject are not kept, so they are not shown.
"""

import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from providers.sandbox import events
from providers.sandbox.problems import Refused, Violation

_CONDITION = re.compile(
    r"""(?:unique_args\[(?P<mark>['"])(?P<argument>[\w-]+)(?P=mark)\]|(?P<field>to_email|msg_id))"""
    r"""\s*(?P<operator>=|LIKE)\s*"(?P<value>[^"]*)"(?:\s+AND\s+(?=\S)|$)"""
)
# Outside of quotes, brackets group; within they are a part of the value.
_BRACKETS = re.compile(r'("[^"]*")|[()]')
_NOT_DELIVERED = ("bounce", "dropped")
# The webhook's words and the feed's, where they differ (the OpenAPI document's GET /v3/messages/{msg_id}).
_NAMES = {"bounce": "bounced", "open": "opened", "click": "clicked", "spamreport": "spam_report"}
_BOUNCE_TYPES = {"bounce": "bounced", "blocked": "blocked"}


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
    return [
        _shown(row, _happened(connection, row, now))
        for row in _rows(connection, where, [*(one.value for one in asked)], now - behind, limit)
    ]


def _rows(connection: sqlite3.Connection, where: str, values: list[Any], until: float, limit: int) -> list[sqlite3.Row]:
    return connection.execute(
        "SELECT r.*, q.x_message_id, q.accepted_at, q.common, q.links"  # noqa: S608 - columns of ours
        " FROM recipients r JOIN requests q ON q.id = r.request_id"
        f" LEFT JOIN scheduled s ON s.x_message_id = q.x_message_id WHERE q.vendor = 'sendgrid' AND {where}"
        " AND MAX(q.accepted_at, COALESCE(s.send_at, 0)) <= ? ORDER BY r.id DESC LIMIT ?",
        (*values, until, limit),
    ).fetchall()


def story(
    connection: sqlite3.Connection, message: str, *, seed: int, behind: float, now: float
) -> dict[str, Any] | None:
    """Everything that happened to one message, oldest first; None where there is none of this id."""
    reference, _, row_id = message.rpartition(".")
    if not row_id.isdecimal():
        return None
    where = "r.id = ? AND q.x_message_id = ?"
    rows = _rows(connection, where, [int(row_id), reference], now - behind, 1)
    if not rows:
        return None
    happened = _happened(connection, rows[0], now)
    return _shown(rows[0], happened) | {
        "categories": orjson.loads(rows[0]["common"]).get("category", []),
        "unique_args": rows[0]["custom_args"],  # the JSON as a text, as SendGrid's document says
        "events": list(_told(rows[0], happened, seed)),
    }


def _happened(connection: sqlite3.Connection, row: sqlite3.Row, now: float) -> list[sqlite3.Row]:
    """What happened to a message so far. A repetition is one of the webhook's, not of what happened."""
    return connection.execute(
        "SELECT position, kind, occurred_at, repeat FROM events"
        " WHERE recipient_id = ? AND occurred_at <= ? AND repeat = 0 ORDER BY occurred_at, position",
        (row["id"], now),
    ).fetchall()


def _told(row: sqlite3.Row, happened: list[sqlite3.Row], seed: int) -> Iterator[dict[str, Any]]:
    """Events in the words of this feed: no IP of the reader, no class of a bounce, no mark of a machine."""
    for one in happened:
        webhook = events.render({**dict(row), **dict(one), "recipient_id": row["id"]}, seed=seed)
        told = {
            "event_name": _NAMES.get(webhook["event"], webhook["event"]),
            "processed": _instant(one["occurred_at"]),
            "reason": webhook.get("reason") or webhook.get("response"),
            "attempt_num": int(webhook["attempt"]) if "attempt" in webhook else None,
            "url": webhook.get("url"),
            "bounce_type": _BOUNCE_TYPES.get(webhook.get("type", "")),
            "http_user_agent": webhook.get("useragent"),
        }
        yield {name: value for name, value in told.items() if value is not None}


def _shown(row: sqlite3.Row, happened: list[sqlite3.Row]) -> dict[str, Any]:
    kinds = [one["kind"] for one in happened]
    failed = any(kind in kinds for kind in _NOT_DELIVERED)
    return {
        "msg_id": f"{row['x_message_id']}.{row['id']}",
        "to_email": row["address"],
        "status": "not_delivered" if failed else "delivered" if "delivered" in kinds else "processed",
        "opens_count": sum(kind in {"open", "machine_open"} for kind in kinds),
        "clicks_count": kinds.count("click"),
        "last_event_time": _instant(happened[-1]["occurred_at"] if happened else row["accepted_at"]),
    }


def _instant(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
