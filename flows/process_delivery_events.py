"""Process delivery events: what the ESPs' webhooks brought, every minute."""

from prefect import flow

from tasks import guarding, reporting, upkeep


@flow(name="process-delivery-events")
def process_delivery_events() -> dict[str, int]:
    """Apply the stored webhook bodies, then hold back what fares badly, close and settle what they decide.

    Deadlines pass whether or not events can be read, and silence is judged, too: so all of it runs in any case.
    """
    failures = upkeep.Failures()
    counts: dict[str, int] = {}
    with failures.kept("process delivery events"):
        counts |= upkeep.process_events()
    with failures.kept("watch the runs that hand over"):
        for run_id in guarding.runs_to_watch():
            with failures.kept(f"watch {run_id}"):
                guarding.watch_run(run_id)
    with failures.kept("sweep the ledger"):
        counts |= reporting.sweep_ledger()
    failures.raise_kept()
    return counts
