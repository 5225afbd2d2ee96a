"""What campaign hosts tell of their recipients afterwards, into the inbox: a report is asked for until a month is over.

A flow of its own does this: the report of 500,000 people takes over a thousand calls, and meanwhile nobody's webhooks
may wait.
"""

from contextlib import ExitStack
from datetime import datetime, timedelta

from data import database, host_events, host_steps, inbox, runs
from domain import hosting
from domain.campaign_host import HostRefuses, HostStatus, HostUnavailable
from domain.hosting import Claimed, Step
from tasks import host_job, wiring
from tasks.host_job import Job

# Many pages may have nothing new, and the lease is lengthened with each body that is written.
_LEASE = timedelta(hours=1)
# Before that nobody's row is final, so the next pull asks for all of it again.
_ALL_OUT = frozenset({HostStatus.SENT, HostStatus.CANCELLED})


def to_pull() -> list[str]:
    """Runs of which it is time to ask what became of the mail."""
    with database.read(wiring.engine()) as connection:
        return host_steps.runs_due(connection, Step.PULL, wiring.clock())


def pull(run_id: str) -> int:
    """Ask the host what became of the run's mail; how many bodies were new. Safe to repeat.

    Raises HostUnavailable, HostRefuses, hosting.Stopped; a later round tries again.
    """
    with ExitStack() as stack:
        job = host_job.open_job(run_id, stack)
        with database.write(job.engine) as connection:
            now = wiring.clock()
            claimed = host_steps.take(connection, run_id, Step.PULL, worker=job.worker, now=now, lease=_LEASE)
        return 0 if claimed is None else _pulled(job, claimed)


def _pulled(job: Job, claimed: Claimed) -> int:
    began = wiring.clock()
    since = datetime.fromisoformat(claimed.reference) if claimed.reference else None
    told = new = 0
    try:
        campaign_id = host_job.campaign_id(job)
        all_out = job.host.status(campaign_id) in _ALL_OUT
        for body in host_events.bodies(job.host.events(campaign_id, since=since)):
            with database.write(job.engine) as connection:
                now = wiring.clock()
                new += inbox.store(connection, provider=host_events.PROVIDER, body=body, now=now)
                host_steps.keep(connection, claimed, now=now, lease=_LEASE)
            told += 1
    except (HostUnavailable, HostRefuses) as error:
        _put_off(job, claimed, claimed.reference, str(error))
        raise
    whole = all_out and (since is not None or told > 0)
    _put_off(job, claimed, (began - hosting.OVERLAP).isoformat() if whole else None, f"{new} bodies were new")
    return new


def _put_off(job: Job, claimed: Claimed, reference: str | None, detail: str) -> None:
    with database.write(job.engine) as connection:
        now = wiring.clock()
        run = runs.get(connection, job.key)
        until = hosting.next_pull(run.dispatched_at or now, now)
        if until is None:
            host_steps.finish(connection, claimed, now=now, reference=reference, detail=detail)
        else:
            host_steps.put_off(connection, claimed, now=now, until=until, detail=detail, reference=reference)
