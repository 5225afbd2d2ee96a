"""Process delivery events: what the ESPs' webhooks brought, every minute."""

from prefect import flow

from tasks import reporting, upkeep


@flow(name="process-delivery-events")
def process_delivery_events() -> dict[str, int]:
    """Apply the stored webhook bodies, then close and settle what they decide."""
    counts = upkeep.process_events()
    return {**counts, **reporting.sweep_ledger()}
