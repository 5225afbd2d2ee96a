"""Dead letters at the command line: look, patch, replay, discard."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, json_text, moment, table

if TYPE_CHECKING:
    import sqlalchemy as sa

    from data.dead_letters import DeadLetter

Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Numbers of dead letters.")]
Channel = Annotated[str | None, typer.Option(help="Only those of one channel.")]
Rule = Annotated[str | None, typer.Option(help="Only those refused by one rule.")]
_MOST = 10_000


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("dead-letters")(list_letters)
    app.command("patch")(patch)
    app.command("replay")(replay)
    app.command("discard")(discard)


def list_letters(
    top: Annotated[int, typer.Option(min=1, max=_MOST, help="How many, the dearest first.")] = 20,
    channel: Channel = None,
    rule: Rule = None,
    payload: Annotated[
        bool, typer.Option("--payload", help="Show the records themselves. They may hold addresses: it is logged.")
    ] = False,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Records that were refused and kept: why, and what is at stake.

    The score is the order's money, a tenth of what the customer has spent so far and 10; three times that while the
    customer waits for a mail; and it grows by itself with each day.
    """
    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    found = _found(engine, account_id, channel, rule, top)
    if payload and found:
        store.note_reading(engine, account_id, "dead letters", {"ids": [one.id for one in found]})
    facts = [_facts(one) | ({"payload": one.row.payload} if payload else {}) for one in found]
    answer(facts, as_json=as_json, text=_text(facts) if facts else "No open dead letters.")


def _facts(one: "DeadLetter") -> dict[str, Any]:
    return {
        "id": one.id,
        "score": one.score,
        "channel": one.source,
        "order": one.row.external_id,
        "from": one.location,
        "row": one.row.row_number,
        "since": one.created_at,
        "rule": one.row.rule,
        "fields": ", ".join(one.row.fields),
        "patched": bool(one.patch),
        "next_try": one.row.next_try_at,
        "reason": one.row.reason,
    }


def _text(facts: list[dict[str, Any]]) -> str:
    names = ["id", "score", "channel", "order", "from", "row", "since", "rule", "reason"]
    if "payload" not in facts[0]:
        return table("", names, [[one[name] for name in names] for one in facts])
    return "\n".join(f"{_line(one)}\n{_indented(one['payload'])}" for one in facts)


def _line(one: dict[str, Any]) -> str:
    fields = f" ({one['fields']})" if one["fields"] else ""
    return f"{one['id']}  {one['channel']} order {one['order'] or '?'}, {moment(one['since'])}: {one['reason']}{fields}"


def _indented(payload: Any) -> str:
    return "\n".join(f"    {line}" for line in json_text(payload).split("\n"))


def patch(
    letter: Annotated[int, typer.Argument(metavar="ID", help="Number of a dead letter.")],
    changes: Annotated[
        list[str],
        typer.Argument(metavar="FIELD=VALUE...", help="Paths such as billing.email or 0.sku; values as JSON or text."),
    ],
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Mend fields of one record; the record itself stays as it came. `replay` takes it in.

    In a record of rows (CSV) a column's plain name means all of its rows, 0.sku the first row's.
    """
    from data import database, dead_letters
    from data.intake import letters
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    wanted = dict(_change(one) for one in changes)
    now = wiring.clock()
    with database.write(engine) as connection:
        (found,) = dead_letters.get(connection, account_id, [letter], now=now)
        letters.patch(connection, found, wanted, by=store.person(), now=now)
    text = f"Kept. `campaigns intake replay {letter}` says what would come of it."
    answer({"id": letter, "fields": sorted(wanted)}, as_json=as_json, text=text)


def _change(text: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise Mistake("a change is written FIELD=VALUE, such as currency=EUR")
    try:
        return path, json.loads(value)
    except ValueError:
        return path, value


def replay(
    ids: Ids = None,
    every: Annotated[bool, typer.Option("--all", help="All open ones, or all of --channel or --rule.")] = False,
    channel: Channel = None,
    rule: Rule = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Whatever the quality rules say; of two conflicting states take this one.")
    ] = False,
    do: Annotated[bool, typer.Option("--do", help="Do it. Without this, only say what would happen.")] = False,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Convert records again, as they are or as patched: first say what would happen, then with --do do it.

    With the mapping, the thresholds and the program of today. Doing it twice changes nothing; each is audited.
    """
    from data.intake import letters
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    chosen = _chosen(engine, account_id, ids, channel, rule, every=every)
    outcomes = letters.replay(wiring.order_intake(), chosen, by=store.person(), as_is=as_is, dry_run=not do)
    rows = [(one.letter_id, one.result, one.told) for one in outcomes]
    note = "" if do else "\nNothing was changed: with --do it is."
    text = (table("", ["id", "result" if do else "would be", ""], rows) if rows else "No open dead letters.") + note
    answer(
        [{"id": one.letter_id, "result": one.result, "told": one.told} for one in outcomes], as_json=as_json, text=text
    )


def discard(
    ids: Ids,
    note: Annotated[str, typer.Option(help="Why it is nothing; kept in the audit log.")],
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Say of records that nothing is lost by them. They stay in the store, ended."""
    from data import database
    from data.intake import letters
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    chosen = _chosen(engine, account_id, ids, None, None, every=False)
    with database.write(engine) as connection:
        ended = [
            one.id
            for one in chosen
            if letters.discard(connection, one, by=store.person(), note=note, now=wiring.clock())
        ]
    answer({"discarded": ended}, as_json=as_json, text=f"{len(ended)} discarded.")


def _chosen(
    engine: "sa.Engine",
    account_id: str,
    ids: Sequence[int] | None,
    channel: str | None,
    rule: str | None,
    *,
    every: bool,
) -> list["DeadLetter"]:
    from data import database, dead_letters
    from tasks import wiring

    if ids:
        with database.read(engine) as connection:
            return dead_letters.get(connection, account_id, ids, now=wiring.clock())
    if not every and channel is None and rule is None:
        raise Mistake("which ones? Name their numbers, a --channel, a --rule, or --all")
    return _found(engine, account_id, channel, rule, _MOST)


def _found(
    engine: "sa.Engine", account_id: str, channel: str | None, rule: str | None, limit: int
) -> list["DeadLetter"]:
    from data import database, dead_letters
    from tasks import wiring

    with database.read(engine) as connection:
        return dead_letters.listing(connection, account_id, now=wiring.clock(), source=channel, rule=rule, limit=limit)
