"""Report KPIs: hourly, the figures of every account and of every recent run, and whether its ledger balances."""

from prefect import flow

from tasks import live, reporting


@flow(name="report-kpis")
def report_kpis() -> int:
    """Bring figures to now, show each account's and those of the last 30 days' runs. Fails when a ledger does not balance."""
    reporting.refresh_kpis()
    run_ids = reporting.observed_runs()
    reporting.show_runs(run_ids)
    live.show_counters(run_ids)
    reporting.audit_runs(run_ids)
    return len(run_ids)
