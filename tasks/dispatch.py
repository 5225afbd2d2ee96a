"""Handing the batches over: one task for the whole wave, a few threads, no task per recipient."""

import time
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import timedelta
from typing import cast
from uuid import UUID

import httpx
from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import PrefectHTTPStatusError

import settings
from data import database, ledger_sweep, quiet_hours, runs
from data.lanes import Stall
from domain import dispatch
from domain.campaigns import RunStatus
from domain.guardrails import CanaryState
from domain.ledger import BatchState
from tasks import sending, watching, wiring

_PROGRESS_SECONDS = 1.0
_LOOK_EVERY = 2.0
_SHORTEST_WAIT = 0.2
_CANARY_SECONDS = 5.0
_PATIENCE_SECONDS = 3600.0
_PAUSE_GROWS_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0


class ProviderRefuses(RuntimeError):
    """The ESP does not take our requests at all. Nothing is lost; the run is paused until somebody mends it."""


class NoWay(RuntimeError):
    """No route may carry this run's mail. Nothing is lost; the run is paused until somebody mends the routes."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """How far the dispatch came."""

    open: int  # messages whose batch is planned, inflight or unknown
    seconds_until_next: float | None  # None: nothing is left to claim, or nobody may claim it
    waits_for_canary: bool = False  # the first few are out, and how they fare is not known yet
    by_esp: bool = False  # it is the ESP that takes nothing now, not we who wait


@dataclass(slots=True)
class Patience:
    """How long an ESP that takes nothing is asked: an hour without any progress.

    What else is waited for has no end but the run's window, when nothing is planned any more.
    """

    open: int | None = None
    since: float = 0.0
    rounds: int = 0

    def ended(self, state: Dispatched, now: float) -> bool:
        """Take in how far a wave came. `now`: seconds by any clock that is never set back."""
        progress = state.open != self.open
        if progress or not state.by_esp:
            self.since = now
        self.rounds = 0 if progress else self.rounds + 1
        self.open = state.open
        return now - self.since >= _PATIENCE_SECONDS

    def pause(self, seconds: float) -> float:
        """How long to wait for the next wave, which costs two task runs: longer, the more were in vain."""
        return max(seconds, min(self.rounds * _PAUSE_GROWS_SECONDS, _LONGEST_PAUSE_SECONDS))


# No retries: the ledger owns attempts, and a second run of this task claims only what is still planned.
@task(task_run_name="dispatch {run_id}", cache_policy=NO_CACHE, retries=0)
def dispatch_wave(run_id: str) -> Dispatched:
    """Send every batch that can be claimed now. Raises ProviderRefuses."""
    book = sending.prepared(run_id)
    start(run_id)
    done = sending.hand_over(book, lambda workers: _show_progress(run_id, workers))
    logger = get_run_logger()
    logger.info("Handed over %d messages", sum(tally.messages for tally in done.tallies))
    refused = {provider: words for tally in done.tallies for provider, words in tally.refused.items()}
    for provider, words in refused.items():
        logger.warning("%s refuses our requests: %s", provider, words)
    stopped_by = next((tally.stopped_by for tally in done.tallies if tally.stopped_by), None)
    if stopped_by is None and refused and refused.keys() >= done.providers:
        stopped_by = "; ".join(f"{provider}: {words}" for provider, words in sorted(refused.items()))
    if stopped_by is not None:
        _pause(run_id, stopped_by)
        raise ProviderRefuses(
            f"The ESP refuses our requests ({stopped_by}). The run is paused and nothing is lost: mend the key or the"
            f" sender, then continue with `campaigns resume {run_id}`."
        )
    return _state(run_id, done.stalled)


def start(run_id: str) -> None:
    """Open the run for claims; the window counts from the approval, not from the request."""
    now = wiring.clock()
    with database.write(wiring.engine()) as connection:
        run = runs.get(connection, run_id, locked=True)
        wiring.check_environment(connection, run.plan)
        if run.status is RunStatus.APPROVED:
            window = timedelta(hours=settings.load().sending.window_hours)
            runs.advance(connection, run, RunStatus.DISPATCHING, dispatch_started_at=now, expires_at=now + window)


def _pause(run_id: str, reason: str) -> None:
    with database.write(wiring.engine()) as connection:
        run = runs.get(connection, run_id, locked=True)
        if run.status is RunStatus.DISPATCHING:
            runs.advance(connection, run, RunStatus.PAUSED, stop_reason=reason)


@dataclass(slots=True)
class _Bar:
    """A run's progress as people see it in Prefect. Mail goes on where that does not answer."""

    run_id: str
    artifact: UUID | None = None
    told: bool = False

    def show(self, percent: float) -> None:
        try:
            if self.artifact is not None:
                update_progress_artifact(self.artifact, percent)
            else:
                key, what = f"progress-{self.run_id}", f"Handing over run {self.run_id}"
                self.artifact = cast("UUID", create_progress_artifact(percent, key=key, description=what))
        except (httpx.HTTPError, PrefectHTTPStatusError) as error:
            if not self.told:
                get_run_logger().warning(
                    "Prefect does not show how far this is (%s); mail goes on", type(error).__name__
                )
            self.told = True


def _show_progress(run_id: str, workers: list[Future[dispatch.Tally]]) -> None:
    """Move the bar while the threads work, and heed what is done to the flow run in Prefect."""
    bar = _Bar(run_id)
    bar.show(0.0)
    pending: set[Future[dispatch.Tally]] = set(workers)
    with watching.own_flow_run(run_id) as heed:
        while pending:
            _, pending = wait(pending, timeout=_PROGRESS_SECONDS)
            heed()
            with database.read(wiring.engine()) as connection:
                progress = ledger_sweep.progress(connection, run_id)
            total = sum(progress.states.values())
            bar.show(100.0 * (total - progress.open) / total if total else 100.0)


def _state(run_id: str, stalled: Stall | None) -> Dispatched:
    now, policy = wiring.clock(), settings.load().sending
    with database.write(wiring.engine()) as connection:
        ledger_sweep.sweep(connection, policy=policy, now=now)
        progress = ledger_sweep.progress(connection, run_id)
        run = runs.get(connection, run_id)
        watched = run.canary == CanaryState.WATCHING
        mine = ledger_sweep.progress(connection, run_id, canary_only=True) if watched else progress
        quiet = quiet_hours.quiet(connection, run, policy, now).until
    if run.status is not RunStatus.DISPATCHING or not progress.states.get(BatchState.PLANNED):
        return Dispatched(progress.open, None)
    if stalled is not None and stalled.seconds is None:
        _pause(run_id, stalled.reason)
        raise NoWay(
            f"No way out: {stalled.reason}. The run is paused and nothing is lost: docs/routes.md says what a route needs;"
            f" then continue with `campaigns resume {run_id}`."
        )
    if not mine.states.get(BatchState.PLANNED):  # one that the ESP put off for two seconds is no canary that is out
        return Dispatched(progress.open, _CANARY_SECONDS, waits_for_canary=True)
    if stalled is not None:
        get_run_logger().info("%s", stalled.reason)
        return Dispatched(progress.open, stalled.seconds, by_esp=stalled.by_esp)
    due = mine.next_claim_at or now
    # At night what was tried before is held as well: then it is not the ESP's word that counts.
    return Dispatched(progress.open, max(0.0, (due - now).total_seconds()), by_esp=mine.tried and not quiet)


@task(task_run_name="wait for the next attempt of {run_id}", cache_policy=NO_CACHE)
def wait_until_due(run_id: str, seconds: float) -> None:
    """Batches wait for their time, their pace or their turn; whoever pauses or cancels the run ends the wait."""
    get_run_logger().info("%s: next attempt in %.0f seconds", run_id, seconds)
    until = time.monotonic() + max(_SHORTEST_WAIT, seconds)
    with watching.own_flow_run(run_id) as heed:
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_EVERY))
            heed()
            with database.read(wiring.engine()) as connection:
                if runs.get(connection, run_id).status is not RunStatus.DISPATCHING:
                    return
