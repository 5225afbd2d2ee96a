"""Commands about suppressions: list, add, remove, export, import."""

import csv
from contextlib import ExitStack
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, table
from domain import addresses
from domain.suppression import NotLifted, Reason, Scope, TooNarrow, check_scope, narrower

if TYPE_CHECKING:
    from data.suppressions_csv import ImportReport

app = typer.Typer(no_args_is_help=True)
_BY_HAND = "added by hand"
_SHOWN = 16
_NAMED = 10  # bad rows in the answer; all are in the file
_TAKE_OFF = (
    "--at-esp takes it off where that can be done; where it cannot, only she herself can, by the ESP's own form."
)
_STOPS = {
    Scope.MARKETING: "no marketing mail",
    Scope.ACCOUNT: "no mail at all from this account",
    Scope.ALL: "no mail at all",
}
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The e-mail address; only its keyed hash is kept.")]


def hash_of(address: str) -> str:
    """The keyed hash by which an address is known. Raises Mistake, which does not repeat it."""
    from tasks import wiring

    try:
        return addresses.address_hash(address, wiring.pepper())
    except addresses.InvalidAddress as error:
        raise Mistake(f"that is no e-mail address: {error}") from error


@app.command("list")
def list_suppressions(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Suppressions that nobody lifted, newest first.

    Addresses are not kept, only their keyed hashes.
    """
    from data import database, suppressions

    with database.read(store.engine()) as connection:
        found = suppressions.listing(connection, store.account_id(connection, account), limit=limit)
    names = ["address_hash", "reason", "scope", "source", "created_at", "expires_at", "evidence"]
    facts = [{name: getattr(one, name) for name in names} for one in found]
    rows = [
        (one.address_hash[:_SHOWN], one.reason, one.scope, one.source, one.created_at, one.expires_at, one.evidence)
        for one in found
    ]
    heads = ["address hash", "reason", "stops", "source", "since", "until", "evidence"]
    answer(facts, as_json=as_json, text=table("", heads, rows) if rows else "No suppressions.")


def must_say(**options: str) -> None:
    """Raises Mistake for an option of nothing but blanks."""
    if not all(value.strip() for value in options.values()):
        raise Mistake(f"{' and '.join(f'--{name}' for name in options)} must say something: the audit log keeps them")


@app.command("add")
def add(
    address: Address,
    reason: Annotated[Reason, typer.Option(help="Why.")] = Reason.MANUAL,
    scope: Annotated[Scope | None, typer.Option(help="How far it reaches; else as far as the reason does.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="For so many days; else for good.")] = None,
    note: Annotated[str, typer.Option(help="Why, without addresses: evidence, and kept in the audit log.")] = _BY_HAND,
    by: Annotated[str | None, typer.Option(help="Who decides this, for the audit log; you unless given.")] = None,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Send no marketing mail, or none at all, to this address any more."""
    from data import database, suppressions
    from domain.masking import masked
    from tasks import wiring

    _sound(reason, scope)
    actor = store.person() if by is None else by
    must_say(by=actor, note=note)
    now = wiring.clock()
    with database.write(store.engine()) as connection:
        new = suppressions.NewSuppression(
            account_id=store.account_id(connection, account),
            address_hash=hash_of(address),
            reason=reason,
            source="cli",
            evidence=masked(note),
            created_at=now,
            expires_at=None if days is None else now + timedelta(days=days),
            scope=scope,
            recorded_at=now,
        )
        added = suppressions.add_by_hand(connection, new, actor=actor)
    told = "It holds from the next batch on, also in a running campaign." if added else "It was suppressed already."
    warned = f" {warning}" if (warning := narrower(reason, new.reach)) else ""
    payload = {"account": new.account_id, "reason": reason, "scope": new.reach, "added": added}
    answer(payload, as_json=as_json, text=f"Suppressed ({reason}): {_STOPS[new.reach]}. {told}{warned}")


def _sound(reason: Reason | None, scope: Scope | None) -> None:
    """Raises Mistake for what no person may state, or what would stop less than its reason asks for."""
    if reason is Reason.ERASED:
        raise Mistake("an erasure can never be lifted, and only erasing the person makes one: give another reason")
    if reason is not None and scope is not None:
        try:
            check_scope(reason, scope)
        except TooNarrow as error:
            raise Mistake(str(error)) from error


@app.command("remove")
def remove(
    address: Address,
    reason: Annotated[str, typer.Option(help="Why the address may be mailed again; kept in the audit log.")],
    by: Annotated[str, typer.Option(help="Who decides this; kept in the audit log.")],
    only: Annotated[Reason | None, typer.Option(help="Lift this one only; else all.")] = None,
    yes_they_asked: Annotated[
        bool, typer.Option("--yes-they-asked", help="She herself asked for mail again: else no complaint is lifted.")
    ] = False,
    at_esp: Annotated[bool, typer.Option("--at-esp", help="Take the address off the ESPs' own lists as well.")] = False,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Lift suppressions of an address: all, or one reason."""
    from data import database
    from tasks import lifting, wiring

    must_say(reason=reason, by=by)
    with database.read(store.engine()) as connection:
        account_id = store.account_id(connection, account)
    asked = lifting.Request(account_id, address, hash_of(address), only, yes_they_asked, at_esp, by, reason)
    try:
        done = lifting.lift(store.engine(), asked, now=wiring.clock())
    except NotLifted as error:
        raise Mistake(str(error)) from error
    if not done.lifted and not done.taken_off:
        raise Mistake("that address is not suppressed; nothing was changed")
    count = len(done.lifted)
    lines = [f"Lifted {count} suppression{'s' if count > 1 else ''} ({', '.join(done.lifted)})."] if count else []
    if done.left:
        lines.append(f"Others stand: {', '.join(done.left)}.")
    if done.taken_off:
        lines.append(f"Taken off the ESPs' lists: {', '.join(done.taken_off)}.")
    if done.still_refused:
        lines.append(f"The ESP still refuses the address: {', '.join(done.still_refused)}. {_TAKE_OFF}")
    elif not done.left:
        lines.append("The address may be mailed again.")
    payload = {
        "account": account_id,
        "lifted": done.lifted,
        "left": done.left,
        "taken_off": done.taken_off,
        "still_refused": done.still_refused,
    }
    answer(payload, as_json=as_json, text="\n".join(lines))


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the CSV file.")],
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Write all suppressions that nobody lifted as CSV, safe to open in a spreadsheet."""
    from data import database, suppressions_csv

    with database.read(store.engine()) as connection:
        account_id = store.account_id(connection, account)
        try:
            with file.open("w", newline="", encoding="utf-8") as target:
                rows = suppressions_csv.export_csv(connection, account_id, target)
        except OSError as error:
            raise Mistake(f"{file} cannot be written: {error.strerror}") from error
    answer({"file": file, "rows": rows}, as_json=as_json, text=f"Wrote {rows:,} suppressions to {file}.")


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a column address, email or address_hash.")],
    reason: Annotated[Reason | None, typer.Option(help="Of rows that name none.")] = None,
    scope: Annotated[Scope | None, typer.Option(help="Of rows that name none; else as far as the reason does.")] = None,
    rejected: Annotated[Path | None, typer.Option(help="Where to list the rows that cannot be kept.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Keep nothing, say what would be.")] = False,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Keep the suppressions of a CSV file; a bad row is named and the others are kept. Safe to repeat."""
    from data import database, suppressions_csv
    from tasks import wiring

    if reason is not Reason.ERASED:
        _sound(reason, scope)
    with database.read(store.engine()) as connection:
        account_id = store.account_id(connection, account)
    report_path = rejected or file.with_name(f"{file.name}.rejected.csv")
    rows = _RejectedRows(report_path)
    try:
        with file.open(newline="", encoding="utf-8-sig", errors="replace") as source, rows:
            report = suppressions_csv.import_csv(
                store.engine(),
                account_id=account_id,
                file=source,
                name=file.name,
                defaults=suppressions_csv.Defaults(reason, scope),
                pepper=wiring.pepper(),
                now=wiring.clock(),
                dry_run=dry_run,
                refuse=rows.add,
            )
    except OSError as error:
        raise Mistake(f"{error.filename or file} cannot be opened: {error.strerror}") from error
    except suppressions_csv.UnusableFile as error:
        raise Mistake(f"{file} cannot be read: {error}") from error
    payload = asdict(report) | {
        "account": account_id,
        "dry_run": dry_run,
        "rejected": rows.path if report.bad else None,
    }
    answer(payload, as_json=as_json, text=_imported(report, rows, dry_run=dry_run))


def _imported(report: "ImportReport", rows: "_RejectedRows", *, dry_run: bool) -> str:
    kept = "would be kept" if dry_run else "kept"
    lines = [
        f"{report.rows:,} rows: {report.kept:,} {kept}, {report.known:,} known already, {report.bad:,} not readable."
    ]
    if report.ignored_columns:
        lines.append(f"Columns that mean nothing here: {', '.join(report.ignored_columns)}.")
    lines += [f"line {line}: {problem}" for line, problem in rows.first]
    if report.bad:
        lines.append(f"All of them are in {rows.path}, by line; correct them and import the file again.")
    return "\n".join(lines)


class _RejectedRows:
    """Lines and what is wrong with them, without what stands there; the file is made with the first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first: list[tuple[int, str]] = []
        self._open = ExitStack()
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, line: int, problem: str) -> None:
        if len(self.first) < _NAMED:
            self.first.append((line, problem))
        if self._writer is None:
            target = self._open.enter_context(self.path.open("w", newline="", encoding="utf-8"))
            self._writer = csv.writer(target)
            self._writer.writerow(["line", "problem"])
        self._writer.writerow([line, problem])
