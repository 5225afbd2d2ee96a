"""Mail that comes back, read from a mailbox at somebody else's."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

import settings
from tasks import receiving, wiring


@task(task_run_name="fetch returned mail", cache_policy=NO_CACHE)
def fetch() -> dict[str, int]:
    """Keep what has come into the configured mailbox; nothing where none is configured. Safe to repeat."""
    config = settings.load().returns
    if not config.imap_host:
        get_run_logger().info("No mailbox is configured (OMS_RETURNS_IMAP_HOST)")
        return {}
    counts = receiving.fetch(wiring.engine(), config, clock=wiring.clock).counts()
    get_run_logger().info("Returned mail: %s", counts)
    return counts
