"""One run, dispatched by one process or by several that share it: each a worker as on a machine of its own."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import ClassVar

import sqlalchemy as sa
from pydantic import SecretStr

from benchmarks import esp, measure, shop
from benchmarks.measure import Cost, Memory
from data import database, runs
from domain import dispatch
from domain.campaigns import Run
from providers.sendgrid import mailer as sendgrid_mailer
from providers.sendgrid.config import SendGridConfig


@dataclass(frozen=True, slots=True)
class Worked:
    """What one process did, and between which seconds since 1970."""

    cost: Cost
    memory: Memory
    began: float
    ended: float


def _alone(engine: sa.Engine, run: Run, url: str) -> Worked:
    """The real path: `domain.dispatch.wave` over the SQL ledger and SendGrid's adapter, as tasks/sending.py runs it."""

    def work() -> None:
        book, mailer = shop.book(engine, run), sendgrid_mailer.open_mailer(config(url))
        with (
            closing(mailer),
            dispatch.wave(run.id, book=book, mailers={"sandbox": mailer}, worker="w") as workers,
        ):
            pass
        for worker in workers:
            worker.result()

    began = time.time()
    with measure.memory() as memory:
        cost, _ = measure.measured(work)
    return Worked(cost, memory, began, time.time())


def config(url: str) -> SendGridConfig:
    return SendGridConfig(base_url=url, api_key=SecretStr(esp.KEY))


class _Start:
    """All begin when the last of them is ready."""

    barrier: ClassVar[Barrier]

    @classmethod
    def remember(cls, barrier: Barrier) -> None:
        cls.barrier = barrier


def _together(database_url: str, run_id: str, url: str) -> Worked:
    engine = database.engine_for(database_url)
    with database.read(engine) as connection:
        run = runs.get(connection, run_id)
    _Start.barrier.wait()
    try:
        return _alone(engine, run, url)
    finally:
        engine.dispose()


def shared(engine: sa.Engine, run: Run, url: str, count: int) -> list[Worked]:
    """Dispatch the run by so many processes at once."""
    context = multiprocessing.get_context("spawn")
    start: Callable[[Barrier], None] = _Start.remember
    database_url = engine.url.render_as_string(hide_password=False)
    with ProcessPoolExecutor(count, context, initializer=start, initargs=(context.Barrier(count),)) as pool:
        return [one.result() for one in [pool.submit(_together, database_url, run.id, url) for _ in range(count)]]


def together(parts: list[Worked]) -> tuple[Cost, Memory]:
    """From the first beginning to the last end; CPU of all, memory of the largest."""
    wall = max(part.ended for part in parts) - min(part.began for part in parts)
    largest = max((part.memory for part in parts), key=lambda memory: memory.highest)
    return Cost(wall, sum(part.cost.cpu for part in parts)), largest
