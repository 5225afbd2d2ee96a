"""Pausing, continuing and cancelling a run: a person's word, in one transaction with its row of the audit log.

A batch is claimed only while its run is dispatching (data.batches.take), so each of these takes effect before the next
claim, on whichever machine that is. What is under way already ends by its own outcome.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import audit_log, runs, tables
from domain.campaigns import NEXT, Run, RunStatus
from domain.ledger import BatchState

# Why a run is paused whose flow run was suspended by Prefect's own button: that button's Resume continues it.
SUSPENDED = "suspended in the Prefect UI, where Resume continues it"
_CONTINUED = "continue"  # somebody asked for it
_TAKEN_UP = "take up"  # a flow run did it


class NotPossible(RuntimeError):
    """The run is in no state in which this makes sense; nothing was changed. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A cancelled run, and how many of its messages are not sent for that."""

    run: Run
    messages: int


@dataclass(frozen=True, slots=True)
class Continuation:
    """The flow run that works on a run: the last that took it up, and how many did so after the first."""

    flow_run_id: str | None
    number: int
    at: datetime | None


def pause(connection: sa.Connection, run_id: str, *, by: str, why: str, now: datetime) -> Run:
    """Claim nothing more until the run is continued. Raises NotPossible, UnknownRun."""
    run = runs.get(connection, run_id, locked=True)
    if run.status is RunStatus.PAUSED:
        raise NotPossible(
            f"run {run_id} is paused already ({run.stop_reason}): `campaigns resume {run_id}` continues it"
        )
    if run.status is not RunStatus.DISPATCHING:
        raise NotPossible(f"run {run_id} is {run.status}: only a run that is sending can be paused")
    return _moved(connection, run, RunStatus.PAUSED, action="pause", reason=f"paused by {by}", by=by, why=why, now=now)


def suspend(connection: sa.Connection, run_id: str, *, now: datetime) -> bool:
    """Pause a run because its flow run was suspended in Prefect; whether it was sending."""
    run = runs.get(connection, run_id, locked=True)
    if run.status is not RunStatus.DISPATCHING:
        return False
    _moved(connection, run, RunStatus.PAUSED, action="pause", reason=SUSPENDED, by="Prefect UI", why="", now=now)
    return True


def too_late(connection: sa.Connection, run_id: str, *, why: str, now: datetime) -> bool:
    """A paused run's mail goes out all the same, as its campaign host says: it counts as sending. Whether it was paused."""
    run = runs.get(connection, run_id, locked=True)
    if run.status is not RunStatus.PAUSED:
        return False
    run = runs.advance(connection, run, RunStatus.DISPATCHING, stop_reason=None)
    _note(connection, run, "pause came too late", by="campaign host", detail={"why": why}, now=now)
    return True


def cancel(connection: sa.Connection, run_id: str, *, by: str, why: str, now: datetime) -> Cancelled:
    """End a run for ever: what is planned is not sent. Raises NotPossible, UnknownRun.

    What is under way ends by its own outcome; what comes back from there is cancelled by the sweep (ledger_sweep).
    """
    run = runs.get(connection, run_id, locked=True)
    if RunStatus.CANCELLED not in NEXT[run.status]:
        raise NotPossible(f"run {run_id} is {run.status}: nothing is left to be cancelled")
    run = _moved(
        connection, run, RunStatus.CANCELLED, action="cancel", reason=f"cancelled by {by}", by=by, why=why, now=now
    )
    batch = tables.batches
    ended = (
        batch.update()
        .where(batch.c.run_id == run_id, batch.c.state == BatchState.PLANNED)
        .values(state=BatchState.CANCELLED, finished_at=now)
        .returning(batch.c.first_ordinal, batch.c.last_ordinal)
    )
    return Cancelled(run, sum(last - first + 1 for first, last in connection.execute(ended)))


def cancel_if_possible(connection: sa.Connection, run_id: str, *, by: str, why: str, now: datetime) -> bool:
    """Cancel a run unless it is over or cancelled already; whether it was."""
    try:
        cancel(connection, run_id, by=by, why=why, now=now)
    except NotPossible:
        return False
    return True


def take_up(connection: sa.Connection, run_id: str, *, flow_run_id: str, now: datetime) -> Run:
    """Continue a run with this flow run: a paused one dispatches again, and the audit log names the flow run.

    A run that its canary paused stays so: a person decides about it first. So does one that was paused since this flow
    run took it up: Prefect may start a crashed flow run again, and nobody asked for that. Safe to repeat, also at once.
    """
    run = runs.get(connection, run_id, locked=True)
    asked, taken = (_flow_runs(connection, run, action).count(flow_run_id) for action in (_CONTINUED, _TAKEN_UP))
    first = not taken and flow_run_id != run.flow_run_id
    wanted = first or asked > taken or run.stop_reason == SUSPENDED
    if wanted:
        _note(connection, run, _TAKEN_UP, by="flow run", detail={"flow_run": flow_run_id}, now=now)
    if run.status is RunStatus.PAUSED and not run.held_by_canary and wanted:
        run = runs.advance(connection, run, RunStatus.DISPATCHING, stop_reason=None)
    return run


def _flow_runs(connection: sa.Connection, run: Run, *actions: str) -> list[str]:
    """Those that the audit log names, the newest last."""
    log = tables.audit_log.c
    query = sa.select(log.detail).where(log.subject == f"run:{run.id}", log.action.in_(actions)).order_by(log.id)
    return [detail["flow_run"] for detail in connection.scalars(query) if "flow_run" in detail]


def note_continuation(
    connection: sa.Connection, run: Run, *, flow_run_id: str, by: str, why: str, now: datetime
) -> None:
    """Record which flow run is to work on a run from now on, and who said so: it may continue a paused one."""
    detail = {"flow_run": flow_run_id, **({"why": why} if why else {})}
    _note(connection, run, _CONTINUED, by=by, detail=detail, now=now)


def continuation(connection: sa.Connection, run: Run) -> Continuation:
    """Which flow run took a run up last."""
    named = _flow_runs(connection, run, _CONTINUED, _TAKEN_UP)
    if not named:
        return Continuation(run.flow_run_id, 0, None)
    log = tables.audit_log.c
    of_run = (log.subject == f"run:{run.id}") & log.action.in_((_CONTINUED, _TAKEN_UP))
    return Continuation(named[-1], len(named), connection.scalar(sa.select(sa.func.max(log.at)).where(of_run)))


def paused_since(connection: sa.Connection, run: Run) -> datetime | None:
    """When a paused run was paused: by its canary's verdict, else by the last pause in the audit log."""
    if run.held_by_canary and (judged := (run.canary_figures or {}).get("judged_at")):
        return datetime.fromisoformat(judged)
    log = tables.audit_log.c
    paused = (log.subject == f"run:{run.id}") & (log.action == "pause")
    found: datetime | None = connection.scalar(sa.select(sa.func.max(log.at)).where(paused))
    return found


def _moved(
    connection: sa.Connection,
    run: Run,
    status: RunStatus,
    *,
    action: str,
    reason: str,
    by: str,
    why: str,
    now: datetime,
) -> Run:
    moved = runs.advance(connection, run, status, stop_reason=f"{reason}: {why}" if why else reason)
    _note(connection, run, action, by=by, detail={"why": why, "was": run.status.value}, now=now)
    return moved


def _note(connection: sa.Connection, run: Run, action: str, *, by: str, detail: dict[str, Any], now: datetime) -> None:
    audit_log.write(
        connection,
        account_id=run.plan.account_id,
        actor=by,
        action=action,
        subject=f"run:{run.id}",
        detail=detail,
        now=now,
    )
