"""What became of the one request of a run at a campaign host, in the ledger: all its batches are recorded together.

Between the host's yes and the hour at which the mail goes the batches stay inflight: until then it can be called back, and
after that the host is asked whether it went.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import correlation, database, host_steps, tables
from data.host_sends import Request
from domain.hosting import Hand, Step, StepState
from domain.ledger import OPEN, BatchState, Outcome, OutcomeKind, ProofKind

# From the hour at which the mail was to go: so long is the host asked before nobody knows any more.
_ASKED_FOR = timedelta(hours=1)
_WAITING = (BatchState.INFLIGHT, BatchState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the request is. `ripe`: the lease of whoever made it is over. `send_at`: when the mail is to go."""

    hand: Hand
    ripe: bool = True
    send_at: datetime | None = None


def scheduled(connection: sa.Connection, request: Request, *, now: datetime) -> bool:
    """The host said yes; whether the lease still held. If not, nobody knows, and the host is asked."""
    held = _held(request, now)
    batch = tables.batches
    until = max(request.send_at, now) + _ASKED_FOR
    if connection.execute(batch.update().where(held).values(lease_expires_at=until)).rowcount == 0:
        return False
    host_steps.note_schedule(connection, request.run_id, StepState.DONE, finished_at=now)
    return True


def not_sent(connection: sa.Connection, request: Request, outcome: Outcome, *, now: datetime, until: datetime) -> bool:
    """The host took nothing: planned again, for nobody before `until`. False where the lease is over."""
    return _ended(connection, _held(request, now), request.run_id, BatchState.PLANNED, outcome, now, until)


def unknown(connection: sa.Connection, request: Request, outcome: Outcome, *, now: datetime) -> bool:
    """Nobody knows what the host did. False where the lease is over, and the sweep says the same."""
    return _ended(connection, _held(request, now), request.run_id, BatchState.UNKNOWN, outcome, now, None)


def _held(request: Request, now: datetime) -> sa.ColumnElement[bool]:
    batch, attempt = tables.batches.c, tables.batch_attempts.c
    mine = sa.select(attempt.id).where(attempt.provider_reference == request.campaign_id)
    return sa.and_(
        batch.run_id == request.run_id,
        batch.state == BatchState.INFLIGHT,
        batch.worker == request.worker,
        batch.lease_expires_at > now,
        batch.attempt_id.in_(mine),
    )


def _ended(
    connection: sa.Connection,
    which: sa.ColumnElement[bool],
    run_id: str,
    state: BatchState,
    outcome: Outcome,
    now: datetime,
    until: datetime | None,
) -> bool:
    moved = _move(connection, which, state, now, until)
    _finish(connection, moved, outcome, now)
    if moved:
        host_steps.note_schedule(connection, run_id, StepState.OPEN)
    return bool(moved)


def _move(
    connection: sa.Connection,
    which: sa.ColumnElement[bool],
    state: BatchState,
    now: datetime,
    until: datetime | None = None,
) -> dict[str, int]:
    """Move batches on; their attempts, each with its batch."""
    batch = tables.batches
    values = {"state": state, "finished_at": now, "lease_expires_at": None, "not_before": until}
    # In one order, so that no two who do the same wait for each other.
    locked = sa.select(batch.c.id).where(which).order_by(batch.c.id).with_for_update()
    ids = list(connection.scalars(locked))
    found: dict[str, int] = {}
    for some in correlation.chunks(ids):
        changed = batch.update().where(batch.c.id.in_(some), which).values(**values)
        found |= {
            row.attempt_id: row.id for row in connection.execute(changed.returning(batch.c.attempt_id, batch.c.id))
        }
    return found


def _finish(connection: sa.Connection, attempts: Collection[str], outcome: Outcome, now: datetime) -> None:
    """What the wire said of an attempt stays: only those that have no outcome yet get one."""
    attempt = tables.batch_attempts
    told = {"outcome": outcome.kind, "status_code": outcome.status, "detail": outcome.detail, "finished_at": now}
    for some in correlation.chunks(sorted(attempts)):
        which = attempt.c.id.in_(some) & attempt.c.outcome.is_(None)
        connection.execute(attempt.update().where(which).values(**told))


def standing(connection: sa.Connection, run_id: str, *, now: datetime, lease: timedelta) -> Standing:
    """Where the run's request is. All its batches are claimed together, so any of those that are open tells."""
    batch, attempt, route = tables.batches.c, tables.batch_attempts.c, tables.attempt_routes.c
    states = set(
        connection.scalars(sa.select(batch.state).where(batch.run_id == run_id, batch.state != BatchState.SPLIT))
    )
    waiting = states & set(_WAITING)
    if not waiting:
        gone = {BatchState.ACCEPTED, BatchState.HELD} & states
        return Standing(Hand.OUT if gone else Hand.OVER if not states & OPEN else Hand.NONE)
    query = (
        sa.select(batch.state, batch.lease_expires_at, attempt.claimed_at, route.send_at)
        .join_from(tables.batches, tables.batch_attempts, attempt.id == batch.attempt_id)
        .outerjoin(tables.attempt_routes, route.attempt_id == attempt.id)
        .where(batch.run_id == run_id, batch.state.in_(waiting))
        .limit(1)
    )
    row = connection.execute(query).one()
    step = host_steps.one(connection, run_id, Step.SCHEDULE)
    if row.state == BatchState.UNKNOWN:
        # A request that timed out may still come there, for as long as its worker might have been at it.
        return Standing(Hand.UNKNOWN, row.claimed_at + lease <= now, row.send_at)
    if step is not None and step.state == StepState.DONE:
        return Standing(Hand.SCHEDULED, True, row.send_at)
    return Standing(Hand.ASKING, row.lease_expires_at <= now, row.send_at)


def out(connection: sa.Connection, run_id: str, *, raw: str, now: datetime) -> int:
    """The host says that the mail goes out, or went: it is accepted; how many batches."""
    batch = tables.batches.c
    moved = _move(connection, (batch.run_id == run_id) & batch.state.in_(_WAITING), BatchState.ACCEPTED, now)
    _prove(connection, moved, ProofKind.LOOK_UP, raw, now)
    _finish(connection, moved, Outcome(OutcomeKind.ACCEPTED, detail=raw), now)
    host_steps.note_schedule(connection, run_id, StepState.DONE, finished_at=now)
    return len(moved)


def back(connection: sa.Connection, run_id: str, *, kind: ProofKind, raw: str, now: datetime) -> int:
    """The host says that it is a draft: certainly not sent, and planned again; how many batches. `kind`: how we know."""
    batch = tables.batches.c
    moved = _move(connection, (batch.run_id == run_id) & batch.state.in_(_WAITING), BatchState.PLANNED, now, now)
    _prove(connection, moved, kind, raw, now)
    _finish(connection, moved, Outcome(OutcomeKind.NOT_SENT, detail=raw), now)
    host_steps.note_schedule(connection, run_id, StepState.OPEN)
    host_steps.reopen(connection, run_id, Step.CHECKLIST, Step.LAST_LOOK)
    return len(moved)


def waits_on(connection: sa.Connection, run_id: str, until: datetime) -> None:
    """The host has an unknown request for later: nobody holds it for a failure before that time and the deadline."""
    batch = tables.batches
    which = (batch.c.run_id == run_id) & (batch.c.state == BatchState.UNKNOWN) & (batch.c.finished_at < until)
    connection.execute(batch.update().where(which).values(finished_at=until))


def _prove(connection: sa.Connection, attempts: Mapping[str, int], kind: ProofKind, raw: str, now: datetime) -> None:
    rows = [
        {"batch_id": batch_id, "attempt_id": attempt, "kind": kind, "detail": raw, "created_at": now}
        for attempt, batch_id in attempts.items()
    ]
    if rows:
        connection.execute(database.insert(connection, tables.batch_proofs).on_conflict_do_nothing(), rows)
