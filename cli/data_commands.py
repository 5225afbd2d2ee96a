"""Commands about the data: migrate, import-orders, features refresh."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import settings
from cli.output import AsJson, Mistake, answer, console

features = typer.Typer(no_args_is_help=True)
Account = Annotated[str | None, typer.Option(help="Which account; this installation's own unless given.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("migrate")(migrate)
    app.command("import-orders")(import_orders)
    app.add_typer(features, name="features", help="Facts per customer, from which segments are made.")


def migrate(as_json: AsJson = False) -> None:
    """Bring the database to the newest schema. What is there is kept."""
    from data import migrate as schema
    from tasks import wiring

    before = schema.current(wiring.engine())
    schema.upgrade(wiring.engine())
    after = schema.current(wiring.engine())
    text = (
        f"The schema is at {after}." if before == after else f"The schema went from {before or 'nothing'} to {after}."
    )
    answer({"before": before, "after": after}, as_json=as_json, text=text)


def import_orders(
    file: Annotated[Path, typer.Argument(help="CSV file of order lines (docs/orders-csv.md), also .csv.gz.")],
    channel: Annotated[str, typer.Option(help="Which channel the orders come from.")] = "csv",
    account: Account = None,
    as_json: AsJson = False,
) -> None:
    """Load orders. A bad row goes to the dead letters; loading a file twice changes nothing."""
    from data import orders
    from data.channels import csv_orders
    from tasks import wiring

    if not file.is_file():
        raise Mistake(f"there is no file {file}")
    size = csv_orders.count_rows(file)
    with _bar(quiet=as_json) as bar:
        task = bar.add_task(f"Loading {file.name}", total=size)
        report = orders.load(
            wiring.engine(),
            csv_orders.read(file),
            account_id=account or settings.load().account,
            channel=channel,
            source_name=file.name,
            pepper=wiring.pepper(),
            now=wiring.clock(),
            content_hash=csv_orders.fingerprint(file),
            progress=lambda rows: bar.update(task, completed=rows),
        )
    text = (
        f"{report.rows:,} rows: {report.loaded:,} orders loaded, {report.updated:,} updated,"
        f" {report.unchanged:,} unchanged, {report.stale:,} older than what we have, {report.dead:,} dead letters."
    )
    answer(report, as_json=as_json, text=text)


def _bar(*, quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=quiet, transient=True)


@features.command("refresh")
def refresh_features(account: Account = None, as_json: AsJson = False) -> None:
    """Make the features of all customers anew, as of now."""
    from data.features import refresh
    from tasks import wiring

    now = wiring.clock()
    account_id = account or settings.load().account
    report = refresh.refresh(wiring.engine(), account_id=account_id, as_of=now, now=now)
    answer(report, as_json=as_json, text=f"{report.customers:,} customers out of {report.orders:,} orders.")
