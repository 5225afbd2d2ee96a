"""A preview as the markdown of an artifact. Counts and masked samples only: everybody can open it."""

from collections.abc import Iterable, Sequence

from domain.previews import Preview
from domain.reports import percent
from tasks import preview_plot

_BAR = 24


def markdown(preview: Preview, page: str) -> str:
    """The whole artifact; `page`: where more of it is."""
    asked = "\n".join(f"- {_cell(one)}" for one in preview.question.sentences)
    without = "".join(f"\n- left out: {_cell(name)}" for name in preview.question.without)
    size = f"**{preview.members:,}** of {preview.customers:,} customers ({percent(preview.share)})"
    parts = [
        f"# Who they are: {_cell(preview.question.segment)}",
        f"{size}{_change(preview)}; **{preview.verdict.planned:,}** of them get it. [The whole preview]({page})",
        "\n".join(f"> **{_cell(one)}**" for one in preview.warnings),
        f"{asked}{without}",
        _segments(preview),
        f"![Trend and splits of the selection]({preview_plot.data_uri(preview)})",
        _money(preview),
        _waterfall(preview),
        _overlaps(preview),
        _earlier(preview),
        _sample(preview),
    ]
    if preview.unknown:
        parts.append("\n".join(["## Not known", "", *(f"- {_cell(one)}" for one in preview.unknown)]))
    return "\n\n".join(part for part in parts if part)


def _segments(preview: Preview) -> str:
    told = (
        f"- {_cell(one.name)}: {_cell(one.description)}"
        + (f" With {_cell(', '.join(one.arguments))}." if one.arguments else "")
        for one in preview.question.segments
    )
    return "\n".join(told)


def _table(title: str, head: Sequence[str], marks: str, rows: Iterable[Sequence[str]]) -> str:
    """`marks`: l or r for each column."""
    ruler = "|".join(":--" if mark == "l" else "--:" for mark in marks)
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"## {title}", "", f"| {' | '.join(head)} |", f"|{ruler}|", *lines]) if lines else ""


def _cell(text: str) -> str:
    """Text of others inside our markdown: it ends no cell, opens no tag and makes no link."""
    plain = " ".join(text.split())
    for sign in "\\`|<>[]*_":
        plain = plain.replace(sign, f"\\{sign}")
    return plain


def _change(preview: Preview) -> str:
    return "" if preview.change is None else f", {preview.change:+,} since {preview.trend[-2].as_of:%d %b %Y}"


def _money(preview: Preview) -> str:
    rows = []
    for label, money in (("last 365 days", preview.last_year), ("ever", preview.lifetime)):
        mean = money.average(preview.members)
        rows.append((label, f"{money.members:,.2f}", percent(money.share), "–" if mean is None else f"{mean:,.2f}"))
    head = ["", f"Net revenue, {preview.currency}", "Of the shop's", "A member"]
    return _table("Money in it", head, "lrrr", rows)


def _waterfall(preview: Preview) -> str:
    """Everyone who is left out, for one reason; then who waits for the end of quiet hours."""
    rows = [
        (step.label, f"{step.count:,}", "█" * round(_BAR * step.count / preview.members) if preview.members else "")
        for step in preview.steps
    ]
    held = "".join(
        f"\n\n{one.people:,} of them wait in {one.zone} until {one.until:%Y-%m-%d %H:%M} UTC: quiet hours."
        for one in preview.verdict.held
    )
    return _table("Who gets it, who does not, and why", ["", "People", ""], "lrl", rows) + held


def _overlaps(preview: Preview) -> str:
    rows = [
        (_cell(one.segment), f"{one.shared:,}", percent(one.shared / preview.members), percent(one.shared / one.size))
        for one in preview.overlaps
    ]
    return _table("Where else these people are", ["Segment", "Shared", "Of these people", "Of it"], "lrrr", rows)


def _earlier(preview: Preview) -> str:
    rows = [
        (_cell(one.campaign), f"{one.at:%Y-%m-%d %H:%M}", f"{one.shared:,}", f"{one.planned:,}")
        for one in preview.earlier
    ]
    head = ["Campaign", "Sent (UTC)", "These people in it", "Planned in all"]
    return _table("Their last campaigns", head, "llrr", rows)


def _sample(preview: Preview) -> str:
    rows = [
        (_cell(one.name), _cell(one.country), f"{one.orders:,}", f"{one.last_order}", f"{one.net_revenue:,.0f}")
        for one in preview.sample
    ]
    head = ["Masked", "Country", "Orders", "Latest order", f"Net revenue, {preview.currency}"]
    return _table("A few of them", head, "llrrr", rows)
