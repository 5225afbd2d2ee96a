"""Guardrails while a run goes out: the canary is judged, mailbox groups are braked, a person is told and asked."""

import time
from collections.abc import Sequence

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

import settings
from data import brakes, control, database, guardrails, runs, traffic_rows
from data.brakes import Brake
from data.guardrails import Braked, Observed
from domain.campaigns import Run, RunStatus
from domain.guardrails import CanaryState, CanaryVerdict, GuardAction, Results, total
from domain.reports import percent
from tasks import upkeep, watching, wiring
from tasks.campaign import RunState, state_of

# Events come within seconds; what is judged costs a row a message of the canary.
_CANARY_EVERY_SECONDS = 3.0
_LAST_LOOK_SECONDS = 120.0
_WATCHED = (RunStatus.DISPATCHING, RunStatus.PAUSED)


@task(task_run_name="list the runs to watch", cache_policy=NO_CACHE)
def runs_to_watch() -> list[str]:
    """Live runs that hand over now or are paused: the canary of a paused one is judged, too."""
    with database.read(wiring.engine()) as connection:
        return [run.id for run in runs.with_status(connection, *_WATCHED) if run.plan.live]


@task(task_run_name="watch {run_id}", cache_policy=NO_CACHE)
def watch_run(run_id: str) -> dict[str, str]:
    """Judge the canary and every mailbox group by what is known now; what was changed, by group ("canary" for that).

    Safe to repeat, and safe beside another that does the same.
    """
    return _watched(run_id)


@task(task_run_name="await the canary of {run_id}", cache_policy=NO_CACHE)
def await_canary(run_id: str) -> str | None:
    """Wait until the first few are judged, by the events that come meanwhile; how it ended.

    No longer than it may take, and a while for the last look; nor once somebody pauses or cancels the run.
    """
    patience = 60.0 * settings.load().sending.canary_minutes + _LAST_LOOK_SECONDS
    until = time.monotonic() + patience
    with watching.own_flow_run(run_id) as heed:
        while time.monotonic() < until:
            upkeep.apply_events()
            _watched(run_id)
            with database.read(wiring.engine()) as connection:
                run = runs.get(connection, run_id)
            if run.canary != CanaryState.WATCHING or run.status is not RunStatus.DISPATCHING:
                return run.canary
            time.sleep(_CANARY_EVERY_SECONDS)
            heed()
    return str(CanaryState.WATCHING)


def _watched(run_id: str) -> dict[str, str]:
    with database.read(wiring.engine()) as connection:
        run = runs.get(connection, run_id)
        observed = guardrails.observe(connection, run, wiring.clock())
    with database.write(wiring.engine()) as connection:
        verdict = guardrails.watch_canary(connection, run, observed, settings.load().sending)
        changed = guardrails.guard(connection, run, observed)
        for one in changed:
            if one.guard.action is GuardAction.PAUSE:
                traffic_rows.step_back(connection, run_id, one.mailbox_group, observed.at)
        held = brakes.of_run(connection, run_id, observed.at)
    _log(run_id, observed, verdict, changed)
    breached = verdict is not None and verdict.state is CanaryState.BREACHED
    if breached or changed:
        create_markdown_artifact(
            _page(run, observed, verdict, held), key=f"guard-{run_id}", description="What holds this run back, and why"
        )
    told = {one.mailbox_group: str(one.guard.action) for one in changed}
    return told | ({"canary": str(verdict.state)} if verdict is not None else {})


def _log(run_id: str, observed: Observed, verdict: CanaryVerdict | None, changed: Sequence[Braked]) -> None:
    logger, seen = get_run_logger(), total(observed.whole.values())
    logger.info(
        "%s: of %d accepted %d heard of, %d delivered, %d hard bounces, %d blocked, %d put off, %d complaints",
        run_id,
        seen.accepted,
        seen.heard,
        seen.delivered,
        seen.hard,
        seen.blocked,
        seen.deferred,
        seen.complained,
    )
    if verdict is not None:
        logger.info("Canary %s: %s", verdict.state, verdict.reason)
    for one in changed:
        logger.warning("%s: %s. %s", one.mailbox_group, _DONE[one.guard.action], one.guard.reason)


_DONE = {
    GuardAction.NONE: "goes at its own pace again",
    GuardAction.SLOW: "slowed to half its pace",
    GuardAction.PAUSE: "stopped",
}


def _page(run: Run, observed: Observed, verdict: CanaryVerdict | None, held: Sequence[Brake]) -> str:
    """Markdown: what was seen, what is held back, what to do."""
    parts = [f"# What holds {run.plan.campaign} back"]
    if verdict is not None and verdict.state is CanaryState.BREACHED:
        parts.append(
            f"## The canary\n\nThe first few who got it did badly, and **nobody else gets it** until a person decides:"
            f" {verdict.reason}.\n\n{_to_do_about_canary(run.id)}"
        )
    lines = [_brake_line(one) for one in held] or ["Nothing: every group goes at its own pace."]
    parts.append("## Mailbox providers that are held back\n\n" + "\n".join(lines))
    if held:
        parts.append(
            "Other mailbox providers are not concerned. Look for the cause first: old addresses (hard bounces), people"
            " who did not ask for it (complaints), the pool's name or the content (blocks). What is not sent within the"
            f" run's window expires. `campaigns guards show {run.id}` shows the figures of now."
        )
    parts.append("## What was seen\n\n" + figures_table(observed))
    return "\n\n".join(parts)


def _to_do_about_canary(run_id: str) -> str:
    return (
        "Look at the figures below. Go on or end the run by **Resume** on the flow run's page, or by"
        f" `campaigns guards go-on {run_id} --by NAME --why REASON`."
    )


def _brake_line(one: Brake) -> str:
    what = "is stopped" if one.factor == 0 else f"goes at {one.factor:.0%} of its pace"
    if one.until is not None:
        ends = f"until {one.until:%Y-%m-%d %H:%M} UTC"
    else:
        ends = "until a person lifts it" if one.factor == 0 else "until the rate is back"
    return (
        f"- **{one.mailbox_group}** {what} since {one.set_at:%H:%M} UTC, {ends}: {one.reason}."
        f" To lift it: `campaigns guards lift {one.id} --by NAME --why REASON`."
    )


_HEADS = ("Mailbox provider", "Accepted", "Heard of", "Delivered", "Hard bounces", "Blocked", "Put off", "Complaints")


def figures_table(observed: Observed) -> str:
    """Markdown of what was seen, a line a mailbox group."""
    lines = [f"| {' | '.join(_HEADS)} |", f"|:--|{'--:|' * (len(_HEADS) - 1)}"]
    for group, one in sorted(observed.whole.items()):
        counts = (one.accepted, one.heard, one.delivered)
        shares = (_share(count, one) for count in (one.hard, one.blocked, one.deferred, one.complained))
        lines.append(f"| {' | '.join([group, *(f'{count:,}' for count in counts), *shares])} |")
    return "\n".join(lines)


def _share(count: int, results: Results) -> str:
    return f"{count:,} ({percent(count / results.heard, digits=2)})" if results.heard else f"{count:,}"


@task(task_run_name="does {run_id} wait for a person?", cache_policy=NO_CACHE)
def question(run_id: str) -> str | None:
    """What a person is asked about a run that its canary stopped; None where it does not wait for anybody."""
    with database.read(wiring.engine()) as connection:
        run = runs.get(connection, run_id)
        if not run.held_by_canary:
            return None
        observed = guardrails.observe(connection, run, wiring.clock())
    return (
        f"## Go on with **{run.plan.campaign}**?\n\nThe first few who got it did badly, and nobody else gets it until"
        f" you decide.\n\n**{(run.canary_figures or {}).get('reason', run.stop_reason)}**\n\n{figures_table(observed)}"
        f"\n\nPlanned are {run.planned or 0:,} people. Run `{run.id}`."
    )


@task(task_run_name="record decision about the canary of {run_id}", cache_policy=NO_CACHE)
def decide(run_id: str, *, go_on: bool, by: str, note: str) -> RunState:
    """Let the run go on or end it for ever, with who said so. A decision that was made already stands."""
    now = wiring.clock()
    with database.write(wiring.engine()) as connection:
        run = runs.get(connection, run_id, locked=True)
        if run.held_by_canary:
            if go_on:
                guardrails.overrule(connection, run_id, by=by, note=note, now=now)
                run = runs.advance(connection, run, RunStatus.DISPATCHING, stop_reason=None)
            else:
                run = control.cancel(connection, run_id, by=by, why=note, now=now).run
    return state_of(run)
