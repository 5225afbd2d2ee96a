"""The audience's members, and what Mailchimp does with those who are there already.

Rules: facts/esp-contracts.md section 4.3. Who left by herself, complained or was cleaned is in a compliance state that no
call undoes. Whom only the API unsubscribed is subscribed again by `update_existing`, without a word.
"""

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from providers.sandbox import shapes
from providers.sandbox.marketing.problems import Problem, invalid, missing

AT_ONCE = 500
_LONGEST_VALUE = 255
_COMPLIANCE = "{} is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed."
_STATUSES = frozenset({"subscribed", "unsubscribed", "cleaned", "pending", "transactional"})


def subscriber_hash(email: str) -> str:
    return hashlib.md5(email.lower().encode(), usedforsecurity=False).hexdigest()


def batch(
    connection: sqlite3.Connection, given: Sequence[Mapping[str, Any]], *, update: bool, now: float
) -> dict[str, Any]:
    """Add or update up to 500. Always an answer, whose `errors` tell of those who were not taken. Raises Problem."""
    if len(given) > AT_ONCE:
        raise invalid("members", f"Exceeded the maximum of {AT_ONCE} members")
    new: list[dict[str, Any]] = []
    updated: list[dict[str, Any]] = []
    errors = []
    seen: set[str] = set()
    for one in given:
        email = str(one.get("email_address", ""))
        row = find(connection, email)
        error = _objection(row, one, update=update) or (
            "Duplicate items found for emails" if email.lower() in seen else None
        )
        seen.add(email.lower())
        if error:
            code = "ERROR_CONTACT_EXISTS" if row is not None and not update else "ERROR_GENERIC"
            errors.append(
                {"email_address": email, "error": error, "error_code": code, "field": "", "field_message": ""}
            )
            continue
        (new if row is None else updated).append(_store(connection, row, one, now=now))
    return {
        "new_members": new,
        "updated_members": updated,
        "errors": errors,
        "total_created": len(new),
        "total_updated": len(updated),
        "error_count": len(errors),
    }


def _objection(row: sqlite3.Row | None, one: Mapping[str, Any], *, update: bool) -> str | None:
    email = str(one.get("email_address", ""))
    if not shapes.is_address(email) or email.lower().endswith("@fake.test"):
        return f"{email} looks fake or invalid, please enter a real email address."
    if row is not None and not update:
        return f"{email} is already a list member, do you want to update? please provide update_existing:true in the request body"
    if one.get("status", "subscribed") not in _STATUSES:
        return "Value must be one of: subscribed, unsubscribed, cleaned, pending, transactional"
    if row is not None and row["own_doing"] and one.get("status") == "subscribed":
        return _COMPLIANCE.format(email)
    if any(len(str(value).encode()) > _LONGEST_VALUE for value in one.get("merge_fields", {}).values()):
        return "Your merge fields were invalid."
    return None


def put(connection: sqlite3.Connection, subscriber: str, one: Mapping[str, Any], *, now: float) -> dict[str, Any]:
    """Add or update one. Raises Problem."""
    email = str(one.get("email_address", ""))
    if subscriber_hash(email) != subscriber:
        raise invalid("email_address", "The address is not the one of the URL")
    row = find(connection, email)
    wanted = {**one, "status": one.get("status", row["status"] if row is not None else one.get("status_if_new", ""))}
    objection = _objection(row, wanted, update=True)
    if objection and "compliance state" in objection:
        raise Problem(400, objection, title="Member In Compliance State")
    if objection:
        raise invalid("email_address", objection)
    return _store(connection, row, wanted, now=now)


def _store(
    connection: sqlite3.Connection, row: sqlite3.Row | None, one: Mapping[str, Any], *, now: float
) -> dict[str, Any]:
    tags = {tag for (tag,) in connection.execute("SELECT tag FROM marketing_fields")}
    values = orjson.loads(row["merge_fields"]) if row is not None else {}
    values |= {tag: str(value) for tag, value in one.get("merge_fields", {}).items() if tag in tags}
    status = one.get("status", row["status"] if row is not None else "subscribed")
    email = str(one["email_address"])
    connection.execute(
        "INSERT INTO marketing_members (email, address, status, merge_fields, changed_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (email) DO UPDATE SET status = excluded.status, merge_fields = excluded.merge_fields,"
        " changed_at = excluded.changed_at",
        (email.lower(), email, status, orjson.dumps(values).decode(), now),
    )
    stored = find(connection, email)
    assert stored is not None
    return shown(stored)


def find(connection: sqlite3.Connection, email: str) -> Any:
    return connection.execute("SELECT * FROM marketing_members WHERE email = ?", (email.lower(),)).fetchone()


def by_hash(connection: sqlite3.Connection, subscriber: str) -> dict[str, Any]:
    """Raises Problem where there is none."""
    for row in connection.execute("SELECT * FROM marketing_members").fetchall():
        if subscriber_hash(row["email"]) == subscriber:
            return shown(row)
    raise missing()


def page(
    connection: sqlite3.Connection, *, status: str | None, since: float, before: float, count: int, offset: int
) -> list[dict[str, Any]]:
    """Members by their last change, oldest first."""
    rows = connection.execute(
        "SELECT * FROM marketing_members WHERE (? IS NULL OR status = ?) AND changed_at >= ? AND changed_at < ?"
        " ORDER BY changed_at, email LIMIT ? OFFSET ?",
        (status, status, since, before, count, offset),
    )
    return [shown(row) for row in rows]


def shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": subscriber_hash(row["email"]),
        "email_address": row["address"],
        "status": row["status"],
        "merge_fields": orjson.loads(row["merge_fields"]),
        "unsubscribe_reason": row["reason"],
        "last_changed": instant(row["changed_at"]),
    }


def instant(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).isoformat()


def change(connection: sqlite3.Connection, email: str, status: str, *, reason: str, now: float) -> None:
    """What she did herself, or her mailbox."""
    connection.execute(
        "UPDATE marketing_members SET status = ?, own_doing = 1, reason = ?, changed_at = ? WHERE email = ?",
        (status, reason, now, email),
    )
