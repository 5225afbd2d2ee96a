"""Commands about key figures: show them by whatever they can be told apart by, explain one, reckon them by other rules."""

import csv
import sys
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from typer.core import TyperGroup

from cli import store
from cli.output import AsJson, Mistake, answer, table
from domain import kpi_words, kpis
from domain.kpi_tables import MEANING, By
from domain.kpis import Measured

_SHOW = "show"
_SHOWN = (
    kpis.DELIVERABILITY,
    kpis.BOUNCE_RATE,
    kpis.COMPLAINT_RATE,
    kpis.UNSUBSCRIBE_RATE,
    kpis.HUMAN_OPEN_RATE,
    kpis.HUMAN_CLICK_RATE,
    kpis.CLICK_TO_OPEN,
)
# A second table: side by side they would be wider than any terminal.
_MORE = (*kpis.BOUNCES_BY_CLASS, *kpis.BOUNCES_BY_FAULT, kpis.OPEN_RATE, kpis.CLICK_RATE)
_NAMES = ", ".join(name.replace("_", "-") for name in kpis.ALL)
# What a spreadsheet takes for the start of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class FiguresToo(TyperGroup):
    """`campaigns kpis --by day` is `campaigns kpis show --by day`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `show` before its options."""
        if not args or args[0] not in {*self.commands, "--help"}:
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The commands, and below them the options of the one that need not be named."""
        super().format_help(ctx, formatter)
        command = self.commands[_SHOW]
        with typer.Context(command, info_name=_SHOW, parent=ctx) as shown:
            command.format_help(shown, formatter)


app = typer.Typer(cls=FiguresToo)


@app.command(_SHOW)
def show(
    by: Annotated[
        list[By] | None,
        typer.Option(
            "--by",
            help="Told apart by this; several give every combination. "
            + "; ".join(f"{one}: {meaning}" for one, meaning in MEANING.items())
            + ".",
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Mail that left in so many days, today included.")] = 28,
    account: store.Account = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Answer as CSV: every count and rate, a line a group.")] = False,
    as_json: AsJson = False,
) -> None:
    """The key figures of an account, as of now.

    Days are those of the account's zone, and a day's figures those of the mail that left on it.
    """
    if as_csv and as_json:
        raise Mistake("choose one of --csv and --json")
    keys = list(dict.fromkeys(by or []))
    found, since = _measured(account, keys, days)
    if as_csv:
        _write_csv(keys, found)
        return
    payload = {
        "since": since.isoformat(),
        "days": days,
        "by": keys,
        "groups": [{**_named(keys, key), **kpi_words.facts(one)} for key, one in found.items()],
    }
    answer(payload, as_json=as_json, text=_text(keys, found, days))


def _measured(account: str | None, by: Sequence[By], days: int) -> tuple[dict[tuple[Any, ...], Measured], date]:
    from data import accounts, database, kpi_counts, kpi_groups
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    kpi_counts.refresh(engine)
    with database.read(engine) as connection:
        today = wiring.clock().astimezone(ZoneInfo(accounts.get(connection, account_id).timezone)).date()
        since = today - timedelta(days=days - 1)
        return kpi_groups.measured(connection, account_id, by, since=since), since


def _named(by: Sequence[By], key: Sequence[Any]) -> dict[str, str]:
    return {name.value: str(value) for name, value in zip(by, key, strict=True)}


def _text(by: Sequence[By], found: Mapping[tuple[Any, ...], Measured], days: int) -> str:
    if not found:
        return f"No mail was sent in the last {days} days."
    parts = [
        _rates(f"Mail that left in the last {days} days", by, found, _SHOWN),
        _rates("The same: bounces by class and by fault, and what machines opened and clicked, too", by, found, _MORE),
    ]
    if not by:
        (whole,) = found.values()
        parts.append(table("", ["", ""], _durations(whole)))
    versions = sorted({version for one in found.values() for version in one.rules})
    parts.append(f"{kpi_words.LEGEND}\nPeople told from machines by rules {', '.join(map(str, versions))}.")
    return "\n\n".join(parts)


def _rates(title: str, by: Sequence[By], found: Mapping[tuple[Any, ...], Measured], shown: Sequence[kpis.Kpi]) -> str:
    heads = [*(one.value for one in by), "accepted", *(kpi.label.lower() for kpi in shown)]
    rows = [
        (*map(str, key), one.figures.accepted, *(kpi_words.rate(kpi, kpi.of(one.figures)) for kpi in shown))
        for key, one in found.items()
    ]
    return table(title, heads, rows)


def _durations(whole: Measured) -> list[tuple[str, str]]:
    return [
        (kpis.TIME_TO_INBOX.label.lower(), kpi_words.to_inbox(whole)),
        (kpis.BOUNCE_HANDLING.label.lower(), kpi_words.handling(whole)),
        (kpis.HAND_OVER.label.lower(), kpi_words.hand_over(whole)),
    ]


def _write_csv(by: Sequence[By], found: Mapping[tuple[Any, ...], Measured]) -> None:
    names = [kpi.name for kpi in kpis.RATES]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    seconds = ("to_inbox_median", "to_inbox_p95", "handling_median", "handling_p95", "handling_longest", "hand_over")
    writer.writerow([*by, *kpis.COUNTS, *names, *(f"{name}_seconds" for name in seconds), "rules"])
    for key, one in found.items():
        counts, rates = one.figures.counts(), [kpi.of(one.figures).value for kpi in kpis.RATES]
        durations = [of.quantile(share) for of in (one.to_inbox, one.handling) for share in (0.5, 0.95)]
        rules = " ".join(map(str, sorted(one.rules)))
        row = [
            *(counts[name] for name in kpis.COUNTS),
            *rates,
            *durations,
            one.handling.longest,
            one.hand_over_seconds,
            rules,
        ]
        writer.writerow([*(_safe(str(value)) for value in key), *row])
    sys.stdout.flush()


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


@app.command("explain")
def explain(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"A figure: {_NAMES}.")],
    as_json: AsJson = False,
) -> None:
    """What a figure means: numerator, denominator, lines, where it comes from."""
    try:
        found = kpi_words.explanation(kpis.named(name))
    except kpis.UnknownKpi as error:
        raise Mistake(str(error.args[0])) from error
    text = "\n".join(f"{part:<14}  {words}" for part, words in found)
    answer({part.replace(" ", "_"): words for part, words in found}, as_json=as_json, text=text)


@app.command("recompute")
def recompute(
    rules: Annotated[
        int | None,
        typer.Option(help="By which rules people are told from machines, from now on; unchanged unless given."),
    ] = None,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Reckon all of an account's figures anew, out of what is kept of each mail. Safe to break off and to repeat."""
    from data import database, kpi_counts
    from domain import machine_activity
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    try:
        batches = kpi_counts.recompute(
            engine, account_id=account_id, rules=rules, by=store.person(), now=wiring.clock()
        )
    except machine_activity.UnknownRules as error:
        raise Mistake(f"{error}; nothing was changed") from error
    with database.read(engine) as connection:
        in_force = kpi_counts.rules_of(connection, account_id)
    text = f"{batches:,} batches were reckoned anew; people are told from machines by rules {in_force}."
    answer({"batches": batches, "rules": in_force}, as_json=as_json, text=text)
