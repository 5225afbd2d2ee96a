"""Delivery events, from the raw bodies of the inbox to what is known of each message: some bodies in one transaction.

A crash in the middle leaves them pending, and reading them again gives the same state. One bad element never loses its
neighbours, nor a bad body: it becomes a dead letter, the rest is applied.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import database, events_apply, inbox, late_events, proofs
from data.correlation import Element
from data.events_apply import Applied
from data.late_events import Late
from data.strays import Origins
from domain.delivery import DeliveryEvent, UnreadableEvent
from domain.ports import EventReader

_LATE_BODIES = 100  # looked at again in one round
# Read in one transaction: four of a thousand events each hold SQLite's one writer for a fifth of a second, and the door
# cannot answer meanwhile.
_TOGETHER = 4
_BYTES_TOGETHER = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """What one round over the inbox did."""

    bodies: int  # read to the end
    failed: int  # bodies that could not be read; each gets three tries
    events: int
    duplicates: int
    unreadable: int
    uncorrelated: int  # new events of no message that is known, or not yet
    suppressions: int
    confirmed_batches: int
    placed_late: int = 0  # events that came earlier, and whose message is known now
    strays: int = 0  # events whose message nobody looks for any more
    failed_late: int = 0  # bodies of which events that waited could not be applied now that their message is known
    received: tuple[datetime, ...] = field(
        default=(), compare=False
    )  # when those came that were read to the end at once

    def counts(self) -> dict[str, int]:
        return {name: value for name, value in asdict(self).items() if name != "received"}


@dataclass(frozen=True, slots=True)
class _Round:
    """What a round goes by. `fresh_only`: bodies that failed, or that no reader here understands, are left alone."""

    readers: Mapping[str, EventReader]
    origins: Origins
    pepper: str
    clock: Callable[[], datetime]
    fresh_only: bool


@dataclass(frozen=True, slots=True)
class _Read:
    """Bodies of one transaction: up to which id, how many were read, what they brought, what was refused.

    `received`: when those of them came that were read for the first time; a replay says nothing of how quick we are.
    """

    last_id: int
    read: int = 0
    received: tuple[datetime, ...] = ()
    failed: int = 0
    applied: Applied = field(default_factory=Applied)
    unreadable: int = 0

    @property
    def bodies(self) -> int:
        return self.read + self.failed


def process(
    engine: sa.Engine,
    *,
    readers: Mapping[str, EventReader],
    pepper: str,
    clock: Callable[[], datetime],
    limit: int,
    origins: Origins | None = None,
    fresh_only: bool = False,
) -> ProcessReport:
    """Read up to `limit` pending bodies, oldest first, each at most once; then look for what waits for its message.

    Any number of processors may run at once. `clock`: asked anew for each body, as what comes of it is in force from then
    on and no sooner. `origins`: whose ESPs they are. `fresh_only`: leave what failed, and what
    no reader here understands, to whoever comes without it. Proofs are taken in whatever becomes of the bodies.
    """
    work = _Round(readers, origins or Origins(), pepper, clock, fresh_only)
    read: list[_Read] = []
    late, confirmed = Late(), 0
    try:
        while (left := limit - sum(one.bodies for one in read)) > 0:
            some = _next(engine, read[-1].last_id if read else 0, min(left, _TOGETHER), work)
            if not some:
                break
            read += some
        late = late_events.look_again(
            engine, readers=readers, origins=work.origins, pepper=pepper, now=clock(), limit=_LATE_BODIES
        )
    finally:
        with database.write(engine) as connection:
            confirmed = proofs.confirm(connection, now=clock())
    total = sum((one.applied for one in read), Applied())
    received = tuple(at for one in read for at in one.received)
    return ProcessReport(
        bodies=sum(one.read for one in read),
        failed=sum(one.failed for one in read),
        events=total.events,
        duplicates=total.duplicates,
        unreadable=sum(one.unreadable for one in read),
        uncorrelated=total.uncorrelated,
        suppressions=total.suppressions + late.suppressions,
        confirmed_batches=confirmed,
        placed_late=late.placed,
        strays=late.given_up,
        failed_late=late.failed,
        received=received,
    )


def _next(engine: sa.Engine, after: int, most: int, work: _Round) -> list[_Read]:
    """Read the next bodies, in one transaction; where anything goes wrong with them, each in one of its own.

    Together they share what a transaction costs.
    """
    read_next = _alone
    try:
        if (together := _together(engine, after, most, work)) is not None:
            return [together]
    except Exception as error:
        if database.in_trouble(error) and not database.collided(error):
            raise
        read_next = _once  # this is their second time already
    read: list[_Read] = []
    while len(read) < most and (one := read_next(engine, read[-1].last_id if read else after, work)) is not None:
        read.append(one)
    return read


def _together(engine: sa.Engine, after: int, most: int, work: _Round) -> _Read | None:
    """The next bodies at once, as far as they are read for the first time; None where not even the first is.

    Raises whatever one of them brings about, and then has changed nothing.
    """
    with database.write(engine) as connection:
        rows = inbox.pending(connection, most, after=after, fresh_of=work.readers if work.fresh_only else None)
        some = list(_at_once(rows, work.readers))
        if not some:
            return None
        numbered, refused = [], []
        for row in some:
            events, unreadable = _sorted(row.id, work.readers[row.provider].parse(row.body))
            numbered += events
            refused += [(row, *one) for one in unreadable.items()]
        applied = events_apply.apply(connection, numbered, pepper=work.pepper, origins=work.origins, now=work.clock())
        for row, position, reason in refused:
            inbox.refuse(
                connection, provider=row.provider, inbox_id=row.id, position=position, reason=reason, now=work.clock()
            )
        inbox.finish(connection, [row.id for row in some], now=work.clock())
        return _Read(some[-1].id, len(some), tuple(row.received_at for row in some), 0, applied, len(refused))


def _at_once(rows: Iterable[Any], readers: Mapping[str, EventReader]) -> Iterator[Any]:
    size = 0
    for row in rows:
        size += len(row.body)
        for_the_first_time = row.error is None and row.processed_at is None and row.strikes == 0
        if not for_the_first_time or row.provider not in readers or (size > _BYTES_TOGETHER and size > len(row.body)):
            return
        yield row


def _sorted(
    inbox_id: int, parsed: Iterable[DeliveryEvent | UnreadableEvent]
) -> tuple[list[tuple[Element, DeliveryEvent]], dict[int, str]]:
    """The events of a body, each with its place, and by position what is none."""
    numbered: list[tuple[Element, DeliveryEvent]] = []
    unreadable: dict[int, str] = {}
    for place, element in enumerate(parsed):
        if isinstance(element, UnreadableEvent):
            unreadable[element.position] = element.reason
        else:
            numbered.append((Element(inbox_id, place), element))
    return numbered, unreadable


def _alone(engine: sa.Engine, after: int, work: _Round) -> _Read | None:
    """Read the next body; None when there is none. What goes wrong with it is a strike, unless the database is ill.

    Where another transaction stood in its way it is read once more, and then left to the next round.
    """
    try:
        return _once(engine, after, work)
    except Exception as error:
        if not database.collided(error):
            raise
    return _once(engine, after, work)


def _once(engine: sa.Engine, after: int, work: _Round) -> _Read | None:
    row = None
    try:
        with database.write(engine) as connection:
            rows = inbox.pending(connection, 1, after=after, fresh_of=work.readers if work.fresh_only else None)
            if not rows:
                return None
            row = rows[0]
            return _read(connection, row, work)
    except Exception as error:
        if row is None or database.in_trouble(error):
            raise
        with database.write(engine) as connection:
            return _failed(connection, row, f"the events could not be applied ({type(error).__name__})", work.clock())


def _read(connection: sa.Connection, row: Any, work: _Round) -> _Read:
    reader = work.readers.get(row.provider)
    if reader is None:
        return _failed(connection, row, f"nothing here reads events of {row.provider}", work.clock())
    try:
        numbered, unreadable = _sorted(row.id, reader.parse(row.body))
    except Exception as error:  # noqa: BLE001 - whatever a body does to its reader, the next body is read
        # The class only: the text of an exception may quote an address.
        return _failed(connection, row, f"the body made its reader fail ({type(error).__name__})", work.clock())
    applied, refused = _apply(connection, row, numbered, work)
    unreadable |= refused
    if row.error is not None or row.processed_at is not None:  # not for the first time
        inbox.end_letters(connection, row.id, besides=unreadable, now=work.clock())
    for position, reason in unreadable.items():
        inbox.refuse(
            connection, provider=row.provider, inbox_id=row.id, position=position, reason=reason, now=work.clock()
        )
    inbox.finish(connection, [row.id], now=work.clock())
    received = (row.received_at,) if row.processed_at is None else ()
    return _Read(row.id, 1, received, 0, applied, len(unreadable))


def _failed(connection: sa.Connection, row: Any, error: str, now: datetime) -> _Read:
    inbox.strike(connection, row.id, error=error, now=now)
    return _Read(row.id, failed=1)


def _apply(
    connection: sa.Connection, row: Any, numbered: Sequence[tuple[Element, DeliveryEvent]], work: _Round
) -> tuple[Applied, dict[int, str]]:
    """Apply all at once; where a value cannot be stored (a NUL in a text, say), halve down to the culprits.

    On the last try whatever an element brings about is its own: it becomes a dead letter, and the rest is applied.
    Anything else rises: a strike, or the database's trouble, and the body stays pending.
    """
    last_try = row.strikes + 1 >= inbox.STRIKES
    culprits = (Exception,) if last_try else database.not_storable(connection.engine)
    try:
        with connection.begin_nested():
            applied = events_apply.apply(
                connection, numbered, pepper=work.pepper, origins=work.origins, now=work.clock()
            )
            return applied, {}
    except culprits as error:
        if database.in_trouble(error):
            raise
        if len(numbered) <= 1:
            return Applied(), {
                element.position: f"the event could not be applied ({type(error).__name__})" for element, _ in numbered
            }
    middle = len(numbered) // 2
    first, refused = _apply(connection, row, numbered[:middle], work)
    second, also_refused = _apply(connection, row, numbered[middle:], work)
    return first + second, refused | also_refused
