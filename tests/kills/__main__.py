"""`python -m tests.kills [KILLS]`: kill at every point, print the table, and write it into docs/reliability.md.

Exit status 1 when anything is lost, twice or wrong, or when a naive strategy is not caught.
"""

import argparse
import sys
import time
from contextlib import nullcontext

from tests.kills import matrix, table
from tests.kills.points import POINTS

_NAIVE_KILLS = 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("kills", nargs="?", type=int, default=1000, help="in all, at least; 1000 unless told otherwise")
    parser.add_argument("--databases", nargs="+", choices=matrix.DATABASES, default=list(matrix.DATABASES))
    parser.add_argument("--points", nargs="+", metavar="C1", default=[point.code for point in POINTS])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--busy", action="store_true", help="take every core besides: races that need luck show then")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    given = parser.parse_args()
    points = [point for point in POINTS if point.code in given.points]
    each = -(-given.kills // (len(given.databases) * max(1, len(matrix.dying(points)))))
    began = time.monotonic()
    with matrix.busy_machine() if given.busy else nullcontext():
        found = matrix.both(given.databases, points, each, _NAIVE_KILLS, given.seed)
    text = table.markdown(found, points, seed=given.seed, seconds=time.monotonic() - began, busy=given.busy)
    sys.stdout.write(f"{text}\n")
    if given.write:
        table.write(text)
    sys.exit(not all(map(matrix.sound, found.values())))


if __name__ == "__main__":
    main()
