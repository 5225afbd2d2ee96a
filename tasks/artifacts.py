"""What a marketer reads on a run's Artifacts tab. Ids, counts and masked samples only: everybody can open it."""

from collections.abc import Iterable

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

import settings
from data import audience_sample, content, database, reports
from data.features.frame import NoFeatures
from data.features.population import FeaturesMoved
from data.missing_values import Gaps
from domain import mailbox_groups
from domain.campaigns import Run
from domain.kpis import Figures
from domain.reports import Audit, RunReport, Step, lines, percent
from domain.validation import Validation
from tasks import pace_words, pacing, preview_markdown, previews, variable_words, wiring

_BAR = 24


def bar(count: int, whole: int) -> str:
    """A bar of text, as markdown tables know no other."""
    return "█" * round(_BAR * count / whole) if whole else ""


def waterfall_table(steps: Iterable[Step], whole: int) -> str:
    """Markdown of the way from segment to planned or accepted."""
    lines = ["| | People | |", "|:--|--:|:--|"]
    lines += [f"| {step.label} | {step.count:,} | {bar(step.count, whole)} |" for step in steps]
    return "\n".join(lines)


def _until_planned(report: RunReport) -> list[Step]:
    """The steps that are decided before anything is sent."""
    codes = [step.code for step in report.waterfall]
    return list(report.waterfall[: codes.index("planned") + 1])


def publish_validation(run_id: str, validation: Validation, *, note: str = "") -> None:
    """What failed first, a line a check; failing orders by channel and number, customers by our ids."""
    lines = [f"# Validation: {validation.gate} – {'passed' if validation.passed else 'failed'}", ""]
    lines += [note, ""] * bool(note)
    lines += ["| | Check | Found | Which |", "|:-:|:--|:--|:--|"]
    for check in sorted(validation.checks, key=lambda check: check.passed):
        ids = ", ".join(check.failing_ids)
        more = f" … ({check.failing_count:,} in all)" if check.failing_count > len(check.failing_ids) else ""
        cells = (_cell(text) for text in (check.sentence, check.observed, f"{ids}{more}"))
        lines.append(f"| {'✅' if check.passed else '❌'} | {' | '.join(cells)} |")
    create_markdown_artifact(
        "\n".join(lines), key=f"validation-{validation.gate}-{run_id}", description="Validation gate"
    )


def _cell(text: str) -> str:
    """Numbers of orders are the channels' own: one must not break the table."""
    return " ".join(text.split()).replace("|", "\\|")


@task(task_run_name="publish preview of {run_id}", cache_policy=NO_CACHE)
def publish_preview(run_id: str) -> None:
    """The waterfall from segment to planned, the mail as two sample customers would read it, and who they are."""
    with database.read(wiring.engine()) as connection:
        report = reports.run_report(connection, run_id)
        template, rendered = wiring.content_of(connection, report.run)
        sample = audience_sample.masked(connection, report.run, rendered, template.fallbacks)
    whole = report.run.members or 0
    create_markdown_artifact(
        f"# Who gets it: {report.run.plan.campaign}\n\n"
        f"Segment **{report.run.plan.segment}**, as of {report.run.feature_watermark:%Y-%m-%d %H:%M} UTC.\n\n"
        f"{waterfall_table(_until_planned(report), whole)}\n\n"
        f"{pace_words.markdown(pacing.of_run(run_id))}\n\n[Campaign page]({page(run_id)})",
        key=f"waterfall-{run_id}",
        description="Who gets it, who does not and why, and how it goes out",
    )
    shown = content.filled(rendered, sample[0].values if sample else wiring.sample_values(template))
    rows = "\n".join(f"| {one.address} | {one.values_line} |" for one in sample)
    create_markdown_artifact(
        f"# How it reads\n\n**Subject:** {shown['subject']}\n\n**From:** {report.run.plan.sender.name}\n\n"
        f"```text\n{shown['text']}\n```\n\n## Samples\n\n| To (masked) | Variables |\n|:--|:--|\n{rows}\n",
        key=f"preview-{run_id}",
        description="The mail, filled in for a sample customer",
    )
    _publish_people(report.run)


def publish_gaps(run: Run, gaps: Gaps) -> None:
    """Who has no value for what the template says: of everybody, whether the run stops for it or not."""
    if gaps.gaps:
        create_markdown_artifact(
            variable_words.markdown(gaps, left_out=run.plan.leave_out_missing),
            key=f"variables-{run.id}",
            description="Who has no value for what the template says",
        )


def _publish_people(run: Run) -> None:
    """Who they are, for whoever looks before anything is sent: of a dry run, and where a person approves."""
    policy = settings.load().sending
    if run.plan.live and (run.planned or 0) <= policy.approval_above:
        return
    try:
        preview = previews.of_run(wiring.engine(), run, policy)
    except (NoFeatures, FeaturesMoved) as error:  # it describes what is decided, and must not stop it
        get_run_logger().warning("No preview of run %s: %s", run.id, error)
        return
    create_markdown_artifact(
        preview_markdown.markdown(preview, f"{settings.load().gateway.public_url}/previews/{preview.id}"),
        key=f"who-{run.id}",
        description="Who they are: size, money, splits, overlaps, a masked sample",
    )


@task(task_run_name="publish report of {run_id}", cache_policy=NO_CACHE)
def publish_report(run_id: str, audit: Audit) -> None:
    """The report: waterfall, funnel, deliverability by mailbox provider, audit, plot and link."""
    with database.read(wiring.engine()) as connection:
        report = reports.run_report(connection, run_id)
    report_artifact(report, audit)


def report_artifact(report: RunReport, audit: Audit) -> None:
    """Write the report as of now; the artifact of a run keeps its history."""
    run_id = report.run.id
    plot = f"![Over time]({page(run_id)}/timeline.svg)\n\n" if report.timeline else ""
    open_still = report.run.plan.live and report.run.settled_at is None
    note = "*Events are still coming in: the campaign page is live, this report is renewed every hour.*\n\n"
    create_markdown_artifact(
        f"# {report.run.plan.campaign}: {report.run.status}\n\n{note if open_still else ''}"
        f"{waterfall_table(report.waterfall, report.run.members or 0)}\n\n"
        f"## What happened to it\n\n{funnel_table(report.total)}\n\n"
        f"## By mailbox provider\n\n{provider_table(report)}\n\n"
        f"## Audit\n\n{audit_sentence(audit)}\n\n"
        f"{plot}[Campaign page]({page(run_id)})",
        key=f"report-{run_id}",
        description="What happened to it",
    )


def funnel_table(figures: Figures) -> str:
    """Markdown of what happened after acceptance."""
    rows = [("accepted by the ESP", figures.accepted, ""), *lines(figures)]
    written = [f"| {label} | {count:,} | {rate} |" for label, count, rate in rows]
    return "\n".join(["| | Messages | Rate |", "|:--|--:|--:|", *written])


def provider_table(report: RunReport) -> str:
    """Markdown of the figures that differ by mailbox provider."""
    head = ["| Mailbox provider | Accepted | Delivered | Bounced | Opened by a person |", "|:--|--:|--:|--:|--:|"]
    rows = [
        f"| {mailbox_groups.shown(name)} | {one.accepted:,} | {percent(one.deliverability)} | {percent(one.bounce_rate)} |"
        f" {percent(one.human_open_rate)} |"
        for name, one in sorted(report.by_mailbox_provider.items())
    ]
    return "\n".join([*head, *rows])


def audit_sentence(audit: Audit) -> str:
    """The audit in words."""
    if not audit.balanced:
        return "**The ledger does not balance:** " + "; ".join(audit.complaints)
    against = (
        "The ESP keeps no record that can be compared."
        if audit.duplicates is None
        else f"Against the ESP's own record: {audit.duplicates} sent twice, {audit.missing} missing."
    )
    return f"The ledger balances: {audit.members:,} members = {audit.planned:,} planned + skipped by reason. {against}"


def page(run_id: str) -> str:
    """Where the campaign page of a run is."""
    return f"{settings.load().gateway.public_url}/campaigns/{run_id}"
