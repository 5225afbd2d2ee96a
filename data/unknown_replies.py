"""Refusals whose words are in no table yet: counted by text, for whoever adds them to the table of bounces."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TextIO

import sqlalchemy as sa

from data import database, tables
from data.correlation import Placed
from data.sender_refusals import Way
from data.suppressions_csv import csv_cell
from domain import unknown_replies
from domain.masking import masked

_NOBODY_KNOWS = "unknown"


@dataclass(frozen=True, slots=True)
class UnknownReply:
    """One text, how often it came and when. `example` is the last one as it came, masked."""

    text: str
    provider: str
    mailbox_group: str
    count: int
    first_seen: datetime
    last_seen: datetime
    example: str


def concerns(one: Placed) -> bool:
    """Whether an event refuses in words that nobody knows."""
    return unknown_replies.is_unknown(one.event)


def record(connection: sa.Connection, new: Sequence[Placed], went: Mapping[tuple[str, int], Way]) -> None:
    """Count the texts of new events; each event is new once, so each counts once."""
    found: dict[tuple[str, str, str], UnknownReply] = {}
    for one in sorted(new, key=lambda one: one.event.occurred_at):
        detail, at = one.event.detail, one.event.occurred_at
        if detail is None or not concerns(one):
            continue
        way = went.get((one.run_id or "", one.ordinal or 0)) or Way(one.event.provider, _NOBODY_KNOWS)
        key = (way.provider, way.mailbox_group, unknown_replies.normalised(detail))
        before = found.get(key)
        first, count = (before.first_seen, before.count) if before is not None else (at, 0)
        found[key] = UnknownReply(key[2], *way, count + 1, first, at, masked(detail))
    if not found:
        return
    table = tables.unknown_replies
    insert = database.insert(connection, table)
    new_row, old = insert.excluded, table.c
    newer = new_row.last_seen >= old.last_seen
    counted = insert.on_conflict_do_update(
        index_elements=["provider", "mailbox_group", "text"],
        set_={
            "count": old.count + new_row.count,
            "first_seen": sa.case((new_row.first_seen < old.first_seen, new_row.first_seen), else_=old.first_seen),
            "last_seen": sa.case((newer, new_row.last_seen), else_=old.last_seen),
            "example": sa.case((newer, new_row.example), else_=old.example),
        },
    )
    connection.execute(counted, [asdict(found[key]) for key in sorted(found)])


def trim(connection: sa.Connection, most: int = unknown_replies.MOST_KEPT) -> int:
    """Keep the texts that came last and those that came most often, half each; how many were dropped."""
    reply = tables.unknown_replies
    if (connection.scalar(sa.select(sa.func.count()).select_from(reply)) or 0) <= most:
        return 0
    latest = sa.select(reply.c.id).order_by(reply.c.last_seen.desc(), reply.c.id).limit(most // 2)
    commonest = sa.select(reply.c.id).order_by(reply.c["count"].desc(), reply.c.id).limit(most // 2)
    kept = set(connection.scalars(latest)) | set(connection.scalars(commonest))
    return connection.execute(reply.delete().where(reply.c.id.not_in(kept))).rowcount


def listing(connection: sa.Connection, *, limit: int) -> list[UnknownReply]:
    """The texts that came most often, of equals the last one first."""
    reply = tables.unknown_replies
    query = sa.select(*(reply.c[one.name] for one in fields(UnknownReply)))
    rows = connection.execute(query.order_by(reply.c["count"].desc(), reply.c.last_seen.desc()).limit(limit))
    return [UnknownReply(**row) for row in rows.mappings()]


def totals(connection: sa.Connection) -> tuple[int, int]:
    """How many texts there are, and how many refusals they make."""
    reply = tables.unknown_replies.c
    row = connection.execute(sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(reply["count"]), 0))).one()
    return int(row[0]), int(row[1])


def export_csv(replies: Sequence[UnknownReply], file: TextIO) -> None:
    """Write texts as CSV that no spreadsheet executes."""
    writer = csv.writer(file)
    writer.writerow([one.name for one in fields(UnknownReply)])
    writer.writerows([csv_cell(value) for value in asdict(reply).values()] for reply in replies)
