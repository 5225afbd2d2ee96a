"""The plots of the preview page: how the selection grew, and how it differs from all customers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from domain.previews import Size, Split
from domain.reports import percent
from gateway import plots
from gateway.figures import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TOO_CLOSE = 0.14  # of the width: a label beside the mark of all customers would be struck through by it
_LONGEST = 22
_LEGEND: Any = {
    "loc": "outside upper left",
    "ncols": 2,
    "frameon": False,
    "borderaxespad": 0,
    "handlelength": 1.2,
    "markerscale": 0.75,
    "fontsize": 8,
}
_NARROW, _WIDE = 4.6, 8.4  # inches


def trend(sizes: Sequence[Size]) -> str:
    """How many members there were each time the selection was looked at. At least two times."""
    with plots.drawing("trend", height=2.5) as (figure, axes):
        x = [one.as_of for one in sizes]
        y = [one.members for one in sizes]
        axes.fill_between(x, y, color=plots.OPENED, alpha=0.08, linewidth=0)  # type: ignore[arg-type]  # takes dates
        axes.plot(x, y, color=plots.OPENED, linewidth=2, marker="o", markersize=4.5)  # type: ignore[arg-type]
        plots.time_axis(axes)
        axes.set_ylim(0, max(*y, 1) * 1.25)
        axes.margins(x=0.03)
        axes.grid(axis="y", color=plots.LINE, linewidth=0.8)
        for place in {0, len(sizes) - 1}:
            axes.annotate(
                count(y[place]),
                (x[place], y[place]),
                xytext=(0, 8),
                textcoords="offset points",
                ha="left" if place == 0 else "right",
                color=plots.TEXT,
                fontweight="bold",
            )
        return plots.svg(figure)


def split(found: Split, members: int, customers: int, *, wide: bool = False) -> str:
    """Which part of the members has what, as bars; a mark shows the part of all customers."""
    parts = found.parts[::-1]
    ours = [100 * part.members / members if members else 0.0 for part in parts]
    theirs = [100 * part.customers / customers if customers else 0.0 for part in parts]
    rows = range(len(parts))
    height = 0.55 + (0.27 if wide else 0.3) * len(parts)
    with plots.drawing(f"split-{found.name}", height=height, width=_WIDE if wide else _NARROW) as (figure, axes):
        axes.barh(rows, ours, height=0.56, color=plots.OPENED, alpha=0.85, label="of these people")
        axes.plot(
            theirs, rows, linestyle="", marker="|", markersize=13, markeredgewidth=2.2, color=plots.TEXT,
            label="of all customers",
        )  # fmt: skip
        widest = max(*ours, *theirs, 1.0)
        _labels(axes, ours, theirs, widest)
        axes.set_yticks(rows, [_short(part.label) for part in parts])
        axes.set_xlim(0, widest * 1.22)
        axes.set_ylim(-0.6, len(parts) - 0.4)
        axes.set_xticks([])
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], **_LEGEND, labelcolor=plots.TEXT)
        return plots.svg(figure)


def _labels(axes: "Axes", ours: Sequence[float], theirs: Sequence[float], widest: float) -> None:
    """Each behind its bar, or behind the mark of all customers where that would lie in it."""
    for row, (own, whole) in enumerate(zip(ours, theirs, strict=True)):
        behind = whole if 0 <= whole - own < _TOO_CLOSE * widest else own
        axes.annotate(
            percent(own / 100),
            (behind, row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=plots.TEXT,
            fontsize=8,
        )


def _short(label: str) -> str:
    """A long label in two lines, broken near its middle."""
    spaces = [place for place, letter in enumerate(label) if letter == " "]
    if len(label) <= _LONGEST or not spaces:
        return label if len(label) <= 2 * _LONGEST else f"{label[: 2 * _LONGEST]}…"
    cut = min(spaces, key=lambda place: abs(place - len(label) / 2))
    return f"{label[:cut]}\n{label[cut + 1 :]}"
