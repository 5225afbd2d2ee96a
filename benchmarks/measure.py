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
TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds; a process that worked less shows none


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
    """The process's own resident memory in MiB: when the block began, and its highest since (Linux).

    Looked at 20 times a second. `files`: the most besides of pages of mapped files, a database's among them. They are
    the kernel's cache, which it takes back when it needs memory, and count once for each connection that maps them.
    """

    before: float
    highest: float
    files: float = 0.0


@contextmanager
def memory() -> Iterator[Memory]:
    """Watch this process's memory during the block."""
    seen = Memory(_resident("RssAnon"), 0.0)
    over = threading.Event()

    def look() -> None:
        seen.highest = max(seen.highest, _resident("RssAnon"))
        seen.files = max(seen.files, _resident("RssFile"))

    def watch() -> None:
        while not over.wait(0.05):
            look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()
        look()


def _resident(kind: str) -> float:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) / 1024


def cpu_of(pid: int) -> float:
    """CPU seconds of another process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK
