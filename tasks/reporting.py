"""Settling, auditing and reporting of runs."""

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

import settings
from data import accounts, database, kpi_counts, kpi_overview, kpis, ledger_sweep, reports, runs
from data.kpi_overview import Overview
from domain import kpi_anomalies, kpi_tables, kpi_words
from domain.kpi_anomalies import Anomaly
from domain.reports import Audit, percent
from tasks import artifacts, continuing, wiring
from tasks.audits import audit_of

ANOMALY = "campaigns.kpi.anomaly"
_ROUND_SECONDS = 20  # of a minute in which events are applied, runs watched and the ledger swept, too
_OBSERVED_FOR = timedelta(days=30)
_RENEWED_FOR = timedelta(hours=2)  # longer than the hour between two reports: the last one has the final figures


class Unbalanced(RuntimeError):
    """An audit found that the ledger does not add up: an alarm for an operator."""


class Stalled(RuntimeError):
    """A run has mail to send and nobody sends it: an alarm for an operator."""


@task(task_run_name="audit {run_id}", cache_policy=NO_CACHE)
def audit_run(run_id: str) -> Audit:
    """Does the run's ledger balance?"""
    found = audit_of(run_id)
    get_run_logger().info("%s", artifacts.audit_sentence(found))
    return found


@task(task_run_name="sweep the ledger", cache_policy=NO_CACHE)
def sweep_ledger() -> dict[str, int]:
    """Close what nobody works on, settle the runs whose every message has a fate, and renew their reports."""
    now, policy = wiring.clock(), settings.load().sending
    settled: list[str] = []
    with database.write(wiring.engine()) as connection:
        swept = ledger_sweep.sweep(connection, policy=policy, now=now)
        for run in runs.unsettled(connection):
            if kpis.is_settled(connection, run.id, now=now, settle_after_hours=policy.settle_after_hours):
                runs.settle(connection, run, now)
                settled.append(run.id)
    counts = {
        "lost": swept.lost,
        "confirmed": swept.confirmed,
        "held": swept.held,
        "expired": swept.expired,
        "cancelled": swept.cancelled,
        "settled_runs": len(settled),
    }
    get_run_logger().info("Sweep: %s", counts)
    for run_id in settled:  # the last report was written when nothing had arrived yet, and the hour may be long
        with database.read(wiring.engine()) as connection:
            report = reports.run_report(connection, run_id)
        artifacts.report_artifact(report, audit_of(run_id))
    return counts


@task(task_run_name="list the runs to observe", cache_policy=NO_CACHE)
def observed_runs() -> list[str]:
    """Live runs of the last 30 days that sent mail, newest first."""
    since = wiring.clock() - _OBSERVED_FOR
    with database.read(wiring.engine()) as connection:
        found = runs.that_sent(connection)
    return [run.id for run in found if run.created_at >= since]


@task(task_run_name="refresh key figures", cache_policy=NO_CACHE)
def keep_figures() -> dict[str, int]:
    """Bring the stored figures to now, for a bounded time; the next minute goes on. Idle it costs 0.05 s."""
    return {"batches_reckoned": kpi_counts.refresh(wiring.engine(), seconds=_ROUND_SECONDS)}


@task(task_run_name="refresh KPIs", cache_policy=NO_CACHE)
def refresh_kpis() -> int:
    """Reckon the figures of the batches of which something changed, and show each account's. Safe to repeat."""
    reckoned = kpi_counts.refresh(wiring.engine())
    with database.read(wiring.engine()) as connection:
        found = [kpi_overview.read(connection, one, now=wiring.clock()) for one in accounts.names(connection)]
    for overview in found:
        if overview.by_mailbox:
            jumps = _jumps(overview)
            _overview_artifact(overview, jumps)
            for one in jumps:
                _raise_anomaly(overview.account_id, one)
    get_run_logger().info("Key figures: %d batches were reckoned anew", reckoned)
    return reckoned


def _jumps(overview: Overview) -> list[Anomaly]:
    by_mailbox = {key: one.figures for key, one in overview.by_day.items()}
    return [
        *kpi_anomalies.found(by_mailbox, overview.today),
        *kpi_anomalies.found(overview.by_domain, overview.today, kpi_anomalies.DOMAIN),
    ]


def _raise_anomaly(account_id: str, one: Anomaly) -> None:
    """For an automation to pause or notify: ids and figures. Each hour for as long as it lasts."""
    group = "mailbox-group" if one.by == kpi_anomalies.MAILBOX else "sender-domain"
    emit_event(
        ANOMALY,
        resource={"prefect.resource.id": f"campaigns.account.{account_id}"},
        related=[
            {"prefect.resource.id": f"campaigns.{group}.{one.group}", "prefect.resource.role": group},
            {"prefect.resource.id": f"campaigns.kpi.{one.kpi.name}", "prefect.resource.role": "kpi"},
        ],
        payload={
            "account": account_id,
            "by": one.by,
            "group": one.group,
            "kpi": one.kpi.name,
            "day": one.day.isoformat(),
            "value": one.now.value,
            "of": one.now.whole,
            "value_before": one.before.value,
            "of_before": one.before.whole,
        },
    )
    get_run_logger().warning("Out of the ordinary at %s: %s", account_id, kpi_words.anomaly(one))


def _overview_artifact(overview: Overview, jumps: Sequence[Anomaly]) -> None:
    unusual = "\n".join(["## Out of the ordinary\n", *(f"- {kpi_words.anomaly(one)}" for one in jumps), "\n"])
    rules = ", ".join(str(one) for one in sorted(overview.spans[f"{kpi_overview.DAYS} days"].rules))
    page = f"{settings.load().gateway.public_url}/kpis/{overview.account_id}"
    create_markdown_artifact(
        f"# Key figures of {overview.account_name}\n\nMail that left up to {overview.today:%d %b %Y}.\n\n"
        f"{unusual if jumps else ''}"
        f"{_markdown(('', *overview.spans), kpi_tables.spans(overview.spans))}\n\n"
        f"## By mailbox provider, {kpi_overview.DAYS} days\n\n"
        f"{_markdown(kpi_tables.PROVIDER_HEADS, _by_provider(overview))}\n\n"
        f"{kpi_words.LEGEND} People are told from machines by rules {rules}.\n\n"
        f"[The same with a plot by day]({page}). `campaigns kpis explain NAME` says what a figure means.",
        key=f"key-figures-{re.sub('[^a-z0-9]+', '-', overview.account_id.lower()).strip('-') or 'account'}",
        description=f"Key figures of {overview.account_name}",
    )


def _by_provider(overview: Overview) -> list[tuple[str, ...]]:
    return kpi_tables.providers(overview.by_mailbox, overview.week, overview.week_before)


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, [":--", *("--:" for _ in heads[1:])], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


@task(task_run_name="show the runs", cache_policy=NO_CACHE)
def show_runs(run_ids: list[str]) -> None:
    """Renew each run's report, and show all side by side."""
    now = wiring.clock()
    rows = []
    for run_id in run_ids:
        with database.read(wiring.engine()) as connection:
            report = reports.run_report(connection, run_id)
        if report.run.settled_at is None or now - report.run.settled_at < _RENEWED_FOR:
            artifacts.report_artifact(report, audit_of(run_id))
        total = report.total
        rows.append(
            f"| [{report.run.plan.campaign}]({artifacts.page(run_id)}) | {report.run.status} | {total.accepted:,} |"
            f" {percent(total.deliverability)} | {percent(total.bounce_rate)} |"
            f" {percent(total.complaint_rate, digits=2)} | {percent(total.human_open_rate)} |"
            f" {percent(total.human_click_rate)} |"
        )
    head = "| Campaign | State | Accepted | Deliverability | Bounced | Complaints | Opened by a person | Clicked |"
    table = (
        "\n".join([head, "|:--|:--|--:|--:|--:|--:|--:|--:|", *rows]) if rows else "No live run in the last 30 days."
    )
    create_markdown_artifact(f"# KPIs as of {now:%Y-%m-%d %H:%M} UTC\n\n{table}", key="kpis", description="All runs")


@task(task_run_name="audit all runs", cache_policy=NO_CACHE)
def audit_runs(run_ids: list[str]) -> None:
    """Audit each run. Raises Unbalanced, naming the runs, so that the flow run fails and alarms fire."""
    audits = {run_id: audit_of(run_id) for run_id in run_ids}
    lines = [f"- `{run_id}`: {artifacts.audit_sentence(found)}" for run_id, found in audits.items()]
    text = "\n".join(lines) or "Nothing to audit."
    create_markdown_artifact(f"# Audit\n\n{text}", key="audit", description="Does every ledger balance?")
    bad = {run_id: found for run_id, found in audits.items() if not found.balanced}
    if bad:
        told = "; ".join(f"{run_id}: {', '.join(found.complaints)}" for run_id, found in bad.items())
        raise Unbalanced(f"{len(bad)} ledger(s) do not balance. Nothing was changed. {told}")
    with database.read(wiring.engine()) as connection:
        now = wiring.clock()
        stalled = set(ledger_sweep.stalled(connection, now=now)) & set(run_ids)
        idle = {one for one in stalled if not continuing.lately(connection, one, now=now)}
    if idle:
        raise Stalled(
            f"Nobody works on {', '.join(sorted(idle))}, and mail is left to send: continue with `campaigns resume RUN`."
            " Nothing is lost, but what is not sent within its window expires."
        )
