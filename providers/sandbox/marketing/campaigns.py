"""Campaigns and their states: save → schedule → sent, and back to save while there is time."""

import secrets
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from providers.sandbox.marketing import sending
from providers.sandbox.marketing.members import instant
from providers.sandbox.marketing.problems import Problem, invalid, missing
from providers.sandbox.marketing.schema import LIST_ID
from providers.sandbox.marketing.segments import mailed

_QUARTER = 15
_MOST_TESTS = 200


def make(connection: sqlite3.Connection, given: Mapping[str, Any], *, now: float) -> dict[str, Any]:
    """Each call makes one: there is no key that would tell a repetition."""
    recipients = given.get("recipients") or {}
    if recipients.get("list_id", LIST_ID) != LIST_ID:
        raise invalid("recipients.list_id", "There is no such list")
    campaign_id = secrets.token_hex(5)
    connection.execute(
        "INSERT INTO marketing_campaigns (id, number, status, settings, segment_id, created_at)"
        " VALUES (?, (SELECT COUNT(*) FROM marketing_campaigns), 'save', ?, ?, ?)",
        (campaign_id, _json(given.get("settings") or {}), _segment(recipients), now),
    )
    return shown(row(connection, campaign_id))


def _segment(recipients: Mapping[str, Any]) -> int | None:
    segment = (recipients.get("segment_opts") or {}).get("saved_segment_id")
    return segment if type(segment) is int else None


def row(connection: sqlite3.Connection, campaign_id: str) -> sqlite3.Row:
    found: sqlite3.Row | None = connection.execute(
        "SELECT * FROM marketing_campaigns WHERE id = ?", (campaign_id,)
    ).fetchone()
    if found is None:
        raise missing()
    return found


def shown(campaign: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": campaign["id"],
        "type": "regular",
        "status": campaign["status"],
        "create_time": instant(campaign["created_at"]),
        "send_time": instant(at) if (at := campaign["sent_at"] or campaign["send_at"]) else "",
        "emails_sent": campaign["emails_sent"],
        "settings": orjson.loads(campaign["settings"]),
        "recipients": {"list_id": LIST_ID, "segment_opts": {"saved_segment_id": campaign["segment_id"]}},
    }


def page(connection: sqlite3.Connection, *, count: int, offset: int, newest_first: bool) -> dict[str, Any]:
    order = "DESC" if newest_first else "ASC"
    rows = connection.execute(
        f"SELECT * FROM marketing_campaigns ORDER BY number {order} LIMIT ? OFFSET ?",  # noqa: S608 - one of two words
        (count, offset),
    ).fetchall()
    (total,) = connection.execute("SELECT COUNT(*) FROM marketing_campaigns").fetchone()
    return {"campaigns": [shown(one) for one in rows], "total_items": total}


def change(connection: sqlite3.Connection, campaign_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    campaign = _draft(connection, campaign_id, "update")
    settings = {**orjson.loads(campaign["settings"]), **(given.get("settings") or {})}
    segment = _segment(given["recipients"]) if given.get("recipients") else campaign["segment_id"]
    connection.execute(
        "UPDATE marketing_campaigns SET settings = ?, segment_id = ? WHERE id = ?",
        (_json(settings), segment, campaign_id),
    )
    return shown(row(connection, campaign_id))


def _draft(connection: sqlite3.Connection, campaign_id: str, verb: str) -> sqlite3.Row:
    campaign = row(connection, campaign_id)
    if campaign["status"] != "save":
        raise Problem(400, f"Cannot {verb} a campaign with status {campaign['status']}.")
    return campaign


def remove(connection: sqlite3.Connection, campaign_id: str) -> None:
    """Also one that was sent, as Mailchimp does: only its people stay in the record."""
    row(connection, campaign_id)
    connection.execute("DELETE FROM marketing_campaigns WHERE id = ?", (campaign_id,))


def fill(connection: sqlite3.Connection, campaign_id: str, *, html: str, plain_text: str) -> None:
    _draft(connection, campaign_id, "edit the content of")
    connection.execute(
        "UPDATE marketing_campaigns SET html = ?, plain_text = ? WHERE id = ?", (html, plain_text, campaign_id)
    )


def checklist(connection: sqlite3.Connection, campaign_id: str) -> dict[str, Any]:
    campaign = row(connection, campaign_id)
    settings = orjson.loads(campaign["settings"])
    empty = campaign["segment_id"] is None or not mailed(connection, campaign["segment_id"])
    faults = {
        "You must have a subject line": not settings.get("subject_line"),
        "You must have a from name and a verified address": not settings.get("from_name")
        or not settings.get("reply_to"),
        "Your campaign is empty": not campaign["html"] and not campaign["plain_text"],
        "Your campaign needs an unsubscribe link": "*|UNSUB|*" not in campaign["html"] + campaign["plain_text"],
        "Nobody would get it": empty,
    }
    items = [
        {"type": "error" if wrong else "success", "id": number, "heading": heading, "details": heading + "."}
        for number, (heading, wrong) in enumerate(faults.items(), start=100)
    ]
    return {"is_ready": not any(faults.values()), "items": items}


def test(connection: sqlite3.Connection, campaign_id: str, emails: list[str]) -> None:
    row(connection, campaign_id)
    if not emails or len(emails) > _MOST_TESTS:
        raise invalid("test_emails", "Give some addresses")
    connection.executemany("INSERT INTO marketing_tests VALUES (?, ?)", [(campaign_id, one) for one in emails])


def _ready(connection: sqlite3.Connection, campaign_id: str, verb: str) -> None:
    _draft(connection, campaign_id, verb)
    if not checklist(connection, campaign_id)["is_ready"]:
        raise Problem(400, "Your Campaign is not ready to send, check the send checklist.")


def schedule(connection: sqlite3.Connection, campaign_id: str, at: str, *, now: float) -> None:
    """At a quarter of an hour that is to come. Raises Problem, also where it is scheduled."""
    _ready(connection, campaign_id, "schedule")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise invalid("schedule_time", "This is not a date") from None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    if moment.minute % _QUARTER or moment.second or moment.microsecond:
        raise invalid(
            "schedule_time", "Campaigns may only be scheduled to send on the quarter-hour (:00, :15, :30, :45)"
        )
    if moment.timestamp() <= now:
        raise invalid("schedule_time", "The time is past")
    connection.execute(
        "UPDATE marketing_campaigns SET status = 'schedule', send_at = ? WHERE id = ?",
        (moment.timestamp(), campaign_id),
    )


def unschedule(connection: sqlite3.Connection, campaign_id: str) -> None:
    if row(connection, campaign_id)["status"] != "schedule":
        raise Problem(400, "The campaign is not scheduled.")
    connection.execute("UPDATE marketing_campaigns SET status = 'save', send_at = NULL WHERE id = ?", (campaign_id,))


def send(connection: sqlite3.Connection, campaign_id: str, *, seed: int, delay: float, now: float) -> None:
    """Raises Problem for one that was sent."""
    _ready(connection, campaign_id, "send")
    sending.send(connection, row(connection, campaign_id), seed=seed, delay=delay, now=now)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
