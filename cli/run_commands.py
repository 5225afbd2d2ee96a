"""Commands about campaign runs: run, resume, status, audit, report."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

import settings
from cli import prefect_api
from cli.output import AsJson, Mistake, answer, table

RunId = Annotated[str, typer.Argument(help="The id of a run, such as `campaigns status` lists.")]
_UNBALANCED = 1


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("run")(run)
    app.command("resume")(resume)
    app.command("status")(status)
    app.command("audit")(audit)
    app.command("report")(report)


def run(
    campaign: Annotated[str, typer.Argument(help="The campaign's name.")],
    segment: Annotated[str, typer.Option(help="Who.")],
    template: Annotated[str, typer.Option(help="What they read.")],
    provider: Annotated[str, typer.Option(help="Who delivers it.")] = "sandbox",
    live: Annotated[bool, typer.Option("--live", help="Send. Without it: count and preview only.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="At most so many people; 0: everyone.")] = 0,
    holdout_percent: Annotated[int, typer.Option(help="So many percent get no mail.")] = 0,
    subject: Annotated[str, typer.Option(help="Replaces the template's subject.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is over or asks for approval.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a run of a campaign, as the Run button of the Prefect UI does."""
    request = _request(
        campaign=campaign,
        segment=segment,
        template=template,
        provider=provider,
        live=live,
        limit=limit,
        holdout_percent=holdout_percent,
        subject=subject,
    )
    _start(request, wait=wait, as_json=as_json)


def _request(*, live: bool, **fields: Any) -> dict[str, Any]:
    """Check the fields with the very model of the form."""
    from tasks.request import CampaignRequest, Mode

    try:
        checked = CampaignRequest(mode=Mode.LIVE if live else Mode.DRY_RUN, **fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise Mistake(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    return checked.model_dump(mode="json")


def _start(request: dict[str, Any], *, wait: bool, as_json: bool) -> None:
    with prefect_api.client() as connected:
        flow_run = prefect_api.start(connected, "run-campaign", {"request": request})
        if wait:
            flow_run = prefect_api.wait(connected, flow_run.id)
    state = flow_run.state.name if flow_run.state is not None else "unknown"
    page = prefect_api.page(flow_run.id)
    payload = {"flow_run": str(flow_run.id), "name": flow_run.name, "state": state, "page": page}
    answer(payload, as_json=as_json, text=f"{flow_run.name}: {state}\n{page}")


def resume(run_id: RunId, as_json: AsJson = False) -> None:
    """Continue a run that was paused or broke off. Nothing that may have gone out is sent again."""
    from data import database, runs
    from tasks import wiring

    with database.read(wiring.engine()) as connection:
        known = runs.get(connection, run_id)
    _start(_request(live=known.plan.live, resume_run=run_id), wait=False, as_json=as_json)


def status(
    run_id: Annotated[str | None, typer.Argument(help="One run; all recent ones unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Recent runs, or one run's ledger."""
    from data import database, ledger_sweep, reports, runs
    from tasks import wiring

    with database.read(wiring.engine()) as connection:
        if run_id is None:
            found = reports.recent_runs(connection, None, 20)
            rows = [
                (
                    one.run.id,
                    one.run.plan.campaign,
                    one.run.status,
                    one.run.plan.live,
                    one.run.created_at,
                    one.run.planned,
                    one.total.accepted,
                    one.total.delivered,
                )
                for one in found
            ]
            names = ["run", "campaign", "state", "live", "started", "planned", "accepted", "delivered"]
            answer(found, as_json=as_json, text=table("Runs", names, rows))
            return
        one = runs.get(connection, run_id)
        progress = ledger_sweep.progress(connection, run_id)
    payload = {"run": one, "messages": progress.states, "open": progress.open}
    lines = [f"{state:>10}: {count:,}" for state, count in sorted(progress.states.items())]
    reason = f"\n{one.stop_reason}" if one.stop_reason else ""
    answer(
        payload, as_json=as_json, text="\n".join([f"{one.id} ({one.plan.campaign}) is {one.status}{reason}", *lines])
    )


def audit(run_id: RunId, as_json: AsJson = False) -> int:
    """Prove that the run's ledger balances, also against the ESP's own record. Exit status 1 when it does not."""
    from tasks import reporting

    found = reporting.audit_of(run_id)
    rows: list[tuple[str, int]] = [("segment", found.members), ("planned", found.planned)]
    rows += [(f"skipped: {reason}", count) for reason, count in found.skipped.items()]
    rows += [(f"messages: {state}", count) for state, count in found.states.items() if count]
    if found.duplicates is not None and found.missing is not None:
        rows += [("sent twice, by the ESP's record", found.duplicates), ("missing there", found.missing)]
    title = "The ledger balances" if found.balanced else "DOES NOT BALANCE: " + "; ".join(found.complaints)
    payload = {"run": run_id, "balanced": found.balanced, **_plain_audit(found)}
    answer(payload, as_json=as_json, text=table(title, ["", "people"], rows))
    return 0 if found.balanced else _UNBALANCED


def _plain_audit(found: Any) -> dict[str, Any]:
    names = ("members", "planned", "skipped", "states", "duplicates", "missing", "complaints")
    return {name: getattr(found, name) for name in names}


def report(
    run_id: RunId,
    html: Annotated[Path | None, typer.Option(help="Also write the campaign page, whole in one file.")] = None,
    as_json: AsJson = False,
) -> None:
    """The figures of a run."""
    from data import database, reports
    from gateway import rendering
    from tasks import artifacts, wiring

    with database.read(wiring.engine()) as connection:
        found = reports.run_report(connection, run_id)
    if html is not None:
        html.write_text(rendering.render_run(found, standalone=True), encoding="utf-8")
    total = found.total
    rows: list[tuple[str, int, str | None]] = [(step.label, step.count, None) for step in found.waterfall]
    rows += [
        ("delivered", total.delivered, artifacts.percent(total.deliverability)),
        *((f"bounced: {name}", count, None) for name, count in sorted(total.bounced.items())),
        ("complained", total.complained, artifacts.percent(total.complaint_rate)),
        ("opened by a person", total.opened_human, artifacts.percent(total.human_open_rate)),
        ("clicked", total.clicked_unique, artifacts.percent(total.click_rate)),
    ]
    payload = {"run": found.run, "figures": total, "deliverability": total.deliverability, "waterfall": found.waterfall}
    title = f"{found.run.plan.campaign}: {found.run.status} ({settings.load().gateway.public_url}/campaigns/{run_id})"
    answer(payload, as_json=as_json, text=table(title, ["", "people", "rate"], rows))
