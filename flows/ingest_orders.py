"""Ingest orders: from the records that channels pushed, files brought and pulls fetched, to orders of one model."""

from prefect import flow
from pydantic import Field

from tasks import intake, upkeep


@flow(name="ingest-orders")
def ingest_orders(
    linger_seconds: int = Field(
        285,
        ge=0,
        le=3600,
        title="Stay for (seconds)",
        description="How long to wait for further records; the next run starts every five minutes. 0: drain and end.",
    ),
) -> dict[str, int]:
    """Drain the queue, the most urgent first, and try again what time alone may cure. Fails as an alarm."""
    failures = upkeep.Failures()
    counts: dict[str, int] = {}
    with failures.kept("try dead letters again"):
        counts |= {f"letters_{name}": count for name, count in intake.retry_dead_letters().items()}
    with failures.kept("drain the intake queue"):
        counts |= intake.drain_queue(linger_seconds)
    failures.raise_kept()
    return counts
