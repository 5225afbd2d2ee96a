"""Report KPIs: hourly, the figures of every recent run, and whether its ledger balances."""

from prefect import flow

from tasks import reporting


@flow(name="report-kpis")
def report_kpis() -> int:
    """Store and show the figures of the last 30 days' runs. Fails as an alarm when a ledger does not balance."""
    run_ids = reporting.observed_runs()
    reporting.snapshot_kpis(run_ids)
    reporting.audit_runs(run_ids)
    return len(run_ids)
