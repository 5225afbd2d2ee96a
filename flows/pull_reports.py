"""Pull reports: what became of the mail that campaign hosts sent themselves."""

from prefect import flow

from tasks import hosting, upkeep


@flow(name="pull-reports")
def pull_reports() -> dict[str, int]:
    """Store what each host tells of its recipients; process-delivery-events applies it as it applies webhooks.

    One run after the other, as a host allows few requests at once. One that does not answer holds up none of the others.
    """
    failures = upkeep.Failures()
    counts = {"host_bodies": 0}
    with failures.kept("list the reports that are due"):
        for run_id in hosting.reports_to_pull():
            with failures.kept(f"pull the report of {run_id}"):
                counts["host_bodies"] += hosting.pull_report(run_id)
    failures.raise_kept()
    return counts
