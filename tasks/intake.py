"""Orders on their way in: drain the queue, ask the channels, try dead letters again."""

import time
from datetime import timedelta

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

import settings
from data import database, dead_letters
from data.intake import drain, letters, pull, records
from tasks import wiring

_PAUSE_SECONDS = 1.0
_REPORTED_SECONDS = 60.0


class Quarantined(RuntimeError):
    """Orders of a channel are too bad to be taken in. They are kept and wait; all other channels flow."""


@task(task_run_name="drain the intake queue", cache_policy=NO_CACHE)
def drain_queue(linger_seconds: int) -> dict[str, int]:
    """Turn waiting records into orders, and those that arrive while we linger. Raises Quarantined at the end."""
    intake = wiring.order_intake()
    ends = time.monotonic() + linger_seconds
    report = drain.drain(intake)
    total, quarantined = report.tally, report.quarantined
    reported = time.monotonic()
    while time.monotonic() < ends:
        time.sleep(_PAUSE_SECONDS)
        intake = wiring.order_intake()  # files that were changed meanwhile hold from now on
        report = drain.drain(intake)
        total += report.tally
        quarantined += report.quarantined
        if report.tally["records"] and time.monotonic() - reported > _REPORTED_SECONDS:
            get_run_logger().info("So far: %s", dict(total))
            reported = time.monotonic()
    get_run_logger().info("Intake: %s", dict(total))
    if quarantined:
        raise Quarantined(
            f"{'; '.join(quarantined)}. Nothing is lost: see `campaigns intake quarantine`, mend the source or the"
            " thresholds, then release it"
        )
    return dict(total)


@task(task_run_name="try dead letters again", cache_policy=NO_CACHE)
def retry_dead_letters() -> dict[str, int]:
    """Try what time alone may cure; what does not come right after six tries is left to people."""
    counts = letters.retry(wiring.order_intake())
    get_run_logger().info("Dead letters: %s", counts)
    return counts


@task(task_run_name="remove old raw records", cache_policy=NO_CACHE)
def purge_records() -> int:
    """Raw records hold names and addresses: once they are orders they are kept for OMS_INTAKE_KEEP_DAYS only.

    Dead letters that ended are emptied then; those that are open stay until somebody ends them.
    """
    before = wiring.clock() - timedelta(days=settings.load().intake.keep_days)
    with database.write(wiring.engine()) as connection:
        dead_letters.forget(connection, before=before)
        return records.purge(connection, before=before)


@task(task_run_name="list channels to ask", cache_policy=NO_CACHE)
def sources(account: str, channel: str) -> list[tuple[str, str]]:
    """(account, channel) of the connections with an API; empty names mean all."""
    return [
        (one.account, one.channel)
        for one in wiring.connections().connections
        if one.api is not None and account in {"", one.account} and channel in {"", one.channel}
    ]


@task(task_run_name="ask {channel} of {account}", cache_policy=NO_CACHE)
def pull_orders(account: str, channel: str) -> int:
    """Keep what changed there since the last time; return how many pages were new."""
    connection = wiring.connections().find(account, channel)
    if connection is None:
        raise pull.NothingToPull(f"channels.yaml has no {channel} of {account} any more")
    report = pull.pull(wiring.engine(), connection, clock=wiring.clock)
    get_run_logger().info(
        "%s of %s: %d pages with orders between %s and %s, %d new",
        *(channel, account, report.pages, report.since, report.until, report.new),
    )
    return report.new
