"""The plot of deliverability by day and mailbox provider, with the line that it is to stay above."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, cast

from domain import kpis
from domain.rates import Rate
from gateway.plots import BOUNCED, CLICKED, DELIVERED, LINE, OPENED, TEXT, drawing, legend, svg, time_axis

_STYLES = ((DELIVERED, "o"), (OPENED, "s"), (CLICKED, "^"), (BOUNCED, "D"), (TEXT, "v"), (TEXT, "x"))
_LOWEST = 90.0  # per cent; the plot begins there unless a day lies below


def deliverability(days: Mapping[str, Mapping[date, Rate]]) -> str:
    """One line a mailbox provider. A day of few mails is a hollow mark: chance moves it."""
    lines = kpis.DELIVERABILITY.lines
    assert lines is not None
    with drawing("deliverability", height=3.4) as (figure, axes):
        axes.axhline(100 * lines.good, color=BOUNCED, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate(
            f"{100 * lines.good:g} %",
            (1, 100 * lines.good),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            color=BOUNCED,
            va="center",
            fontsize=8,
        )
        lowest = _LOWEST
        dates = sorted({day for rates in days.values() for day, rate in rates.items() if rate.value is not None})
        for (name, rates), (colour, mark) in zip(days.items(), _STYLES, strict=False):
            known = {day: rate for day, rate in rates.items() if rate.value is not None}
            x: list[Any] = list(known)
            y = [100 * (rate.value or 0) for rate in known.values()]
            lowest = min([lowest, *y])
            axes.plot(x, y, color=colour, linewidth=1.5, label=name, marker=mark, markersize=0)
            for small, face in ((True, "none"), (False, colour)):
                some = [place for place, rate in enumerate(known.values()) if rate.small is small]
                marked: list[Any] = [x[place] for place in some]
                axes.plot(
                    marked, [y[place] for place in some], mark, color=colour, markerfacecolor=face, markersize=4.5
                )
        time_axis(axes)
        if len(dates) == 1:  # matplotlib would draw two years on either side of it
            (first,), around = cast("list[Any]", dates), timedelta(days=1)
            axes.set_xlim(first - around, first + around)
            axes.set_xticks([first], [f"{first:%d %b %Y}"])
        axes.set_ylim(max(0, lowest - 1), 100.6)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %" if value <= 100 else "")  # noqa: PLR2004
        axes.grid(axis="y", color=LINE, linewidth=0.8)
        legend(axes)
        return svg(figure)
