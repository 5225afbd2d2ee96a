"""Small plots of a rate against its lines: SVG written by hand, as a page has dozens of them and matplotlib takes 50 ms each.

Few mails make a wild rate: such points are hollow, and do not stretch the scale; the band is where the true rate lies
(Wilson, 95 %). Colours are those of the page.
"""

from collections.abc import Sequence

from domain.kpis import Kpi
from domain.rates import Rate

_WIDTH, _HEIGHT = 300.0, 96.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 4.0, 40.0, 6.0, 6.0
_RADIUS = 2.4


def drawn(kpi: Kpi, points: Sequence[tuple[int, Rate]], steps: int, *, label: str) -> str:
    """The plot of these rates, each with its place from 0 to `steps`, over the two lines of its figure."""
    assert kpi.lines is not None
    known = [(place, rate) for place, rate in points if rate.value is not None]
    low, high = _scale(kpi, known)

    def x(place: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (place / steps if steps else 0.5)

    def y(share: float) -> float:
        kept = min(max(share, low), high)
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - kept) / (high - low)

    parts = [f'<svg class="spark" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{label}">']
    for share, name in ((kpi.lines.good, "good"), (kpi.lines.bad, "bad")):
        parts.append(
            f'<line class="{name}" x1="{_LEFT:g}" x2="{_WIDTH - _RIGHT:g}" y1="{y(share):.1f}" y2="{y(share):.1f}"/>'
            f'<text class="{name}" x="{_WIDTH - _RIGHT + 4:g}" y="{y(share) + 3:.1f}">{100 * share:g} %</text>'
        )
    if known:
        above = [f"{x(place):.1f},{y(rate.interval[1]):.1f}" for place, rate in known]
        below = [f"{x(place):.1f},{y(rate.interval[0]):.1f}" for place, rate in reversed(known)]
        parts.append(f'<polygon points="{" ".join(above + below)}"/>')
        path = " ".join(f"{x(place):.1f},{y(rate.value or 0):.1f}" for place, rate in known)
        parts.append(f'<polyline points="{path}"/>')
    for place, rate in known:
        kind = "few" if rate.small else kpi.verdict(rate).value
        parts.append(f'<circle class="{kind}" cx="{x(place):.1f}" cy="{y(rate.value or 0):.1f}" r="{_RADIUS:g}"/>')
    return "".join([*parts, "</svg>"])


def _scale(kpi: Kpi, known: Sequence[tuple[int, Rate]]) -> tuple[float, float]:
    """From which share to which it is drawn: both lines, and every point that many mails made."""
    assert kpi.lines is not None
    sure = [rate.value or 0.0 for _, rate in known if not rate.small]
    if kpi.lines.high_is_good:
        distance = 1 - kpi.lines.bad
        return max(0.0, min([kpi.lines.bad - distance / 2, *sure])), 1.0
    return 0.0, min(1.0, max([1.4 * kpi.lines.bad, *(1.1 * one for one in sure)]))


def plain(values: Sequence[float], *, label: str) -> str:
    """The plot of numbers from nothing upwards, one bar each: a slice of time without any has none."""
    most = max(values, default=0.0)
    step = (_WIDTH - 2 * _LEFT) / max(1, len(values))
    base = _HEIGHT - _BOTTOM
    parts = [f'<svg class="spark" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{label}">']
    for place, value in enumerate(values):
        if value > 0:
            height = max(1.0, (base - _TOP) * value / most)
            parts.append(
                f'<rect x="{_LEFT + place * step:.1f}" y="{base - height:.1f}" width="{0.75 * step:.1f}" height="{height:.1f}"/>'
            )
    parts.append(f'<line class="base" x1="{_LEFT:g}" x2="{_WIDTH - _LEFT:g}" y1="{base:g}" y2="{base:g}"/>')
    return "".join([*parts, "</svg>"])
