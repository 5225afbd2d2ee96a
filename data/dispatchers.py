"""Which dispatcher processes live: each says so every few seconds."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from data import database, tables

SILENT_AFTER = timedelta(seconds=30)
_FORGOTTEN_AFTER = timedelta(hours=1)


def note(connection: sa.Connection, name: str, *, started_at: datetime, now: datetime) -> None:
    """Say that this process lives; those of more than an hour ago are forgotten."""
    table = tables.dispatchers
    insert = database.insert(connection, table).values(id=name, started_at=started_at, seen_at=now)
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_={"seen_at": now}))
    connection.execute(table.delete().where(table.c.seen_at < now - _FORGOTTEN_AFTER))


def leave(connection: sa.Connection, name: str) -> None:
    """The process ends."""
    table = tables.dispatchers
    connection.execute(table.delete().where(table.c.id == name))


def alive(connection: sa.Connection, now: datetime) -> list[str]:
    """Those that said so lately."""
    table = tables.dispatchers.c
    query = sa.select(table.id).where(table.seen_at > now - SILENT_AFTER).order_by(table.id)
    return list(connection.scalars(query))
