"""The demo: one campaign on the real order history of a CD shop, run as a Prefect deployment.

It has a store, ports and secrets of its own under var/demo/, so it disturbs no `campaigns up` beside it.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

import settings
from cli import demo_channels, services, store
from cli.output import Mistake, answer, console, json_text, table
from domain.campaigns import RunStatus
from domain.kpis import Figures
from domain.reports import Audit, RunReport, lines
from tasks import prefect_api

HOME = Path("var/demo")
REQUEST = {
    "campaign": "new-arrivals",
    "mode": "2 · Live – mail goes out, after approval where the audience is large",
    "segment": "all-customers",
    "template": "new-arrivals",
    "provider": "sandbox",
    "holdout_percent": 5,
}
_SETTLE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Result:
    """What the demo proved."""

    orders: int
    customers: int
    report: RunReport
    audit: Audit
    clicked_run_at: datetime
    sandbox: dict[str, Any]
    suppressions: int


def run() -> int:
    """Do it all. Exit status 0 only if the ledger balances and agrees with the ESP's own record."""
    started = time.monotonic()
    _own_environment()
    config = settings.load()
    store.prepare(store.connectable())
    sample = _load_orders()
    say("Starting the sandbox ESP, the gateway, a Prefect server and a worker (logs: var/demo/log) ...")
    with services.running(config, HOME):
        say(f"Prefect UI: {config.prefect.url}   Campaign pages: {config.gateway.public_url}/campaigns")
        with prefect_api.client() as connected:
            say("A web shop pushes signed Shopify orders through the gateway, each twice and out of order")
            pushed = demo_channels.push(connected)
        say(
            f"{pushed.deliveries} deliveries became {pushed.orders} orders, all of customers who are known from the file"
            if pushed.right
            else f"The pushed orders are WRONG: {pushed}"
        )
        for reason in pushed.letters:
            say(f"One could not be used and is kept as a dead letter: {reason}")
        result = _campaign(*sample)
    summary = summary_of(result)
    (HOME / "summary.json").write_text(json_text(summary) + "\n")
    _write_page(result)
    _show(summary, result)
    say(f"Done in {time.monotonic() - started:.0f} seconds. Figures: {HOME}/summary.json  Page: {HOME}/report.html")
    return 0 if pushed.right and summary["audit"]["balanced"] and not summary["disagreements"] else 1


def say(text: str) -> None:
    """One step, as it begins."""
    console.print(f"[bold]·[/bold] {text}")


def _own_environment() -> None:
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    gateway, sandbox, prefect = (services.free_port() for _ in range(3))
    os.environ.update(
        OMS_ACCOUNT="demo",
        OMS_DATABASE_URL=f"sqlite:///{HOME}/oms.db",
        OMS_PRIVACY_PEPPER=services.new_secret(),
        OMS_PRIVACY_LINK_KEY=services.new_secret(),
        OMS_GATEWAY_PORT=str(gateway),
        OMS_GATEWAY_PUBLIC_URL=f"http://127.0.0.1:{gateway}",
        OMS_SANDBOX_PORT=str(sandbox),
        OMS_SANDBOX_STORE=f"{HOME}/sandbox.db",
        OMS_SHOP_NAME="The Record Shop",
        OMS_SHOP_SENDER_NAME="The Record Shop",
        OMS_SHOP_CURRENCY="USD",
        OMS_PREFECT_PORT=str(prefect),
        OMS_INTAKE_CHANNELS_FILE=str(demo_channels.declare(HOME)),
        # Of a .env beside us nothing may decide what the demo shows.
        OMS_SENDING_APPROVAL_ABOVE="500",
        OMS_SENDING_BATCH_SIZE="1000",
    )
    settings.load.cache_clear()


def _load_orders() -> tuple[int, int]:
    """Write the sample as our CSV and load it by the ordinary way in."""
    from data.intake import drain, load
    from data.samples import cdnow
    from tasks import wiring

    config = settings.load()
    now = wiring.clock()
    file = HOME / "orders.csv"
    sample = cdnow.write_csv(file, as_of=now.date())
    say(
        f"CDNOW: {sample.orders:,} real orders of {sample.customers:,} customers, dates shifted by"
        f" {sample.shifted_weeks} whole weeks so that the last one is recent ({sample.last:%Y-%m-%d})"
    )
    intake = wiring.order_intake()
    load.stage(intake, file, account_id=config.account, channel="csv")
    loaded = drain.drain(intake, only=(config.account, "csv")).counts()
    say(f"Loaded {loaded['loaded']:,} orders, {loaded['refused']:,} dead letters")
    return loaded["loaded"], sample.customers


def _campaign(orders: int, customers: int) -> Result:
    with prefect_api.client() as connected:
        say("Refreshing customer features (deployment refresh-features)")
        _completed(connected, prefect_api.start(connected, "refresh-features", {}).id)
        say(f"Running the campaign '{REQUEST['campaign']}' (deployment run-campaign)")
        clicked = _now()
        flow_run = prefect_api.start(connected, "run-campaign", {"request": REQUEST})
        paused = prefect_api.wait(connected, flow_run.id)
        if not paused.paused:
            raise Mistake(f"the run should have asked for approval: {_end_of(paused)}; {paused.page}")
        say("Gate passed, audience frozen; approving as the UI's Resume button does")
        prefect_api.approve(connected, flow_run.id, name="Demo", note="approved by the demo")
        _completed(connected, flow_run.id)
        run_id = _run_of(str(flow_run.id))
        say("Handed over. Waiting for the ESP's signed webhooks until the run is settled")
        _settle(connected, run_id)
        say("Reconciling with the ESP's own lists, reporting KPIs")
        for name in ("reconcile", "report-kpis"):
            _completed(connected, prefect_api.start(connected, name, {}).id)
        return _result(run_id, orders, customers, clicked)


def _now() -> datetime:
    from tasks import wiring

    return wiring.clock()


def _completed(connected: prefect_api.Client, flow_run_id: UUID) -> None:
    """Wait for a flow run to end well. Raises Mistake with its message."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    run = prefect_api.wait(connected, flow_run_id, seconds=_SETTLE_SECONDS)
    while run.paused and time.monotonic() < deadline:
        time.sleep(0.2)  # the answer to an approval takes a moment to arrive
        run = prefect_api.wait(connected, flow_run_id, seconds=_SETTLE_SECONDS)
    if not (run.completed or run.cancelled):
        raise Mistake(f"flow run '{run.name}' ended {_end_of(run)}; logs in {HOME}/log")


def _end_of(run: prefect_api.FlowRun) -> str:
    return f"{run.state} ({run.message})" if run.message else run.state


def _run_of(flow_run_id: str) -> str:
    from data import database, runs
    from tasks import wiring

    with database.read(wiring.engine()) as connection:
        found = runs.by_flow_run(connection, flow_run_id)
    if found is None:
        raise Mistake("the flow run left no campaign run in the ledger")
    return found.id


def _settle(connected: prefect_api.Client, run_id: str) -> None:
    """Until every accepted message has a fate and the ESP has no event left to post."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < deadline:
        record = _sandbox_summary(run_id)
        if record["events_due"] == 0:
            _completed(connected, prefect_api.start(connected, "process-delivery-events", {}).id)
            if _read(lambda c, runs: runs.get(c, run_id)).status is RunStatus.SETTLED and _inbox_is_empty():
                return
        time.sleep(1.0)
    raise Mistake(f"run {run_id} is not settled after {_SETTLE_SECONDS} seconds; logs in {HOME}/log")


def _read(ask: Callable[[Any, Any], Any]) -> Any:
    from data import database, runs
    from tasks import wiring

    with database.read(wiring.engine()) as connection:
        return ask(connection, runs)


def _inbox_is_empty() -> bool:
    from data import inbox

    return bool(_read(lambda c, _: inbox.backlog(c)) == 0)


def _sandbox_summary(run_id: str) -> dict[str, Any]:
    answered = httpx.get(f"{settings.load().sandbox.url}/sandbox/summary", params={"run": run_id}, timeout=10)
    answered.raise_for_status()
    found: dict[str, Any] = answered.json()
    return found


def _result(run_id: str, orders: int, customers: int, clicked: datetime) -> Result:
    from data import reports, suppressions
    from tasks import audits

    return Result(
        orders=orders,
        customers=customers,
        report=_read(lambda c, _: reports.run_report(c, run_id)),
        audit=audits.audit_of(run_id),
        clicked_run_at=clicked,
        sandbox=_sandbox_summary(run_id),
        suppressions=len(
            _read(lambda c, _: suppressions.listing(c, settings.load().account, limit=1_000_000, offset=0))
        ),
    )


def summary_of(result: Result) -> dict[str, Any]:
    """The figures in the form of summary.json."""
    total, last = result.report.total, result.report.last_accepted_at
    started = result.report.run.dispatch_started_at
    ours = _comparable(total)
    theirs = {name: result.sandbox[name] for name in ours}
    return {
        "orders": result.orders,
        "customers": result.customers,
        "members": result.audit.members,
        "audience": result.audit.planned,
        "skipped": result.audit.skipped,
        "accepted": total.accepted,
        "delivered": total.delivered,
        "bounced": _bounced(total),
        "dropped": total.dropped,
        "complained": total.complained,
        "unsubscribed": total.unsubscribed,
        "opened_unique": total.opened_unique,
        "opened_human": total.opened_human,
        "clicked_unique": total.clicked_unique,
        "deliverability": total.deliverability,
        "suppressions": result.suppressions,
        "seconds_to_accept": (last - result.clicked_run_at).total_seconds() if last else None,
        "seconds_of_dispatch": (last - started).total_seconds() if last and started else None,
        "audit": {
            "balanced": result.audit.balanced,
            "duplicates": result.audit.duplicates,
            "missing": result.audit.missing,
            "states": result.audit.states,
        },
        "sandbox_record": theirs,
        "disagreements": {name: [ours[name], theirs[name]] for name in ours if ours[name] != theirs[name]},
        "run": result.report.run.id,
    }


def _bounced(total: Figures) -> dict[str, int]:
    """By class, the empty classes too."""
    return {**dict.fromkeys(("hard", "soft", "block"), 0), **total.bounced}


def _comparable(total: Figures) -> dict[str, Any]:
    """The figures of which the sandbox keeps its own count."""
    first = ("accepted", "delivered", "dropped", "complained", "unsubscribed")
    names = (*first, "opened_unique", "opened_human", "clicked_unique")
    return {**{name: getattr(total, name) for name in names}, "bounced": _bounced(total)}


def _write_page(result: Result) -> None:
    from gateway import rendering

    page = rendering.render_run(result.report, audit=result.audit, standalone=True)
    (HOME / "report.html").write_text(page, encoding="utf-8")


def _show(summary: dict[str, Any], result: Result) -> None:
    rows: list[tuple[str, int, str]] = [(step.label, step.count, "") for step in result.report.waterfall]
    rows += [*lines(result.report.total), ("suppressed in the end", result.suppressions, "")]
    answer(summary, as_json=False, text=table("One campaign, end to end", ["", "people", "rate"], rows))
    audit = summary["audit"]
    agrees = "agrees in every figure" if not summary["disagreements"] else f"DISAGREES: {summary['disagreements']}"
    console.print(
        f"\ndeliverability       {summary['deliverability']:.2%} (delivered of accepted)\n"
        f"run to last accept   {summary['seconds_to_accept']:.1f} s, approval included;"
        f" dispatch alone {summary['seconds_of_dispatch']:.2f} s\n"
        f"audit                {'balanced' if audit['balanced'] else 'DOES NOT BALANCE'},"
        f" {audit['duplicates']} sent twice, {audit['missing']} missing\n"
        f"the ESP's own record {agrees}\n"
    )
