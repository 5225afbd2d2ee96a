"""The command that tells how a run would go out before it does: plan."""

from dataclasses import asdict

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, moment, table
from cli.run_commands import RunId
from domain.campaigns import RunStatus
from domain.pace_plan import PacePlan

# Frozen, and nothing of it was handed over.
_BEFORE = frozenset({RunStatus.FROZEN, RunStatus.PREVIEWED, RunStatus.AWAITING_APPROVAL, RunStatus.APPROVED})


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("plan")(plan)


def plan(run_id: RunId, as_json: AsJson = False) -> None:
    """How a run would go out now: how long, to which mailbox providers, what limits it.

    Of a run whose people are chosen and of which nothing was sent: a dry run, or one that waits for approval.
    """
    from data import database, runs
    from tasks import pacing

    with database.read(store.engine()) as connection:
        known = runs.get(connection, run_id)
    if known.status not in _BEFORE:
        raise Mistake(
            f"run {run_id} is {known.status.replace('_', ' ')}: a plan is of a run whose people are chosen and of which"
            " nothing was sent; `campaigns status` tells how far a run is"
        )
    found = pacing.of_run(run_id)
    payload = {"run": run_id, "seconds": found.takes.total_seconds(), **asdict(found)}
    answer(payload, as_json=as_json, text=_text(run_id, found))


def _text(run_id: str, found: PacePlan) -> str:
    from tasks import pace_words

    lines = [
        f"{run_id}: {found.people:,} people, in about {pace_words.duration(found.takes)} were it to begin now",
        *(f"! {one}" for one in found.warnings),
        f"handed over to the ESP until {moment(found.handed_over_at)} UTC, {found.hand_over_per_minute:,.0f} a minute",
        f"released to the mailbox providers until {moment(found.released_at)} UTC",
    ]
    rows = [
        (one.shown, one.people, round(one.per_minute), one.ends_at, one.largest_day, one.limited_by)
        for one in found.groups
    ]
    columns = ["mailbox provider", "people", "a minute", "until", "largest day", "limited by"]
    return "\n".join([*lines, *([table("", columns, rows)] if rows else []), *found.notes])
