"""Commands about currency rates: load and list them."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli import store
from cli.output import AsJson, answer, table

app = typer.Typer(no_args_is_help=True)


@app.command("load")
def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file: eurofxref-hist.csv, or day,currency,rate.")],
    base: Annotated[str, typer.Option(help="The currency of which one unit is priced.")] = "EUR",
    source: Annotated[str, typer.Option(help="Whose rates these are.")] = "European Central Bank",
    as_json: AsJson = False,
) -> None:
    """Load dated rates, all of a file or none.

    What is kept already stays; a rate that differs replaces the old one.
    """
    from data import rates
    from tasks import wiring

    loaded = rates.load(store.engine(), file, base=base, source=source, now=wiring.clock())
    facts = asdict(loaded) | {"first": loaded.first.isoformat(), "last": loaded.last.isoformat()}
    same = loaded.rates - loaded.added - loaded.replaced
    text = (
        f"{loaded.rates:,} rates of {len(loaded.currencies)} currencies, {loaded.first} to {loaded.last}:"
        f" {loaded.added:,} are new, {loaded.replaced:,} replaced another rate, {same:,} were there already."
    )
    if loaded.marked:
        text += f" The next refresh of features reckons {loaded.marked:,} customers anew."
    answer(facts, as_json=as_json, text=text)


@app.command("list")
def list_rates(as_json: AsJson = False) -> None:
    """The rates that are kept, by currency and source."""
    from data import database, rates

    with database.read(store.engine()) as connection:
        found = rates.listing(connection)
    facts = [asdict(one) | {"first": one.first.isoformat(), "last": one.last.isoformat()} for one in found]
    rows = [(one.currency, one.base, one.days, str(one.first), str(one.last), one.source) for one in found]
    heads = ["currency", "base", "days", "first", "last", "source"]
    answer(facts, as_json=as_json, text=table("", heads, rows) if rows else "No rates.")
