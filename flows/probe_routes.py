"""Probe routes: every five minutes, a small mail to the shop's own mailbox by each route."""

from prefect import flow

from tasks import seeding, upkeep


@flow(name="probe-routes")
def probe_routes() -> dict[str, int]:
    """Send seed messages, and look whether events came of the earlier ones. Fails as an alarm."""
    failures = upkeep.Failures()
    counts: dict[str, int] = {}
    with failures.kept("listen for seed messages"):
        seeding.listen()
    with failures.kept("send seed messages"):
        counts = seeding.send()
    failures.raise_kept()
    return counts
