"""Mail that goes later, and word to forget it: batch ids, cancelled and paused batches.

A request is taken on when it comes, with its events after its `send_at`. When its batch is cancelled or paused before
that, it is taken back, out of the record of what went out too; when the batch is resumed, it is taken on again.
Rules: SendGrid's API reference, "Cancel scheduled sends".
"""

import secrets
import sqlite3
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import orjson

from providers.sandbox import acceptance
from providers.sandbox.config import SandboxConfig
from providers.sandbox.problems import Refused, Violation

_LAST_CANCEL_SECONDS = 600  # a cancel later than this before `send_at` is not guaranteed
_ID_SERVES_SECONDS = 24 * 3600
_PAUSED_EXPIRES_SECONDS = 72 * 3600
_UNKNOWN_ID = Violation("invalid batch id", "batch_id")
_NO_STATUS = Violation("batch id not found")


class Status(StrEnum):
    """What was said of a batch."""

    CANCEL = "cancel"
    PAUSE = "pause"


def issue(connection: sqlite3.Connection, *, now: float) -> str:
    """A new batch id."""
    batch_id = secrets.token_urlsafe(36)
    connection.execute("INSERT INTO schedules VALUES (?, ?, NULL)", (batch_id, now))
    return batch_id


def take(
    connection: sqlite3.Connection, payload: Mapping[str, Any], reference: str, config: SandboxConfig, *, now: float
) -> None:
    """Take a valid request on. Raises Refused for a batch id that was never issued, or long ago."""
    batch_id = payload.get("batch_id")
    if batch_id is not None and (known := _row(connection, batch_id)) is None:
        raise Refused(400, _UNKNOWN_ID)
    if batch_id is not None and known["issued_at"] <= now - _ID_SERVES_SECONDS:
        raise Refused(400, _UNKNOWN_ID)
    withheld = batch_id is not None and known["status"] is not None
    send_at = _goes_at(payload, now)
    if withheld or send_at > now:
        connection.execute("DELETE FROM scheduled WHERE send_at < ?", (now - 2 * _PAUSED_EXPIRES_SECONDS,))
        connection.execute(
            "INSERT INTO scheduled VALUES (?, ?, ?, ?, ?)",
            (reference, batch_id, send_at, withheld, orjson.dumps(payload).decode()),
        )
    if not withheld:
        _record(connection, payload, reference, config, now)


def _record(
    connection: sqlite3.Connection, payload: Mapping[str, Any], reference: str, config: SandboxConfig, now: float
) -> None:
    acceptance.record(connection, payload, reference, seed=config.seed, delay=config.event_delay_seconds, now=now)


def _goes_at(payload: Mapping[str, Any], now: float) -> float:
    """When the first of its messages goes."""
    common = payload.get("send_at", 0)
    return max(now, min(float(one.get("send_at", common)) for one in payload["personalizations"]))


def begin(
    connection: sqlite3.Connection,
    batch_id: str,
    status: Status,
    *,
    most: int,
    late_cancels_work: bool,
    now: float,
) -> None:
    """Cancel or pause a batch of which neither was said. Raises Refused."""
    row = _row(connection, batch_id)
    if row is None:
        raise Refused(400, _UNKNOWN_ID)
    if row["status"] is not None:
        raise Refused(400, Violation("a status for this batch id exists, try PATCH to update the status"))
    if _under_way(connection, now) >= most:
        raise Refused(400, Violation("max limit reached"))
    _set(connection, batch_id, status)
    _withhold(connection, batch_id, late_cancels_work=late_cancels_work, now=now)


def change(
    connection: sqlite3.Connection, batch_id: str, status: Status, *, late_cancels_work: bool, now: float
) -> None:
    """Pause what was cancelled, or the other way round. Raises Refused where neither was said."""
    _require_status(connection, batch_id)
    _discard(connection, batch_id, now=now)
    _set(connection, batch_id, status)
    _withhold(connection, batch_id, late_cancels_work=late_cancels_work, now=now)


def resume(connection: sqlite3.Connection, batch_id: str, config: SandboxConfig, *, now: float) -> None:
    """Take the word back: what was not thrown away yet goes at its time, or now. Raises Refused."""
    _require_status(connection, batch_id)
    _discard(connection, batch_id, now=now)
    _set(connection, batch_id, None)
    back = connection.execute(
        "SELECT x_message_id, payload FROM scheduled WHERE batch_id = ? AND withheld AND send_at > ?",
        (batch_id, now - _PAUSED_EXPIRES_SECONDS),
    ).fetchall()
    for row in back:
        connection.execute("UPDATE scheduled SET withheld = 0 WHERE x_message_id = ?", (row["x_message_id"],))
        _record(connection, orjson.loads(row["payload"]), row["x_message_id"], config, now)


def said(connection: sqlite3.Connection, batch_id: str | None = None) -> list[dict[str, str]]:
    """The batches that are cancelled or paused: all, or this one if it is."""
    rows = connection.execute(
        "SELECT batch_id, status FROM schedules WHERE status IS NOT NULL AND (? IS NULL OR batch_id = ?)",
        (batch_id, batch_id),
    )
    return [{"batch_id": row["batch_id"], "status": row["status"]} for row in rows]


def _row(connection: sqlite3.Connection, batch_id: str) -> Any:
    return connection.execute("SELECT * FROM schedules WHERE batch_id = ?", (batch_id,)).fetchone()


def _require_status(connection: sqlite3.Connection, batch_id: str) -> None:
    row = _row(connection, batch_id)
    if row is None or row["status"] is None:
        raise Refused(404, _NO_STATUS)


def _set(connection: sqlite3.Connection, batch_id: str, status: Status | None) -> None:
    connection.execute("UPDATE schedules SET status = ? WHERE batch_id = ?", (status, batch_id))


def _under_way(connection: sqlite3.Connection, now: float) -> int:
    """Batches that are cancelled or paused and whose time has not come; one without mail counts for its id's life."""
    (count,) = connection.execute(
        "SELECT COUNT(*) FROM schedules s WHERE s.status IS NOT NULL AND CASE"
        " WHEN EXISTS (SELECT 1 FROM scheduled m WHERE m.batch_id = s.batch_id)"
        " THEN EXISTS (SELECT 1 FROM scheduled m WHERE m.batch_id = s.batch_id AND m.send_at > ?)"
        " ELSE s.issued_at > ? END",
        (now, now - _ID_SERVES_SECONDS),
    ).fetchone()
    return int(count)


def _withhold(connection: sqlite3.Connection, batch_id: str, *, late_cancels_work: bool, now: float) -> None:
    """Take back whatever of the batch has not gone, and whose time is far enough away."""
    until = now if late_cancels_work else now + _LAST_CANCEL_SECONDS
    rows = connection.execute(
        "SELECT x_message_id, send_at FROM scheduled WHERE batch_id = ? AND NOT withheld AND send_at > ?",
        (batch_id, until),
    ).fetchall()
    for row in rows:
        acceptance.take_back(connection, row["x_message_id"], send_at=row["send_at"])
        connection.execute("UPDATE scheduled SET withheld = 1 WHERE x_message_id = ?", (row["x_message_id"],))


def _discard(connection: sqlite3.Connection, batch_id: str, *, now: float) -> None:
    """What was cancelled when its time came is gone for good."""
    connection.execute(
        "DELETE FROM scheduled WHERE batch_id = ? AND withheld AND send_at <= ?"
        " AND (SELECT status FROM schedules s WHERE s.batch_id = scheduled.batch_id) = ?",
        (batch_id, now, Status.CANCEL),
    )
