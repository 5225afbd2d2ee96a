"""Templates that live at the ESP: a draft that anybody edits, and what was published of it, which is what is sent."""

import re
import sqlite3
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from providers.sandbox.mandrill.errors import Failed

PARTS = ("code", "subject", "from_email", "from_name", "text")
_LONGEST_NAME = 160
_MOST_LABELS = 10
_NOT_IN_SLUG = re.compile(r"[^a-z0-9]+")


def slug(name: str) -> str:
    """The unchangeable name by which a template is called: lower case, with dashes."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _NOT_IN_SLUG.sub("-", plain).strip("-")


def add(connection: sqlite3.Connection, name: str, given: Mapping[str, Any], *, now: float) -> dict[str, Any]:
    """A new template. Raises Failed where there is one of that name."""
    called = slug(name)
    if not called or len(name) > _LONGEST_NAME:
        raise Failed("ValidationError", "Validation error: name must be 1 to 160 characters")
    if _row(connection, called) is not None:
        raise Failed("Invalid_Template", f'A template with name "{name}" already exists')
    connection.execute(
        "INSERT INTO mandrill_templates VALUES (?, ?, '[]', '{}', NULL, NULL, ?, ?)", (called, name, now, now)
    )
    return update(connection, name, given, now=now)


def update(connection: sqlite3.Connection, name: str, given: Mapping[str, Any], *, now: float) -> dict[str, Any]:
    """Change the parts of the draft that are given, and publish it unless told not to. Raises Failed."""
    row = _known(connection, name)
    draft = orjson.loads(row["draft"]) | {part: given[part] for part in PARTS if given.get(part) is not None}
    labels = given["labels"] if given.get("labels") is not None else orjson.loads(row["labels"])
    if len(labels) > _MOST_LABELS:
        raise Failed("ValidationError", f"Validation error: no more than {_MOST_LABELS} labels")
    connection.execute(
        "UPDATE mandrill_templates SET draft = ?, labels = ?, updated_at = ? WHERE slug = ?",
        (orjson.dumps(draft).decode(), orjson.dumps(labels).decode(), now, row["slug"]),
    )
    return publish(connection, name, now=now) if given.get("publish", True) else info(connection, name)


def publish(connection: sqlite3.Connection, name: str, *, now: float) -> dict[str, Any]:
    """From now on what is sent is the draft as it is. Raises Failed."""
    row = _known(connection, name)
    connection.execute(
        "UPDATE mandrill_templates SET published = draft, published_at = ? WHERE slug = ?", (now, row["slug"])
    )
    return info(connection, name)


def delete(connection: sqlite3.Connection, name: str) -> dict[str, Any]:
    """Forget it, and show it a last time. Raises Failed."""
    shown = info(connection, name)
    connection.execute("DELETE FROM mandrill_templates WHERE slug = ?", (shown["slug"],))
    return shown


def info(connection: sqlite3.Connection, name: str) -> dict[str, Any]:
    """All of one template, by its name or its slug. Raises Failed."""
    return _shown(_known(connection, name))


def listed(connection: sqlite3.Connection, label: str | None) -> list[dict[str, Any]]:
    """All templates, or those that bear a label."""
    rows = connection.execute("SELECT * FROM mandrill_templates ORDER BY slug").fetchall()
    return [_shown(row) for row in rows if label is None or label in orjson.loads(row["labels"])]


def published(connection: sqlite3.Connection, name: str) -> dict[str, Any]:
    """The parts that a mail is made of. Raises Failed where there is no such template, or it was never published."""
    row = _row(connection, slug(name))
    if row is None or row["published"] is None:
        raise Failed("Unknown_Template", f'No such template "{name}"')
    parts: dict[str, Any] = orjson.loads(row["published"])
    return parts


def _row(connection: sqlite3.Connection, called: str) -> Any:
    return connection.execute("SELECT * FROM mandrill_templates WHERE slug = ?", (called,)).fetchone()


def _known(connection: sqlite3.Connection, name: str) -> Any:
    row = _row(connection, slug(name))
    if row is None:
        raise Failed("Unknown_Template", f'No such template "{name}"')
    return row


def _shown(row: Any) -> dict[str, Any]:
    draft = orjson.loads(row["draft"])
    public = orjson.loads(row["published"]) if row["published"] is not None else {}
    return {
        "slug": row["slug"],
        "name": row["name"],
        "labels": orjson.loads(row["labels"]),
        **{part: draft.get(part) for part in PARTS},
        "publish_name": row["name"] if public else None,
        **{f"publish_{part}": public.get(part) for part in PARTS},
        "published_at": written(row["published_at"]) if row["published_at"] is not None else None,
        "created_at": written(row["created_at"]),
        "updated_at": written(row["updated_at"]),
    }


def written(at: float) -> str:
    """A time as Transactional writes it, in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"
