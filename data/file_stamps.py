"""Whether files are what they were: what was read from them may be kept as long as their stamps are the same."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

# Times of files are whole milliseconds or coarser: of two changes within one, the second cannot be told from the first.
_TOO_NEW_NS = 2_000_000_000
Stamp = tuple[tuple[str, int, int], ...]


def of_folders(folders: Iterable[Path]) -> Stamp | None:
    """Names, times and sizes of all files in these folders; None where one is too new to be sure of."""
    found: list[tuple[str, int, int]] = []
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                told = [(entry.path, entry.stat()) for entry in entries]
        except FileNotFoundError:
            continue
        found += [(path, facts.st_mtime_ns, facts.st_size) for path, facts in told]
    newest = max((at for _, at, _ in found), default=0)
    return None if newest > time.time_ns() - _TOO_NEW_NS else tuple(sorted(found))
