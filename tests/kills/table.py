"""The matrix as a table for people, and its place in docs/reliability.md."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.kills.matrix import NAIVE, Cell, Column
from tests.kills.points import Point

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- kill matrix: begin -->", "<!-- kill matrix: end -->"
_HEAD = "| point | where it dies | database | kills | messages | lost | duplicates | wrong | held | recovery, s |"
_RULE = "|:--|:--|:--|--:|--:|--:|--:|--:|--:|--:|"


def markdown(found: Mapping[str, Column], points: Sequence[Point], *, seed: int, seconds: float, busy: bool) -> str:
    """All of it: where and when, every point on every database, and what the naive strategies did."""
    kills = sum(column[point.code].kills for column in found.values() for point in points if point.arm)
    idle = sum(cell.not_reached for column in found.values() for name, cell in column.items() if name not in NAIVE)
    machine = f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    where = f"{datetime.now(UTC):%Y-%m-%d}, {machine}{', every core kept busy besides' if busy else ''}; seed {seed}"
    how_many = f"**{kills:,} kills** in {seconds / 60:.0f} minutes"
    left_out = f"{idle} strikes found their point passed less often than meant; they are not counted"
    table = [_HEAD, _RULE, *_rows(found, points), *_totals(found, points), *_naive(found)]
    return "\n".join([f"{where}; {how_many}. {left_out}.", "", *table])


def _rows(found: Mapping[str, Column], points: Sequence[Point]) -> Iterator[str]:
    for point in points:
        for database, column in found.items():
            yield _row(point.code, point.meaning, database, column[point.code])


def _totals(found: Mapping[str, Column], points: Sequence[Point]) -> Iterator[str]:
    for database, column in found.items():
        total = Cell()
        for cell in (column[point.code] for point in points if point.arm):
            total.kills += cell.kills
            total.verdict += cell.verdict
            total.recoveries += cell.recoveries
        yield _row("**all**", "without C7, where nobody dies", database, total)


def _naive(found: Mapping[str, Column]) -> Iterator[str]:
    for name, (code, _) in NAIVE.items():
        for database, column in found.items():
            if name in column:
                yield _row(code, f"*the naive strategy “{name}”*", database, column[name])


def _row(code: str, meaning: str, database: str, cell: Cell) -> str:
    recovery, verdict = cell.median_recovery, cell.verdict
    figures = [cell.kills, verdict.planned, verdict.lost, verdict.duplicates, verdict.wrong, verdict.held]
    told = "" if recovery is None else f"{recovery:.1f}"
    return f"| {code} | {meaning} | {database} | {' | '.join(f'{one:,}' for one in figures)} | {told} |"


def write(text: str, page: Path = PAGE) -> None:
    """Put the table between the page's two marks. Raises ValueError where the page does not have them."""
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} lacks one of the marks {BEGIN} and {END}: nothing was written")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")
