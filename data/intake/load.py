"""Files as a way in: cut into records and stored, each once, so that a load that dies is completed by loading again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError

from data import accounts, database, tables
from data.channels import mapping
from data.channels.channel import Origin, Urgency
from data.channels.connections import Connection
from data.channels.mapping import Mapping, UnusableMapping
from data.channels.registry import UnknownChannel
from data.channels.registry import get as adapter
from data.intake import files, records
from data.intake.drain import Intake
from data.intake.files import Piece, UnreadableFile
from data.intake.records import Incoming

_PIECES_AT_ONCE = 20  # some 3 MB and 10,000 orders in one transaction
_LONGEST_LOAD = timedelta(hours=1)  # between two transactions of it; in truth seconds
_MAPPED = "mapped"
_file = tables.intake_files


@dataclass(frozen=True, slots=True)
class Staged:
    """What was put on the queue. `new` of the `records` were not known from an earlier load.

    `unreadable`: files that could not be read, or not to their end, each as a sentence.
    """

    files: int = 0
    rows: int = 0
    records: int = 0
    new: int = 0
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A file whose loading was cut off: what stands above the break is kept."""

    account_id: str
    channel: str
    name: str
    started_at: datetime


def stage(
    intake: Intake, path: Path, *, account_id: str, channel: str, progress: Callable[[int], None] | None = None
) -> Staged:
    """Put a file, or all files of a folder, on the queue; `progress` is told how many rows are stored.

    A file that breaks off keeps what stands above, and the other files of a folder are read all the same. Raises
    UnreadableFile when nothing at all was stored, and UnknownAccount, UnknownChannel, UnusableMapping before.
    """
    known, how = _known(intake, account_id, channel)
    try:
        found = files.found(path)
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}. Nothing was loaded") from error
    total = Staged()
    for file in found:
        total = _File(intake, file, known, how).stage(total, progress)
    if total.unreadable and not total.records:
        raise UnreadableFile("; ".join(total.unreadable))
    return total


def _known(intake: Intake, account_id: str, channel: str) -> tuple[Connection, Mapping | None]:
    """Whose orders they are and how they are read: before anything is stored that nobody could read."""
    with database.read(intake.engine) as connection:
        accounts.get(connection, account_id)
    try:
        known = intake.connection_of(account_id, channel)
        adapter(known.reader)
    except ValidationError as error:
        raise UnknownChannel(
            f"no channel can be called {channel!r}: small letters, digits, - and _, up to 40 of them"
        ) from error
    except UnknownChannel as error:
        raise UnknownChannel(
            f"{error}. A channel of another name needs a connection of account {account_id} in channels.yaml, with the "
            "`adapter` that reads it"
        ) from error
    if known.mapping is None and known.reader == _MAPPED:
        raise UnusableMapping(f"the connection {channel} of {account_id} in channels.yaml names no `mapping`")
    return known, mapping.load(known.mapping) if known.mapping else None


@dataclass(frozen=True, slots=True)
class _File:
    """One file on its way in."""

    intake: Intake
    path: Path
    known: Connection
    mapping: Mapping | None

    def stage(self, total: Staged, progress: Callable[[int], None] | None) -> Staged:
        """Store it piece by piece; `total` with what came of it."""
        total = replace(total, files=total.files + 1)
        rows = stored = 0
        try:
            content_hash = files.fingerprint(self.path)
            for pieces in _chunks(files.cut(self.path, self.mapping)):
                new = self._store(pieces, content_hash)
                rows, stored = rows + sum(one.rows for one in pieces), stored + len(pieces)
                total = replace(
                    total,
                    rows=total.rows + sum(one.rows for one in pieces),
                    records=total.records + len(pieces),
                    new=total.new + new,
                )
                if progress:
                    progress(total.rows)
        except UnreadableFile as error:
            return replace(total, unreadable=(*total.unreadable, str(error)))
        with database.write(self.intake.engine) as connection:
            mine = [_file.c[name] == value for name, value in self._key(content_hash).items()]
            done = sa.update(_file).where(*mine)
            connection.execute(done.values(rows=rows, records=stored, staged_at=self.intake.clock()))
        return total

    def _key(self, content_hash: str) -> dict[str, Any]:
        return {"account_id": self.known.account, "channel": self.known.channel, "content_hash": content_hash}

    def _store(self, pieces: list[Piece], content_hash: str) -> int:
        """Some pieces and, with the first, the file itself: one of which nothing is stored leaves no trace."""
        now = self.intake.clock()
        documents = [
            Incoming(one.body, Origin.FILE, self.path.name, now, urgency=Urgency.BULK, first_row=one.first_row)
            for one in pieces
        ]
        row = self._key(content_hash) | {"name": self.path.name, "started_at": now}
        with database.write(self.intake.engine) as connection:
            connection.execute(database.insert(connection, _file).values(row).on_conflict_do_nothing())
            return records.store(connection, self.known.account, self.known.channel, documents)


def _chunks(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    """Some at a time; where the file breaks off, first what stood above."""
    some: list[Piece] = []
    try:
        for piece in pieces:
            some.append(piece)
            if len(some) == _PIECES_AT_ONCE:
                yield some
                some = []
    except UnreadableFile:
        if some:
            yield some
        raise
    if some:
        yield some


def unfinished(connection: sa.Connection, *, now: datetime) -> list[Unfinished]:
    """Files whose loading was cut off an hour ago or more, and was not completed since under the same name."""
    later = _file.alias()
    completed = sa.exists().where(
        later.c.account_id == _file.c.account_id,
        later.c.channel == _file.c.channel,
        later.c.name == _file.c.name,
        later.c.staged_at > _file.c.started_at,
    )
    query = sa.select(_file.c.account_id, _file.c.channel, _file.c.name, _file.c.started_at)
    query = query.where(_file.c.staged_at.is_(None), _file.c.started_at < now - _LONGEST_LOAD, ~completed)
    return [Unfinished(**row) for row in connection.execute(query.order_by(_file.c.started_at)).mappings()]
