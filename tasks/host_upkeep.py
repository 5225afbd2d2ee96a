"""Runs at campaign hosts after they were asked for: whether they went out, and what is cleared away.

The flow process-delivery-events does this each minute, so it needs no flow run of the campaign's own; and a person's word
is carried to the host at once where that answers. What became of the mail is asked by tasks/host_reports.py.
"""

from contextlib import ExitStack

from data import database, host_outcomes, host_steps, ledger_sweep, runs
from domain import hosting
from domain.campaign_host import HostRefuses, HostStatus, HostUnavailable
from domain.campaigns import RunStatus
from domain.hosting import Hand, Step, Stopped
from tasks import host_job, host_request, wiring
from tasks.host_job import Job

_WATCHED = (RunStatus.DISPATCHING, RunStatus.PAUSED, RunStatus.DISPATCHED, RunStatus.CANCELLED)


def to_follow() -> list[str]:
    """Runs that may still go out, or of which the host has something to clear away."""
    with database.read(wiring.engine()) as connection:
        return host_steps.runs_with_open(connection, Step.CLEAR)


# What a cancel takes at most: called back, seen to be a draft, discarded. A draft that stays could be sent by hand there.
_LOOKS = 3


def follow(run_id: str) -> dict[str, int]:
    """Carry a run on that was asked for: safe to repeat, and beside the flow run that waits for it.

    Raises HostUnavailable, HostRefuses, hosting.Stopped; the next minute tries again.
    """
    with ExitStack() as stack:
        job = host_job.open_job(run_id, stack)
        with database.read(job.engine) as connection:
            run = runs.get(connection, run_id)
            hand = host_outcomes.standing(connection, run_id, now=wiring.clock(), lease=job.lease).hand
        if hand is Hand.OUT:  # whatever the run's state: what is held for good settles in the same minute
            host_request.ask_for_reports(job)
        elif run.status in _WATCHED and (hand is not Hand.NONE or run.status is not RunStatus.DISPATCHING):
            host_request.look(job)
        cleared = _cleared(job) if run.settled_at is not None else 0
    return {"hosts_cleared": cleared}


def _cleared(job: Job) -> int:
    """Take away at the host what only this run needed. A draft that nobody sends goes with it."""
    with database.write(job.engine) as connection:
        now = wiring.clock()
        claimed = host_steps.take(connection, job.key, Step.CLEAR, worker=job.worker, now=now, lease=job.lease)
    if claimed is None:
        return 0
    with database.read(job.engine) as connection:
        campaign_id = host_steps.campaign_id(connection, job.key)
    try:
        status = job.host.status(campaign_id) if campaign_id is not None else HostStatus.GONE
        if status in {HostStatus.SCHEDULED, HostStatus.SENDING}:  # without its segment it might go to the whole list
            raise HostUnavailable(f"the campaign is {status}: its segment is not taken away now")
        if status is HostStatus.DRAFT and campaign_id is not None:
            job.host.discard(campaign_id)
        job.host.clear(job.key)
    except (HostUnavailable, HostRefuses) as error:
        with database.write(job.engine) as connection:
            now = wiring.clock()
            host_steps.put_off(connection, claimed, now=now, until=now + hosting.CLEAR_AGAIN, detail=str(error))
        raise
    with database.write(job.engine) as connection:
        host_steps.finish(connection, claimed, now=wiring.clock())
    return 1


def carried(run_id: str) -> str:
    """Carry a pause or a cancel to the run's host at once, and say what it says; empty where it goes through none.

    Whatever comes of it, the flow process-delivery-events does the same each minute.
    """
    with database.read(wiring.engine()) as connection:
        if not host_steps.known(connection, [run_id]):
            return ""
        provider = runs.get(connection, run_id).plan.provider
    try:
        with ExitStack() as stack:
            job = host_job.open_job(run_id, stack)
            before = _hand(job)
            for _ in range(_LOOKS):
                host_request.look(job)
                _swept(job)
            return _told(provider, before, _hand(job))
    except (HostUnavailable, HostRefuses, Stopped) as error:
        return (
            f"{provider} did not say yet that it calls the campaign back ({error}): it is asked again each minute, and"
            f" until then it may go out. `campaigns audit {run_id}` tells."
        )


def _swept(job: Job) -> None:
    """What came back from the host to a run that was cancelled is cancelled too."""
    with database.write(job.engine) as connection:
        ledger_sweep.sweep(connection, policy=job.policy, now=wiring.clock())


def _hand(job: Job) -> Hand:
    with database.read(job.engine) as connection:
        return host_outcomes.standing(connection, job.key, now=wiring.clock(), lease=job.lease).hand


def _told(provider: str, before: Hand, after: Hand) -> str:
    if after is Hand.OUT:
        return f"Too late: {provider} is sending it or has sent it, and cannot call it back."
    if before in {Hand.SCHEDULED, Hand.UNKNOWN} and after in {Hand.NONE, Hand.OVER}:
        return f"{provider} called the campaign back in time: nobody was mailed."
    if after in {Hand.ASKING, Hand.UNKNOWN, Hand.SCHEDULED}:
        return (
            f"{provider} is being asked to send it this very moment: it is called back as soon as the answer is known."
        )
    return f"{provider} was not asked to send it yet."
