"""Seconds, CPU seconds and memory of a piece of work in this process."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Cost:
    """Only `cpu` holds from day to day, and only as a ratio of two of them measured in one run."""

    wall: float
    cpu: float

    def times(self, factor: float) -> "Cost":
        return Cost(self.wall * factor, self.cpu * factor)


def measured(work: Callable[[], _Result]) -> tuple[Cost, _Result]:
    """What the work costs, all threads of this process together, and what it returns."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu), result


@dataclass(slots=True)
class Memory:
    """Resident memory in MiB: when the block began, and its highest since, looked at 20 times a second (Linux)."""

    before: float
    highest: float


@contextmanager
def memory() -> Iterator[Memory]:
    """Watch this process's memory during the block."""
    seen = Memory(_resident(), 0.0)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            seen.highest = max(seen.highest, _resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()
        seen.highest = max(seen.highest, _resident())


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_of(pid: int) -> float:
    """CPU seconds of another process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
