"""The ledger's upkeep: what dead workers left behind, what nobody proved, what came too late; and how far a run is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import proofs, tables
from domain import ledger
from domain.campaigns import RunStatus
from domain.ledger import BatchState, OutcomeKind
from domain.policy import SendingPolicy


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep changed, in batches."""

    lost: int  # inflight with an expired lease: unknown now
    confirmed: int  # unknown until now, and an event proves them: accepted
    held: int
    expired: int
    cancelled: int  # of cancelled runs, come back to planned since
    runs_dispatched: int


def sweep(connection: sa.Connection, *, policy: SendingPolicy, now: datetime) -> Sweep:
    """Close what nobody works on: dead workers' batches, unknowns without proof, batches past their window."""
    batch = tables.batches
    _line_up(connection)
    lost = lose(connection, now=now)
    # Before anything is held: the event may have come before the worker died, and no second one need ever come.
    confirmed = proofs.confirm(connection, now=now)
    deadline = now - timedelta(minutes=policy.hold_after_minutes)
    unproved = (batch.c.state == BatchState.UNKNOWN) & (batch.c.finished_at <= deadline)
    held = _moved(connection, unproved, BatchState.HELD, now)
    run = tables.campaign_runs
    late = sa.select(run.c.id).where(run.c.expires_at <= now, run.c.status != RunStatus.CANCELLED)
    expired = _moved(
        connection, (batch.c.state == BatchState.PLANNED) & batch.c.run_id.in_(late), BatchState.EXPIRED, now
    )
    given_up = sa.select(run.c.id).where(run.c.status == RunStatus.CANCELLED)
    cancelled = _moved(
        connection, (batch.c.state == BatchState.PLANNED) & batch.c.run_id.in_(given_up), BatchState.CANCELLED, now
    )
    return Sweep(lost, confirmed, held, expired, cancelled, _finish_runs(connection, now))


def _line_up(connection: sa.Connection) -> None:
    """Runs before batches, as whoever cancels a run locks them: else the two could wait for each other.

    Claims go on meanwhile: rows that name a run wait only for its key (FOR NO KEY UPDATE).
    """
    run = tables.campaign_runs
    going = sa.select(run.c.id).where(run.c.status.in_((RunStatus.DISPATCHING, RunStatus.CANCELLED)))
    connection.execute(going.order_by(run.c.id).with_for_update(key_share=True)).all()


def lose(connection: sa.Connection, *, now: datetime) -> int:
    """What dead workers left is unknown from now on; how many batches that were."""
    batch, attempt = tables.batches, tables.batch_attempts
    dead = (batch.c.state == BatchState.INFLIGHT) & (batch.c.lease_expires_at <= now)
    # Batch first, then attempt: the order in which a worker writes its result, else the two could deadlock.
    moved = batch.update().where(dead).values(state=BatchState.UNKNOWN, finished_at=now, lease_expires_at=None)
    lost = list(connection.scalars(moved.returning(batch.c.attempt_id)))
    connection.execute(
        attempt.update()
        .where(attempt.c.id.in_(lost), attempt.c.outcome.is_(None))
        .values(outcome=OutcomeKind.UNKNOWN, detail="the worker's lease ran out", finished_at=now)
    )
    return len(lost)


def _moved(connection: sa.Connection, where: sa.ColumnElement[bool], state: BatchState, now: datetime) -> int:
    batch = tables.batches
    changed = batch.update().where(where).values(state=state, finished_at=now, lease_expires_at=None)
    return connection.execute(changed).rowcount


def _finish_runs(connection: sa.Connection, now: datetime) -> int:
    """A dispatching run without an open batch is dispatched; of a cancelled one that sent mail, it is noted when."""
    run, batch = tables.campaign_runs, tables.batches
    still_open = sa.exists().where(batch.c.run_id == run.c.id, batch.c.state.in_(ledger.OPEN))
    finished = run.update().where(run.c.status == RunStatus.DISPATCHING, ~still_open)
    over = run.update().where(
        run.c.status == RunStatus.CANCELLED,
        run.c.dispatch_started_at.is_not(None),
        run.c.dispatched_at.is_(None),
        ~still_open,
    )
    connection.execute(over.values(dispatched_at=now))
    return connection.execute(finished.values(status=RunStatus.DISPATCHED, dispatched_at=now)).rowcount


@dataclass(frozen=True, slots=True)
class Progress:
    """Messages of a run by what became of their batch, and when the next may be claimed that was put off or held.

    `tried`: an ESP was asked to take that one before, and did not.
    """

    states: dict[str, int]
    next_claim_at: datetime | None
    tried: bool = False

    @property
    def open(self) -> int:
        return sum(self.states.get(state, 0) for state in ledger.OPEN)


def progress(connection: sa.Connection, run_id: str, *, canary_only: bool = False) -> Progress:
    """Cheap enough to ask every second: it reads one row a batch. `canary_only`: of the first few, not of all."""
    batch = tables.batches
    size = batch.c.last_ordinal - batch.c.first_ordinal + 1
    mine = (batch.c.run_id == run_id) & (batch.c.canary if canary_only else sa.true())
    query = (
        sa.select(batch.c.state, sa.func.sum(size))
        .where(mine, batch.c.state != BatchState.SPLIT)
        .group_by(batch.c.state)
    )
    first = connection.execute(
        sa.select(batch.c.not_before, batch.c.attempts)
        .where(mine, batch.c.state == BatchState.PLANNED, batch.c.not_before.is_not(None))
        .order_by(batch.c.not_before, batch.c.attempts)
        .limit(1)
    ).one_or_none()
    states = {state: int(count) for state, count in connection.execute(query)}
    return Progress(states, None, False) if first is None else Progress(states, first.not_before, first.attempts > 0)


# A flow run that lives says so twenty times as often, whether it sends or waits.
_STALLED_AFTER = timedelta(minutes=10)
WORK_NOTED_EVERY = timedelta(seconds=30)


def note_work(connection: sa.Connection, run_id: str, *, now: datetime) -> None:
    """Say that a process hands this run over, or waits for its turn; at least every WORK_NOTED_EVERY."""
    run = tables.campaign_runs
    connection.execute(run.update().where(run.c.id == run_id).values(worked_at=now))


def stalled(connection: sa.Connection, *, now: datetime) -> list[str]:
    """Dispatching runs with mail to send that nobody works on: no process said so lately, none has a batch in hand."""
    run, batch = tables.campaign_runs, tables.batches
    mine = batch.c.run_id == run.c.id
    before = now - _STALLED_AFTER
    waits = batch.c.not_before > before  # a night of quiet hours, and the time to begin again after it
    due = sa.exists().where(mine, batch.c.state == BatchState.PLANNED, waits.is_not(sa.true()))
    busy = sa.exists().where(mine, (batch.c.state == BatchState.INFLIGHT) | (batch.c.finished_at > before))
    silent = run.c.worked_at.is_(None) | (run.c.worked_at <= before)
    query = sa.select(run.c.id).where(
        run.c.status == RunStatus.DISPATCHING, run.c.dispatch_started_at <= before, silent, due, ~busy
    )
    return list(connection.scalars(query))
