"""Commands about delivery events, from webhooks and returned mail: what waits, what could not be read, and reading it again."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, moment, table

app = typer.Typer(no_args_is_help=True)
_BODIES = "Bodies (webhooks and returned mail)"
_KEPT_LONG_ENOUGH = "what they held was applied, and removed when OMS_GATEWAY_KEEP_DAYS were over"
_LATELY = timedelta(days=7)
_DEAD_SHOWN = 20
_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]


def _since(text: str) -> datetime:
    for form in _TIMES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise Mistake(
        f"--since {text!r} is no time: write a day or a minute in UTC, such as 2026-11-20 or 2026-11-20T08:30"
    )


@app.command("show")
def show(as_json: AsJson = False) -> None:
    """Bodies (webhooks and returned mail) by provider, what of them could not be read, and events without a message.

    The latter of the last week: those that wait for their message, found it late, or were given up.
    """
    from data import database, inbox, unplaced
    from tasks import wiring

    with database.read(store.engine()) as connection:
        bodies = inbox.bodies(connection)
        dead = inbox.dead(connection, limit=_DEAD_SHOWN)
        refused = inbox.refused(connection, limit=_DEAD_SHOWN)
        events = unplaced.summary(connection, since=wiring.clock() - _LATELY)
    payload = {
        "bodies": [dict(row._mapping) for row in bodies],
        "dead": [dict(row._mapping) for row in dead],
        "refused": [dict(row._mapping) for row in refused],
        "events": [asdict(one) for one in events],
    }
    parts = [
        table(_BODIES, ["provider", "state", "bodies", "oldest"], [tuple(row) for row in bodies]),
        table("Dead bodies", ["inbox", "provider", "came", "why"], [tuple(row) for row in dead]) if dead else "",
        table(
            "Events that were refused, of bodies whose others were applied",
            ["inbox", "provider", "element", "since", "why"],
            [tuple(row) for row in refused],
        )
        if refused
        else "",
        table(
            "Events whose message was not known at once",
            ["provider", "waiting", "placed late", "given up"],
            [(one.provider, one.waiting, one.placed, one.strays) for one in events],
        )
        if events
        else "",
    ]
    again = dict.fromkeys(row.id for row in (*dead, *refused))
    parts.append(_next_step(list(again)))
    told = "\n\n".join(filter(None, parts)) if bodies else "No webhook and no returned mail came yet."
    answer(payload, as_json=as_json, text=told)


def _next_step(inbox_ids: list[int]) -> str:
    if not inbox_ids:
        return ""
    named = " ".join(f"--inbox {one}" for one in inbox_ids)
    return f"Once what is wrong is mended, this reads them again and ends their dead letters:\ncampaigns events replay {named}"


@app.command("replay")
def replay(
    inbox: Annotated[
        list[int] | None, typer.Option("--inbox", min=1, help="Number of a body; may be given several times.")
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="The bodies that could not be read.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", help="Only what came since then, in UTC, such as 2026-11-20T08:30.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be read again, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Have stored bodies (webhooks and returned mail) read again within a minute. What is known already changes nothing."""
    from data import database, replays
    from tasks import wiring

    if not inbox and not dead and since is None:
        raise Mistake("say which bodies: --inbox NUMBER, --dead or --since TIME")
    which = replays.Which(tuple(inbox or ()), dead, None if since is None else _since(since))
    engine = store.engine()
    with database.read(engine) as connection:
        emptied = replays.emptied(connection, which)
    if dry_run:
        with database.read(engine) as connection:
            chosen = replays.choose(connection, which)
    else:
        with database.write(engine) as connection:
            chosen = replays.replay(connection, which, by=store.person(), now=wiring.clock())
    payload = {"dry_run": dry_run, "bodies": [asdict(one) for one in chosen], "emptied": emptied}
    gone = f"\n{emptied:,} more cannot be read again: {_KEPT_LONG_ENOUGH}." if emptied else ""
    answer(payload, as_json=as_json, text=_told(chosen, which.since, dry_run=dry_run) + gone)


def _told(chosen: list[Any], since: datetime | None, *, dry_run: bool) -> str:
    came = f" that came since {moment(since)} UTC" if since else ""
    if not chosen:
        return f"No such bodies{came}, or they wait to be read anyway; nothing was changed."
    rows = [(one.provider, one.state, one.bodies) for one in chosen]
    total = sum(one.bodies for one in chosen)
    bodies = f"{total:,} {'body' if total == 1 else 'bodies'}{came}"
    told = (
        f"{bodies} would be read again; nothing was changed."
        if dry_run
        else f"{bodies} will be read again within a minute."
    )
    return table("", ["provider", "state", "bodies"], rows) + f"\n\n{told}"
