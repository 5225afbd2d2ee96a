"""The steps of a run at a campaign host, as rows: taken by one worker at a time, and done once it says so in time.

A step that was taken and not finished is open again when the lease is over: whoever takes it then does all of it anew, as
the host's side of each step is safe to repeat.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import database, tables
from domain import hosting, ledger
from domain.campaigns import Run
from domain.hosting import Claimed, LeaseLost, Step, StepState

_SINGLE = (*(step for step in hosting.PREPARATION if step is not Step.MEMBERS), Step.CLEAR)


def begin(connection: sa.Connection, run: Run, members_at_once: int) -> None:
    """Write down what is to be done for a run; nothing changes where that was done before."""
    parts: list[tuple[Step, int, int]] = [(step, 0, 0) for step in _SINGLE]
    parts += [(Step.MEMBERS, first, last) for first, last in ledger.ranges(run.planned or 0, members_at_once)]
    known = sa.select(tables.host_steps.c.run_id).where(tables.host_steps.c.run_id == run.id).limit(1)
    if connection.scalar(known) is None:
        add(connection, run.id, parts)


def add(connection: sa.Connection, run_id: str, parts: Iterable[tuple[Step, int, int]]) -> None:
    """Add open steps; one that is there stays as it is."""
    rows = [
        {"run_id": run_id, "step": step, "first_ordinal": first, "last_ordinal": last, "state": StepState.OPEN}
        for step, first, last in parts
    ]
    connection.execute(database.insert(connection, tables.host_steps).on_conflict_do_nothing(), rows)


def take(
    connection: sa.Connection, run_id: str, step: Step, *, worker: str, now: datetime, lease: timedelta
) -> Claimed | None:
    """Take this step, or its next part that is due; None where there is none, or others are at it."""
    table = tables.host_steps
    free = _free(now)
    mine = (table.c.run_id == run_id) & (table.c.step == step)
    query = sa.select(table.c.first_ordinal).where(mine, free).order_by(table.c.first_ordinal).limit(1)
    first = connection.scalar(query.with_for_update(skip_locked=True))
    if first is None:
        return None
    taken = (
        table.update()
        .where(mine, table.c.first_ordinal == first, free)
        .values(
            state=StepState.WORKING,
            attempts=table.c.attempts + 1,
            worker=worker,
            lease_expires_at=now + lease,
            started_at=sa.func.coalesce(table.c.started_at, sa.literal(now, table.c.started_at.type)),
            not_before=None,
        )
        .returning(table)
    )
    row = connection.execute(taken).one_or_none()
    if row is None:
        return None
    return Claimed(run_id, step, first, row.last_ordinal, row.attempts, worker, row.lease_expires_at, row.reference)


def _held(claimed: Claimed, now: datetime) -> sa.ColumnElement[bool]:
    table = tables.host_steps.c
    return sa.and_(
        table.run_id == claimed.run_id,
        table.step == claimed.step,
        table.first_ordinal == claimed.first,
        table.state == StepState.WORKING,
        table.worker == claimed.worker,
        table.attempts == claimed.attempts,
        table.lease_expires_at > now,
    )


def _moved(connection: sa.Connection, claimed: Claimed, now: datetime, **values: Any) -> None:
    changed = tables.host_steps.update().where(_held(claimed, now)).values(**values)
    if connection.execute(changed).rowcount != 1:
        raise LeaseLost(f"the lease of step {claimed.step} of run {claimed.run_id} is over")


def keep(connection: sa.Connection, claimed: Claimed, *, now: datetime, lease: timedelta) -> None:
    """Lengthen the lease of a step that takes long. Raises LeaseLost."""
    _moved(connection, claimed, now, lease_expires_at=now + lease)


def finish(
    connection: sa.Connection, claimed: Claimed, *, now: datetime, reference: str | None = None, detail: str = ""
) -> None:
    """It is done. Raises LeaseLost, and then nothing of the caller's transaction may stand."""
    values = {"state": StepState.DONE, "finished_at": now, "lease_expires_at": None, "detail": detail}
    _moved(connection, claimed, now, **values, **({} if reference is None else {"reference": reference}))


def put_off(
    connection: sa.Connection,
    claimed: Claimed,
    *,
    now: datetime,
    until: datetime | None,
    detail: str,
    reference: str | None = None,
) -> None:
    """It is open again, for nobody before `until`; one whose lease is over is so already."""
    values = {"state": StepState.OPEN, "lease_expires_at": None, "not_before": until, "detail": detail}
    values |= {} if reference is None else {"reference": reference}
    connection.execute(tables.host_steps.update().where(_held(claimed, now)).values(**values))


def reopen(connection: sa.Connection, run_id: str, *steps: Step) -> None:
    """These are to be done again; whoever is at one of them has lost it."""
    table = tables.host_steps
    which = (table.c.run_id == run_id) & table.c.step.in_(steps)
    open_again = {"state": StepState.OPEN, "lease_expires_at": None, "not_before": None, "reference": None}
    connection.execute(table.update().where(which).values(**open_again))


def start_over(connection: sa.Connection, run_id: str) -> None:
    """All of the preparation but the test is to be done anew; what was asked for to say so is done."""
    reopen(connection, run_id, *(step for step in hosting.PREPARATION if step is not Step.TEST))
    table = tables.host_steps
    connection.execute(table.update().where(table.c.run_id == run_id).values(attempts=0))
    connection.execute(table.delete().where(table.c.run_id == run_id, table.c.step == Step.START_OVER))


def forget_tries(connection: sa.Connection, run_id: str) -> None:
    """A person lets the run go on: nothing is put off any more, and what stopped it has its tries again."""
    table = tables.host_steps
    mine = (table.c.run_id == run_id) & (table.c.state == StepState.OPEN)
    connection.execute(table.update().where(mine).values(not_before=None))
    connection.execute(table.update().where(mine, table.c.step == Step.LAST_LOOK).values(reference=None))


def next_step(connection: sa.Connection, run_id: str) -> Step | None:
    """The first step of the preparation that is not done; None where all are."""
    table = tables.host_steps.c
    query = sa.select(table.step).where(table.run_id == run_id, table.state != StepState.DONE).distinct()
    left = set(connection.scalars(query))
    return next((step for step in hosting.PREPARATION if step in left), None)


def done(connection: sa.Connection, run_id: str) -> int:
    """How many parts of steps are done: whether a host that is slow takes anything at all."""
    table = tables.host_steps.c
    query = sa.select(sa.func.count()).where(table.run_id == run_id, table.state == StepState.DONE)
    return int(connection.scalar(query) or 0)


def tries(connection: sa.Connection, run_id: str) -> int:
    """How often the host was asked to send it, this time among them."""
    row = one(connection, run_id, Step.SCHEDULE)
    return max(1, row.attempts) if row is not None else 1


def note_schedule(connection: sa.Connection, run_id: str, state: StepState, **facts: Any) -> None:
    """Where the request of the ledger is, as a step: done once the host said yes. The batches' lease guards it."""
    add(connection, run_id, [(Step.SCHEDULE, 0, 0)])
    table = tables.host_steps
    mine = (table.c.run_id == run_id) & (table.c.step == Step.SCHEDULE)
    again = {"attempts": table.c.attempts + 1} if state is StepState.WORKING else {}
    connection.execute(table.update().where(mine).values(state=state, **facts, **again))


def due_at(connection: sa.Connection, run_id: str, step: Step) -> datetime | None:
    """When the soonest part that is not done may be taken: put off, or in the hands of a worker who may be dead."""
    table = tables.host_steps.c
    at = sa.case((table.state == StepState.WORKING, table.lease_expires_at), else_=table.not_before)
    mine = (table.run_id == run_id) & (table.step == step) & (table.state != StepState.DONE)
    found: Sequence[datetime | None] = connection.scalars(sa.select(at).where(mine)).all()
    return None if None in found else min((one for one in found if one is not None), default=None)


def one(connection: sa.Connection, run_id: str, step: Step) -> Any | None:
    """The row of a step without parts, if it is there."""
    table = tables.host_steps
    which = (table.c.run_id == run_id) & (table.c.step == step) & (table.c.first_ordinal == 0)
    return connection.execute(sa.select(table).where(which)).one_or_none()


def campaign_id(connection: sa.Connection, run_id: str) -> str | None:
    """What the host calls the run's campaign; None before it was made, or found again."""
    row = one(connection, run_id, Step.CAMPAIGN)
    return None if row is None else row.reference


def runs_with_open(connection: sa.Connection, step: Step) -> list[str]:
    """Runs of which this step is not done."""
    table = tables.host_steps.c
    query = sa.select(table.run_id).where(table.step == step, table.state != StepState.DONE)
    return sorted(connection.scalars(query.distinct()))


def runs_due(connection: sa.Connection, step: Step, now: datetime) -> list[str]:
    """Runs of which this step, which has no parts, may be taken; those that wait the longest first."""
    table = tables.host_steps.c
    query = sa.select(table.run_id).where(table.step == step, _free(now))
    return list(
        connection.scalars(query.order_by(sa.func.coalesce(table.not_before, table.lease_expires_at), table.run_id))
    )


def _free(now: datetime) -> sa.ColumnElement[bool]:
    """Open and due, or left by a worker whose lease is over."""
    table = tables.host_steps.c
    due = table.not_before.is_(None) | (table.not_before <= now)
    orphan = (table.state == StepState.WORKING) & (table.lease_expires_at <= now)
    return ((table.state == StepState.OPEN) & due) | orphan


def progress(connection: sa.Connection, run_id: str) -> dict[Step, tuple[int, int]]:
    """Of each step, in their order, how many of its parts are done, and how many there are."""
    table = tables.host_steps.c
    finished = sa.func.sum(sa.case((table.state == StepState.DONE, 1), else_=0))
    query = sa.select(table.step, finished, sa.func.count()).where(table.run_id == run_id).group_by(table.step)
    found = {Step(step): (int(ended), int(parts)) for step, ended, parts in connection.execute(query)}
    return {step: found[step] for step in Step if step in found}


def known(connection: sa.Connection, run_ids: Collection[str]) -> set[str]:
    """Which of these runs go through a host."""
    table = tables.host_steps.c
    return set(connection.scalars(sa.select(table.run_id).where(table.run_id.in_(sorted(run_ids))).distinct()))
