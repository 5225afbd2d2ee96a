"""Quality gates at the command line: what is in quarantine, which rules fire, and which thresholds history proposes."""

from typing import TYPE_CHECKING, Annotated

import typer

import settings
from cli import intake_letters, store
from cli.output import AsJson, answer, table

if TYPE_CHECKING:
    from data.intake.quarantine import Quarantine

_BAD_NEWS = 1
_MOST_RULES = 5
Days = Annotated[int, typer.Option(min=1, max=365, help="Of the last so many days.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("quarantine")(list_quarantines)
    app.command("release")(release)
    app.command("rules")(show_rules)
    app.command("tune")(propose)


def list_quarantines(account: store.Account = None, as_json: AsJson = False) -> int:
    """Channels whose orders wait, because too many of them were bad, and those that did before."""
    from data import database
    from data.intake import quarantine, records

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    with database.read(engine) as connection:
        found = quarantine.listing(connection, account_id)
        waiting = {one.channel: records.backlog(connection, account_id, one.channel) for one in found}
    rows = [
        (
            "released" if one.ended_at else "HELD",
            one.channel,
            one.since,
            0 if one.ended_at else waiting[one.channel],
            one.ended_at,
            one.ended_by,
            _reason(one),
        )
        for one in found
    ]
    text = "Nothing is or was in quarantine."
    if rows:
        text = table("", ["", "channel", "since", "records waiting", "released", "by", "reason"], rows)
    for one in found:
        if one.ended_at is None:
            text += (
                f"\nNothing of {one.channel} is lost. Mend the channel, its mapping or the thresholds; "
                f"`campaigns intake release --channel {one.channel} --note …` lets what waits pass."
            )
    answer(found, as_json=as_json, text=text)
    return _BAD_NEWS if any(one.ended_at is None for one in found) else 0


def _reason(one: "Quarantine") -> str:
    """With the rules that fired most: until the release there are no dead letters to look at."""
    most = sorted(one.facts.items(), key=lambda fact: (-int(fact[1]), fact[0]))[:_MOST_RULES]
    fired = ", ".join(f"{rule} {count:,}" for rule, count in most)
    return f"{one.reason}; fired: {fired}" if fired else one.reason


def release(
    channel: Annotated[str, typer.Option(help="Which channel.")],
    note: Annotated[str, typer.Option(help="Why it may pass; kept in the audit log, without addresses.")],
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Let a channel's waiting records pass without the gate over the whole batch.

    Orders that a rule refuses go to the dead letters, as ever. What arrives from now on is judged again.
    """
    from data import database
    from data.intake import quarantine
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    note = intake_letters.kept_note(note)
    with database.write(engine) as connection:
        quarantine.release(connection, account_id, channel, by=store.person(), note=note, now=wiring.clock())
    text = "Released: the flow ingest-orders takes them in, or `campaigns intake drain` now."
    answer({"released": channel}, as_json=as_json, text=text)


def show_rules(days: Days = 30, account: store.Account = None, as_json: AsJson = False) -> None:
    """Which rules fired how often, by channel, and how often they were wrong.

    Wrong: a dead letter of theirs was later released unchanged (`replay --as-is`), of all that have ended.
    """
    from data import database
    from data.intake import rules_report
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    with database.read(engine) as connection:
        found = rules_report.report(connection, account_id, days=days, now=wiring.clock())
    rows = [
        (one.channel, one.rule, one.fired, _percent(one.share), one.ended, _percent(one.false_positive_share))
        for one in found
    ]
    heads = ["channel", "rule", "fired", "of orders", "letters ended", "wrong"]
    answer(found, as_json=as_json, text=table("", heads, rows) if rows else f"No rule fired in the last {days} days.")


def propose(days: Days = 30, account: store.Account = None, as_json: AsJson = False) -> None:
    """Propose thresholds from what the rules did: nothing is changed, the lines are there to be pasted."""
    from data import database
    from data.intake import tune
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    intake = wiring.order_intake()
    adapters = {(one.account, one.channel): one.reader for one in intake.connections.connections}
    with database.read(engine) as connection:
        found = tune.propose(connection, intake.book, account_id, days=days, now=wiring.clock(), adapters=adapters)
    rows = [(one.channel, one.rule or "–", one.key, one.now, one.proposed, one.because) for one in found]
    text = "Nothing to propose: history fits the thresholds."
    if rows:
        told = table("", ["channel", "rule", "key", "now", "proposed", "because"], rows)
        text = (
            f"{told}\n\nTo paste into {settings.load().intake.thresholds_file}:\n\n{tune.fragment(intake.book, found)}"
        )
    answer(found, as_json=as_json, text=text)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
