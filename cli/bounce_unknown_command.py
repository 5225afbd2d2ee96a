"""The command that lists refusals in words that nobody knows yet."""

import io
from dataclasses import asdict
from typing import Annotated

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, table

_SHOWN = 80


def register(app: typer.Typer) -> None:
    """Add the command to the group `bounces`."""
    app.command("unknown")(unknown)


def unknown(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many texts, the commonest first.")] = 50,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, safe to open in a spreadsheet.")] = False,
    as_json: AsJson = False,
) -> None:
    """Refusals whose words the table of bounces does not know: soft, and counted against nobody.

    What differs from mail to mail (addresses, hosts, ids, numbers) is cut out, so one text is one line.
    """
    from data import database, unknown_replies

    if as_csv and as_json:
        raise Mistake("--csv or --json, not both")
    with database.read(store.engine()) as connection:
        replies = unknown_replies.listing(connection, limit=limit)
    if as_csv:
        page = io.StringIO()
        unknown_replies.export_csv(replies, page)
        typer.echo(page.getvalue(), nl=False)
        return
    heads = ["refusals", "provider", "mailbox provider", "first", "last", "text"]
    rows = [
        (one.count, one.provider, one.mailbox_group, one.first_seen, one.last_seen, one.text[:_SHOWN])
        for one in replies
    ]
    text = table("", heads, rows) if rows else "None: the table of bounces knew the words of every refusal."
    answer([asdict(one) for one in replies], as_json=as_json, text=text)
