"""SendGrid's dynamic templates: a name, versions of it, one of which is active.

Rules: SendGrid's API reference, "Transactional Templates" and "Transactional Templates Versions", and its OpenAPI file.
"""

import sqlite3
import time
import uuid
from collections.abc import Collection, Mapping
from typing import Any

MOST_VERSIONS = 300
_FIELDS = ("name", "subject", "html_content", "plain_content", "generate_plain_content", "editor")
_CONTENT = ("html_content", "plain_content")


def create(connection: sqlite3.Connection, name: str, generation: str) -> dict[str, Any]:
    """A new template without any version. A dynamic one's id begins with d-."""
    own = uuid.uuid4()
    template_id = f"d-{own.hex}" if generation == "dynamic" else str(own)
    row = (template_id, name, generation, _now())
    connection.execute("INSERT INTO templates (id, name, generation, updated_at) VALUES (?, ?, ?, ?)", row)
    return {"id": template_id, "name": name, "generation": generation, "updated_at": row[3], "versions": []}


def page(
    connection: sqlite3.Connection, generations: list[str], after: int, size: int
) -> list[tuple[int, dict[str, Any]]]:
    """So many templates behind a place, each with its place and its versions without their content."""
    rows = connection.execute(
        "SELECT rowid, * FROM templates WHERE generation IN (?, ?) AND rowid > ? ORDER BY rowid LIMIT ?",
        (generations[0], generations[-1], after, size),
    ).fetchall()
    return [(row["rowid"], _template(connection, row, without=_CONTENT)) for row in rows]


def get(connection: sqlite3.Connection, template_id: str) -> dict[str, Any] | None:
    """One template with all of its versions."""
    row = connection.execute("SELECT * FROM templates WHERE id = ?", (template_id,)).fetchone()
    return None if row is None else _template(connection, row)


def delete(connection: sqlite3.Connection, template_id: str) -> bool:
    """With its versions. False where there is none."""
    connection.execute("DELETE FROM template_versions WHERE template_id = ?", (template_id,))
    return connection.execute("DELETE FROM templates WHERE id = ?", (template_id,)).rowcount > 0


def add_version(connection: sqlite3.Connection, template_id: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A new version; the first one is active whatever was asked."""
    first = not connection.execute(
        "SELECT COUNT(*) FROM template_versions WHERE template_id = ?", (template_id,)
    ).fetchone()[0]
    version_id = str(uuid.uuid4())
    values = {**facts, "plain_content": _plain(facts)}
    connection.execute(
        "INSERT INTO template_versions (id, template_id, active, updated_at, name, subject, html_content, plain_content,"
        " generate_plain_content, editor) VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?)",
        (version_id, template_id, _now(), *(values[name] for name in _FIELDS)),
    )
    if first or facts["active"]:
        activate(connection, template_id, version_id)
    return version(connection, template_id, version_id) or {}


def change_version(
    connection: sqlite3.Connection, template_id: str, version_id: str, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """What is given replaces what was."""
    values = {**(version(connection, template_id, version_id) or {}), **facts}
    connection.execute(
        "UPDATE template_versions SET updated_at = ?, name = ?, subject = ?, html_content = ?, plain_content = ?,"
        " generate_plain_content = ?, editor = ? WHERE id = ?",
        (_now(), *(values[name] for name in _FIELDS), version_id),
    )
    if facts.get("active"):
        activate(connection, template_id, version_id)
    return version(connection, template_id, version_id) or {}


def version(connection: sqlite3.Connection, template_id: str, version_id: str) -> dict[str, Any] | None:
    """One version with its content."""
    row = connection.execute(
        "SELECT * FROM template_versions WHERE template_id = ? AND id = ?", (template_id, version_id)
    ).fetchone()
    return None if row is None else _version(row)


def delete_version(connection: sqlite3.Connection, template_id: str, version_id: str) -> bool:
    """Where it was the active one, none is. False where there is none."""
    gone = connection.execute(
        "DELETE FROM template_versions WHERE template_id = ? AND id = ?", (template_id, version_id)
    )
    return gone.rowcount > 0


def activate(connection: sqlite3.Connection, template_id: str, version_id: str) -> None:
    """One of a template's versions is active, no other."""
    connection.execute(
        "UPDATE template_versions SET active = (id = ?) WHERE template_id = ?", (version_id, template_id)
    )


def may_be_sent(connection: sqlite3.Connection, template_id: str) -> bool:
    """There is such a template, and one of its versions is active."""
    found = connection.execute(
        "SELECT 1 FROM template_versions WHERE template_id = ? AND active", (template_id,)
    ).fetchone()
    return found is not None


def _template(connection: sqlite3.Connection, row: sqlite3.Row, *, without: Collection[str] = ()) -> dict[str, Any]:
    versions = [
        {name: value for name, value in _version(one).items() if name not in without}
        for one in connection.execute(
            "SELECT * FROM template_versions WHERE template_id = ? ORDER BY rowid DESC", (row["id"],)
        ).fetchall()
    ]
    return {name: row[name] for name in ("id", "name", "generation", "updated_at")} | {"versions": versions}


def _version(row: sqlite3.Row) -> dict[str, Any]:
    return {**dict(row), "generate_plain_content": bool(row["generate_plain_content"])}


def _plain(facts: Mapping[str, Any]) -> str:
    """SendGrid writes the text part out of the HTML unless it is told not to; this is no such writer, and says so."""
    return "(generated from html_content)" if facts["generate_plain_content"] else facts["plain_content"]


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
