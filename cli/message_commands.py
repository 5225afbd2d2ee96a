"""The group `messages`: transactional mail. Here: which change of an order asks for which mail."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import settings
from cli import store
from cli.output import AsJson, answer, moment, table

if TYPE_CHECKING:
    from data.message_rules import MessageRules
    from domain.triggers import Rules

app = typer.Typer(no_args_is_help=True)
_BAD_NEWS = 1
_HEADS = ("account", "channel", "placed", "paid", "shipped", "delivered", "refunded", "cancelled", "besides")
_ITSELF = "it mails its customers itself: "


@dataclass(frozen=True, slots=True)
class Line:
    """What the orders of one channel ask for, by step; `besides`: since when, and what is refused and why."""

    account: str
    channel: str
    templates: dict[str, str]
    besides: str


@dataclass(frozen=True, slots=True)
class Examined:
    """What a file says (None: it cannot be read); `faults` stop the intake, `warnings` only the mail."""

    said: "MessageRules | None"
    faults: list[str]
    warnings: list[str] = field(default_factory=list)


@app.command("rules")
def rules(
    check: Annotated[bool, typer.Option("--check", help="Tell only what is wrong.")] = False,
    file: Annotated[Path | None, typer.Option(help="Another file than the one in use, such as a draft.")] = None,
    as_json: AsJson = False,
) -> int:
    """Which change of an order asks for which mail, by account and channel; what is refused, and why.

    Exit status 1 where the file cannot be right: then orders wait until it is mended.
    """
    path = file or settings.load().messages.file
    found = examine(path)
    lines = list(_lines(found.said)) if found.said is not None and not check else []
    payload = {"file": path, "exists": path.exists(), "faults": found.faults, "warnings": found.warnings}
    shown = {"channels": [asdict(one) for one in lines]} if not check else {}
    answer(payload | shown, as_json=as_json, text="\n".join(_text(path, lines, found)))
    return _BAD_NEWS if found.faults or found.warnings else 0


def examine(path: Path) -> Examined:
    """Read the file and hold it against what there is."""
    from data import accounts, content, database, message_rules, order_triggers
    from tasks import wiring

    try:
        said = message_rules.load(path)
    except message_rules.UnusableMessages as error:
        return Examined(None, [str(error)])
    own = wiring.own_templates()
    faults = [f"{path}: {one}" for one in order_triggers.faults(said, wiring.connections(), own)]
    with database.read(store.engine()) as connection:
        there = accounts.names(connection)
    broken = content.faults(own) if said.templates else {}
    warnings = [
        *(f"{path}: accounts.{name}: there is no such account" for name in said.accounts if name not in there),
        *(f"no mail of the template {name} can go: {broken[name]}" for name in sorted(said.templates & set(broken))),
    ]
    return Examined(said, faults, warnings)


def _lines(said: "MessageRules") -> Iterator[Line]:
    """Of each account each channel that it sells at: declared, named in the file, or known by what it brought."""
    from data import accounts, database
    from data.channels import registry
    from data.intake import health
    from tasks import wiring

    declared = wiring.connections()
    with database.read(store.engine()) as connection:
        known = accounts.names(connection)
        heard = health.examine(connection, declared, now=wiring.clock())
    for account in known:
        section = said.accounts.get(account)
        adapters = {one.channel: one.reader for one in declared.connections if one.account == account}
        named = set(section.channels) if section else set()
        for channel in sorted({*adapters, *named, *(one.channel for one in heard if one.account_id == account)}):
            adapter = adapters.get(channel, channel)
            itself = registry.mails_customers(channel, adapter)
            yield _line(account, channel, adapter, said.rules(account, channel, adapter, itself=itself))


def _line(account: str, channel: str, adapter: str, found: "Rules | None") -> Line:
    from data.channels import registry

    if found is None:
        return Line(account, channel, {}, "the file says nothing of this account")
    told = [f"orders since {moment(found.since)} UTC, of the last {found.fresh.total_seconds() / 3600:.0f} hours"]
    if found.not_while:
        told.append(f"nothing while it says {', '.join(sorted(found.not_while))}")
    if not found.templates:
        told = []
    if registry.mails_customers(channel, adapter):
        each = adapter in registry.CHANNELS and registry.CHANNELS[adapter].mails_customers
        told.append(_ITSELF + ("each of its orders says so, whatever stands here" if each else "only what names it"))
    templates = {str(step): name for step, name in found.templates.items()}
    return Line(account, channel, templates, "; ".join(told))


def _text(path: Path, lines: Sequence[Line], found: Examined) -> Iterator[str]:
    if lines:
        steps = _HEADS[2:-1]
        rows = [(it.account, it.channel, *(it.templates.get(step) for step in steps), it.besides) for it in lines]
        yield table("", _HEADS, rows)
    if not path.exists():
        yield f"There is no {path}: no order asks for mail. docs/messages.md tells how to switch it on."
    for one in (*found.faults, *found.warnings):
        yield f"WRONG: {one}"
    if found.faults:
        yield "Orders wait as long as that is so; none is lost. What waits longer than fresh_hours is mailed no more."
    elif path.exists() and not found.warnings:
        yield f"{path} is sound."
