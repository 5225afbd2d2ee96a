"""Report KPIs: hourly, the figures of every account and of every recent run, and whether its ledger balances."""

from prefect import flow

from tasks import lane_watch, live, reporting, upkeep


@flow(name="report-kpis")
def report_kpis() -> int:
    """Bring figures to now, show each account's and those of the last 30 days' runs. Fails when a ledger does not balance."""
    reporting.refresh_kpis()
    run_ids = reporting.observed_runs()
    reporting.show_runs(run_ids)
    live.show_counters(run_ids)
    lane_watch.show()
    failures = upkeep.Failures()
    with failures.kept("audit transactional mail"):
        lane_watch.audit()
    with failures.kept("audit the runs"):
        reporting.audit_runs(run_ids)
    failures.raise_kept()
    return len(run_ids)
