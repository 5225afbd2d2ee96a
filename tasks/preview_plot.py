"""The plot of a preview's artifact: one SVG that Prefect's UI shows as an image.

The UI shows images of markdown, also from a data: URI, and drops SVG written into it (tried with Prefect 3.8). So the
plot travels with the artifact: it needs no gateway, and the worker needs no plotting library for a few rectangles.
"""

import base64
from collections.abc import Sequence
from html import escape

from domain.previews import Part, Preview, Size, Split
from domain.reports import percent

_INK, _SOFT, _BAR, _LINE = "#333", "#6a737c", "#2d6cb5", "#ddd"
_COLUMN, _GAP, _ROW, _HEAD = 430, 30, 22, 40
_LABELS = 150
_TREND = 90


def data_uri(preview: Preview) -> str:
    """The plot as an image's address."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg(preview).encode()).decode()}"


def svg(preview: Preview) -> str:
    """The trend, then one panel a split, in two columns."""
    panels = [_trend(preview.trend)] if len(preview.trend) > 1 else []
    panels += [_split(one, preview) for one in preview.splits if one.parts]
    heights, shapes = [0, 0], []
    for height, shape in panels:
        column = heights.index(min(heights))
        shapes.append(f'<g transform="translate({20 + column * (_COLUMN + _GAP)} {20 + heights[column]})">{shape}</g>')
        heights[column] += height + _GAP
    width, height = 2 * _COLUMN + _GAP + 40, max(heights) + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(shapes)}</svg>'
    )


def _title(name: str, note: str) -> str:
    return (
        f'<text y="12" font-size="14" font-weight="600">{escape(name)}</text>'
        f'<text y="28" font-size="11" fill="{_SOFT}">{escape(note)}</text>'
    )


def _split(found: Split, preview: Preview) -> tuple[int, str]:
    """Bars: the part of these people; marks: of all customers."""
    rows = [
        (one, _share(one.members, preview.members), _share(one.customers, preview.customers)) for one in found.parts
    ]
    widest = max(0.01, *(max(own, whole) for _, own, whole in rows))
    scale = (_COLUMN - _LABELS - 55) / widest
    note = "bar: of these people; mark: of all customers" + ("; one may count in several" if found.several else "")
    drawn = [_row(place, one, own * scale, whole * scale, own) for place, (one, own, whole) in enumerate(rows)]
    return _HEAD + _ROW * len(rows), _title(found.name, note) + "".join(drawn)


def _row(place: int, part: Part, own: float, whole: float, share: float) -> str:
    top = _HEAD + place * _ROW
    right = _LABELS + (max(own, whole) if whole - own < 50 else own) + 8  # noqa: PLR2004 - room for the percentage
    return (
        f'<text x="{_LABELS - 8}" y="{top + 12}" text-anchor="end" font-size="{_font(part.label)}">'
        f"{escape(part.label)}</text>"
        f'<rect x="{_LABELS}" y="{top + 1}" width="{own:.1f}" height="14" rx="2" fill="{_BAR}"/>'
        f'<rect x="{_LABELS + whole - 1:.1f}" y="{top - 1}" width="2.4" height="18" fill="{_INK}"/>'
        f'<text x="{right:.1f}" y="{top + 12}" font-size="11" fill="{_SOFT}">{percent(share)}</text>'
    )


def _font(label: str) -> float:
    """As large as fits: about half a letter's height is its width."""
    return max(7.5, min(12, 2 * (_LABELS - 8) / max(1, len(label)) * 0.95))


def _trend(sizes: Sequence[Size]) -> tuple[int, str]:
    first, last = sizes[0].as_of, sizes[-1].as_of
    span = (last - first).total_seconds() or 1
    top = max(1, *(one.members for one in sizes))
    points = [
        (_COLUMN * (one.as_of - first).total_seconds() / span, _HEAD + _TREND * (1 - one.members / top))
        for one in sizes
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    floor = _HEAD + _TREND
    note = f"{sizes[0].members:,} on {first:%d %b %Y} to {sizes[-1].members:,} on {last:%d %b %Y}"
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_BAR}"/>' for x, y in points)
    drawn = (
        f'<polygon points="0,{floor} {line} {_COLUMN},{floor}" fill="{_BAR}" opacity=".1"/>'
        f'<line x1="0" y1="{floor}" x2="{_COLUMN}" y2="{floor}" stroke="{_LINE}"/>'
        f'<polyline points="{line}" fill="none" stroke="{_BAR}" stroke-width="2"/>{dots}'
    )
    return floor + 6, _title("How many there were", note) + drawn


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
