"""How many batches a second one store can send on their way: decisions of one stream stand in line by the ESP's row.

`python -m benchmarks.decisions [--threads 8] [--seconds 5] [--database postgresql|sqlite]`. A decision takes tokens and a
slot and is given back, two transactions; claim and result, which do not wait for one another, are not in it.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import sqlalchemy as sa

from benchmarks import shop
from data.lanes import Lane
from domain.failover import Needs
from domain.routes import Grant, Pace
from domain.suppression import Stream


def decided(engine: sa.Engine, threads: int, seconds: float) -> list[float]:
    """Seconds of each decision made within that time, by so many threads at once."""
    route = replace(shop.ROUTE, hand_over=Pace(1e9), release={"*": Pace(1e9)}, concurrency=1000)
    lane = Lane(
        engine=engine,
        needs=Needs(shop.ACCOUNT, Stream.MARKETING),
        routes=[route],
        policy=shop.POLICY,
        clock=lambda: datetime.now(UTC),
    )
    until = time.perf_counter() + seconds

    def work(_number: int) -> list[float]:
        taken = []
        while (began := time.perf_counter()) < until:
            grant = lane.ask(1, messages=1000, mailbox_group="gmail")
            taken.append(time.perf_counter() - began)
            if isinstance(grant, Grant):
                lane.given_back(grant)
        return taken

    with ThreadPoolExecutor(threads) as pool:
        return [one for taken in pool.map(work, range(threads)) for one in taken]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    options = parser.parse_args()
    with shop.store(options.database) as engine:
        shop.fill(engine, 1, datetime.now(UTC))
        for threads in (1, options.threads):
            taken = sorted(decided(engine, threads, options.seconds))
            middle = taken[len(taken) // 2] * 1000
            print(f"{threads} threads: {len(taken) / options.seconds:,.0f} decisions a second, median {middle:.1f} ms")


if __name__ == "__main__":
    main()
