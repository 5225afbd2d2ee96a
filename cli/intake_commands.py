"""`campaigns intake FILE|DIR`, and the queue: drain, pull, health."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from typer.core import TyperGroup

from cli import intake_gates, intake_letters, store
from cli.output import AsJson, Mistake, answer, table

if TYPE_CHECKING:
    from data.intake.drain import DrainReport

_LOAD = "load"
Channel = Annotated[str, typer.Option(help="Which channel the orders come from, as in channels.yaml.")]


class FilesToo(TyperGroup):
    """`campaigns intake FILE` is `campaigns intake load FILE`: what is no command's name is a file's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `load` before a file, or before its options."""
        if args and args[0] not in {*self.commands, "--help"}:
            args = [_LOAD, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=FilesToo, no_args_is_help=True)
intake_letters.register(app)
intake_gates.register(app)


@app.command(_LOAD)
def load(
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE|DIR", help="CSV, JSON or JSON lines, also .gz; a folder means all files in it."),
    ],
    channel: Channel = "csv",
    stage_only: Annotated[
        bool, typer.Option("--stage-only", help="Keep the records and leave them to the flow ingest-orders.")
    ] = False,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Load files of orders: a bad one goes to the dead letters, the rest is loaded.

    `campaigns intake FILE` is the same. Loading a file twice changes nothing, and one that was cut off is completed by
    loading it again.
    """
    from data.intake import drain, load
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    intake = wiring.order_intake()
    if not path.exists():
        raise Mistake(f"there is no file {path}")
    with _bar(quiet=as_json) as bar:
        task = bar.add_task(f"Reading {path.name}", total=None)
        staged = load.stage(
            intake, path, account_id=account_id, channel=channel, progress=lambda rows: bar.update(task, completed=rows)
        )
        if stage_only:
            text = f"{staged.rows:,} rows of {staged.files} file(s) wait in {staged.new:,} new records."
            answer(staged, as_json=as_json, text=text)
            return
        task = bar.add_task("Making orders", total=staged.rows)
        report = drain.drain(
            intake,
            only=(account_id, channel),
            progress=lambda so_far: bar.update(task, completed=so_far.tally["rows"]),
        )
    _tell(report, as_json=as_json)


@app.command("drain")
def drain_queue(as_json: AsJson = False) -> None:
    """Make orders of all records that wait, as the flow ingest-orders does."""
    from data.intake import drain
    from tasks import wiring

    store.engine()
    _tell(drain.drain(wiring.order_intake()), as_json=as_json)


@app.command("pull")
def pull_orders(channel: Channel, account: store.Account = None, as_json: AsJson = False) -> None:
    """Ask a channel's API for what changed since the last time; `campaigns intake drain` makes orders of it."""
    from data.intake import pull
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    connection = wiring.connections().find(account_id, channel)
    if connection is None:
        raise Mistake(f"channels.yaml has no connection {channel} of {account_id}; channels.example.yaml shows how")
    report = pull.pull(engine, connection, clock=wiring.clock)
    text = (
        f"{report.pages:,} pages of what changed since {report.since:%Y-%m-%d %H:%M} UTC, {report.new:,} of them new."
    )
    answer(report, as_json=as_json, text=text)


def _tell(report: "DrainReport", *, as_json: bool) -> None:
    counts = report.counts()
    text = (
        f"{counts['rows']:,} rows. Orders: {counts['loaded']:,} loaded, {counts['updated']:,} updated,"
        f" {counts['unchanged']:,} unchanged, {counts['stale']:,} older than what we have,"
        f" {counts['deleted']:,} deleted; {counts['ignored']:,} records were no orders."
    )
    if counts["refused"]:
        text += f"\n{counts['refused']:,} orders went to the dead letters: `campaigns intake dead-letters`."
    for told in report.quarantined:
        text += f"\nIn quarantine: {told}. Nothing is lost: `campaigns intake quarantine`."
    answer(counts | {"quarantined": report.quarantined}, as_json=as_json, text=text)
    if report.quarantined:
        raise typer.Exit(1)


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    errors = Console(stderr=True)
    with Progress(*columns, console=errors, disable=quiet or not errors.is_terminal, transient=True) as bar:
        yield bar


@app.command("health")
def show_health(account: store.Account = None, as_json: AsJson = False) -> None:
    """Each channel: when it was last heard, how far behind we are, what was refused, what its webhook's state is."""
    from data import database
    from data.intake import health
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    with database.read(engine) as connection:
        found = health.examine(connection, wiring.connections(), now=wiring.clock(), account_id=account_id)
    heads = ["channel", "last heard", "waiting", "lag", "refused", "cursor age", "webhook", "state"]
    rows = [
        (
            one.channel,
            one.last_heard,
            one.waiting,
            health.span(one.lag),
            health.percent(one.refused_share),
            health.span(one.cursor_age),
            one.subscription or "–",
            "; ".join(one.alarms) or "well",
        )
        for one in found
    ]
    text = table("", heads, rows) if rows else "No channel has brought an order yet."
    answer(found, as_json=as_json, text=text)
    if any(one.alarms for one in found):
        raise typer.Exit(1)
