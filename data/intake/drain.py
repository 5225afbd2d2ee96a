"""The drain: from intake records to orders, however the records came. Any number may run at once, and die at any point.

A batch of records of one channel and account is read, held against the rules, judged as a whole, and then applied a few
at a time: each in one transaction with the end of its records, so that after a crash a record is either done or still
pending, and reading it again gives the same orders. Reading happens outside of transactions: on SQLite a long one would
keep the door waiting.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import accounts, database
from data.channels.connections import Connection, Connections
from data.channels.mapping import UnusableMapping
from data.channels.registry import UnknownChannel
from data.intake import apply, convert, history, quarantine, records, verdict
from data.intake.convert import Converted, Reader
from data.intake.records import Record
from data.intake.thresholds import ThresholdBook, Thresholds
from data.order_triggers import TriggerBook
from domain.validation import Validation

# Orders in one transaction: some 50 ms on SQLite, where everybody else who writes waits for it.
_ORDERS_AT_ONCE = 500
_log = logging.getLogger(__name__)
Judge = Callable[..., Validation]


@dataclass(frozen=True, slots=True)
class Intake:
    """What draining takes.

    `judge` holds the counts of a batch against its thresholds (data.expectations.gate); `triggers` says which mail the
    orders ask for.
    """

    engine: sa.Engine
    connections: Connections
    book: ThresholdBook
    pepper: str
    clock: Callable[[], datetime]
    judge: Judge
    triggers: TriggerBook = field(default_factory=TriggerBook)

    def connection_of(self, account_id: str, channel: str) -> Connection:
        """The declared connection, or for a channel that needs none a plain one."""
        found = self.connections.find(account_id, channel)
        return found or Connection(account=account_id, channel=channel)


@dataclass(slots=True)
class DrainReport:
    """What became of it all. `rows` are rows or elements of documents, `refused` orders that became dead letters."""

    tally: Counter[str] = field(default_factory=Counter)
    quarantined: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """By name: records, rows, orders, loaded, updated, unchanged, stale, deleted, ignored, refused."""
        return {name: self.tally[name] for name in apply.COUNTS}


def drain(
    intake: Intake,
    *,
    only: tuple[str, str] | None = None,
    most_batches: int | None = None,
    progress: Callable[[DrainReport], None] | None = None,
) -> DrainReport:
    """Work off what waits, the most urgent first. `only`: of one (account, channel)."""
    report = DrainReport()
    _heed_quarantines(intake)
    batches = 0
    passed: list[int] = []
    while most_batches is None or batches < most_batches:
        with database.read(intake.engine) as connection:
            batch = records.next_batch(connection, only=only, passed=passed)
        if not batch:
            break
        _drain_batch(intake, batch, report, passed)
        batches += 1
        if progress:
            progress(report)
    return report


def _heed_quarantines(intake: Intake) -> None:
    """Asked each second while nothing comes in: so only what is out of place is written."""
    with database.read(intake.engine) as connection:
        if not records.out_of_place(connection):
            return
    with database.write(intake.engine) as connection:
        records.heed_quarantines(connection)


def reader_of(intake: Intake, account_id: str, channel: str) -> Reader:
    """Who reads this channel of this account. Raises UnknownChannel, UnknownAccount."""
    with database.read(intake.engine) as connection:
        currency = accounts.get(connection, account_id).currency
    found = intake.connection_of(account_id, channel)
    limits = intake.book.of(account_id, channel, found.reader)
    return convert.reader(found, limits, currency, intake.triggers.of(account_id, channel, found.reader))


def _drain_batch(intake: Intake, batch: Sequence[Record], report: DrainReport, passed: list[int]) -> None:
    account_id, channel = batch[0].account_id, batch[0].channel
    now = intake.clock()
    try:
        reader = reader_of(intake, account_id, channel)
        converted = [convert.convert(record, reader, now=now) for record in batch]
    except (UnknownChannel, UnusableMapping) as error:
        reason = f"{error}. Mend its connection in channels.yaml, then release the quarantine"
        _quarantine(intake, batch, reason, {}, report)
        return
    validation = _judged(intake, reader.thresholds, converted, now)
    if validation is not None and not validation.passed:
        failed = "; ".join(f"{check.sentence} ({check.observed})" for check in validation.failures())
        _quarantine(intake, batch, f"this does not hold: {failed}", _fired(converted), report)
        return
    for part in _parts(converted):
        passed += _apply(intake, part, reader, report, now)


def _apply(intake: Intake, part: Sequence[Converted], reader: Reader, report: DrainReport, now: datetime) -> list[int]:
    """Apply all; where that fails each record alone. Return those that could not be applied, which get a strike.

    A record must not stop all others, whatever it does to us. A database that is gone is not its fault.
    """
    try:
        report.tally.update(apply.apply(intake.engine, part, reader, pepper=intake.pepper, now=now))
    except Exception as error:
        if getattr(error, "connection_invalidated", False):
            raise
        if len(part) > 1:
            return [failed for one in part for failed in _apply(intake, [one], reader, report, now)]
        # The class only: the text of an exception may quote an address.
        _log.error("record %d could not be applied: %s", part[0].record.id, type(error).__name__)
        with database.write(intake.engine) as connection:
            apply.strike(connection, part[0], reader, type(error).__name__, now=now)
        return [part[0].record.id]
    return []


def _judged(intake: Intake, thresholds: Thresholds, converted: Sequence[Converted], now: datetime) -> Validation | None:
    """The verdict on those that nobody released from quarantine; None where there is nothing to judge."""
    account_id, channel = converted[0].record.account_id, converted[0].record.channel
    since = now - timedelta(hours=thresholds.within_hours)
    with database.read(intake.engine) as connection:
        waived = quarantine.waived_until(connection, account_id, channel)
        window = history.recent(
            connection, account_id, channel, max(since, waived or since), at_least=thresholds.of_at_least
        )
    judged = [one for one in converted if waived is None or one.record.incoming.received_at > waived]
    batch = history.Counts(
        orders=sum(one.orders for one in judged),
        refused=sum(len(one.letters) for one in judged),
        fired=_fired(judged),
    )
    return verdict.verdict(batch, window, thresholds, intake.judge)


def _fired(converted: Sequence[Converted]) -> Mapping[str, int]:
    return sum((one.fired for one in converted), Counter[str]())


def _quarantine(
    intake: Intake, batch: Sequence[Record], reason: str, fired: Mapping[str, int], report: DrainReport
) -> None:
    account_id, channel = batch[0].account_id, batch[0].channel
    with database.write(intake.engine) as connection:
        quarantine.put(connection, account_id, channel, reason=reason, facts=dict(fired), now=intake.clock())
        records.heed_quarantines(connection)
    report.quarantined.append(f"{channel} of {account_id}: {reason}")


def _parts(converted: Sequence[Converted]) -> Iterator[list[Converted]]:
    """Some records at a time, with no more than _ORDERS_AT_ONCE orders unless one record alone has more."""
    part: list[Converted] = []
    size = 0
    for one in converted:
        if part and (size + one.orders > _ORDERS_AT_ONCE or one.record.reread != part[0].record.reread):
            yield part
            part, size = [], 0
        part.append(one)
        size += one.orders
    if part:
        yield part
