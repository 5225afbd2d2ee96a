"""Fetch returned mail: every minute, bounces and complaints from the mailbox that they go to."""

from prefect import flow

from tasks import returns, upkeep


@flow(name="fetch-returned-mail")
def fetch_returned_mail() -> dict[str, int]:
    """Keep the mails, then apply them at once: a complaint must not wait for another flow. Fails as an alarm.

    What was kept before a mailbox failed is applied all the same.
    """
    failures = upkeep.Failures()
    counts: dict[str, int] = {}
    with failures.kept("fetch returned mail"):
        counts = returns.fetch()
        if not counts:  # there is no mailbox
            return counts
    with failures.kept("process delivery events"):
        upkeep.process_events()
    failures.raise_kept()
    return counts
