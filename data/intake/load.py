"""Files as a way in: cut into records and stored, each once, so that a load that dies is completed by loading again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from data import accounts, database, tables
from data.channels import mapping
from data.channels.channel import Origin, Urgency
from data.channels.connections import Connection
from data.channels.registry import get as adapter
from data.intake import files, records
from data.intake.drain import Intake
from data.intake.records import Incoming

_PIECES_AT_ONCE = 20  # some 3 MB and 10,000 orders in one transaction


@dataclass(frozen=True, slots=True)
class Staged:
    """What was put on the queue. `new` of the `records` were not known from an earlier load."""

    files: int
    rows: int
    records: int
    new: int


def stage(
    intake: Intake, path: Path, *, account_id: str, channel: str, progress: Callable[[int], None] | None = None
) -> Staged:
    """Put a file, or all files of a folder, on the queue; `progress` is told how many rows are stored.

    Raises UnreadableFile, UnknownAccount, UnknownChannel. What was stored before an error stays.
    """
    with database.read(intake.engine) as connection:
        accounts.get(connection, account_id)
    known = intake.connection_of(account_id, channel)
    adapter(known.reader)  # before anything is stored that nobody could read
    total = Staged(0, 0, 0, 0)
    for file in files.found(path):
        total = _stage(intake, file, known, total, progress)
    return total


def _stage(
    intake: Intake, file: Path, known: Connection, total: Staged, progress: Callable[[int], None] | None
) -> Staged:
    row = {
        "account_id": known.account,
        "channel": known.channel,
        "name": file.name,
        "content_hash": files.fingerprint(file),
    }
    started_at = intake.clock()
    with database.write(intake.engine) as connection:
        statement = database.insert(connection, tables.intake_files).values(**row, started_at=started_at)
        connection.execute(statement.on_conflict_do_nothing())
    rows = stored = new = 0
    for pieces in _chunks(files.cut(file, mapping.load(known.mapping) if known.mapping else None)):
        documents = [
            Incoming(one.body, Origin.FILE, file.name, started_at, urgency=Urgency.BULK, first_row=one.first_row)
            for one in pieces
        ]
        with database.write(intake.engine) as connection:
            new += records.store(connection, known.account, known.channel, documents)
        rows += sum(one.rows for one in pieces)
        stored += len(pieces)
        if progress:
            progress(total.rows + rows)
    file_row = tables.intake_files
    with database.write(intake.engine) as connection:
        theirs = [file_row.c[name] == row[name] for name in ("account_id", "channel", "content_hash")]
        connection.execute(
            sa.update(file_row).where(*theirs).values(rows=rows, records=stored, staged_at=intake.clock())
        )
    return Staged(total.files + 1, total.rows + rows, total.records + stored, total.new + new)


def _chunks(pieces: Iterator[files.Piece]) -> Iterator[list[files.Piece]]:
    while some := list(islice(pieces, _PIECES_AT_ONCE)):
        yield some
