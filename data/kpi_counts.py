"""Figures by batch, kept up to date by reckoning anew only the batches that changed; any grouping is a sum.

A refresh has two steps, each safe to die in and to repeat: marks become batches that are due, and each due batch is
written anew, as a whole, in the transaction in which it ceases to be due. So it equals a full recomputation, in any
order of events. Whoever wants one run's figures of this moment reckons its due batches himself (`of_run`); lists take
what is `stored`.
"""

import math
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from data import bulk, database, kpi_batches, tables
from data.kpi_batches import Part
from domain import machine_activity
from domain.kpis import COUNTS, Figures
from domain.ledger import BatchState

INBOX, HANDLING = "to_inbox", "handling"
# A batch has up to a thousand messages: what SQLite's one writer is held up by at a time is below a second.
_BATCHES_AT_ONCE = 100
_MARKS_AT_ONCE = 5_000
_IDS_AT_ONCE = 1_000
_OF_ORIGIN = (
    "batch_id",
    "account_id",
    "run_id",
    "zone",
    "day",
    "provider",
    "pool",
    "domain",
    "claimed_at",
    "accepted_at",
)
_COLUMNS = tuple(column.name for column in tables.kpi_counts.c)
_LATENCY_COLUMNS = tuple(column.name for column in tables.kpi_latencies.c)


@dataclass(frozen=True, slots=True)
class Counted:
    """A batch's figures at one mailbox group."""

    mailbox_group: str
    figures: Figures
    last_event_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunCounts:
    """A run's figures in parts; `left`: of how many batches something is known that these do not tell yet."""

    parts: list[Counted]
    left: int


def refresh(engine: sa.Engine, *, seconds: float = math.inf) -> int:
    """Bring all figures to now; how many batches were reckoned. Any number may run at once; they take turns.

    After so many seconds no other portion is begun; the next refresh goes on there.
    """
    ends = time.monotonic() + seconds
    while _take_marks(engine) and time.monotonic() < ends:
        pass
    reckoned = 0
    while some := _reckon_some(engine):
        reckoned += some
        if time.monotonic() >= ends:
            break
    return reckoned


def recompute(engine: sa.Engine, *, account_id: str, rules: int | None, by: str, now: datetime) -> int:
    """Reckon all of an account's batches anew, from now on by these rules (None: by those in force); how many.

    Raises domain.machine_activity.UnknownRules.
    """
    batch, run = tables.batches.c, tables.campaign_runs.c
    with database.write(engine) as connection:
        _take_turns(connection)
        if rules is not None:
            _choose(connection, account_id, machine_activity.check(rules), by, now)
        theirs = sa.select(batch.id).join_from(tables.batches, tables.campaign_runs, run.id == batch.run_id)
        _put_due(connection, theirs.where(batch.state == BatchState.ACCEPTED, run.account_id == account_id))
    return refresh(engine)


def rules_of(connection: sa.Connection, account_id: str) -> int:
    """By which rules this account's people are told from machines."""
    table = tables.kpi_rules.c
    chosen: int | None = connection.scalar(sa.select(table.version).where(table.account_id == account_id))
    return machine_activity.CURRENT if chosen is None else chosen


def stored(connection: sa.Connection, run_ids: Collection[str]) -> dict[str, Figures]:
    """The figures of these runs as they were last refreshed, a minute ago at most. Reckons nothing, so it is cheap."""
    table = tables.kpi_counts.c
    query = sa.select(table.run_id, *(sa.func.sum(table[name]) for name in COUNTS)).group_by(table.run_id)
    found = dict.fromkeys(run_ids, Figures())
    for run_id, *counts in connection.execute(query.where(table.run_id.in_(run_ids))):
        found[run_id] = Figures.of(dict(zip(COUNTS, map(int, counts), strict=True)))
    return found


def of_run(connection: sa.Connection, run_id: str, *, at_most: int | None = None) -> RunCounts:
    """A run's figures as of this moment: what is due is reckoned now, `at_most` so many batches of it."""
    table = tables.kpi_counts.c
    due = sorted(_stale(connection, run_id))
    now = set(due[:at_most])
    kept = sa.select(table.batch_id, table.mailbox_group, table.last_event_at, *(table[name] for name in COUNTS))
    parts = [
        Counted(group, Figures.of(dict(zip(COUNTS, row, strict=True))), at)
        for batch_id, group, at, *row in connection.execute(kept.where(table.run_id == run_id))
        if batch_id not in now
    ]
    fresh = _fresh(connection, sorted(now), durations=False)
    parts += [Counted(part.mailbox_group, part.figures, part.last_event_at) for part in fresh]
    return RunCounts(parts, len(due) - len(now))


def _stale(connection: sa.Connection, run_id: str) -> set[int]:
    due, batch = tables.kpi_due.c.batch_id, tables.batches.c
    mine = batch.run_id == run_id
    noted = sa.select(due).join_from(tables.kpi_due, tables.batches, batch.id == due).where(mine)
    return {*connection.scalars(noted), *connection.scalars(_out_of_date().where(mine)), *_marked(connection, run_id)}


def stale_runs(connection: sa.Connection) -> set[str]:
    """Of which runs something changed that the stored figures do not tell yet."""
    run, batch = tables.batches.c.run_id, tables.batches.c.id
    noted = sa.select(run).join_from(tables.kpi_due, tables.batches, batch == tables.kpi_due.c.batch_id)
    without = sa.select(run).where(batch.in_(_out_of_date()))
    marked = sa.select(tables.kpi_marks.c.run_id)
    return {one for query in (noted, without, marked) for one in connection.scalars(query.distinct())}


# --- what is due -----------------------------------------------------------------------------------------------------


def _take_marks(engine: sa.Engine) -> bool:
    """Turn some marks into due batches, and note what is out of date for other reasons; whether marks may be left."""
    mark = tables.kpi_marks
    with database.write(engine) as connection:
        _take_turns(connection)
        _put_due(connection, _out_of_date())
        some = connection.execute(
            sa.select(mark.c.id, mark.c.run_id, mark.c.ordinals).order_by(mark.c.id).limit(_MARKS_AT_ONCE)
        ).all()
        messages: dict[str, set[int]] = defaultdict(set)
        for _, run_id, ordinals in some:
            messages[run_id].update(ordinals)
        ids = {one for run_id, ordinals in messages.items() for one in _batches_of(connection, run_id, ordinals)}
        if ids:
            insert = database.insert(connection, tables.kpi_due).on_conflict_do_nothing()
            connection.execute(insert, [{"batch_id": one} for one in sorted(ids)])
        # By id: a mark that was committed meanwhile is none of these.
        for first in range(0, len(some), _IDS_AT_ONCE):
            chunk = [row.id for row in some[first : first + _IDS_AT_ONCE]]
            connection.execute(mark.delete().where(mark.c.id.in_(chunk)))
        return len(some) == _MARKS_AT_ONCE


def _marked(connection: sa.Connection, run_id: str) -> Collection[int]:
    mark = tables.kpi_marks.c
    found = connection.scalars(sa.select(mark.ordinals).where(mark.run_id == run_id))
    return _batches_of(connection, run_id, {one for ordinals in found for one in ordinals})


def _batches_of(connection: sa.Connection, run_id: str, ordinals: Collection[int]) -> set[int]:
    """Which accepted batches of a run hold these messages. Accepted batches do not overlap."""
    if not ordinals:
        return set()
    batch = tables.batches.c
    query = sa.select(batch.first_ordinal, batch.last_ordinal, batch.id).order_by(batch.first_ordinal)
    found = connection.execute(query.where(batch.run_id == run_id, batch.state == BatchState.ACCEPTED)).all()
    begins = [row.first_ordinal for row in found]
    held = ((ordinal, found[place]) for ordinal in ordinals if (place := bisect_right(begins, ordinal) - 1) >= 0)
    return {row.id for ordinal, row in held if ordinal <= row.last_ordinal}


def _out_of_date() -> sa.Select[tuple[int]]:
    """Accepted batches that have no figures yet, or figures by another zone or by other rules than their account's."""
    batch, run, account, counted = (
        tables.batches.c,
        tables.campaign_runs.c,
        tables.accounts.c,
        tables.kpi_counts.c,
    )
    in_force = sa.func.coalesce(tables.kpi_rules.c.version, machine_activity.CURRENT)
    right = (counted.batch_id == batch.id) & (counted.zone == account.timezone) & (counted.rules == in_force)
    return (
        sa.select(batch.id)
        .join_from(tables.batches, tables.campaign_runs, run.id == batch.run_id)
        .join(tables.accounts, account.id == run.account_id)
        .outerjoin(tables.kpi_rules, tables.kpi_rules.c.account_id == account.id)
        .where(batch.state == BatchState.ACCEPTED, ~sa.exists().where(right))
    )


def _put_due(connection: sa.Connection, ids: sa.Select[tuple[int]]) -> None:
    due = database.insert(connection, tables.kpi_due).from_select(["batch_id"], ids.order_by(tables.batches.c.id))
    connection.execute(due.on_conflict_do_nothing())


def _choose(connection: sa.Connection, account_id: str, version: int, by: str, now: datetime) -> None:
    chosen = database.insert(connection, tables.kpi_rules).values(
        account_id=account_id, version=version, chosen_by=by, chosen_at=now
    )
    names = ("version", "chosen_by", "chosen_at")
    new = {name: chosen.excluded[name] for name in names}
    connection.execute(chosen.on_conflict_do_update(index_elements=["account_id"], set_=new))


# --- reckoning -------------------------------------------------------------------------------------------------------


def _reckon_some(engine: sa.Engine) -> int:
    due = tables.kpi_due
    with database.write(engine) as connection:
        _take_turns(connection)
        ids = connection.scalars(sa.select(due.c.batch_id).order_by(due.c.batch_id).limit(_BATCHES_AT_ONCE)).all()
        if ids:
            _write(connection, ids, _fresh(connection, ids))
            connection.execute(due.delete().where(due.c.batch_id.in_(ids)))
        return len(ids)


def _fresh(connection: sa.Connection, ids: Sequence[int], *, durations: bool = True) -> list[Part]:
    """The parts of these batches as of now, each by the rules of its account."""
    batch, run = tables.batches.c, tables.campaign_runs.c
    by_rules: dict[int, list[int]] = defaultdict(list)
    query = sa.select(run.account_id, batch.id).join_from(tables.batches, tables.campaign_runs, run.id == batch.run_id)
    versions: dict[str, int] = {}
    parts: list[Part] = []
    for first in range(0, len(ids), _BATCHES_AT_ONCE):
        by_rules.clear()
        for account_id, batch_id in connection.execute(
            query.where(batch.id.in_(ids[first : first + _BATCHES_AT_ONCE]))
        ):
            if account_id not in versions:
                versions[account_id] = rules_of(connection, account_id)
            by_rules[versions[account_id]].append(batch_id)
        for rules, some in by_rules.items():
            parts += kpi_batches.reckon(connection, some, rules, durations=durations)
    return parts


def _write(connection: sa.Connection, ids: Sequence[int], parts: Sequence[Part]) -> None:
    """Put these parts in the place of all that was stored of the batches."""
    for table in (tables.kpi_counts, tables.kpi_latencies):
        connection.execute(table.delete().where(table.c.batch_id.in_(ids)))
    bulk.insert_rows(connection, tables.kpi_counts, _COLUMNS, map(_row, parts))
    durations = (row for part in parts for row in _latency_rows(part))
    bulk.insert_rows(connection, tables.kpi_latencies, _LATENCY_COLUMNS, durations)


def _row(part: Part) -> Sequence[object]:
    origin = part.origin
    values: Mapping[str, object] = {
        **{name: getattr(origin, name) for name in _OF_ORIGIN},
        **part.figures.counts(),
        "mailbox_group": part.mailbox_group,
        "rules": part.rules,
        "last_event_at": part.last_event_at,
        "longest_to_inbox": part.to_inbox.longest,
        "longest_handling": part.handling.longest,
    }
    return [values[name] for name in _COLUMNS]


def _latency_rows(part: Part) -> Iterable[Sequence[object]]:
    for measure, latencies in ((INBOX, part.to_inbox), (HANDLING, part.handling)):
        for bucket, messages in sorted(latencies.counts.items()):
            values = {"measure": measure, "bucket": bucket, "messages": messages}
            key = {"batch_id": part.origin.batch_id, "mailbox_group": part.mailbox_group}
            yield [(values | key)[name] for name in _LATENCY_COLUMNS]


def _take_turns(connection: sa.Connection) -> None:
    """One refresh at a time, until the transaction ends; nobody else waits. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE kpi_due IN SHARE ROW EXCLUSIVE MODE")
