"""Commands about the validation gate: what it would say now, and that a change it found is as it should be."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, table
from domain.campaigns import Refinement
from domain.features import STORED

if TYPE_CHECKING:
    from domain.validation import Check, Validation

app = typer.Typer(no_args_is_help=True)
_BAD_NEWS = 1
Segment = Annotated[
    str | None, typer.Argument(metavar="[SEGMENT]", help="Judge what it needs; all that is stored unless given.")
]


@app.command("check")
def check(
    segment: Segment = None,
    docs: Annotated[
        Path | None, typer.Option(help="Write Data Docs to this folder: index.html opens in any browser.")
    ] = None,
    every: Annotated[bool, typer.Option("--every", help="List the checks that hold, too.")] = False,
    account: store.Account = None,
    as_json: AsJson = False,
) -> int:
    """Judge orders, features and their drift now, as a run would. Nothing is changed.

    Exit status 1 when something does not hold.
    """
    from data.expectations import gate
    from tasks import verdicts

    if docs:
        _make(docs)
    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    columns = tuple(one.name for one in STORED) if segment is None else verdicts.needed(segment, Refinement())
    subjects = verdicts.subjects(engine, account_id, columns)
    found = gate.judge_with_docs(subjects, docs) if docs else [gate.judge(one) for one in subjects]
    text = _text(found, every=every)
    if docs:
        text += f"\n\nData Docs: {docs / 'index.html'}"
    answer([one.as_json() for one in found], as_json=as_json, text=text)
    return 0 if all(one.passed for one in found) else _BAD_NEWS


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Mistake(f"{folder} cannot be written: {error.strerror}") from error


def _text(found: "list[Validation]", *, every: bool) -> str:
    told = []
    for one in found:
        failures = one.failures()
        verdict = (
            f"{len(failures)} of {len(one.checks)} checks FAILED" if failures else f"{len(one.checks)} checks hold"
        )
        rows = [_row(each) for each in (one.checks if every else failures)]
        heads = ["", "found", "which", "what should hold"]
        told.append(table(f"{one.gate}: {verdict}", heads, rows) if rows else f"{one.gate}: {verdict}")
    return "\n\n".join(told) if every else "\n".join(told)


def _row(one: "Check") -> tuple[str, str, str, str]:
    more = f" … ({one.failing_count:,} in all)" if one.failing_count > len(one.failing_ids) else ""
    return "ok" if one.passed else "FAILED", one.observed, f"{', '.join(one.failing_ids)}{more}", one.sentence


@app.command("accept")
def accept(
    note: Annotated[str, typer.Option(help="Why it is as it should be; kept in the audit log, without addresses.")],
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Say that the features of now are as they should be, after a drift that was meant: nothing is compared beyond.

    For a channel that was connected, history that was loaded, a rule of reckoning that was changed.
    """
    from cli import intake_letters
    from data import audit_log, database
    from data.expectations import drift
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    note = intake_letters.kept_note(note)
    with database.write(engine) as connection:
        refresh = drift.accept(connection, account_id)
        audit_log.write(
            connection,
            account_id=account_id,
            actor=store.person(),
            action="accept",
            subject=f"feature_refresh:{refresh}",
            detail={"note": note},
            now=wiring.clock(),
        )
    answer({"accepted": refresh}, as_json=as_json, text="Accepted: the next refreshes are compared with this one.")
