"""`campaigns segments preview`: who would be meant by a segment, and what is known of them. Nobody is named."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, moment, table
from cli.segment_options import Only, With, Without, arguments_of, rules_of
from domain.previews import Described, Money, Preview, Split
from domain.reports import percent

Asked = Annotated[
    str,
    typer.Argument(
        metavar="SEGMENT", help="A segment's name, or an expression such as 'vip and not high-refunders'; in quotes."
    ),
]
_LEVELS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"
_BAR = 16
_MONEY = (16, 11, 11, 11)


def register(app: typer.Typer) -> None:
    """Add this command to those about segments."""
    app.command("preview")(preview)


def preview(
    segment: Asked,
    arguments: With = None,
    only: Only = None,
    without: Without = None,
    html: Annotated[Path | None, typer.Option(help="Write the page into this file besides.")] = None,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Everything about a segment before anything is sent: size, money, who they are, and who would get it.

    Nothing is sent, and nobody is named. The preview is kept for its page.
    """
    import settings
    from data import kept_previews
    from domain.campaigns import Refinement
    from tasks import previews

    refinement = Refinement(
        arguments=arguments_of(arguments),
        rules=rules_of(only),
        exclude=tuple(without or ()),
    )
    engine = store.engine()
    plan = previews.plan_of(store.chosen_account(engine, account), segment, refinement)
    found = previews.of_plan(engine, plan, settings.load().sending)
    if html is not None:
        _write(html, found)
    page = f"{settings.load().gateway.public_url}/previews/{found.id}"
    answer({**kept_previews.as_json(found), "page": page}, as_json=as_json, text=f"{text(found)}\n\nPage: {page}")


def _write(file: Path, found: Preview) -> None:
    from gateway import rendering

    try:
        file.write_text(rendering.render_preview(found, standalone=True), "utf-8")
    except OSError as error:
        raise Mistake(f"{file} cannot be written: {error.strerror}") from error


def text(found: Preview) -> str:
    """The preview for a terminal."""
    parts = [
        _head(found),
        _money(found),
        _waterfall(found),
        *(_split(one, found) for one in found.splits),
        _overlaps(found),
        _earlier(found),
        _sample(found),
    ]
    if found.unknown:
        parts.append("\n".join(["Not known:", *(f"  {one}" for one in found.unknown)]))
    return "\n\n".join(part for part in parts if part)


def _head(found: Preview) -> str:
    asked = " and ".join(found.question.sentences)
    without = "".join(f", left out: {f'({name})' if ' ' in name else name}" for name in found.question.without)
    size = f"{found.members:,} of {found.customers:,} customers ({percent(found.share)})"
    lines = [
        f"{found.question.segment}: {size}, {found.verdict.planned:,} of them would get a mail now",
        *(f"Mind: {one}" for one in found.warnings),
        f"Whoever {asked}{without}.",
        *(f"  {line}" for one in found.question.segments for line in _segment(one)),
        f"Figures as of {moment(found.as_of)}, judged {moment(found.made_at)}, UTC.",
    ]
    if len(found.trend) > 1:
        line = sparkline([one.members for one in found.trend])
        since = f"since {moment(found.trend[-2].as_of)}"
        lines.append(f"Trend: {found.trend[0].members:,} {line} {found.members:,} ({found.change:+,} {since})")
    return "\n".join(lines)


def _segment(one: Described) -> Iterator[str]:
    yield f"{one.name}: {one.description}"
    if one.arguments:
        yield f"  with {', '.join(one.arguments)}"


def sparkline(numbers: Sequence[int]) -> str:
    """Small bars from the smallest to the largest; in the middle where they are all the same."""
    low, high = min(numbers), max(numbers)
    if low == high:
        return _LEVELS[3] * len(numbers)
    return "".join(_LEVELS[round((one - low) * (len(_LEVELS) - 1) / (high - low))] for one in numbers)


def bar(part: int, whole: int) -> str:
    """A bar of text, drawn to an eighth of a letter."""
    eighths = round(part / whole * _BAR * 8) if whole else 0
    if part and not eighths:
        eighths = 1
    full, rest = divmod(eighths, 8)
    return "█" * full + _EIGHTHS[rest].strip()


def _money(found: Preview) -> str:
    rows = [_amounts("last 365 days", found.last_year, found), _amounts("ever", found.lifetime, found)]
    head = [*_right("revenue", "of the shop", "a member", "a customer")]
    return table(f"Money in it, {found.currency}", ["", *head], rows)


def _amounts(label: str, money: Money, found: Preview) -> tuple[str, ...]:
    mean, of_all = money.average(found.members), money.customers / found.customers if found.customers else None
    means = ("–" if one is None else f"{one:,.2f}" for one in (mean, of_all))
    return label, *_right(f"{money.members:,.2f}", percent(money.share), *means)


def _right(*cells: str) -> Iterator[str]:
    """Money is text with commas, which a table would put to the left."""
    return (cell.rjust(width) for cell, width in zip(cells, _MONEY, strict=True))


def _waterfall(found: Preview) -> str:
    rows = []
    for step in found.steps:
        sign = "" if step.code in {"members", "planned"} else "-"
        share = percent(step.count / found.members if found.members else None)
        rows.append((f"{sign}{step.count:,}".rjust(9), share, bar(step.count, found.members), step.label))
    lines = [table("Who would get it", ["people".rjust(9), "share", "", ""], rows)]
    lines += [
        f"  {one.people:,} of them wait in {one.zone} until {moment(one.until)}: quiet hours"
        for one in found.verdict.held
    ]
    return "\n".join(lines)


def _split(one: Split, found: Preview) -> str:
    rows = [
        (
            part.label,
            part.members,
            percent(part.members / found.members if found.members else None),
            percent(part.customers / found.customers if found.customers else None),
            bar(part.members, found.members),
        )
        for part in one.parts
    ]
    title = f"{one.name}{' (one person may count in several)' if one.several else ''}"
    return table(title, ["", "people", "share", "all customers", ""], rows) if rows else ""


def _overlaps(found: Preview) -> str:
    rows = [
        (
            one.segment,
            one.shared,
            percent(one.shared / found.members),
            percent(one.shared / one.size),
            bar(one.shared, found.members),
        )
        for one in found.overlaps
    ]
    head = ["segment", "shared", "of these", "of it", ""]
    return table("Where else they are", head, rows) if rows else ""


def _earlier(found: Preview) -> str:
    rows = [
        (
            one.campaign,
            one.run_id,
            one.at,
            one.shared,
            percent(one.shared / found.members if found.members else None),
            one.planned,
        )
        for one in found.earlier
    ]
    head = ["campaign", "run", "sent", "shared", "of these", "planned in all"]
    return table("Their last campaigns", head, rows) if rows else "No live campaign has been sent yet."


def _sample(found: Preview) -> str:
    rows = [
        (one.name, one.country, one.orders, f"{one.last_order}", f"{one.net_revenue:,.0f}".rjust(9))
        for one in found.sample
    ]
    head = ["name", "country", "orders", "latest order", f"spent {found.currency}".rjust(9)]
    return table("A few of them, masked", head, rows) if rows else ""
