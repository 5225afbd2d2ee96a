"""Transactional mail beside a campaign: from the moment a message is asked for until the ESP took it.

`python -m benchmarks.transactional [--recipients 1000000] [--database sqlite|postgresql] [--per-second 5]
[--latency-ms 50] [--quiet-seconds 60] [--messages 2000]`. A real dispatcher process, an ESP process that answers after so
long, and for the second line a process that hands a campaign of so many recipients over, all on one store. The seconds
of both lines are the machine's, so only the one beside the other means something.

What a dispatcher does by itself is measured last: a queue of messages, handed over as fast as it can, to an ESP that
answers after that time and to one that answers at once. Every message must be accepted once, by the ESP's own count.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

import settings
from benchmarks import esp, shop, workers
from data import database, ledger_sweep, runs, tables, transactional
from data.transactional import AskedBy, Wanted
from domain import dispatch
from domain.campaigns import Run
from domain.transactional import OPEN, Timing, Urgency, new_id
from providers.sendgrid import mailer as sendgrid_mailer

_SPAWN = multiprocessing.get_context("spawn")
_PATIENCE_SECONDS = 120
_AGAIN_SECONDS = 1.0
_NEWCOMERS = 10_000_000  # numbers of addresses that no campaign mails


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds from asked to accepted of each message, and what went on beside."""

    beside: str
    seconds: Sequence[float]
    mailed: int = 0  # by the campaign meanwhile
    lasted: float = 0.0


def environment(url: str, database_url: str) -> dict[str, str]:
    """What the dispatcher is set up by."""
    return {
        "OMS_ACCOUNT": shop.ACCOUNT,
        "OMS_DATABASE_URL": database_url,
        "OMS_PRIVACY_PEPPER": "p" * 32,
        "OMS_PRIVACY_LINK_KEY": "k" * 32,
        "OMS_SANDBOX_PORT": url.rpartition(":")[2],
        "OMS_SANDBOX_API_KEY": esp.KEY,
    }


def _dispatcher(stop: threading.Event) -> None:
    from tasks.dispatcher import Dispatcher

    one = Dispatcher()

    def end() -> None:
        stop.wait()
        one.stop.set()

    threading.Thread(target=end, daemon=True).start()
    one.run()


def _campaign(run_id: str) -> None:
    """As tasks/sending.py hands a run over, again whenever it paused, until all is accepted."""
    engine = database.engine_for(os.environ["OMS_DATABASE_URL"])
    with database.read(engine) as connection:
        run = runs.get(connection, run_id)
    book, mailer = shop.book(engine, run), sendgrid_mailer.open_mailer(workers.config(_esp_url()))
    with closing(mailer):
        while _open(engine, run_id):
            with dispatch.wave(run_id, book=book, mailers={"sandbox": mailer}, worker="w") as threads:
                pass
            for one in threads:
                one.result()
            time.sleep(_AGAIN_SECONDS)


def _open(engine: sa.Engine, run_id: str) -> bool:
    with database.read(engine) as connection:
        return bool({"planned", "inflight"} & set(ledger_sweep.progress(connection, run_id).states))


def _esp_url() -> str:
    return f"http://127.0.0.1:{os.environ['OMS_SANDBOX_PORT']}"


@contextmanager
def dispatching() -> Iterator[None]:
    """A dispatcher process at work."""
    stop = _SPAWN.Event()
    process = _SPAWN.Process(target=_dispatcher, args=(stop,))
    process.start()
    try:
        yield
    finally:
        stop.set()
        process.join()


def ask(engine: sa.Engine, count: int) -> list[str]:
    """So many password resets, asked for at once."""
    now, first = datetime.now(UTC), time.monotonic_ns()
    variables = {"first_name": "Jo", "reset_url": "https://shop.example.com/reset/1", "valid_minutes": 30}
    wanted = [
        Wanted(
            id=new_id(),
            account_id=shop.ACCOUNT,
            template="password-reset",
            timing=Timing(Urgency.SECURITY, timedelta(hours=1)),
            asked_by=AskedBy.API,
            email=shop.address(_NEWCOMERS + first + number),
            address_hash=shop.address_hash(_NEWCOMERS + first + number),
            mailbox_group="gmail",
            variables=variables,
        )
        for number in range(count)
    ]
    with database.write(engine, urgent=True) as connection:
        return transactional.ask(connection, wanted, now=now)


def steadily(engine: sa.Engine, per_second: float, until: threading.Event, *, at_least: float) -> list[str]:
    """Ask for one after the other at this rate, for so long at least and until that is over."""
    begins, messages = time.monotonic(), list[str]()
    while time.monotonic() - begins < at_least or not until.is_set():
        due = begins + len(messages) / per_second
        time.sleep(max(0.0, due - time.monotonic()))
        messages += ask(engine, 1)
    return messages


def taken(engine: sa.Engine, messages: Sequence[str]) -> list[float]:
    """Wait until they are over; the seconds of each. Raises RuntimeError where one was not accepted once."""
    table, deadline = tables.transactional_messages.c, time.monotonic() + _PATIENCE_SECONDS
    query = sa.select(table.id, table.state, table.asked_at, table.accepted_at, table.attempts)
    while True:
        with database.read(engine) as connection:
            rows = {row.id: row for row in connection.execute(query)}
        mine = [rows[one] for one in messages]
        if not any(row.state in OPEN for row in mine) or time.monotonic() > deadline:
            break
        time.sleep(_AGAIN_SECONDS)
    if wrong := [row.state for row in mine if row.state != "accepted"]:
        raise RuntimeError(f"{len(wrong)} of {len(mine)} messages were not accepted: {sorted(set(wrong))}")
    return sorted((row.accepted_at - row.asked_at).total_seconds() for row in mine)


def quiet(engine: sa.Engine, per_second: float, seconds: float) -> Line:
    """With nothing beside."""
    over = threading.Event()
    over.set()
    return Line("nothing", taken(engine, steadily(engine, per_second, over, at_least=seconds)))


def beside(engine: sa.Engine, run: Run, url: str, per_second: float, seconds: float) -> Line:
    """While a process hands the campaign over."""
    process, over = _SPAWN.Process(target=_campaign, args=(run.id,)), threading.Event()
    process.start()
    began = time.monotonic()
    lasted = [0.0]

    def watch() -> None:
        process.join()
        lasted[0] = time.monotonic() - began
        over.set()

    threading.Thread(target=watch).start()
    messages = steadily(engine, per_second, over, at_least=seconds)
    accepted = esp.accepted("null", url, run.id)
    if process.exitcode or set(accepted) != {1}:
        raise RuntimeError(f"the campaign ended with {process.exitcode}; times accepted by the ESP: {accepted}")
    return Line(f"a campaign of {run.planned:,}", taken(engine, messages), accepted[1], lasted[0])


def burst(engine: sa.Engine, count: int) -> float:
    """Messages a second of one dispatcher that has so many waiting."""
    table = tables.transactional_messages.c
    with dispatching():
        taken(engine, ask(engine, 1))  # it has started
        messages = ask(engine, count)
        taken(engine, messages)
    with database.read(engine) as connection:
        first, last = connection.execute(
            sa.select(sa.func.min(table.accepted_at), sa.func.max(table.accepted_at)).where(table.id.in_(messages))
        ).one()
    return float(count / (last - first).total_seconds())


def show(lines: Sequence[Line], title: str) -> None:
    table = Table("beside", "messages", "median", "95th", "99th", "slowest", "mailed a second", title=title)
    for line in lines:
        cut = statistics.quantiles(line.seconds, n=100, method="inclusive")
        figures = (cut[49], cut[94], cut[98], line.seconds[-1])
        rate = f"{line.mailed / line.lasted:,.0f}" if line.lasted else ""
        table.add_row(line.beside, str(len(line.seconds)), *(f"{one:.3f} s" for one in figures), rate)
    Console().print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--per-second", type=float, default=5.0)
    parser.add_argument("--latency-ms", type=int, default=50, help="how long the ESP takes to answer")
    parser.add_argument("--quiet-seconds", type=float, default=60.0, help="so long are both lines measured, at least")
    parser.add_argument("--messages", type=int, default=2000, help="of the queue that one dispatcher works off")
    given = parser.parse_args()
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="oms-benchmark-") as folder, shop.store(given.database) as engine:
        os.chdir(folder)  # no .env of the developer's
        database_url = engine.url.render_as_string(hide_password=False)
        people = shop.fill(engine, given.recipients, now)
        run = shop.open_for_claims(engine, shop.freeze(engine, people, now), now)
        for latency_ms in (given.latency_ms, 0):
            with esp.running("null", Path(folder), latency_ms) as url:
                os.environ.update(environment(url, database_url))
                settings.load.cache_clear()
                if latency_ms:
                    with dispatching():
                        taken(engine, ask(engine, 1))  # it has started
                        lines = [
                            quiet(engine, given.per_second, given.quiet_seconds),
                            beside(engine, run, url, given.per_second, given.quiet_seconds),
                        ]
                    show(lines, f"{given.per_second:g} a second, {given.database}, {latency_ms} ms an answer")
                rate = burst(engine, given.messages)
                Console().print(f"one dispatcher, {latency_ms} ms an answer: {rate:,.0f} messages a second")


if __name__ == "__main__":
    main()
