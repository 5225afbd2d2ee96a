"""The command `segments diff`: who entered and left between two runs, and because of what."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import store
from cli.output import AsJson, answer, moment, table
from domain.differences import WORDS

if TYPE_CHECKING:
    from domain.differences import Diff, Side


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("diff")(diff)


def diff(
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help="The older run; `campaigns status` lists them.")],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="The newer run.")],
    limit: Annotated[int, typer.Option(min=0, max=1000, help="Tell of at most so many people one by one.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Who entered and left the segment between two runs, and because of which order or event.

    The audit log notes who asked. Times are UTC.
    """
    from data import database, runs
    from tasks import diffs

    engine = store.engine()
    found = diffs.diff(engine, run_a, run_b, limit=limit)
    with database.read(engine) as connection:
        account_id = runs.get(connection, run_b).plan.account_id
    if found.moves:
        store.note_reading(engine, account_id, f"run:{run_b}", {"compared_with": run_a, "people": len(found.moves)})
    answer(_payload(found), as_json=as_json, text=_text(found))


def _payload(found: "Diff") -> dict[str, Any]:
    return {
        "before": found.before,
        "after": found.after,
        "entered": found.entered,
        "left": found.left,
        "notes": found.notes,
        "causes": [
            {"cause": cause, "words": WORDS[cause], "entered": entered, "left": left}
            for cause, (entered, left) in found.causes.items()
        ],
        "people": found.moves,
    }


def _text(found: "Diff") -> str:
    before, after = found.before, found.after
    parts = [*found.notes, table("", ["run", "segment", "as of (UTC)", "members"], [_side(before), _side(after)])]
    parts += [
        f"{before.members:,} members + {found.entered:,} entered - {found.left:,} left = {after.members:,} members"
    ]
    if found.causes:
        rows = [(WORDS[cause], entered, left) for cause, (entered, left) in found.causes.items()]
        parts += [table("", ["because", "entered", "left"], rows)]
    if found.moves:
        people = [(one.customer, one.sentence) for one in found.moves]
        rest = found.entered + found.left - len(people)
        more = [f"and {rest:,} more: --limit tells of them"] if rest else []
        parts += ["\n".join([table("", ["customer", "why"], people), *more])]
    return "\n\n".join(parts)


def _side(side: "Side") -> tuple[str, str, str, int]:
    return side.run, side.segment, moment(side.watermark), side.members
