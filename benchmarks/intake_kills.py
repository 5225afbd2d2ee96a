"""Kill the intake at any point of a load, load again, and count what is lost, there twice, or wrong.

Run with `python -m benchmarks.intake_kills [KILLS] [sqlite|postgresql]`. Each round loads a CSV file and a file of
Shopify orders by `campaigns intake` in a process of its own, which gets SIGKILL once to three times: before a statement
or commit that is drawn by lot, or by the clock. Then it is run to its end, and the store is held against that of a
round that nobody disturbed. With `--broken` the records are ended in a transaction of their own before their orders are
stored: a wrong program, which this must catch.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import settings
from benchmarks import shop
from cli import main as program
from data import accounts, database, tables
from data.expectations import gate  # noqa: F401 - here, and all else, so that not each of the processes pays for it
from data.samples import shopify
from domain.accounts import Account
from tasks import wiring

_ACCOUNT = Account("main", "Shop", "USD", "Europe/Berlin", "1 Street", "n@shop.example.com", "Shop")
_AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
_HEADER = (
    "order_id,customer_id,email,status,currency,order_total,placed_at,updated_at,line_no,sku,quantity,line_total,"
    "consent_status,consent_at,consent_source,consent_basis,consent_wording"
)
_EVERY_BAD = 50
_SAID = "said.txt"  # in the working directory
# Days of second states: newer, older, and once in a hundred the very day of the first.
_LATER = (*("2026-03-03", "2026-03-01") * 50, "2026-03-02")
# What differs from one load to the next, however sound: numbers of rows, the clock, and what holds either.
_OURS = {
    "id",
    "created_at",
    "recorded_at",
    "first_recorded_at",
    "person_id",
    "party_id",
    "order_id",
    "as_of",
    "context",
    "next_try_at",
    "ended_at",
}


@dataclass(slots=True)
class Tally:
    """What became of all rounds. Rows, of whatever table."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)  # by what was stored when it struck
    lost: int = 0
    twice: int = 0
    wrong: int = 0


def write_files(folder: Path, orders: int) -> list[list[str]]:
    """Two files, and the arguments of `campaigns` that load them.

    All that may become of an order is in them, evenly, as after a kill the gate judges what is left by itself: new
    orders, later and older states, repetitions, conflicts, states that cannot be used.
    """
    plain, lines = folder / "orders.csv", folder / "orders.jsonl"
    numbers = [*range(orders), *range(0, orders, 3)]
    rows = (row for place, number in enumerate(numbers) for row in _rows(number, place, again=place >= orders))
    plain.write_text("\n".join([_HEADER, *rows, ""]))
    deliveries = shopify.deliveries(orders // 10, as_of=_AS_OF)
    lines.write_text("".join(f"{json.dumps(one.order)}\n" for one in deliveries))
    return [["intake", str(plain)], ["intake", str(lines), "--channel", "shopify"]]


def _rows(number: int, place: int, *, again: bool) -> Iterator[str]:
    """The rows of an order, of one or two lines; every fiftieth cannot be used."""
    status = "teleported" if place % _EVERY_BAD == 0 else "completed" if again else "paid"
    changed = _LATER[place % len(_LATER)] if again else "2026-03-02"
    price, lines = 5 + number % 90, 1 + number % 2
    for line in range(1, lines + 1):
        customer = f"o{number},c{number % 700},c{number % 700}@example.com,{status},EUR,{price * lines}.00"
        consent = f"granted,2026-03-01T12:00:{number % 60:02}Z,checkout,consent,v1"
        yield f"{customer},2026-03-01T12:00:00Z,{changed}T12:00:00Z,{line},SKU-{number % 50},1,{price}.00,{consent}"


@contextmanager
def environment(url: str) -> Iterator[None]:
    """The settings of one installation on that database; nothing of the machine's own."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="oms-kills-") as folder:
        os.chdir(folder)
        secrets = {"OMS_PRIVACY_PEPPER": "p" * 32, "OMS_PRIVACY_LINK_KEY": "k" * 32, "OMS_ACCOUNT": _ACCOUNT.id}
        os.environ.update(secrets | {"OMS_DATABASE_URL": url})
        settings.load.cache_clear()
        try:
            yield
        finally:
            os.chdir(home)


def empty(engine: sa.Engine) -> None:
    """The store with one account and nothing else."""
    with database.write(engine) as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(sa.delete(table))
        accounts.ensure(connection, _ACCOUNT, now=_AS_OF)
    engine.dispose()


def load(commands: list[list[str]], prepare: Callable[[sa.Engine], None], killed_after: float | None = None) -> int:
    """Run the commands in a process of its own; return its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        _in_child(commands, prepare)
    if killed_after is not None:
        time.sleep(killed_after)
        os.kill(child, signal.SIGKILL)  # a process that has ended waits for us: it is never another's number
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _in_child(commands: list[list[str]], prepare: Callable[[sa.Engine], None]) -> None:
    status = 1
    try:
        os.dup2(os.open(_SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        prepare(wiring.engine())
        status = max(program.run(arguments) for arguments in commands)
    finally:
        os._exit(status)


def points(engine: sa.Engine, reached: Callable[[], None]) -> None:
    """Tell of each point at which a process may die: before any statement, begin or commit."""
    sa.event.listen(engine, "before_cursor_execute", lambda *_: reached())
    sa.event.listen(engine, "begin", lambda *_: reached())
    sa.event.listen(engine, "commit", lambda *_: reached())


def dies_at(number: int) -> Callable[[sa.Engine], None]:
    """Make the process kill itself at its n-th point."""

    def prepare(engine: sa.Engine) -> None:
        seen = iter(range(1, number))

        def reached() -> None:
            if next(seen, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        points(engine, reached)

    return prepare


def broken(engine: sa.Engine) -> None:
    """The wrong program: records end in a transaction of their own, before their orders are stored."""
    from data.intake import apply

    sound, end = apply.apply, apply._finish
    module: Any = apply

    def wrong(store: sa.Engine, part: Any, reader: Any, *, pepper: str, now: datetime) -> Counter[str]:
        with database.write(engine) as connection:
            mine = end(connection, part, now)
        module._finish = lambda *_: mine
        return sound(store, part, reader, pepper=pepper, now=now)

    module.apply = wrong


def state(engine: sa.Engine) -> dict[str, Counter[Any]]:
    """All that a load leaves, by table, without what differs from load to load."""
    party, order = tables.parties.c, tables.orders.c
    ours = (
        tables.orders,
        tables.order_lines,
        tables.order_events,
        tables.consents,
        tables.parties,
        tables.dead_letters,
    )
    found = {}
    with database.read(engine) as connection:
        for table in ours:
            query = sa.select(*(column for column in table.c if column.name not in _OURS))
            if table in (tables.orders, tables.consents):
                query = query.add_columns(party.numbering, party.external_id).join(
                    tables.parties, party.id == table.c.party_id
                )
            if table in (tables.order_lines, tables.order_events):
                query = query.add_columns(order.channel, order.external_id).join(
                    tables.orders, order.id == table.c.order_id
                )
            found[table.name] = Counter(map(repr, connection.execute(query)))
        batch, record, file = tables.intake_batches, tables.intake_records, tables.intake_files
        names = [one for one in batch.c if isinstance(one.type, sa.Integer) and one.name != "id"]
        sums = sa.select(batch.c.channel, *(sa.func.sum(one) for one in names)).group_by(batch.c.channel)
        found[batch.name] = Counter(map(repr, connection.execute(sums)))
        found[record.name] = Counter(map(repr, connection.execute(sa.select(record.c.state, record.c.body_hash))))
        files = sa.select(file.c.name, file.c.rows, file.c.records, file.c.staged_at.is_not(None))
        found[file.name] = Counter(map(repr, connection.execute(files)))
    engine.dispose()
    return found


def held_against(expected: dict[str, Counter[Any]], found: dict[str, Counter[Any]], tally: Tally) -> list[str]:
    """Count the differences; return the names of the tables that have any."""
    differing = []
    for name, rows in expected.items():
        surplus = found[name] - rows
        tally.lost += (rows - found[name]).total()
        tally.twice += sum(count for row, count in surplus.items() if row in rows)
        tally.wrong += sum(count for row, count in surplus.items() if row not in rows)
        differing += [name] if found[name] != rows else []
    return differing


def reached_so_far(engine: sa.Engine) -> str:
    """How far a load had come when it was killed."""
    record, batch = tables.intake_records, tables.intake_batches
    with database.read(engine) as connection:
        stored = connection.scalar(sa.select(sa.func.count()).select_from(record))
        waiting = connection.scalar(sa.select(sa.func.count()).select_from(record).where(record.c.state == "pending"))
        drained = connection.scalar(sa.select(sa.func.count()).select_from(batch))
    engine.dispose()
    if not stored:
        return "nothing stored"
    if not drained:
        return "records stored"
    return "orders stored in part" if waiting else "between two files or at the end"


def rounds(url: str, kills: int, *, orders: int, seed: int, wrong: bool = False, clock: bool = True) -> Tally:
    """So many kills, in as many rounds as it takes."""
    lot, tally = random.Random(seed), Tally()
    engine = database.engine_for(url)
    with environment(url), tempfile.TemporaryDirectory(prefix="oms-kills-") as folder:
        commands = write_files(Path(folder), orders)
        expected, count, seconds = _undisturbed(engine, commands)
        while tally.kills.total() < kills:
            empty(engine)
            for _ in range(min(lot.choice((1, 1, 2, 3)), kills - tally.kills.total())):
                by_clock = clock and lot.random() < 0.3  # noqa: PLR2004 - most by lot, as those can be repeated
                # Of so many kills each in its own part of the load.
                point = None if by_clock else 1 + int(count * (tally.kills.total() + lot.random()) / kills)
                status = load(commands, _prepared(wrong, point), lot.uniform(0, seconds) if by_clock else None)
                tally.kills[reached_so_far(engine) if status == -signal.SIGKILL else "had ended"] += 1
            if load(commands, _prepared(wrong, None)) != 0:
                raise RuntimeError(f"a load that nobody killed failed: {Path(_SAID).read_text()}")
            tally.rounds += 1
            if differing := held_against(expected, state(engine), tally):
                sys.stderr.write(f"round {tally.rounds}: {', '.join(differing)} differ\n")
    return tally


def _prepared(wrong: bool, point: int | None) -> Callable[[sa.Engine], None]:
    def prepare(engine: sa.Engine) -> None:
        if wrong:
            broken(engine)
        if point is not None:
            dies_at(point)(engine)

    return prepare


def _undisturbed(engine: sa.Engine, commands: list[list[str]]) -> tuple[dict[str, Counter[Any]], int, float]:
    """What a load leaves, how many points it passes, and how long it takes."""
    empty(engine)
    with tempfile.NamedTemporaryFile() as file:

        def counting(engine: sa.Engine) -> None:
            seen = open(file.name, "ab", buffering=0)  # noqa: SIM115, PTH123 - as long as the process lives

            def reached() -> None:
                seen.write(b".")

            points(engine, reached)

        began = time.perf_counter()
        if load(commands, counting) != 0:
            raise RuntimeError(f"a load that nobody killed failed: {Path(_SAID).read_text()}")
        return state(engine), Path(file.name).stat().st_size, time.perf_counter() - began


def main() -> None:
    """Print the table; exit status 1 when anything is lost, twice or wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", nargs="?", type=int, default=100)
    parser.add_argument("kinds", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--url", help="a migrated database to use, and to empty, instead")
    parser.add_argument("--orders", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--broken", action="store_true")
    given = parser.parse_args()
    found: dict[str, Tally] = {}
    options = {"orders": given.orders, "seed": given.seed, "wrong": given.broken, "clock": not given.url}
    if given.url:
        found["given"] = rounds(given.url, given.kills, **options)
    for kind in () if given.url else given.kinds:
        with shop.store(kind) as engine:
            found[kind] = rounds(engine.url.render_as_string(hide_password=False), given.kills, **options)
    print(f"{'':12}{'kills':>7}{'rounds':>8}{'lost':>7}{'twice':>7}{'wrong':>7}")
    for kind, one in found.items():
        print(f"{kind:12}{one.kills.total():7}{one.rounds:8}{one.lost:7}{one.twice:7}{one.wrong:7}")
        print("".join(f"    {count} killed: {name}\n" for name, count in sorted(one.kills.items())), end="")
    sys.exit(any(one.lost or one.twice or one.wrong for one in found.values()))


if __name__ == "__main__":
    main()
