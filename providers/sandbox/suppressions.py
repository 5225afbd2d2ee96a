"""The sandbox's own suppression lists, kept and shown as SendGrid does.

Blocks are only remembered. Every other list makes later mail to its addresses `dropped`; an unsubscribe group's does so
with the mail that names the group (groups.py).
"""

import sqlite3
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from providers.sandbox import events
from providers.sandbox.fate import End, Kind


class Listing(StrEnum):
    """The lists, by the names in their URLs."""

    BOUNCES = "bounces"
    BLOCKS = "blocks"
    INVALID_EMAILS = "invalid_emails"
    SPAM_REPORTS = "spam_reports"
    UNSUBSCRIBES = "unsubscribes"


# Why a message is dropped, and what each list shows besides `created` and `email`.
DROPPED_BECAUSE = {
    Listing.BOUNCES: "Bounced Address",
    Listing.SPAM_REPORTS: "Spam Reporting Address",
    Listing.UNSUBSCRIBES: "Unsubscribed Address",
    Listing.INVALID_EMAILS: "Invalid",
}
_SHOWN = {
    Listing.BOUNCES: ("reason", "status"),
    Listing.BLOCKS: ("reason", "status"),
    Listing.INVALID_EMAILS: ("reason",),
    Listing.SPAM_REPORTS: ("ip",),
    Listing.UNSUBSCRIBES: (),
}
_LEFT_GROUP = DROPPED_BECAUSE[Listing.UNSUBSCRIBES]
_REPORTER_IP = "203.0.113.1"
_UNROUTABLE = "Mail domain mentioned in email address is unknown"


class Entry(NamedTuple):
    """One address on one list from one instant on."""

    email: str
    listing: str
    created: float
    reason: str
    status: str


def entry(end: End, kind: Kind, address: str, at: float) -> Entry | None:
    """Say which list an event puts its address on, if any."""
    email = address.lower()
    if kind is Kind.BOUNCE:
        no = events.refusal(end, address)
        listing = Listing.BOUNCES if end is End.HARD else Listing.BLOCKS
        return Entry(email, listing, at, no.reason, no.status)
    if kind is Kind.DROPPED and end is End.INVALID:
        return Entry(email, Listing.INVALID_EMAILS, at, _UNROUTABLE, "")
    if kind is Kind.SPAM_REPORT:
        return Entry(email, Listing.SPAM_REPORTS, at, "", "")
    if kind is Kind.UNSUBSCRIBE:
        return unsubscribe(address, at)
    return None


def unsubscribe(address: str, at: float) -> Entry:
    """From all mail."""
    return Entry(address.lower(), Listing.UNSUBSCRIBES, at, "", "")


def add(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    connection.executemany("INSERT OR REPLACE INTO suppressions VALUES (?, ?, ?, ?, ?)", entries)


def reasons(
    connection: sqlite3.Connection,
    addresses: Sequence[str],
    now: float,
    *,
    heeded: Sequence[Listing] = tuple(DROPPED_BECAUSE),
    group: str | None = None,
) -> dict[str, str]:
    """Say for which of these addresses (in lower case) mail is dropped now, and in which words.

    `heeded`: the lists that the mail does not go past. `group` is the list of the unsubscribe group that it names, if any.
    """
    rows = connection.execute(
        "SELECT s.email, s.list FROM json_each(?) AS asked JOIN suppressions AS s ON s.email = asked.value"
        " WHERE s.created <= ? AND (s.list IN (SELECT value FROM json_each(?)) OR s.list = ?)",
        (orjson.dumps(addresses).decode(), now, orjson.dumps(heeded).decode(), group),
    )
    return {email: DROPPED_BECAUSE.get(listing, _LEFT_GROUP) for email, listing in rows}


def page(
    connection: sqlite3.Connection, listing: Listing, *, limit: int, offset: int, start: float, end: float
) -> list[dict[str, Any]]:
    """Show one page, newest first; `start` and `end` are inclusive."""
    rows = connection.execute(
        "SELECT CAST(created AS INTEGER) AS created, email, reason, status, ? AS ip FROM suppressions"
        " WHERE list = ? AND CAST(created AS INTEGER) BETWEEN ? AND ?"
        " ORDER BY created DESC, email LIMIT ? OFFSET ?",
        (_REPORTER_IP, listing, start, end, limit, offset),
    )
    columns = ("created", "email", *_SHOWN[listing])
    return [{column: row[column] for column in columns} for row in rows]


def remove(connection: sqlite3.Connection, listing: Listing, emails: Sequence[str] | None) -> None:
    """Take addresses off a list; None takes off all."""
    if emails is None:
        connection.execute("DELETE FROM suppressions WHERE list = ?", (listing,))
        return
    rows = [(listing, email.lower()) for email in emails]
    connection.executemany("DELETE FROM suppressions WHERE list = ? AND email = ?", rows)


def is_unsubscribed(connection: sqlite3.Connection, email: str, now: float) -> bool:
    """Say whether an address is on the global unsubscribe list."""
    row = connection.execute(
        "SELECT 1 FROM suppressions WHERE email = ? AND list = ? AND created <= ?",
        (email.lower(), Listing.UNSUBSCRIBES, now),
    ).fetchone()
    return row is not None
