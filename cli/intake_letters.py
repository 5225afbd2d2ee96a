"""Dead letters at the command line: look, patch, replay, discard."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, json_text, moment, table

if TYPE_CHECKING:
    import sqlalchemy as sa

    from data.dead_letters import DeadLetter

_LARGEST_ID = 2**31 - 1
_HELP = "Numbers of dead letters."
Id = Annotated[int, typer.Argument(metavar="ID", min=1, max=_LARGEST_ID, help="Number of a dead letter.")]
Ids = Annotated[list[int], typer.Argument(metavar="ID...", min=1, max=_LARGEST_ID, help=_HELP)]
SomeIds = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", min=1, max=_LARGEST_ID, help=_HELP)]
Channel = Annotated[str | None, typer.Option(help="Only those of one channel.")]
Rule = Annotated[str | None, typer.Option(help="Only those refused by one rule.")]
_MOST = 10_000
_BAD_NEWS = 1


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
    from data import database, dead_letters

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    found = _found(engine, account_id, channel, rule, top)
    with database.read(engine) as connection:
        count = dead_letters.count(connection, account_id, source=channel, rule=rule)
    if payload and found:
        store.note_reading(engine, account_id, "dead letters", {"ids": [one.id for one in found]})
    facts = [_facts(one) | (_record(one) if payload else {}) for one in found]
    answer(facts, as_json=as_json, text=_text(facts, count) if facts else "No open dead letters.")


def _facts(one: "DeadLetter") -> dict[str, Any]:
    facts = {
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
    return facts if one.inbox_id is None else facts | {"inbox": one.inbox_id}


def _record(one: "DeadLetter") -> dict[str, Any]:
    return {"payload": one.row.payload, "patch": list(one.patch)}


def _text(facts: list[dict[str, Any]], count: int) -> str:
    shown = f"{len(facts):,} of {count:,} open dead letters, the dearest first." if count > len(facts) else ""
    if "payload" in facts[0]:
        shown_facts = "\n".join(f"{_line(one)}\n{_shown_record(one)}" for one in facts)
    else:
        heads = ["id", "score", "order", "channel", "from", "row", "since", "state", "rule", "reason"]
        rows = [[_state(one) if name == "state" else one[name] for name in heads] for one in facts]
        shown_facts = table("", heads, rows)
    orders = [one["id"] for one in facts if "inbox" not in one]
    events = [one for one in facts if "inbox" in one]
    steps = [_of_an_order(orders[0]) if orders else "", _of_an_event(events[0]) if events else ""]
    return "\n".join((shown_facts, "", *filter(None, (shown, *steps))))


def _of_an_order(first: int) -> str:
    return (
        f"`campaigns intake dead-letters --payload` shows the records, `patch {first} FIELD=VALUE` mends one, "
        f"`replay {first}` says what would come of it, `discard {first} --note …` ends it."
    )


def _of_an_event(first: dict[str, Any]) -> str:
    """An ESP's event is no order: there is nothing to patch, and its body is what can be read again."""
    return (
        f"Of {first['channel']}, {first['from']} holds an event of a webhook or a mail, and no order: once what its "
        f"reason names is mended, `campaigns events replay --inbox {first['inbox']}` reads it again; "
        f"`discard {first['id']} --note …` ends it."
    )


def _state(one: dict[str, Any]) -> str:
    if one["patched"]:
        return "patched"
    return f"tried again {moment(one['next_try'])}" if one["next_try"] else "open"


def _line(one: dict[str, Any]) -> str:
    fields = f" ({one['fields']})" if one["fields"] else ""
    place = f"{one['channel']} order {one['order'] or '?'}, {one['from']} row {one['row']}, {moment(one['since'])}"
    return f"{one['id']}  {place}: {one['reason']}{fields}"


def _shown_record(one: dict[str, Any]) -> str:
    patched = [f"    patched: {change['path']} = {json_text(change['value'])}" for change in one["patch"]]
    return "\n".join([*(f"    {line}" for line in json_text(one["payload"]).split("\n")), *patched])


def patch(
    letter: Id,
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="FIELD=VALUE...",
            help="Paths such as billing.email or 0.sku; values as JSON or text, always text where text stands; null "
            "takes a field away.",
        ),
    ],
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Mend fields of one record; the record itself stays as it came. `replay` takes it in.

    In a record of rows (CSV) a column's plain name means all of its rows, 0.sku the first row's.
    """
    from data import database, dead_letters
    from data.intake import patches
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    wanted = dict(_change(one) for one in changes)
    now = wiring.clock()
    with database.write(engine) as connection:
        (found,) = dead_letters.get(connection, account_id, [letter], now=now)
        patches.keep(connection, found, wanted, by=store.person(), now=now)
    text = f"Kept. `campaigns intake replay {letter}` says what would come of it."
    answer({"id": letter, "fields": sorted(wanted)}, as_json=as_json, text=text)


def _change(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise Mistake("a change is written FIELD=VALUE, such as currency=EUR")
    return path, value


def replay(
    ids: SomeIds = None,
    every: Annotated[bool, typer.Option("--all", help="All open ones, or all of --channel or --rule.")] = False,
    channel: Channel = None,
    rule: Rule = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Whatever the quality rules say; of two conflicting states take this one.")
    ] = False,
    do: Annotated[bool, typer.Option("--do", help="Do it. Without this, only say what would happen.")] = False,
    account: store.Account = None,
    as_json: AsJson = False,
) -> int:
    """Convert records again, as they are or as patched: first say what would happen, then with --do do it.

    With the mapping, the thresholds and the program of today. Doing it twice changes nothing; each is audited.
    """
    from data.intake import letters
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    if not ids and not every and channel is None and rule is None:
        raise Mistake("which ones? Name their numbers, a --channel, a --rule, or --all")
    if ids and (every or channel is not None or rule is not None):
        raise Mistake("name either numbers, or a --channel, a --rule or --all")
    chosen = _named(engine, account_id, ids) if ids else _found(engine, account_id, channel, rule, _MOST)
    outcomes = letters.replay(wiring.order_intake(), chosen, by=store.person(), as_is=as_is, dry_run=not do)
    rows = [(one.letter_id, one.result, one.told) for one in outcomes]
    counts = ", ".join(f"{count:,} {result}" for result, count in Counter(one.result for one in outcomes).most_common())
    text = [table("", ["id", "result" if do else "would be", ""], rows), "", f"{counts}."]
    text += [] if do else ["Nothing was changed: the same command with --do does it."]
    text += [f"Only the {_MOST:,} dearest: do it again for the rest."] if len(chosen) == _MOST else []
    text += ["`campaigns intake drain` reads the queued ones."] if do and _has(outcomes, letters.QUEUED) else []
    answer(
        [{"id": one.letter_id, "result": one.result, "told": one.told} for one in outcomes],
        as_json=as_json,
        text="\n".join(text) if rows else "No open dead letters.",
    )
    return 0 if all(one.ended for one in outcomes) else _BAD_NEWS


def _has(outcomes: Sequence[Any], result: str) -> bool:
    return any(one.result == result for one in outcomes)


def discard(
    ids: Ids,
    note: Annotated[str, typer.Option(help="Why it is nothing; kept in the audit log, without addresses.")],
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Say of records that nothing is lost by them. They stay in the store, ended."""
    from data import database
    from data.intake import letters
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    note = kept_note(note)
    chosen, now, by = _named(engine, account_id, ids), wiring.clock(), store.person()
    with database.write(engine) as connection:
        ended = [one.id for one in chosen if letters.discard(connection, one, by=by, note=note, now=now)]
    before = [one.id for one in chosen if one.id not in ended]
    text = f"{len(ended):,} discarded."
    if before:
        text += f" Ended already: {', '.join(map(str, before))}."
    answer({"discarded": ended, "ended_already": before}, as_json=as_json, text=text)


def kept_note(note: str) -> str:
    """A note as it is kept for ever: with words in it and no address. Raises Mistake."""
    from data.intake import patches

    if not note.strip():
        raise Mistake("--note is empty: say why, for whoever looks at it later")
    return patches.without_addresses(note)


def _named(engine: "sa.Engine", account_id: str, ids: Sequence[int]) -> list["DeadLetter"]:
    from data import database, dead_letters
    from tasks import wiring

    with database.read(engine) as connection:
        return dead_letters.get(connection, account_id, list(dict.fromkeys(ids)), now=wiring.clock())


def _found(
    engine: "sa.Engine", account_id: str, channel: str | None, rule: str | None, limit: int
) -> list["DeadLetter"]:
    from data import database, dead_letters
    from tasks import wiring

    with database.read(engine) as connection:
        return dead_letters.listing(connection, account_id, now=wiring.clock(), source=channel, rule=rule, limit=limit)
