"""To which environment this very database belongs: a copy of it must not mail anybody.

The row says the environment's name and a fingerprint of the database. A copy carries the row along and has another
fingerprint, so a live run in it refuses until a person claims the copy. SQLite is known by its file: path, inode and
file system (by its own id: device numbers change with a restart). PostgreSQL is known by the cluster's
system identifier, written when the cluster is made, and by the database's own oid and name, which change with a restore
and with CREATE DATABASE … TEMPLATE (https://www.postgresql.org/docs/current/functions-info.html, pg_control_system). A
physical copy of a whole cluster or machine has the same fingerprint: there only the environment's name differs.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from data import audit_log, database, tables

_THE_ONE = 1


class ForeignDatabase(RuntimeError):
    """The database belongs to another environment, or is a copy. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who said when to which environment a database with this fingerprint belongs."""

    environment: str
    fingerprint: str
    claimed_at: datetime
    claimed_by: str


def fingerprint(connection: sa.Connection) -> str:
    """What tells this very database from every copy of it."""
    if connection.dialect.name == "postgresql":
        return _of_postgresql(connection)
    return _of_file(connection.engine.url.database)


def _of_file(name: str | None) -> str:
    if not name or name == ":memory:":
        return "sqlite in memory"
    path = Path(name).resolve()
    return f"sqlite {path} inode {path.stat().st_ino} file system {os.statvfs(path).f_fsid:x}"


def _of_postgresql(connection: sa.Connection) -> str:
    oid, name = connection.execute(
        sa.text("SELECT oid, datname FROM pg_database WHERE datname = current_database()")
    ).one()
    # A provider may keep the function to itself; then the database's oid and name must do.
    may = connection.scalar(sa.text("SELECT has_function_privilege('pg_control_system()', 'execute')"))
    system = connection.scalar(sa.text("SELECT system_identifier FROM pg_control_system()")) if may else "not readable"
    return f"postgresql system {system} database {oid} {name}"


def current(connection: sa.Connection) -> Claim | None:
    """The claim on this database; None where nobody made one yet."""
    row = connection.execute(sa.select(tables.installation).where(tables.installation.c.id == _THE_ONE)).one_or_none()
    return None if row is None else Claim(row.environment, row.fingerprint, row.claimed_at, row.claimed_by)


def ensure(connection: sa.Connection, environment: str, *, now: datetime) -> Claim:
    """Claim a database that nobody claimed yet for the environment that uses it first; of two at once, one does."""
    connection.execute(
        database.insert(connection, tables.installation)
        .values(_row(connection, environment, "first use", now))
        .on_conflict_do_nothing()
    )
    found = current(connection)
    assert found is not None, "written above, if not before"
    return found


def claim(connection: sa.Connection, environment: str, *, by: str, now: datetime) -> Claim:
    """A person says that this very database belongs to this environment. The audit log keeps what was said before."""
    was = current(connection)
    table = tables.installation
    connection.execute(table.delete())
    connection.execute(table.insert().values(_row(connection, environment, by, now)))
    audit_log.write(
        connection,
        account_id=None,
        actor=by,
        action="claim",
        subject=f"environment:{environment}",
        detail={} if was is None else {"was": was.environment, "fingerprint": was.fingerprint},
        now=now,
    )
    found = current(connection)
    assert found is not None, "written above"
    return found


def _row(connection: sa.Connection, environment: str, by: str, now: datetime) -> dict[str, Any]:
    return {
        "id": _THE_ONE,
        "environment": environment,
        "fingerprint": fingerprint(connection),
        "claimed_at": now,
        "claimed_by": by,
    }


def trouble(connection: sa.Connection, environment: str) -> str | None:
    """Why no live run may start here: a sentence; None where all is well, or nobody claimed the database yet."""
    found = current(connection)
    if found is None:
        return None
    if found.environment != environment:
        return (
            f"this database belongs to the environment {found.environment!r}, and OMS_ENVIRONMENT says {environment!r}"
        )
    if found.fingerprint != fingerprint(connection):
        return f"this database is a copy of the one that belongs to {environment!r}, or it was moved or restored"
    return None


def check(connection: sa.Connection, environment: str, *, now: datetime) -> None:
    """Let a live run begin only in the database that belongs here; the first one claims it. Raises ForeignDatabase."""
    ensure(connection, environment, now=now)
    if (reason := trouble(connection, environment)) is not None:
        raise ForeignDatabase(
            f"Nothing was sent: {reason}. Is it the one that is to mail customers? Then say so:"
            f" `campaigns environment claim --name {environment} --by YOUR-NAME`. Is it a copy for trials? Set"
            " OMS_ENVIRONMENT to a name of its own, such as staging, and claim it by that name."
        )
