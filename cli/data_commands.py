"""Commands about the data: migrate, import-orders, dead-letters, features refresh."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli import store
from cli.output import AsJson, Mistake, answer, json_text, moment, table

if TYPE_CHECKING:
    from data.orders import IntakeReport

features = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("migrate")(migrate)
    app.command("import-orders")(import_orders)
    app.command("dead-letters")(list_dead_letters)
    app.add_typer(features, name="features", help="Facts per customer, from which segments are made.")


def migrate(as_json: AsJson = False) -> None:
    """Bring the database to the newest schema, and see to it that the installation's account is there.

    What is there is kept.
    """
    from alembic.util import CommandError

    from data import migrate as schema

    engine = store.connectable()
    before = schema.current(engine)
    try:
        store.prepare(engine)
    except CommandError as error:
        raise Mistake(f"the database {store.place()} cannot be migrated by this program: {error}") from error
    after = schema.current(engine)
    went = f"went from {before or 'nothing'} to {after}" if before != after else f"is at {after} already"
    answer({"before": before, "after": after}, as_json=as_json, text=f"The schema of {store.place()} {went}.")


def import_orders(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV file of order lines (docs/orders-csv.md), or .csv.gz.")
    ],
    channel: Annotated[str, typer.Option(help="Which channel the orders come from.")] = "csv",
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Load a file of orders.

    A bad row goes to the dead letters, the rest is loaded. Loading a file twice changes nothing.
    """
    from data import database, orders
    from data.channels import csv_orders
    from tasks import wiring

    if not file.is_file():
        raise Mistake(f"there is no file {file}")
    engine = store.engine()
    with database.read(engine) as connection:
        account_id = store.account_id(connection, account)
    rows = csv_orders.count_rows(file)
    with _bar(quiet=as_json) as bar:
        task = bar.add_task(f"Loading {file.name}", total=rows)
        report = orders.load(
            engine,
            csv_orders.read(file),
            account_id=account_id,
            channel=channel,
            source_name=file.name,
            pepper=wiring.pepper(),
            now=wiring.clock(),
            content_hash=csv_orders.fingerprint(file),
            progress=lambda done: bar.update(task, completed=done),
        )
    answer(report, as_json=as_json, text=_told(report))


def _told(report: "IntakeReport") -> str:
    text = (
        f"{report.rows:,} rows. Orders: {report.loaded:,} loaded, {report.updated:,} updated,"
        f" {report.unchanged:,} unchanged, {report.stale:,} older than what we have."
    )
    return f"{text}\n{report.dead:,} rows went to the dead letters: `campaigns dead-letters`." if report.dead else text


def _bar(*, quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    errors = Console(stderr=True)
    return Progress(*columns, console=errors, disable=quiet or not errors.is_terminal, transient=True)


def list_dead_letters(
    source: Annotated[str | None, typer.Option(help="Only those of one source, such as csv.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the dearest first.")] = 50,
    payload: Annotated[
        bool, typer.Option("--payload", help="Show the records themselves. They may hold addresses: it is logged.")
    ] = False,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Records that were refused and kept: which row, and why.

    The dearest first: the priority is the money at stake, in whole units.
    """
    from data import database, dead_letters

    engine = store.engine()
    with database.read(engine) as connection:
        account_id = store.account_id(connection, account)
        found = dead_letters.listing(connection, account_id, source=source, limit=limit)
    if payload and found:
        store.note_reading(engine, account_id, "dead letters", {"ids": [one.id for one in found]})
    facts = [
        {
            "id": one.id,
            "source": one.source,
            "file": one.location,
            "row": one.row.row_number,
            "priority": one.row.priority,
            "since": one.created_at,
            "reason": one.row.reason,
            **({"payload": one.row.payload} if payload else {}),
        }
        for one in found
    ]
    text = _letters_text(facts) if facts else "No open dead letters."
    answer(facts, as_json=as_json, text=text)


def _letters_text(facts: list[dict[str, Any]]) -> str:
    names = [name for name in facts[0] if name != "payload"]
    if "payload" not in facts[0]:
        return table("", names, [[one[name] for name in names] for one in facts])
    return "\n".join(f"{_line(one)}\n{_indented(one['payload'])}" for one in facts)


def _line(one: dict[str, Any]) -> str:
    since = moment(one["since"])
    return (
        f"{one['id']}  {one['source']} {one['file']} row {one['row']} ({one['priority']:,}), {since}: {one['reason']}"
    )


def _indented(payload: dict[str, Any]) -> str:
    return "\n".join(f"    {line}" for line in json_text(payload).split("\n")[1:-1])


@features.command("refresh")
def refresh_features(account: store.Account = None, as_json: AsJson = False) -> None:
    """Make the features of all customers anew, as of now."""
    from data import database
    from data.features import refresh
    from tasks import wiring

    engine, now = store.engine(), wiring.clock()
    with database.read(engine) as connection:
        account_id = store.account_id(connection, account)
    report = refresh.refresh(engine, account_id=account_id, as_of=now, now=now)
    text = f"{report.customers:,} customers out of {report.orders:,} orders, as of {moment(report.as_of)} UTC."
    answer(report, as_json=as_json, text=text)
