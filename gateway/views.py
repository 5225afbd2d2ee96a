"""A run's report in the words and shapes of the campaign page: plain dicts of text and numbers, ready for a template.

Nothing here is HTML, and nothing holds an address.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from domain import mailbox_groups
from domain.campaigns import Run, RunStatus
from domain.kpis import Figures
from domain.reports import Audit, RunReport, RunSummary, Step, percent
from gateway import reasons
from gateway.figures import cards, count, delivered, duration, moment, share, tells

# status → badge, its tone, and what it means for the reader.
_STATUS = {
    RunStatus.CREATED: ("Choosing people", "busy", "The audience is being chosen. Nothing has been sent."),
    RunStatus.STOPPED: ("Stopped by a check", "bad", "A check failed before anything was sent, so nobody got it."),
    RunStatus.FROZEN: ("Audience fixed", "busy", "It is settled who will get this. Nothing has been sent."),
    RunStatus.PREVIEWED: ("Dry run", "idle", "This was a dry run: people were chosen and checked, nothing was sent."),
    RunStatus.AWAITING_APPROVAL: (
        "Waiting for approval",
        "warn",
        "Everything is ready and waits for a yes in Prefect.",
    ),
    RunStatus.REJECTED: ("Not approved", "idle", "Somebody said no. Nothing was sent."),
    RunStatus.APPROVED: ("Approved", "busy", "Approved: the first mail goes out in a moment."),
    RunStatus.DISPATCHING: ("Sending", "busy", "Mail is going out right now. The counters below renew themselves."),
    RunStatus.PAUSED: ("Paused", "warn", "Sending is paused. What went out before is counted here."),
    RunStatus.DISPATCHED: ("Sent", "good", "All mail is handed over. Deliveries, opens and clicks still come in."),
    RunStatus.SETTLED: (
        "Finished",
        "good",
        "Every mail has its answer, as far as one will come. Opens, clicks and complaints still come in.",
    ),
    RunStatus.CANCELLED: ("Cancelled", "idle", "Cancelled. What went out before is counted here."),
}


def summary(run: Run) -> dict[str, Any]:
    """What is said of a run wherever it is named."""
    badge, tone, sentence = _STATUS[run.status]
    return {
        "id": run.id,
        "name": run.plan.campaign,
        "badge": badge,
        "tone": tone,
        "sentence": sentence,
        "stop_reason": run.stop_reason,
        "segment": run.plan.segment,
        "template": run.plan.template,
        "provider": run.plan.provider,
        "sender": run.plan.sender.name,
        "live": run.plan.live,
        "started": moment(run.created_at),
    }


def line(found: RunSummary) -> dict[str, Any]:
    """One run in the list of runs."""
    return {
        **summary(found.run),
        "planned": count(found.run.planned),
        "accepted": count(found.total.accepted),
        "delivered": delivered(found.total),
        "opened": percent(found.total.human_open_rate),
        "clicked": percent(found.total.human_click_rate),
    }


def page(report: RunReport, audit: Audit | None) -> dict[str, Any]:
    """Everything on the page of one run, plots apart."""
    missed = sorted(reasons.missed(report), reverse=True)
    total = sum(number for number, _ in missed)
    return {
        **summary(report.run),
        "account": report.account_name,
        "headline": _headline(report.total),
        "handed_over": duration(report.seconds_to_accept),
        "figures": cards(report.total),
        "waterfall": waterfall(report.waterfall),
        "funnel": _funnel(report.total),
        "missed": [{"count": count(n), "share": share(n, total), "sentence": sentence} for n, sentence in missed],
        "missed_title": f"Why did {count(total)} people not get it?"
        if report.total.accepted
        else "Who is left out, and why",
        "providers": [_provider(name, each) for name, each in mailbox_providers(report).items()],
        "moments": [
            [moment(each.at), *map(count, (each.delivered, each.opened_human, each.clicked, each.bounced))]
            for each in report.timeline
        ],
        "gates": _gates(report.run.validation or {}),
        "audit": None if audit is None else _audit(audit),
    }


def _headline(total: Figures) -> str | None:
    if not total.accepted:
        return None
    if not tells(total):
        return f"{count(total.accepted)} mails were handed over; of no delivery was told yet."
    return (
        f"{count(total.delivered)} of {count(total.accepted)} mails were delivered. "
        f"{count(total.opened_human)} people opened theirs, and {count(total.clicked_human)} clicked."
    )


def waterfall(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    """From the segment downwards: totals are whole bars, each loss hangs where the bar before it ended."""
    widest = max((step.count for step in steps), default=0)
    level = widest
    rows = []
    for step in steps:
        is_loss = reasons.is_loss(step.code)
        level = level - step.count if is_loss else step.count
        rows.append(
            {
                "label": reasons.label(step),
                "count": f"−{count(step.count)}" if is_loss else count(step.count),  # noqa: RUF001 - a minus sign
                "share": share(step.count, widest),
                "loss": is_loss,
                "left": _css_percent(level, widest) if is_loss else "0",
                "width": _css_percent(step.count, widest),
            }
        )
    return rows


def _css_percent(part: int, whole: int) -> str:
    return f"{max(0, 100 * part / whole):.3f}%" if whole else "0"


def _funnel(total: Figures) -> list[dict[str, Any]]:
    stages = (
        ("accepted for sending", "accepted", total.accepted),
        ("delivered", "delivered", total.delivered),
        ("opened by humans", "opened", total.opened_human),
        ("clicked by humans", "clicked", total.clicked_human),
    )
    return [
        {
            "label": label,
            "colour": colour,
            "count": count(number),
            "share": share(number, total.accepted),
            "width": _css_percent(number, total.accepted),
        }
        for label, colour, number in stages
    ]


def mailbox_providers(report: RunReport) -> dict[str, Figures]:
    """Figures by mailbox provider under the names that people know them by."""
    return {mailbox_groups.shown(name): each for name, each in report.by_mailbox_provider.items()}


def _provider(name: str, each: Figures) -> list[str]:
    return [
        name,
        count(each.accepted),
        count(each.delivered),
        delivered(each),
        count(sum(each.bounced.values())),
        percent(each.human_open_rate),
        percent(each.human_click_rate),
        percent(each.complaint_rate, digits=2),
    ]


def _gates(validation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Results of the validation gate, as domain.validation.Validation.as_json wrote them, gate by gate."""
    return [
        {"name": name, "passed": gate["passed"], "checks": list(_checks(gate["checks"]))}
        for name, gate in validation.items()
    ]


def _checks(checks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for check in checks:
        rows = ", ".join(check["failing_ids"])
        yield {
            "sentence": check["sentence"],
            "passed": check["passed"],
            "observed": check["observed"],
            "failing": f"{count(check['failing_count'])} rows, among them {rows}" if rows else "",
        }


def _audit(audit: Audit) -> dict[str, Any]:
    rows = [
        ("in the segment", audit.members),
        ("left out, each with one reason", sum(audit.skipped.values())),
        ("planned", audit.planned),
        *((f"planned, then {reasons.STATE_WORD.get(state, state)}", number) for state, number in audit.states.items()),
        ("sent twice, by the sending service's own record", audit.duplicates),
        ("missing from that record", audit.missing),
    ]
    return {
        "balanced": audit.balanced,
        "complaints": list(audit.complaints),
        "rows": [(label, "cannot be asked" if number is None else count(number)) for label, number in rows],
    }
