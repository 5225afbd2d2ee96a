"""The plots of the campaign page, and the look of all our plots: SVG text with the colours and fonts of its page.

matplotlib costs most of a second to import: the first plot imports it. Figures are made without pyplot, so nothing is
kept between requests.
"""

import io
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from domain.kpis import Figures
from domain.reports import Moment, percent
from gateway.figures import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# matplotlib knows no CSS variables: each colour is drawn as a stand-in that is replaced in the finished SVG.
DELIVERED, OPENED, CLICKED, BOUNCED = "#010a01", "#010a02", "#010a03", "#010a04"
TEXT, LINE = "#010a05", "#010a06"
_PAINT = {
    DELIVERED: "var(--delivered)",
    OPENED: "var(--opened)",
    CLICKED: "var(--clicked)",
    BOUNCED: "var(--bounced)",
    TEXT: "currentColor",
    LINE: "var(--line)",
}
_IMAGE_COLOURS = "--delivered: #2a7a64; --opened: #2d6cb5; --clicked: #8250a6; --bounced: #c2532f; --line: #ddd"
# All ids but those of clip paths and markers, which are hashes; and a style sheet that would apply to the whole page.
_SURPLUS = re.compile(r' id="(?![pm][0-9a-f]{10}")[^"]*"|<style.*?</style>', re.DOTALL)
_LOCK = threading.Lock()  # matplotlib's settings and font cache belong to the whole process


def timeline(moments: Sequence[Moment]) -> str:
    """How many people had got, opened and clicked it, as time went by. `moments` are slices of equal length."""
    starts = [moment.at for moment in moments]
    length = starts[1] - starts[0] if len(starts) > 1 else timedelta(seconds=1)
    edges = [*starts, starts[-1] + length]
    with drawing("timeline", height=3.1) as (figure, axes):
        _grow(axes, edges, [moment.delivered for moment in moments], "delivered", DELIVERED)
        _grow(axes, edges, [moment.opened_human for moment in moments], "opened by humans", OPENED)
        _grow(axes, edges, [moment.clicked for moment in moments], "clicked", CLICKED)
        _grow(axes, edges, [moment.bounced for moment in moments], "bounced", BOUNCED)
        time_axis(axes)
        axes.set_ylim(bottom=0)
        axes.margins(x=0)
        axes.grid(axis="y", color=LINE, linewidth=0.8)
        legend(axes)
        return svg(figure)


def image(drawn: str) -> str:
    """A plot as a file of its own, for pages that are not ours (Prefect's): it brings its colours along."""
    look = f"<style>svg {{background: #fff; color: #333; {_IMAGE_COLOURS}}}</style>"
    return re.sub(r"(<svg[^>]*>)", lambda tag: tag[1] + look, drawn, count=1)


def mailbox_providers(figures: Mapping[str, Figures]) -> str:
    """Which part of the mail each mailbox provider let through, and what people there did with it."""
    names = list(figures)[::-1]
    rates = (
        ("delivered", DELIVERED, [figures[name].deliverability for name in names]),
        ("opened by humans", OPENED, [figures[name].human_open_rate for name in names]),
        ("clicked", CLICKED, [figures[name].human_click_rate for name in names]),
    )
    with drawing("mailbox-providers", height=0.9 + 0.72 * len(names)) as (figure, axes):
        for place, (label, colour, values) in enumerate(rates):
            rows = [row + (1 - place) * 0.24 for row in range(len(names))]
            bars = axes.barh(rows, [100 * (value or 0) for value in values], height=0.2, color=colour, label=label)
            texts = [percent(value) for value in values]
            axes.bar_label(bars, labels=texts, padding=4, color=TEXT, fontsize=8)
        axes.set_yticks(range(len(names)), [f"{name}\n{count(figures[name].accepted)} accepted" for name in names])
        axes.set_xlim(0, 112)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} %" if value <= 100 else "")  # noqa: PLR2004
        axes.grid(axis="x", color=LINE, linewidth=0.8)
        legend(axes)
        return svg(figure)


@contextmanager
def drawing(name: str, *, height: float, width: float = 8.4) -> "Iterator[tuple[Figure, Axes]]":
    """A figure of our look, in inches. `name` makes the ids inside the SVG its own, and the same each time."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "DejaVu Sans", "font.size": 9}
    with _LOCK, mpl.rc_context(settings):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        axes.spines[:].set_visible(False)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, colors=TEXT)
        yield figure, axes


def _grow(axes: "Axes", edges: Sequence[datetime], counts: Sequence[int], label: str, colour: str) -> None:
    if not any(counts):
        return
    x: list[Any] = list(edges)
    y = [0, *accumulate(counts)]
    axes.fill_between(x, y, color=colour, alpha=0.08, linewidth=0)
    axes.plot(x, y, color=colour, linewidth=2, label=f"{label} ({count(y[-1])})")


def time_axis(axes: "Axes") -> None:
    """Dates below, whole numbers at the side."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MaxNLocator

    locator = AutoDateLocator(minticks=3, maxticks=12)  # type: ignore[no-untyped-call]  # matplotlib's gap
    axes.xaxis.set_major_locator(locator)
    dates = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]  # matplotlib's gap
    dates.offset_formats = ["", "%Y", "%b %Y", "%d %b %Y", "%d %b %Y", "%d %b %Y, %H:%M"]
    axes.xaxis.set_major_formatter(dates)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def legend(axes: "Axes") -> None:
    """What is drawn, above the plot."""
    if not axes.get_legend_handles_labels()[0]:
        return  # matplotlib warns of an empty legend
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, labelcolor=TEXT, borderaxespad=0)


def svg(figure: "Figure") -> str:
    """Only the <svg> element: what it would say about itself, style beyond itself, or name twice on a page, goes."""
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    drawn = out.getvalue()
    drawn = _SURPLUS.sub("", drawn[drawn.index("<svg") :])
    for colour, paint in _PAINT.items():
        drawn = drawn.replace(colour, paint)
    return drawn
