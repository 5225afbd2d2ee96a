"""What runs by itself: delivery events, runs that broke off, customer features."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

import settings
from data import batches, database, events, inbox_retention
from data.features import refresh
from tasks import choosing, continuing, esps, prefect_api, wiring

_BODIES_AT_ONCE = 200


class UpkeepFailed(RuntimeError):
    """Several steps of one flow failed; all others were done."""


class Failures:
    """What failed in a flow whose steps do not need each other. Each step is safe to repeat."""

    def __init__(self) -> None:
        self._errors: dict[str, Exception] = {}

    @contextmanager
    def kept(self, step: str) -> Iterator[None]:
        """Keep what the block raises, for the end of the flow."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the next step does not depend on it
            get_run_logger().error("Failed to %s (%s); going on with the next step", step, type(error).__name__)
            self._errors[step] = error

    def raise_kept(self) -> None:
        """Raise the one error as it is, several as UpkeepFailed."""
        errors = list(self._errors.values())
        if len(errors) == 1:
            raise errors[0]
        if errors:
            told = "; ".join(f"{step}: {type(error).__name__}: {error}" for step, error in self._errors.items())
            raise UpkeepFailed(f"{len(errors)} steps failed, all others were done. {told}") from errors[0]


@task(task_run_name="process delivery events", cache_policy=NO_CACHE)
def process_events() -> dict[str, int]:
    """Apply all stored webhook bodies: what happened to which message, whom not to mail again."""
    return apply_events()


def apply_events() -> dict[str, int]:
    """The same within another task."""
    readers, origins, pepper = esps.event_readers(), esps.origins(), wiring.pepper()
    totals: dict[str, int] = {}
    while True:
        report = events.process(
            wiring.engine(), readers=readers, origins=origins, pepper=pepper, clock=wiring.clock, limit=_BODIES_AT_ONCE
        )
        for name, count in report.counts().items():
            totals[name] = totals.get(name, 0) + count
        if report.bodies + report.failed < _BODIES_AT_ONCE:
            get_run_logger().info("Delivery events: %s", totals)
            return totals


@task(task_run_name="remove old raw bodies", cache_policy=NO_CACHE)
def purge_bodies() -> int:
    """Raw bodies hold addresses: once they are applied they are kept for OMS_GATEWAY_KEEP_DAYS only."""
    before = wiring.clock() - timedelta(days=settings.load().gateway.keep_days)
    emptied = inbox_retention.purge(wiring.engine(), before=before)
    get_run_logger().info("%d raw bodies were kept long enough and are gone", emptied)
    return emptied


@task(task_run_name="look after the runs", cache_policy=NO_CACHE)
def look_after_runs() -> dict[str, int]:
    """Heed what was done to flow runs in Prefect, and continue runs whose flow run died."""
    with prefect_api.own_client() as connected:
        looked = continuing.look_after(connected)
    counts = {
        "suspended_runs": looked.suspended,
        "cancelled_runs": looked.cancelled,
        "continued_runs": looked.continued,
    }
    get_run_logger().info("Runs: %s", counts)
    return counts


@task(task_run_name="refresh customer features", cache_policy=NO_CACHE)
def refresh_features(account_id: str, *, full: bool) -> None:
    """Make one row of facts per customer, as of now."""
    now, account_id = wiring.clock(), account_id or settings.load().account
    report = refresh.refresh(wiring.engine(), account_id=account_id, as_of=now, now=now, full=full)
    anew = "All were reckoned anew" if report.full else f"{report.touched:,} of them were reckoned anew"
    create_markdown_artifact(
        f"# Customer features\n\n{report.customers:,} customers out of {report.orders:,} orders,"
        f" as of {report.as_of:%Y-%m-%d %H:%M} UTC. {anew}: {report.reason}.",
        key="features",
        description="Customer features",
    )
    get_run_logger().info("%d customers, %d orders, %d reckoned anew", report.customers, report.orders, report.touched)


@task(task_run_name="measure the library's segments", cache_policy=NO_CACHE)
def measure_segments(account_id: str) -> None:
    """Keep the size of every segment, so that a preview can show its trend and the gate its usual band."""
    sizes, faults = choosing.measure_library(wiring.engine(), account_id or settings.load().account)
    rows = "\n".join(f"| {name} | {count:,} |" for name, count in sizes.items())
    told = "".join(f"- {fault}\n" for fault in faults)
    if faults:
        get_run_logger().warning("%d segment(s) could not be evaluated; the artifact says which", len(faults))
    create_markdown_artifact(
        f"# Segments\n\n{told}\n| Segment | Customers |\n|:--|--:|\n{rows}",
        key="segments",
        description="How many customers are in each segment of the library",
    )


@task(task_run_name="list ESPs in use", cache_policy=NO_CACHE)
def providers_in_use() -> list[tuple[str, str]]:
    """(account, provider) pairs by which mail was handed over, or tried: what routing chose, not what a run asked for.

    Of ESPs that are declared still: the others cannot be asked (`retired_providers`).
    """
    return [one for one in _providers_by_account() if esps.is_declared(one[1])]


def retired_providers() -> list[str]:
    """By whom mail went once, and who is declared no longer."""
    return sorted({provider for _, provider in _providers_by_account() if not esps.is_declared(provider)})


def _providers_by_account() -> list[tuple[str, str]]:
    with database.read(wiring.engine()) as connection:
        return batches.providers_by_account(connection)
