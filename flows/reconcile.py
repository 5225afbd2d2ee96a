"""Reconcile: nightly, our suppressions with the ESPs' own lists, and every ledger with what the ESP accepted."""

from prefect import flow

from tasks import reporting, resolving, upkeep


@flow(name="reconcile")
def reconcile() -> dict[str, int]:
    """Read what webhooks may have missed, close what nobody works on, audit every run. Fails as an alarm.

    An ESP that does not answer must not hide an audit: each step is done, and what failed is raised at the end.
    """
    failures = upkeep.Failures()
    counts = {"suppressions_from_lists": 0, "suppressions_put_on_lists": 0}
    with failures.kept("list the ESPs in use"):
        for account, provider in upkeep.lists_in_use():
            with failures.kept(f"read {provider}'s suppressions for {account}"):
                counts["suppressions_from_lists"] += upkeep.merge_suppressions(account, provider)
                counts["suppressions_put_on_lists"] += upkeep.push_suppressions(account, provider)
    with failures.kept("process delivery events"):
        counts |= upkeep.process_events()
    with failures.kept("list unknown batches"):
        for provider in resolving.providers_to_ask():
            with failures.kept(f"ask {provider} about unknown batches"):
                counts |= resolving.resolve(provider)
    with failures.kept("sweep the ledger"):
        counts |= reporting.sweep_ledger()
    with failures.kept("look after the runs"):
        counts |= upkeep.look_after_runs()
    with failures.kept("audit the runs"):
        reporting.audit_runs(reporting.observed_runs())
    failures.raise_kept()
    return counts
