"""Commands that tell of campaign runs: status, audit, report."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import settings
from cli import store
from cli.output import AsJson, Mistake, answer, moment, table
from cli.run_commands import RunId
from domain.audience import SENTENCE, SkipReason
from domain.campaigns import Run, RunStatus
from domain.kpis import Figures
from domain.reports import Audit, RunReport, RunSummary, lines, percent

if TYPE_CHECKING:
    import sqlalchemy as sa

    from data.ledger_sweep import Progress

_UNBALANCED = 1
_SECONDS = 2  # that a list may wait for newer figures


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("status")(status)
    app.command("audit")(audit)
    app.command("report")(report)


def status(
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="One run; the newest ones unless given.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the newest runs.")] = 20,
    as_json: AsJson = False,
) -> None:
    """The newest runs, or how far one run is.

    Of all accounts. Times are UTC.
    """
    from data import audit as ledger_audit
    from data import database, kpi_counts, ledger_sweep, reports, runs

    engine = store.engine()
    if run_id is None:  # where no worker runs, nobody else brings the figures to now
        kpi_counts.refresh(engine, seconds=_SECONDS)
    with database.read(engine) as connection:
        if run_id is None:
            found = reports.recent_runs(connection, None, limit)
            answer([_summary(one) for one in found], as_json=as_json, text=_list_text(found))
            return
        one = runs.get(connection, run_id)
        messages = ledger_audit.message_states(connection, run_id)
        progress = ledger_sweep.progress(connection, run_id)
        scheduled = _scheduled(connection, one)
    batches = {state: progress.states[state] for state in sorted(progress.states)}
    payload = {**_facts(one), "messages": messages, "messages_by_batch_state": batches, "scheduled": scheduled}
    answer(payload, as_json=as_json, text=_status_text(one, messages, progress, scheduled))


def _scheduled(connection: "sa.Connection", run: Run) -> str | None:
    """Of a run whose campaign host has it and waits for its time: that, and what takes it back."""
    from data import host_outcomes
    from domain.hosting import LOOK_HOLDS, Hand
    from tasks import esps, wiring

    if run.status is not RunStatus.DISPATCHING or not esps.is_host(run.plan.provider):
        return None
    found = host_outcomes.standing(connection, run.id, now=wiring.clock(), lease=LOOK_HOLDS)
    if found.hand is not Hand.SCHEDULED:
        return None
    at = f" for {moment(found.send_at)} UTC" if found.send_at is not None else ""
    return f"scheduled at {run.plan.provider}{at}: `campaigns pause {run.id}` calls it back"


def _facts(run: Run) -> dict[str, Any]:
    """What every JSON answer says of a run."""
    plan = run.plan
    return {
        "run": run.id,
        "account": plan.account_id,
        "campaign": plan.campaign,
        "status": run.status,
        "stop_reason": run.stop_reason,
        "live": plan.live,
        "segment": plan.segment,
        "template": plan.template,
        "provider": plan.provider,
        "refinement": plan.refinement,
        "limit": plan.limit,
        "holdout_percent": plan.holdout_percent,
        "seed": plan.seed,
        "feature_watermark": run.feature_watermark,
        "definition_hash": run.definition_hash,
        "members_hash": run.members_hash,
        "template_hash": run.template_hash,
        "code_version": run.code_version,
        "gate": _gate(run),
        "members": run.members,
        "planned": run.planned,
        "skipped": run.skipped,
        "created_at": run.created_at,
        "frozen_at": run.frozen_at,
        "dispatch_started_at": run.dispatch_started_at,
        "dispatched_at": run.dispatched_at,
        "settled_at": run.settled_at,
        "flow_run": run.flow_run_id,
    }


def _gate(run: Run) -> dict[str, bool] | None:
    """Each gate's verdict; None where none was asked."""
    return {name: bool(one["passed"]) for name, one in run.validation.items()} if run.validation else None


def _snapshot(run: Run) -> list[tuple[str, str]]:
    """What makes the audience reproducible, for people: the first twelve letters of a hash tell it from others."""
    if run.frozen_at is None:
        return []
    gate = _gate(run)
    verdict = ", ".join(f"{name} {'passed' if passed else 'FAILED'}" for name, passed in (gate or {}).items())
    facts = (
        ("features as of", f"{moment(run.feature_watermark)} UTC" if run.feature_watermark else None),
        ("definition", run.definition_hash and run.definition_hash[:12]),
        ("members", run.members_hash and run.members_hash[:12]),
        ("code", run.code_version),
        ("gate", verdict or "not asked"),
        ("seed", str(run.plan.seed)),
    )
    return [(name, value) for name, value in facts if value]


def _summary(one: RunSummary) -> dict[str, Any]:
    return {**_facts(one.run), "accepted": one.total.accepted, "delivered": one.total.delivered}


def _list_text(found: list[RunSummary]) -> str:
    if not found:
        return "No runs yet: `campaigns run` starts one."
    rows = [
        (
            one.run.id,
            one.run.created_at,
            _state(one.run),
            one.run.planned,
            one.total.accepted if one.run.plan.live else None,
            one.total.delivered if one.run.plan.live and _tells(one.run, one.total) else None,
            one.run.plan.campaign,
        )
        for one in found
    ]
    return table("", ["run", "started", "state", "planned", "accepted", "delivered", "campaign"], rows)


def _tells(run: Run, figures: Figures) -> bool:
    """Whether a count of deliveries means anything: a plain SMTP relay tells of bounces, and never of a delivery."""
    from tasks import esps

    plain = esps.declared().contracts.get(run.plan.provider) == "smtp" and not settings.load().smtp.x_smtpapi
    return bool(figures.delivered) or not plain


def _state(run: Run) -> str:
    words = run.status.replace("_", " ")
    return words if run.plan.live else f"{words} (dry)"


def _status_text(run: Run, messages: dict[str, int], progress: "Progress", scheduled: str | None) -> str:
    plan = run.plan
    facts = [
        ("segment", plan.segment),
        ("template", plan.template),
        ("provider", plan.provider),
        ("account", plan.account_id),
    ]
    times = {
        "started": run.created_at,
        "frozen": run.frozen_at,
        "handing over since": run.dispatch_started_at,
        "handed over": run.dispatched_at,
        "settled": run.settled_at,
        "next attempt": progress.next_claim_at if run.status is RunStatus.DISPATCHING else None,
    }
    facts += [(name, f"{moment(at)} UTC") for name, at in times.items() if at is not None]
    facts += _snapshot(run)
    if run.planned is not None:
        facts.append(("people", f"{run.planned:,} planned of {run.members:,} in the segment"))
    facts += [(name, f"{count:,} messages") for name, count in messages.items() if count]
    width = max(len(name) for name, _ in facts)
    lines = [f"{run.id}  {plan.campaign}: {_state(run)}", *([run.stop_reason] if run.stop_reason else [])]
    lines += [scheduled] if scheduled else []
    return "\n".join([*lines, *(f"  {name:<{width}}  {value}" for name, value in facts)])


def audit(run_id: RunId, as_json: AsJson = False) -> int:
    """Prove that a run's ledger balances, also against the ESP's own record.

    Exit status 1 when it does not.
    """
    from tasks import audits

    store.engine()
    found = audits.audit_of(run_id)
    payload = {"run": run_id, "balanced": found.balanced, **asdict(found)}
    answer(payload, as_json=as_json, text=_audit_text(run_id, found))
    return 0 if found.balanced else _UNBALANCED


def _audit_text(run_id: str, found: Audit) -> str:
    rows: list[tuple[str, int | None]] = [("in the segment", found.members)]
    rows += [(f"  {SENTENCE[reason]}", found.skipped[reason]) for reason in SkipReason if reason in found.skipped]
    rows += [("planned", found.planned)]
    rows += [(f"  {state}", count) for state, count in found.states.items() if count]
    if found.duplicates is not None:
        rows += [("sent twice, by the ESP's own record", found.duplicates), ("missing there", found.missing)]
    head = f"The ledger of {run_id} {'balances' if found.balanced else 'DOES NOT BALANCE'}."
    lines = [head, *(f"- {complaint}" for complaint in found.complaints), table("", ["", "people"], rows)]
    if found.duplicates is None:
        lines.append("The ESP keeps no record of its own that could be compared.")
    return "\n".join(lines)


def report(
    run_id: RunId,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the campaign page, in one file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The figures of a run: who got it, and what became of it."""
    from data import database, reports

    with database.read(store.engine()) as connection:
        found = reports.run_report(connection, run_id)
    if html is not None:
        _write_page(found, html)
    payload = {
        **_facts(found.run),
        "waterfall": found.waterfall,
        "figures": _figures(found.total),
        "by_mailbox_provider": {name: _figures(one) for name, one in found.by_mailbox_provider.items()},
        "seconds_to_accept": found.seconds_to_accept,
        "page": f"{settings.load().gateway.public_url}/campaigns/{run_id}",
    }
    answer(payload, as_json=as_json, text=_report_text(found, payload["page"]))


def _write_page(found: RunReport, file: Path) -> None:
    from gateway import rendering

    page = rendering.render_run(found, standalone=True)
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Mistake(f"{file} cannot be written: {error.strerror}") from error


def _figures(one: Figures) -> dict[str, Any]:
    names = ("deliverability", "bounce_rate", "complaint_rate", "human_open_rate", "click_rate", "human_click_rate")
    return {**asdict(one), **{name: getattr(one, name) for name in names}}


def _report_text(found: RunReport, page: str) -> str:
    run = found.run
    rows: list[tuple[str, int | None, str]] = [
        (f"  {step.label}" if step.code in set(SkipReason) else step.label, step.count, "") for step in found.waterfall
    ]
    head = f"{run.plan.campaign}: {_state(run)}" + (f" – {run.stop_reason}" if run.stop_reason else "")
    tells = _tells(run, found.total)
    providers = [
        (
            name,
            one.accepted,
            percent(one.deliverability if tells else None),
            percent(one.bounce_rate),
            percent(one.human_open_rate),
        )
        for name, one in sorted(found.by_mailbox_provider.items())
    ]
    names = ["mailboxes at", "accepted", "delivered", "bounced", "opened by a person"]
    if run.plan.live:
        delivered, *others = lines(found.total)
        rows += [delivered if tells else ("delivered: this relay does not tell", None, "–"), *others]
    parts = [table(head, ["", "people", "rate"], rows), *([table("", names, providers)] if providers else [])]
    parts += ["\n".join(f"{name}: {value}" for name, value in snapshot)] if (snapshot := _snapshot(run)) else []
    parts.append(page)
    return "\n\n".join(parts)
