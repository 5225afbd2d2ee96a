"""Many rounds at every point on one database, added up; two databases beside each other."""

import os
import random
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

from benchmarks import shop as stores
from tests.kills import naive, processes, rounds, shop
from tests.kills.oracle import Verdict
from tests.kills.points import BY_CODE, POINTS, Point
from tests.kills.processes import Installation

DATABASES = ("sqlite", "postgresql")
# A naive strategy shows where a kill leaves a doubt: after the ESP took the mail, and before it can have.
NAIVE = {
    "retry until 2xx": ("C8", naive.retry_until_2xx),
    "checkpoint before send": ("C3", naive.checkpoint_before_send),
}
# Which passings of a point are struck in one round, by one process after the other.
_HITS = ((1,), (2,), (3,), (1, 1), (2, 1), (1, 1, 1))
_HARMLESS: dict[str, float] = {}
_CUT_NOW_AND_THEN = {"drop_after_accept": 0.2}


@dataclass(slots=True)
class Cell:
    """What came of all rounds at one point on one database."""

    kills: int = 0
    played: int = 0  # rounds
    not_reached: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    recoveries: list[float] = field(default_factory=list)

    def add(self, one: rounds.Round) -> None:
        """A round whose point was not reached is no merit: it counts only where it went wrong."""
        self.played += 1
        self.not_reached += one.not_reached
        if one.kills or not one.verdict.sound:
            self.kills += one.kills
            self.recoveries += one.recoveries
            self.verdict += one.verdict

    @property
    def median_recovery(self) -> float | None:
        """Seconds."""
        return statistics.median(self.recoveries) if self.recoveries else None


Column = dict[str, Cell]


def at(
    made: Installation,
    point: Point,
    kills: int,
    lot: random.Random,
    *,
    strategy: rounds.Strategy | None = None,
    tries: int = 10,
) -> Cell:
    """So many kills at one point. Raises NeverReached when `tries` rounds for each kill do not bring them."""
    cell = Cell()
    while cell.kills < kills:
        if cell.played >= tries * kills:
            raise NeverReached(f"{point.code}, {point.meaning}: {cell.kills} kills in {cell.played} rounds")
        hits = lot.choice(_HITS)[: kills - cell.kills]
        faults = point.faults or lot.choice((_HARMLESS, _CUT_NOW_AND_THEN))
        played = rounds.play(made, replace(point, faults=faults), hits, seed=lot.randrange(10**6), strategy=strategy)
        if strategy is None and not played.verdict.sound:
            sys.stderr.write(f"{made.engine.dialect.name} {point.code}, struck at {hits}: {played}\n")
        cell.add(played)
    return cell


class NeverReached(RuntimeError):
    """The processes pass a point too seldom: its function has another name now, or nobody calls it."""


def column(url: str, folder: Path, points: Sequence[Point], kills: int, naive_kills: int, seed: int) -> Column:
    """All points on one migrated store, which is emptied; then the naive strategies, if any of their kills are wanted."""
    found: Column = {}
    with processes.installed(url, folder) as made:
        for point in points:
            shop.fill(made.engine)  # what earlier points left makes the later ones slow
            found[point.code] = at(made, point, kills, random.Random(f"{seed}/{point.code}"))
            sys.stderr.write(f"{made.engine.dialect.name} {point.code}: {found[point.code].kills} kills\n")
        for name, (code, strategy) in NAIVE.items() if naive_kills else ():
            shop.fill(made.engine)
            found[name] = at(made, BY_CODE[code], naive_kills, random.Random(f"{seed}/{name}"), strategy=strategy)
    return found


def _lane(kind: str, codes: Sequence[str], kills: int, naive_kills: int, seed: int) -> Column:
    points = [point for point in POINTS if point.code in codes]
    with tempfile.TemporaryDirectory(prefix="oms-kills-") as folder, stores.store(kind) as engine:
        url = engine.url.render_as_string(hide_password=False)
        engine.dispose()
        return column(url, Path(folder), points, kills, naive_kills, seed)


def both(
    databases: Sequence[str], points: Sequence[Point], kills: int, naive_kills: int, seed: int
) -> dict[str, Column]:
    """The databases beside each other, each in a process of its own; `kills` and `naive_kills` are at each point."""
    codes = [point.code for point in points]
    with ProcessPoolExecutor(len(databases), mp_context=get_context("spawn")) as pool:
        lanes = {kind: pool.submit(_lane, kind, codes, kills, naive_kills, seed) for kind in databases}
        return {kind: lane.result() for kind, lane in lanes.items()}


@contextmanager
def busy_machine() -> Iterator[None]:
    """A process for each core that does nothing but take it."""
    children = []
    for _ in range(os.cpu_count() or 1):
        if (child := os.fork()) == 0:
            while True:
                pass
        children.append(child)
    try:
        yield
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def dying(points: Sequence[Point]) -> list[Point]:
    """The points at which a process dies: what C7 does is no kill."""
    return [point for point in points if point.arm is not None]


def sound(found: Column) -> bool:
    """Nothing lost, twice or wrong at any point, and each naive strategy caught at what it is known for."""
    ours = all(cell.verdict.sound for name, cell in found.items() if name not in NAIVE)
    retry, checkpoint = (found[name].verdict for name in NAIVE)
    return ours and retry.duplicates > 0 and checkpoint.lost > 0
