"""Runs through a campaign host, as Prefect tasks: one task a wave, as of those that are handed over in batches."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

import settings
from data import database, host_steps, ledger_sweep, runs
from domain.campaign_host import HostRefuses, HostUnavailable
from domain.campaigns import RunStatus
from domain.hosting import Stopped
from tasks import esps, host_job, host_reports, host_request, host_upkeep, hosted, watching, wiring
from tasks.dispatch import Dispatched, ProviderRefuses, start

_LOOK_EVERY = 1.0
_ASK_AGAIN_SECONDS = 10.0


@task(task_run_name="does an ESP send {run_id} itself?", cache_policy=NO_CACHE)
def sends_by_itself(run_id: str) -> bool:
    """Whether the run goes through an ESP that stores the audience and sends the campaign itself."""
    with database.read(wiring.engine()) as connection:
        return esps.is_host(runs.get(connection, run_id).plan.provider)


# No retries: each step is written down, and a second run of this task goes on where the first one ended.
@task(task_run_name="hand {run_id} to its host", cache_policy=NO_CACHE, retries=0)
def hand_over(run_id: str) -> Dispatched:
    """Bring the run as far as its host lets it come now. Raises ProviderRefuses where a person must do something."""
    start(run_id)
    try:
        went = _watched(run_id)
    except (Stopped, HostRefuses) as stopped:
        hosted.stop(run_id, str(stopped))
        raise ProviderRefuses(
            f"{stopped}. The run is paused and nobody is mailed twice: docs/campaign-hosts.md says what each step is;"
            f" then continue with `campaigns resume {run_id}`."
        ) from stopped
    except HostUnavailable as error:
        went = host_job.Went(_ASK_AGAIN_SECONDS, by_host=True, told=str(error))
    get_run_logger().info("%s: %s", run_id, went.told or "done")
    return _state(run_id, went)


def _watched(run_id: str) -> host_job.Went:
    """Work in a thread, and meanwhile heed what is done to the flow run in Prefect."""
    stop = threading.Event()
    with watching.own_flow_run(run_id) as heed, ThreadPoolExecutor(1, thread_name_prefix="hosting") as pool:
        going = pool.submit(host_request.advance, run_id, stop)
        try:
            while not wait([going], timeout=_LOOK_EVERY).done:
                heed()
        finally:
            stop.set()  # else leaving the block would wait for all of it
        return going.result()


def _state(run_id: str, went: host_job.Went) -> Dispatched:
    with database.write(wiring.engine()) as connection:
        ledger_sweep.sweep(connection, policy=settings.load().sending, now=wiring.clock())
        progress = ledger_sweep.progress(connection, run_id)
        run = runs.get(connection, run_id)
        steps = host_steps.progress(connection, run_id)
    done = ", ".join(f"{step} {ended}/{parts}" for step, (ended, parts) in steps.items())
    get_run_logger().info("Steps at the host: %s", done)
    seconds = went.seconds if run.status is RunStatus.DISPATCHING else None
    return Dispatched(progress.open, seconds, by_esp=went.by_host)


@task(task_run_name="list the runs at campaign hosts", cache_policy=NO_CACHE)
def runs_to_follow() -> list[str]:
    """Runs that may still go out, or of which a campaign host has something to clear away."""
    return host_upkeep.to_follow()


# No retries: the flow comes again a minute later.
@task(task_run_name="follow {run_id} at its host", cache_policy=NO_CACHE, retries=0)
def follow(run_id: str) -> dict[str, int]:
    """Whether it went out, and what is cleared away. Safe to repeat."""
    return host_upkeep.follow(run_id)


@task(task_run_name="list the reports that are due", cache_policy=NO_CACHE)
def reports_to_pull() -> list[str]:
    """Runs of which it is time to ask their campaign host what became of the mail."""
    return host_reports.to_pull()


# No retries: what could not be read is due again in a quarter of an hour.
@task(task_run_name="pull the report of {run_id}", cache_policy=NO_CACHE, retries=0)
def pull_report(run_id: str) -> int:
    """What its host tells of the recipients, into the inbox; how many bodies were new. Safe to repeat."""
    return host_reports.pull(run_id)
