"""Commands about the environment that this database belongs to: show, claim."""

from typing import Annotated

import typer

import settings
from cli import store
from cli.output import AsJson, Mistake, answer, moment

app = typer.Typer(no_args_is_help=True)
_FOREIGN = 1


@app.command("show")
def show(as_json: AsJson = False) -> int:
    """Which environment this database belongs to, and whether live runs may start here.

    Exit status 1 when they may not.
    """
    from data import database, installation

    here = settings.load().environment
    with database.read(store.engine()) as connection:
        found = installation.current(connection)
        trouble = installation.trouble(connection, here)
        mark = installation.fingerprint(connection)
    payload = {
        "environment": here,
        "claim": found,
        "fingerprint": mark,
        "live_runs": trouble is None,
        "trouble": trouble,
    }
    if found is None:
        told = (
            f"Nobody claimed {store.place()} yet: `campaigns migrate`, `up` or the first live run does, for {here!r}."
        )
    else:
        told = (
            f"{store.place()} belongs to {found.environment!r}: claimed {moment(found.claimed_at)} UTC by"
            f" {found.claimed_by}."
        )
    if trouble:
        told += (
            f" No live run may start: {trouble}. Is it the right database? If it is a copy for trials, set OMS_ENVIRONMENT"
            " to a name of its own; only if it is the one that is to mail customers, and no other sends any more:"
            f" `campaigns environment claim --name {here} --by YOUR-NAME`."
        )
    answer(payload, as_json=as_json, text=told)
    return 0 if trouble is None else _FOREIGN


@app.command("claim")
def claim(
    *,
    name: Annotated[str, typer.Option(help="The environment, as OMS_ENVIRONMENT says it here.")],
    by: Annotated[str, typer.Option(help="Your name; the audit log keeps it.")],
    as_json: AsJson = False,
) -> None:
    """Say that this very database belongs to this environment: live runs may start in it from now on."""
    from data import database, installation
    from tasks import wiring

    here = settings.load().environment
    if name != here:
        raise Mistake(
            f"--name {name}: OMS_ENVIRONMENT says {here!r} on this machine; set it to {name!r} first if that is meant"
        )
    if not by.strip():
        raise Mistake("--by must say something: the audit log keeps it")
    with database.write(store.engine()) as connection:
        was = installation.current(connection)
        found = installation.claim(connection, name, by=by.strip(), now=wiring.clock())
    told = f"{store.place()} belongs to {name!r} now: live runs may start."
    if was is not None:
        told += (
            f" Before, it was claimed for {was.environment!r} by {was.claimed_by}: make sure that one sends no more."
        )
    answer({"claim": found, "was": was}, as_json=as_json, text=told)
