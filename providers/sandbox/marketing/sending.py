"""A campaign goes out: one row for each of its segment who is subscribed, with the fate of any other mail.

Its recipients stand under the campaign's id, `<campaign>.<md5 of the address>`, so that the record of acceptances tells
who got it and how often. Their events are posted by nobody: Mailchimp tells them when it is asked (reports.py), and only
who left or bounced comes by webhook.
"""

import sqlite3
from typing import Any

import orjson

from providers.sandbox import fate
from providers.sandbox.config import SandboxConfig
from providers.sandbox.fate import End, Kind
from providers.sandbox.marketing import hooks, members, segments

_SHOP = "https://shop.example.com/"
_MEANS = frozenset({Kind.BOUNCE, Kind.UNSUBSCRIBE, Kind.SPAM_REPORT})


def catch_up(connection: sqlite3.Connection, config: SandboxConfig, *, now: float, at_once: bool) -> None:
    """Send the campaigns whose time has come, and let happen to members what is due."""
    due = connection.execute(
        "SELECT * FROM marketing_campaigns WHERE status = 'schedule' AND (send_at <= ? OR ?)", (now, at_once)
    ).fetchall()
    for campaign in due:
        send(connection, campaign, seed=config.seed, delay=config.event_delay_seconds, now=now)
    changes = connection.execute("SELECT * FROM marketing_changes WHERE at <= ? ORDER BY at, id", (now,)).fetchall()
    for one in changes:
        _happens(connection, one, now=now)
    connection.execute("DELETE FROM marketing_changes WHERE at <= ?", (now,))


def send(connection: sqlite3.Connection, campaign: sqlite3.Row, *, seed: int, delay: float, now: float) -> None:
    """To all of its segment, now."""
    people = segments.mailed(connection, campaign["segment_id"])
    request = connection.execute(
        "INSERT INTO requests (x_message_id, accepted_at, common, links) VALUES (?, ?, '{}', ?)",
        (campaign["id"], now, orjson.dumps([_SHOP]).decode()),
    )
    (last,) = connection.execute("SELECT COALESCE(MAX(id), 0) FROM recipients").fetchone()
    title = orjson.loads(campaign["settings"]).get("title", "")
    for row_id, person in enumerate(people, start=last + 1):
        story = fate.of(seed=seed, key=f"{title}\0{person['email']}", address=person["address"], suppressed=False)
        _record(connection, row_id, request.lastrowid, campaign["id"], person, story, start=now, delay=delay)
    connection.execute(
        "UPDATE marketing_campaigns SET status = 'sent', sent_at = ?, emails_sent = ?, sends = sends + 1 WHERE id = ?",
        (now, len(people), campaign["id"]),
    )


def _record(
    connection: sqlite3.Connection,
    row_id: int,
    request_id: int | None,
    campaign_id: str,
    person: Any,
    story: fate.Fate,
    *,
    start: float,
    delay: float,
) -> None:
    message_id = f"{campaign_id}.{members.subscriber_hash(person['email'])}"
    connection.execute(
        "INSERT INTO recipients VALUES (?, ?, ?, ?, NULL, ?, 0, ?, NULL, '{}')",
        (row_id, request_id, campaign_id, message_id, person["address"], story.end),
    )
    for position, step in enumerate(story.steps):
        at = start + step.at * delay
        connection.execute(
            "INSERT INTO events (recipient_id, position, kind, occurred_at, due_at, repeat, posted_at)"
            " VALUES (?, ?, ?, ?, ?, 0, ?)",
            (row_id, position, step.kind, at, at, at),
        )
        if step.kind in _MEANS and (step.kind is not Kind.BOUNCE or story.end is End.HARD):
            connection.execute(
                "INSERT INTO marketing_changes (at, email, kind, campaign_id) VALUES (?, ?, ?, ?)",
                (at, person["email"], step.kind, campaign_id),
            )


def _happens(connection: sqlite3.Connection, change: sqlite3.Row, *, now: float) -> None:
    """She is cleaned, or leaves; and the webhooks tell it."""
    kind, email, campaign_id = Kind(change["kind"]), change["email"], change["campaign_id"]
    status = "cleaned" if kind is Kind.BOUNCE else "unsubscribed"
    reason = "N/A (Marked as spam)" if kind is Kind.SPAM_REPORT else ""
    members.change(connection, email, status, reason=reason, now=now)
    row = members.find(connection, email)
    if row is None:
        return
    if kind is Kind.BOUNCE:
        told = {"campaign_id": campaign_id, "reason": "hard", "email": row["address"]}
        hooks.queue(connection, "cleaned", told, at=change["at"])
    else:
        told = {
            "action": "unsub",
            "reason": "abuse" if kind is Kind.SPAM_REPORT else "manual",
            "id": members.subscriber_hash(email),
            "email": row["address"],
            "campaign_id": campaign_id,
        }
        hooks.queue(connection, "unsubscribe", told, at=change["at"])
