"""Continuing a run: for a person who says so, and by itself where its flow run died.

Nothing that may have gone out is sent again, whoever continues what and how often: the ledger decides that. What is
seen to here is that one flow run works on a run where one is enough, and that a person knows which.

Importing this module does not import Prefect, as the command line does it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

import settings
from data import control, database, installation, ledger_sweep, runs
from data.control import NotPossible
from domain.campaigns import NEXT, Run, RunStatus
from tasks import prefect_api, wiring
from tasks.prefect_api import Client, FlowRun

_DEPLOYMENT = "run-campaign"
_AGAIN_AFTER = timedelta(minutes=10)  # what was continued and still stalls is continued again after so long
_LOOKED_AFTER = timedelta(days=30)
_WITH_A_FLOW_RUN = (
    RunStatus.CREATED,
    RunStatus.FROZEN,
    RunStatus.AWAITING_APPROVAL,
    RunStatus.APPROVED,
    RunStatus.DISPATCHING,
    RunStatus.PAUSED,
)


@dataclass(frozen=True, slots=True)
class Continued:
    """The flow run that goes on with a run, and in words what was done."""

    flow_run: FlowRun
    told: str


def continue_run(connected: Client, run_id: str, *, by: str, why: str = "") -> Continued:
    """Go on with a run that was paused or broke off. Raises NotPossible, UnknownRun, UnknownDeployment."""
    with database.read(wiring.engine()) as connection:
        run = runs.get(connection, run_id)
        last = control.continuation(connection, run)
    if not NEXT[run.status] or run.status is RunStatus.DISPATCHED:
        raise NotPossible(f"run {run_id} is {run.status}: nothing is left to be continued")
    known = _find(connected, last.flow_run_id)
    if known is not None and known.paused:
        _refuse_undecided(run, known)
        _note(run, known, by=by, why=why)  # beforehand: its process asks the ledger whether it may go on
        resumed = prefect_api.resume(connected, known.id)
        if not resumed.final:  # else its pause had run out, and Prefect ended it
            return Continued(resumed, "its flow run was suspended, and goes on")
    if known is not None and known.scheduled:
        raise NotPossible(f"run {run_id} goes on already as soon as a worker is free: {known.page}")
    started = prefect_api.start(connected, _DEPLOYMENT, _request(run))
    _note(run, started, by=by, why=why)
    return Continued(started, _sentence(run, known))


def _sentence(run: Run, known: FlowRun | None) -> str:
    if run.held_by_canary:
        return "its canary was breached: the new flow run asks a person before it goes on"
    if known is not None and known.running:
        return (
            f"another flow run counts as running still ({known.page}): if it died, this one takes over; if it lives,"
            " both work, and no message goes twice"
        )
    return "a new flow run takes it over"


def _refuse_undecided(run: Run, known: FlowRun) -> None:
    """A second flow run would ask the same question a second time."""
    if run.status is RunStatus.AWAITING_APPROVAL:
        raise NotPossible(f"run {run.id} waits for a person's yes or no: say it by the Resume button at {known.page}")
    if run.held_by_canary:
        raise NotPossible(
            f"run {run.id} was held by its canary ({run.stop_reason}) and waits for a person's decision: say it by the"
            f" Resume button at {known.page}"
        )


def _find(connected: Client, flow_run_id: str | None) -> FlowRun | None:
    return None if flow_run_id is None else prefect_api.find(connected, UUID(flow_run_id))


def _request(run: Run) -> dict[str, Any]:
    from tasks.request import CampaignRequest, Mode

    mode = Mode.LIVE if run.plan.live else Mode.DRY_RUN
    return {
        "request": CampaignRequest(campaign=run.plan.campaign, mode=mode, resume_run=run.id).model_dump(mode="json")
    }


def _note(run: Run, flow_run: FlowRun, *, by: str, why: str) -> None:
    with database.write(wiring.engine()) as connection:
        control.note_continuation(connection, run, flow_run_id=str(flow_run.id), by=by, why=why, now=wiring.clock())


def lately(connection: sa.Connection, run_id: str, *, now: datetime) -> bool:
    """Did somebody, or the sweep, start a flow run for this run within the last ten minutes?"""
    last = control.continuation(connection, runs.get(connection, run_id))
    return last.at is not None and last.at > now - _AGAIN_AFTER


@dataclass(frozen=True, slots=True)
class Looked:
    """What was done about runs whose flow run does not work as the ledger thinks."""

    suspended: int
    cancelled: int
    continued: int


def look_after(connected: Client) -> Looked:
    """Carry over what was done to flow runs in Prefect, and continue the runs that nobody works on any more.

    Nothing is done in a database that belongs to another environment, such as a copy.
    """
    now = wiring.clock()
    with database.read(wiring.engine()) as connection:
        if installation.trouble(connection, settings.load().environment) is not None:
            return Looked(0, 0, 0)
        found = [run for run in runs.with_status(connection, *_WITH_A_FLOW_RUN) if run.plan.live]
        recent = [run for run in found if now - run.created_at < _LOOKED_AFTER]
        stalled = set(ledger_sweep.stalled(connection, now=now))
    suspended = cancelled = continued = 0
    for run in recent:
        with database.read(wiring.engine()) as connection:
            last = control.continuation(connection, run)
        known = _find(connected, last.flow_run_id)
        if known is not None and known.cancelled:
            cancelled += _cancel(run)
        elif known is not None and known.paused:
            suspended += _suspend(run)
        elif run.id in stalled:
            continued += _take_over(connected, run, last, known)
    return Looked(suspended, cancelled, continued)


def _cancel(run: Run) -> bool:
    with database.write(wiring.engine()) as connection:
        return control.cancel_if_possible(
            connection, run.id, by="Prefect UI", why="its flow run was cancelled there", now=wiring.clock()
        )


def _suspend(run: Run) -> bool:
    with database.write(wiring.engine()) as connection:
        return control.suspend(connection, run.id, now=wiring.clock())


def _take_over(connected: Client, run: Run, last: control.Continuation, known: FlowRun | None) -> bool:
    """Start one flow run for a stalled run, unless one was started lately."""
    since = wiring.clock() - _AGAIN_AFTER
    if (last.at is not None and last.at > since) or (known is not None and known.scheduled):
        return False
    if known is not None and known.running:
        prefect_api.crash(
            connected, known.id, "Nobody has worked on its run for ten minutes: another flow run took over."
        )
    # The same key from two sweeps at once, or from one that died before it took a note, names the same flow run.
    started = prefect_api.start(connected, _DEPLOYMENT, _request(run), key=f"{run.id}:{last.number}")
    _note(run, started, by="sweep", why="nobody worked on it")
    return True
