"""Orders in: governed orders of any channel into the store, in bulk, as often as they come.

The channel's `updated_at` decides: a newer state of an order replaces an older one, an older one never a newer one,
and a repetition changes nothing. Two states with one time cannot be ordered: the second goes to the dead letters.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

import orjson
import sqlalchemy as sa

from data import accounts, database, dead_letters, order_rows, parties, tables
from data.dead_letters import BadRow
from data.order_rows import Known
from domain.orders import Order

# Orders (and bad rows) in one transaction: look-ups by 2,000 ids stay far below both databases' limit of parameters.
_CHUNK = 2000
_HEADER_ROWS = 1
# A shop's clock and zone may be wrong by so much; a state from further ahead could never be replaced.
_AHEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class IntakeReport:
    """What became of the rows. `rows` and `dead` count rows, the others orders; `stale`: older than what is held."""

    rows: int
    loaded: int
    updated: int
    unchanged: int
    stale: int
    dead: int


class _Verdict(StrEnum):
    LOADED = "loaded"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"


class _Refused(ValueError):
    """The order goes to the dead letters; the message is the reason."""


@dataclass(frozen=True, slots=True)
class _Source:
    account_id: str
    channel: str
    name: str
    pepper: str
    now: datetime


@dataclass(slots=True)
class _Decided:
    """A chunk, once each order was held against what is known of it."""

    writes: dict[str, tuple[Order, str]] = field(default_factory=dict)  # external id → newest state, its hash
    heard: list[Order] = field(default_factory=list)  # all but the refused: what they say of customers counts
    bad: list[BadRow] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)


def load(
    engine: sa.Engine,
    orders: Iterable[Order | BadRow],
    *,
    account_id: str,
    channel: str,
    source_name: str,
    pepper: str,
    now: datetime,
    content_hash: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> IntakeReport:
    """Take all orders in, a chunk a transaction; after each, `progress` is told how many rows are done.

    `content_hash` is the file's, where the orders came in one: the first load of a file is kept in intake_files.
    Row numbers of orders that are refused here are reckoned from the stream: row 1 is the header, and an order
    takes as many rows as it has lines.
    Raises UnknownAccount. What was committed before an error stays, and loading again repeats nothing.
    """
    source = _Source(account_id, channel, source_name, pepper, now)
    stream = iter(orders)
    tally: Counter[str] = Counter()
    while chunk := list(islice(stream, _CHUNK)):
        with database.write(engine) as connection:
            done = _take_in(connection, chunk, source, first_row=tally["rows"] + _HEADER_ROWS + 1)
        tally.update(done)  # only after the commit
        if progress:
            progress(tally["rows"])
    report = IntakeReport(**{column.name: tally[column.name] for column in fields(IntakeReport)})
    if content_hash is not None:
        with database.write(engine) as connection:
            _note_file(connection, report, source, content_hash)
    return report


def _take_in(
    connection: sa.Connection, chunk: list[Order | BadRow], source: _Source, *, first_row: int
) -> Counter[str]:
    accounts.lock(connection, source.account_id)
    ids = {item.external_id for item in chunk if isinstance(item, Order)}
    known = order_rows.known(connection, source.account_id, source.channel, ids)
    decided = _decide(chunk, known, now=source.now, first_row=first_row)
    people = parties.from_orders(connection, source.account_id, decided.heard, pepper=source.pepper, now=source.now)
    placed = [
        order_rows.Placed(order, people[parties.identity(order, source.pepper)], digest)
        for order, digest in decided.writes.values()
    ]
    order_rows.write(connection, source.account_id, source.channel, placed, known)
    said = {
        (people[parties.identity(order, source.pepper)], order.customer.consent)
        for order in decided.heard
        if order.customer.consent
    }
    parties.record_consents(connection, source.account_id, said, now=source.now)
    dead_letters.put(
        connection,
        decided.bad,
        account_id=source.account_id,
        source=source.channel,
        location=source.name,
        now=source.now,
    )
    return decided.tally


def _decide(chunk: list[Order | BadRow], known: Mapping[str, Known], *, now: datetime, first_row: int) -> _Decided:
    decided = _Decided()
    latest = dict(known)
    row = first_row
    for item in chunk:
        if isinstance(item, BadRow):
            decided.bad.append(item)
            row += 1
            continue
        digest = order_rows.content_hash(item)
        try:
            verdict = _verdict(item, digest, latest.get(item.external_id), now)
        except _Refused as refused:
            decided.bad.extend(_bad_rows(item, str(refused), row))
        else:
            decided.tally[verdict] += 1
            decided.heard.append(item)
            if verdict in (_Verdict.LOADED, _Verdict.UPDATED):
                decided.writes[item.external_id] = (item, digest)
                latest[item.external_id] = Known(None, item.updated_at, digest)
        row += len(item.lines) or 1
    decided.tally["rows"] = row - first_row
    decided.tally["dead"] = len(decided.bad)
    return decided


def _verdict(order: Order, digest: str, known: Known | None, now: datetime) -> _Verdict:
    """Raises _Refused."""
    consent = order.customer.consent
    if max(order.placed_at, order.updated_at, consent.occurred_at if consent else order.placed_at) > now + _AHEAD:
        raise _Refused("placed_at, updated_at or consent_at lies in the future: nothing later could ever replace it")
    if known is None:
        return _Verdict.LOADED
    if order.updated_at > known.updated_at:
        return _Verdict.UPDATED
    if order.updated_at < known.updated_at:
        return _Verdict.STALE
    if digest == known.content_hash:
        return _Verdict.UNCHANGED
    raise _Refused("conflict: this order is held with the same updated_at and other content; which one is right?")


def _bad_rows(order: Order, reason: str, row: int) -> Iterator[BadRow]:
    payload = orjson.loads(orjson.dumps(order, default=str))
    lines = payload.pop("lines")
    for number, line in enumerate(lines or [None], start=row):
        yield BadRow(number, reason, payload | {"line": line}, int(order.total))


def _note_file(connection: sa.Connection, report: IntakeReport, source: _Source, content_hash: str) -> None:
    """The first load of a file is on record; a repetition changes nothing."""
    statement = database.insert(connection, tables.intake_files).values(
        account_id=source.account_id,
        channel=source.channel,
        name=source.name,
        content_hash=content_hash,
        rows=report.rows,
        loaded=report.loaded,
        updated=report.updated,
        unchanged=report.unchanged,
        stale=report.stale,
        dead=report.dead,
        loaded_at=source.now,
    )
    connection.execute(statement.on_conflict_do_nothing())
