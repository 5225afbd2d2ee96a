"""Commands about suppressions: list, add, remove, export."""

from pathlib import Path
from typing import Annotated

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, table
from domain import addresses
from domain.suppression import Reason

app = typer.Typer(no_args_is_help=True)
_SHOWN = 16
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The e-mail address; only its keyed hash is kept.")]


def _hash(address: str) -> str:
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


@app.command("add")
def add(
    address: Address,
    reason: Annotated[Reason, typer.Option(help="Why.")] = Reason.MANUAL,
    note: Annotated[str, typer.Option(help="Kept as evidence.")] = "added by hand",
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Send no marketing mail to this address any more."""
    from data import database, suppressions
    from tasks import wiring

    with database.write(store.engine()) as connection:
        account_id = store.account_id(connection, account)
        added = suppressions.add(
            connection,
            account_id=account_id,
            address_hash=_hash(address),
            reason=reason,
            source="cli",
            evidence=note,
            now=wiring.clock(),
        )
    told = "It holds from the next batch on, also in a running campaign." if added else "It was suppressed already."
    payload = {"account": account_id, "reason": reason, "added": added}
    answer(payload, as_json=as_json, text=f"Suppressed ({reason}). {told}")


@app.command("remove")
def remove(
    address: Address,
    reason: Annotated[str, typer.Option(help="Why the address may be mailed again; kept in the audit log.")],
    by: Annotated[str, typer.Option(help="Who decides this; kept in the audit log.")],
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Lift all suppressions of an address."""
    from data import database, suppressions
    from tasks import wiring

    if not reason.strip() or not by.strip():
        raise Mistake("--reason and --by must say something: the audit log keeps them")
    with database.write(store.engine()) as connection:
        account_id = store.account_id(connection, account)
        lifted = suppressions.lift(
            connection, account_id=account_id, address_hash=_hash(address), actor=by, reason=reason, now=wiring.clock()
        )
    if not lifted:
        raise Mistake("that address is not suppressed; nothing was changed")
    text = f"Lifted {lifted} suppression{'s' if lifted > 1 else ''}: the address may be mailed again."
    answer({"account": account_id, "lifted": lifted}, as_json=as_json, text=text)


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the CSV file.")],
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Write all suppressions that nobody lifted as CSV, safe to open in a spreadsheet."""
    from data import database, suppressions

    with database.read(store.engine()) as connection:
        account_id = store.account_id(connection, account)
        try:
            with file.open("w", newline="", encoding="utf-8") as target:
                rows = suppressions.export_csv(connection, account_id, target)
        except OSError as error:
            raise Mistake(f"{file} cannot be written: {error.strerror}") from error
    answer({"file": file, "rows": rows}, as_json=as_json, text=f"Wrote {rows:,} suppressions to {file}.")
