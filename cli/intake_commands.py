"""`campaigns intake FILE|DIR`, and the queue: drain, pull, health."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from typer.core import TyperGroup

from cli import intake_gates, intake_letters, store
from cli.output import AsJson, Mistake, answer, table

if TYPE_CHECKING:
    from data.intake.drain import DrainReport, Intake
    from data.intake.health import SourceHealth
    from data.intake.load import Staged

_LOAD = "load"
_BAD_NEWS = 1
Channel = Annotated[str, typer.Option(help="Which channel the orders come from, as in channels.yaml.")]


class FilesToo(TyperGroup):
    """`campaigns intake FILE` is `campaigns intake load FILE`: what is no command's name is a file's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `load` before a file, or before its options."""
        if args and args[0] not in {*self.commands, "--help"}:
            args = [_LOAD, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=FilesToo, no_args_is_help=True, subcommand_metavar="FILE|DIR|COMMAND [ARGS]...")


@app.command(_LOAD)
def load(
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE|DIR", help="CSV, JSON or JSON lines, also .gz; a folder means all files in it."),
    ],
    channel: Channel = "csv",
    stage_only: Annotated[
        bool, typer.Option("--stage-only", help="Keep the records and leave them to the flow ingest-orders.")
    ] = False,
    account: store.Account = None,
    as_json: AsJson = False,
) -> int:
    """Load files of orders: a bad one goes to the dead letters, the rest is loaded.

    `campaigns intake FILE` is the same. Loading a file twice changes nothing, and one that was cut off is completed by
    loading it again.
    """
    from data.intake import drain, load
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    intake = wiring.order_intake()
    if not path.exists():
        raise Mistake(f"there is no file {path}{_nearest(path)}")
    with _bar(quiet=as_json) as bar:
        task = bar.add_task(f"Reading {path.name}", total=None)
        staged = load.stage(
            intake, path, account_id=account_id, channel=channel, progress=lambda rows: bar.update(task, completed=rows)
        )
        task = bar.add_task("Making orders", total=staged.rows)
        report = None
        if not stage_only:
            report = drain.drain(
                intake,
                only=(account_id, channel),
                progress=lambda so_far: bar.update(task, completed=so_far.tally["rows"]),
            )
    return _tell_load(intake, staged, report, (account_id, channel), as_json=as_json)


def _nearest(path: Path) -> str:
    """Whoever mistypes a command is told about a file that nobody meant."""
    near = difflib.get_close_matches(str(path), [str(one.name) for one in app.registered_commands], n=1)
    return f"; did you mean the command {near[0]}?" if near else ""


def _tell_load(
    intake: "Intake", staged: "Staged", report: "DrainReport | None", pair: tuple[str, str], *, as_json: bool
) -> int:
    waiting, held = _waiting(intake, [pair])
    files = "1 file" if staged.files == 1 else f"{staged.files:,} files"
    text = [f"{files}, {staged.rows:,} rows."]
    if staged.records and not staged.new:
        text = [f"{files}, {staged.rows:,} rows: all of it was brought before, so there is nothing new to load."]
        text += [] if held else ["Orders that were refused then are taken in by `campaigns intake replay`."]
    elif report is None:
        text = [f"{files}, {staged.rows:,} rows wait in {staged.new:,} new records for the flow ingest-orders."]
    if report is not None and report.tally["records"]:
        text += _orders(report)
    text += _trouble(report, waiting, held)
    text += [f"Not read to the end: {sentence}." for sentence in staged.unreadable]
    payload = {"files": staged.files, "rows": staged.rows, "records": staged.records, "new_records": staged.new}
    payload |= {"unreadable": staged.unreadable} | _counts(report) | {"waiting": waiting.get(pair, 0)}
    answer(payload, as_json=as_json, text="\n".join(text))
    return _BAD_NEWS if staged.unreadable or held else 0


def _counts(report: "DrainReport | None") -> dict[str, Any]:
    """What became of the orders; `quarantined` is why a channel was stopped just now."""
    if report is None:
        return {}
    counts: dict[str, Any] = {name: count for name, count in report.counts().items() if name not in {"records", "rows"}}
    return counts | {"quarantined": report.quarantined}


def _orders(report: "DrainReport") -> list[str]:
    counts = report.counts()
    named = {
        "loaded": "loaded",
        "updated": "updated",
        "unchanged": "unchanged",
        "stale": "older than what we have",
        "deleted": "deleted",
    }
    told = [f"{counts[name]:,} {words}" for name, words in named.items() if counts[name] or name == "loaded"]
    lines = [f"Orders: {', '.join(told)}."]
    if counts["ignored"]:
        lines.append(f"{counts['ignored']:,} were no orders of the shop's, such as drafts.")
    if counts["refused"]:
        some = "1 order" if counts["refused"] == 1 else f"{counts['refused']:,} orders"
        lines.append(f"{some} went to the dead letters: `campaigns intake dead-letters` says why.")
    return lines


def _trouble(
    report: "DrainReport | None", waiting: dict[tuple[str, str], int], held: Sequence[tuple[str, str]]
) -> list[str]:
    lines = [f"Stopped: {told}." for told in (report.quarantined if report else ())]
    for account_id, channel in held:
        count = waiting[account_id, channel]
        wait = "1 record waits" if count == 1 else f"{count:,} records wait"
        lines.append(
            f"{channel} of {account_id} is in quarantine: {wait} and nothing is lost. `campaigns intake quarantine` says "
            f"why, `campaigns intake release --channel {channel} --note …` lets them pass."
        )
    return lines


def _waiting(
    intake: "Intake", pairs: Sequence[tuple[str, str]] | None = None
) -> tuple[dict[tuple[str, str], int], list[tuple[str, str]]]:
    """How many records wait, and which of these channels (of all that are in quarantine) are."""
    from data import database
    from data.intake import quarantine, records

    with database.read(intake.engine) as connection:
        held = sorted(quarantine.open_of(connection))
        counts = {pair: records.backlog(connection, *pair) for pair in (held if pairs is None else pairs)}
    return counts, [pair for pair in held if pairs is None or pair in pairs]


@app.command("drain")
def drain_queue(as_json: AsJson = False) -> int:
    """Make orders of all records that wait, as the flow ingest-orders does."""
    from data.intake import drain
    from tasks import wiring

    store.engine()
    intake = wiring.order_intake()
    with _bar(quiet=as_json) as bar:
        task = bar.add_task("Making orders", total=None)
        report = drain.drain(intake, progress=lambda so_far: bar.update(task, completed=so_far.tally["rows"]))
    waiting, held = _waiting(intake)
    text = _orders(report) if report.tally["records"] else ["Nothing waits."] if not held else []
    names = [
        {"account": account, "channel": channel, "waiting": waiting[account, channel]} for account, channel in held
    ]
    payload = {"records": report.tally["records"], "rows": report.tally["rows"]} | _counts(report) | {"held": names}
    answer(payload, as_json=as_json, text="\n".join([*text, *_trouble(report, waiting, held)]))
    return _BAD_NEWS if held else 0


@app.command("pull")
def pull_orders(channel: Channel, account: store.Account = None, as_json: AsJson = False) -> None:
    """Ask a channel's API for what changed since the last time; `campaigns intake drain` makes orders of it."""
    from data.intake import pull
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    connection = wiring.connections().find(account_id, channel)
    if connection is None:
        raise Mistake(f"channels.yaml has no connection {channel} of {account_id}; channels.example.yaml shows how")
    report = pull.pull(engine, connection, clock=wiring.clock)
    text = f"Nothing changed since {report.since:%Y-%m-%d %H:%M} UTC."
    if report.pages:
        pages = "1 page" if report.pages == 1 else f"{report.pages:,} pages"
        text = (
            f"{pages} of what changed since {report.since:%Y-%m-%d %H:%M} UTC, {report.new:,} of them new. "
            "`campaigns intake drain` makes orders of them now, the flow ingest-orders in some minutes."
        )
    answer(report, as_json=as_json, text=text)


@app.command("reread")
def reread(
    channel: Channel,
    note: Annotated[str, typer.Option(help="Why; kept in the audit log, without addresses.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="What came in the last so many days.")] = 30,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Read a channel's records once more, after its mapping or adapter was mended.

    What they say now holds against what was read then; newer states of an order stay. Records are kept for
    OMS_INTAKE_KEEP_DAYS days.
    """
    from data import audit_log, database
    from data.intake import records
    from tasks import wiring

    engine, now = store.engine(), wiring.clock()
    account_id, note = store.chosen_account(engine, account), intake_letters.kept_note(note)
    with database.write(engine) as connection:
        found = records.reread(connection, account_id, channel, since=now - timedelta(days=days))
        audit_log.write(
            connection,
            account_id=account_id,
            actor=store.person(),
            action="records reread",
            subject=f"channel {channel}",
            detail={"note": note, "days": days, "records": found},
            now=now,
        )
    text = f"Nothing of {channel} is kept that came in the last {days} days."
    if found:
        some = "1 record waits" if found == 1 else f"{found:,} records wait"
        text = f"{some} to be read again: the flow ingest-orders does it, or `campaigns intake drain` now."
    answer({"records": found}, as_json=as_json, text=text)


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    errors = Console(stderr=True)
    with Progress(*columns, console=errors, disable=quiet or not errors.is_terminal, transient=True) as bar:
        yield bar


@app.command("health")
def show_health(account: store.Account = None, as_json: AsJson = False) -> int:
    """Each channel: when it was last heard, how far behind we are, what was refused, what its webhook's state is."""
    from data import database
    from data.intake import health
    from tasks import wiring

    engine = store.engine()
    account_id = store.chosen_account(engine, account)
    with database.read(engine) as connection:
        found = health.examine(connection, wiring.connections(), now=wiring.clock(), account_id=account_id)
    heads = ["channel", "last heard", "orders today", "refused", "letters", "waiting", "for", "read up to", "webhook"]
    rows = [
        (
            "ALARM" if one.alarms else "well",
            one.channel,
            one.last_heard,
            one.orders,
            health.percent(one.refused_share),
            one.open_letters,
            one.waiting,
            health.span(one.lag),
            f"{health.span(one.cursor_age)} ago" if one.cursor_age is not None else "–",
            one.subscription or "–",
        )
        for one in found
    ]
    alarms = [f"{one.channel}: {alarm}" for one in found for alarm in one.alarms]
    text = table("", ["", *heads], rows) if rows else "No channel is declared, and none has brought an order yet."
    answer(
        [_as_json(one) for one in found], as_json=as_json, text="\n".join([text, *([""] if alarms else []), *alarms])
    )
    return _BAD_NEWS if alarms else 0


def _as_json(one: "SourceHealth") -> dict[str, Any]:
    """Durations in seconds."""
    facts = asdict(one) | {"refused_share": one.refused_share}
    for name in ("lag", "cursor_age", "usual_silence"):
        duration = facts.pop(name)
        facts[f"{name}_seconds"] = None if duration is None else int(duration.total_seconds())
    return facts


intake_letters.register(app)
intake_gates.register(app)
