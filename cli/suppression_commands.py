"""Commands about suppressions: list, add, remove, export."""

from pathlib import Path
from typing import Annotated

import typer

import settings
from cli.output import AsJson, Mistake, answer, table
from domain import addresses
from domain.suppression import Reason

app = typer.Typer(no_args_is_help=True)
Account = Annotated[str | None, typer.Option(help="Which account.")]
Address = Annotated[str, typer.Argument(help="The e-mail address; only its keyed hash is kept.")]


def _hash(address: str) -> str:
    from tasks import wiring

    try:
        return addresses.address_hash(address, wiring.pepper())
    except addresses.InvalidAddress as error:
        raise Mistake(f"that is no e-mail address: {error}") from error


@app.command("list")
def list_suppressions(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    account: Account = None,
    as_json: AsJson = False,
) -> None:
    """Suppressions in force. Addresses are not kept, so hashes are shown."""
    from data import database, suppressions
    from tasks import wiring

    with database.read(wiring.engine()) as connection:
        found = suppressions.listing(connection, account or settings.load().account, limit=limit, offset=0)
    rows = [(one.address_hash[:12], one.reason, one.scope, one.source, one.created_at) for one in found]
    answer(found, as_json=as_json, text=table("Suppressions", ["address", "reason", "scope", "source", "since"], rows))


@app.command("add")
def add(
    address: Address,
    reason: Annotated[Reason, typer.Option(help="Why.")] = Reason.MANUAL,
    note: Annotated[str, typer.Option(help="Kept as evidence.")] = "added by hand",
    account: Account = None,
    as_json: AsJson = False,
) -> None:
    """Mail this address no more."""
    from data import database, suppressions
    from tasks import wiring

    account_id = account or settings.load().account
    with database.write(wiring.engine()) as connection:
        suppressions.add(
            connection,
            account_id=account_id,
            address_hash=_hash(address),
            reason=reason,
            source="cli",
            evidence=note,
            now=wiring.clock(),
        )
    text = f"Suppressed ({reason}). It holds from the next batch on, also in a running campaign."
    answer({"account": account_id, "reason": reason}, as_json=as_json, text=text)


@app.command("remove")
def remove(
    address: Address,
    reason: Annotated[str, typer.Option(help="Why the address may be mailed again; kept in the audit log.")],
    by: Annotated[str, typer.Option(help="Who decides this.")],
    account: Account = None,
    as_json: AsJson = False,
) -> None:
    """Lift all suppressions of an address."""
    from data import database, suppressions
    from tasks import wiring

    account_id = account or settings.load().account
    with database.write(wiring.engine()) as connection:
        lifted = suppressions.lift(
            connection, account_id=account_id, address_hash=_hash(address), actor=by, reason=reason, now=wiring.clock()
        )
    if not lifted:
        raise Mistake("that address is not suppressed; nothing was changed")
    answer({"account": account_id, "lifted": lifted}, as_json=as_json, text=f"Lifted {lifted} suppression(s).")


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Where to write the CSV file.")],
    account: Account = None,
    as_json: AsJson = False,
) -> None:
    """Write all suppressions in force as CSV, safe to open in a spreadsheet."""
    from data import database, suppressions
    from tasks import wiring

    with file.open("w", newline="", encoding="utf-8") as target, database.read(wiring.engine()) as connection:
        rows = suppressions.export_csv(connection, account or settings.load().account, target)
    answer({"file": str(file), "rows": rows}, as_json=as_json, text=f"Wrote {rows:,} suppressions to {file}.")
