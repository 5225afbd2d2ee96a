"""Commands about a run that was started: pause, resume, cancel. They say who did it, and take effect within one batch."""

import sys
from typing import Annotated

import typer

from cli import store
from cli.output import AsJson, Mistake, answer
from cli.run_commands import RunId, fields_of
from tasks import prefect_api

Why = Annotated[str, typer.Option(help="The audit log keeps it.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("pause")(pause)
    app.command("resume")(resume)
    app.command("cancel")(cancel)


def pause(run_id: RunId, why: Why = "", as_json: AsJson = False) -> None:
    """Stop a run that is sending, until it is resumed.

    The batch that is under way ends by itself; no further one is handed over, on whichever machine. Needs no Prefect.
    """
    from data import control, database
    from tasks import host_upkeep, wiring

    with database.write(store.engine()) as connection:
        run = control.pause(connection, run_id, by=store.person(), why=why, now=wiring.clock())
    told = host_upkeep.carried(run_id)
    text = f"Run {run_id} is paused. `campaigns resume {run_id}` continues it; what waits past its window expires."
    payload = {"run": run_id, "status": run.status, "stop_reason": run.stop_reason} | ({"host": told} if told else {})
    answer(payload, as_json=as_json, text=_with_host(text, told))


def resume(run_id: RunId, why: Why = "", as_json: AsJson = False) -> None:
    """Continue a run that was paused or broke off.

    Its flow run goes on where it is suspended; else a new one takes over. Nothing that may have gone out is sent again.
    """
    from tasks import continuing

    store.engine()  # says so where the schema is an older one
    with prefect_api.client() as connected:
        done = continuing.continue_run(connected, run_id, by=store.person(), why=why)
    flow_run = done.flow_run
    payload = {"run": run_id, "told": done.told} | fields_of(flow_run)
    text = f"Run {run_id}: {done.told}.\n{flow_run.name}: {flow_run.state}\n{flow_run.page}"
    answer(payload, as_json=as_json, text=text)


def cancel(
    run_id: RunId,
    why: Why = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """End a run for good: what has not gone out never will. Needs no Prefect.

    Asks first; what is under way ends by its own outcome, and is counted.
    """
    from data import control, database, runs
    from tasks import host_upkeep, wiring

    engine = store.engine()
    with database.read(engine) as connection:
        known = runs.get(connection, run_id)
    if not yes:
        _ask(
            f"Cancel run {run_id} of {known.plan.campaign} ({known.status})? It cannot be taken back.", as_json=as_json
        )
    with database.write(engine) as connection:
        done = control.cancel(connection, run_id, by=store.person(), why=why, now=wiring.clock())
    told = host_upkeep.carried(run_id)
    payload = {"run": run_id, "status": done.run.status, "cancelled_messages": done.messages}
    payload |= {"host": told} if told else {}
    text = f"Run {run_id} is cancelled: {done.messages:,} messages are not sent. `campaigns audit {run_id}` tells the rest."
    answer(payload, as_json=as_json, text=_with_host(text, told))


def _with_host(text: str, told: str) -> str:
    """Where an ESP sends the campaign itself, its word counts: a pause may come too late."""
    return f"{told}\n{text}" if told else text


def _ask(question: str, *, as_json: bool) -> None:
    """Raises Mistake where nobody can answer, or the answer is no."""
    if as_json or not sys.stdin.isatty():
        raise Mistake("nobody can be asked here: say --yes if it is meant")
    if not typer.confirm(question):
        raise Mistake("nothing was changed")
