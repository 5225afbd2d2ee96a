"""Watch the intake: hourly, how each source of orders does, and which dead letters cost most."""

from prefect import flow

from tasks import intake, intake_artifacts, upkeep


@flow(name="watch-intake")
def watch_intake() -> int:
    """Show health and dead letters; remove raw records that were kept long enough. Fails as an alarm."""
    failures = upkeep.Failures()
    with failures.kept("remove old raw records"):
        intake.purge_records()
    with failures.kept("show the dead letters"):
        intake_artifacts.publish_dead_letters()
    sources = 0
    with failures.kept("look at the sources"):
        sources = intake_artifacts.publish_health()
    failures.raise_kept()
    return sources
