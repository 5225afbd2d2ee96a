"""A campaign's report: whom it was sent to, what they did, who left, who complained."""

import sqlite3
from typing import Any

import orjson

from providers.sandbox.fate import End, Kind
from providers.sandbox.marketing import campaigns
from providers.sandbox.marketing.members import instant, subscriber_hash

_LINK = "https://shop.example.com/"
_ACTIONS = {Kind.OPEN: "open", Kind.MACHINE_OPEN: "open", Kind.CLICK: "click", Kind.BOUNCE: "bounce"}


def sent_to(connection: sqlite3.Connection, campaign_id: str, *, count: int, offset: int, now: float) -> dict[str, Any]:
    people = _people(connection, campaign_id, count=count, offset=offset)
    came_back = _events(connection, people, [Kind.BOUNCE], 0.0, now)
    rows = [
        {
            "email_id": subscriber_hash(one["address"]),
            "email_address": one["address"],
            "status": _status(one, bounced=one["id"] in came_back),
            "campaign_id": campaign_id,
        }
        for one in people
    ]
    return {"sent_to": rows, "campaign_id": campaign_id, "total_items": _size(connection, campaign_id)}


def _status(person: sqlite3.Row, *, bounced: bool) -> str:
    return "sent" if not bounced else "hard" if person["fate"] == End.HARD else "soft"


def activity(
    connection: sqlite3.Connection, campaign_id: str, *, since: float, count: int, offset: int, now: float
) -> dict[str, Any]:
    """Everybody, with what they did since then; of those who did nothing the list is empty."""
    people = _people(connection, campaign_id, count=count, offset=offset)
    done = _events(connection, people, [*_ACTIONS], since, now)
    rows = [
        {
            "campaign_id": campaign_id,
            "email_id": subscriber_hash(one["address"]),
            "email_address": one["address"],
            "activity": [_told(one, event) for event in done.get(one["id"], ())],
        }
        for one in people
    ]
    return {"emails": rows, "campaign_id": campaign_id, "total_items": _size(connection, campaign_id)}


def _told(person: sqlite3.Row, event: sqlite3.Row) -> dict[str, str]:
    kind = Kind(event["kind"])
    told = {"action": _ACTIONS[kind], "timestamp": instant(event["occurred_at"])}
    if kind is Kind.BOUNCE:
        return {**told, "type": "hard" if person["fate"] == End.HARD else "soft"}
    return {**told, "ip": "203.0.113.9", **({"url": _LINK} if kind is Kind.CLICK else {})}


def acted(
    connection: sqlite3.Connection, campaign_id: str, kind: Kind, *, time_name: str, now: float
) -> list[dict[str, str]]:
    """Those who left, or who complained."""
    campaigns.row(connection, campaign_id)
    rows = connection.execute(
        "SELECT r.address, e.occurred_at FROM recipients r JOIN events e ON e.recipient_id = r.id"
        " WHERE r.run = ? AND e.kind = ? AND e.occurred_at <= ? ORDER BY r.id",
        (campaign_id, kind, now),
    ).fetchall()
    return [
        {
            "campaign_id": campaign_id,
            "email_id": subscriber_hash(row["address"]),
            "email_address": row["address"],
            time_name: instant(row["occurred_at"]),
        }
        for row in rows
    ]


def _people(connection: sqlite3.Connection, campaign_id: str, *, count: int, offset: int) -> list[sqlite3.Row]:
    campaigns.row(connection, campaign_id)
    return connection.execute(
        "SELECT * FROM recipients WHERE run = ? ORDER BY message_id LIMIT ? OFFSET ?", (campaign_id, count, offset)
    ).fetchall()


def _size(connection: sqlite3.Connection, campaign_id: str) -> int:
    (size,) = connection.execute("SELECT COUNT(*) FROM recipients WHERE run = ?", (campaign_id,)).fetchone()
    return int(size)


def _events(
    connection: sqlite3.Connection, people: list[sqlite3.Row], kinds: list[Kind], since: float, now: float
) -> dict[int, list[sqlite3.Row]]:
    """What these did, by recipient."""
    ids = orjson.dumps([one["id"] for one in people]).decode()
    rows = connection.execute(
        "SELECT * FROM events WHERE recipient_id IN (SELECT value FROM json_each(?))"
        " AND kind IN (SELECT value FROM json_each(?)) AND occurred_at >= ? AND occurred_at <= ?"
        " ORDER BY recipient_id, position",
        (ids, orjson.dumps(kinds).decode(), since, now),
    )
    found: dict[int, list[sqlite3.Row]] = {}
    for row in rows:
        found.setdefault(row["recipient_id"], []).append(row)
    return found
