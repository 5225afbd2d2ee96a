"""How far a mailbox was read: written in the transaction that keeps the mail, so neither is ever without the other."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from data import database, tables


class Place(NamedTuple):
    """All mails up to `last_uid` are kept, as long as the mailbox counts them by this validity (RFC 3501)."""

    uid_validity: int
    last_uid: int


def read(connection: sa.Connection, mailbox: str) -> Place | None:
    """Where the reading of a mailbox stands; None where it has not begun."""
    cursor = tables.mailbox_cursors
    row = connection.execute(
        sa.select(cursor.c.uid_validity, cursor.c.last_uid).where(cursor.c.mailbox == mailbox)
    ).one_or_none()
    return None if row is None else Place(*row)


def advance(connection: sa.Connection, mailbox: str, place: Place, *, now: datetime) -> None:
    """The mail with this UID is kept. Of two who read at once, the one behind takes nothing back."""
    table = tables.mailbox_cursors
    row = database.insert(connection, table).values(
        mailbox=mailbox, uid_validity=place.uid_validity, last_uid=place.last_uid, read_at=now
    )
    newer = (table.c.uid_validity != place.uid_validity) | (table.c.last_uid < place.last_uid)
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["mailbox"],
            set_={name: row.excluded[name] for name in ("uid_validity", "last_uid", "read_at")},
            where=newer,
        )
    )
