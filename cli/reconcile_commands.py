"""Commands about reconciliation: do it by hand, and read what the nights found."""

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, moment, table
from cli.run_commands import fields_of
from tasks import prefect_api

if TYPE_CHECKING:
    from data.reconciliations import Night

app = typer.Typer()
_FAILED = 1
_HEADS = ["day", "ESP", "what", "of", "here", "there", "differ", "repaired", "why"]


@app.callback(invoke_without_command=True)
def reconcile(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=30, help="How many days back, besides today.")] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare and report; change nothing.")] = False,
    account: Annotated[str | None, typer.Option(help="One account only; all of them unless given.")] = None,
    whole_lists: Annotated[
        bool, typer.Option("--whole-lists", help="Read the ESPs' suppression lists whole, as is done weekly anyway.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is over.")] = False,
    as_json: AsJson = False,
) -> int:
    """Compare what the ESPs say with what we hold, and bring back what their webhooks did not tell. It runs nightly.

    Exit status 1 when --wait sees it fail: something differs that nobody can explain, or an ESP did not answer.
    """
    if context.invoked_subcommand is not None:
        return 0
    if dry_run and whole_lists:
        raise Mistake("--whole-lists reads the lists in, and --dry-run reads in nothing: choose one of them")
    parameters: dict[str, Any] = {"days": days, "dry_run": dry_run, "whole_lists": whole_lists}
    if account is not None:
        parameters["account"] = store.chosen_account(store.engine(), account)
    with prefect_api.client() as connected:
        flow_run = prefect_api.start(connected, "reconcile", parameters)
        if wait:
            flow_run = prefect_api.wait(connected, flow_run.id, seconds=math.inf)
    lines = [f"{flow_run.name}: {flow_run.state}", *filter(None, [flow_run.message]), flow_run.page]
    lines.append("`campaigns reconcile history` shows what it found.")
    answer(fields_of(flow_run), as_json=as_json, text="\n".join(lines))
    return _FAILED if flow_run.final and not flow_run.completed else 0


@app.command("history")
def history(
    night: Annotated[
        str | None, typer.Argument(metavar="NIGHT", help="Its id, or its beginning: every difference of that one.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=365, help="So many, newest first.")] = 14,
    as_json: AsJson = False,
) -> None:
    """The last reconciliations and how much each found; with an id, everything that it found."""
    from data import database, reconciliations

    with database.read(store.engine()) as connection:
        found = reconciliations.nights(connection, limit=limit if night is None else 1000)
        if night is None:
            answer({"nights": [asdict(one) for one in found]}, as_json=as_json, text=_nights(found))
            return
        chosen = [one for one in found if one.id.startswith(night)]
        if len(chosen) != 1:
            how_many = f"{len(chosen)} reconciliations have an id" if chosen else "no reconciliation has an id"
            raise Mistake(f"{how_many} that begins with {night!r}: `campaigns reconcile history` lists them")
        differences = reconciliations.differences(connection, chosen[0].id)
    payload = asdict(chosen[0]) | {"differences": [asdict(one) | {"to_do": one.to_do} for one in differences]}
    rows = [
        (
            f"{one.day}",
            one.provider,
            f"{one.kind}{f': {one.measure}' if one.measure else ''}",
            one.run_id or one.campaign or "",
            one.here,
            one.there,
            one.count,
            one.repaired,
            f"{one.explanation}{f' ({one.detail})' if one.detail else ''}",
        )
        for one in differences
    ]
    said = table(f"{chosen[0].first_day} to {chosen[0].last_day}", _HEADS, rows) if rows else "Nothing differed."
    todo = sorted({text for one in differences if (text := one.to_do) is not None})
    answer(payload, as_json=as_json, text="\n".join([said, *(f"\n- {text}" for text in todo)]))


def _nights(found: "list[Night]") -> str:
    rows = [
        (
            one.id[:8],
            moment(one.started_at),
            f"{one.first_day} to {one.last_day}",
            sum(one.counts.values()),
            one.repaired,
            one.unexplained,
            _state(one),
        )
        for one in found
    ]
    heads = ["night", "began (UTC)", "days", "differ", "repaired", "unexplained", ""]
    return table("", heads, rows) if rows else "There was no reconciliation yet: `campaigns reconcile` does one."


def _state(one: "Night") -> str:
    if one.finished_at is None:
        return f"not ended ({', '.join(one.steps) or 'nothing done'}; {one.worker})"
    return "dry run" if one.dry_run else ""
