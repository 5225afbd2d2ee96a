"""Reconcile: nightly, our suppressions with the ESPs' own lists, and every ledger with what the ESP accepted."""

from prefect import flow

from tasks import reporting, upkeep


@flow(name="reconcile")
def reconcile() -> dict[str, int]:
    """Read what webhooks may have missed, close what nobody works on, audit every run. Fails as an alarm."""
    added = [upkeep.merge_suppressions(account, provider) for account, provider in upkeep.providers_in_use()]
    counts = {**upkeep.process_events(), **reporting.sweep_ledger(), "suppressions_from_lists": sum(added)}
    reporting.audit_runs(reporting.observed_runs())
    return counts
