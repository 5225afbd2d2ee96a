"""Process delivery events: what the ESPs' webhooks brought, every minute."""

from prefect import flow

from tasks import reporting, upkeep


@flow(name="process-delivery-events")
def process_delivery_events() -> dict[str, int]:
    """Apply the stored webhook bodies, then close and settle what they decide.

    Deadlines pass whether or not events can be read, so the sweep runs in any case.
    """
    failures = upkeep.Failures()
    counts: dict[str, int] = {}
    with failures.kept("process delivery events"):
        counts |= upkeep.process_events()
    with failures.kept("sweep the ledger"):
        counts |= reporting.sweep_ledger()
    with failures.kept("look after the runs"):
        counts |= upkeep.look_after_runs()
    failures.raise_kept()
    return counts
