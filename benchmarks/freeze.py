"""What it costs to freeze an audience: every member judged, drawn and written, beside its floor and the obvious way.

`python -m benchmarks.freeze [--members 100000] [--earlier-runs 3] [--database sqlite|postgresql]`. CPU seconds of this
process, and of PostgreSQL's, which does most of the work there. With fewer runs in the last days than the frequency
cap allows nobody's mails are counted; `--earlier-runs 5` shows what counting costs.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from benchmarks import measure, shop
from data import database, tables
from domain.audience import SkipReason
from domain.campaigns import Run

SUPPRESSIONS = 20_000
SUPPRESSED_MEMBERS = 1000  # the other suppressions are of strangers


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: CPU seconds here and in the database's server."""

    name: str
    client: float
    server: float

    @property
    def cpu(self) -> float:
        return self.client + self.server


def prepared(engine: sa.Engine, members: int, earlier_runs: int) -> list[int]:
    """A shop of so many people, each mailed by so many runs of yesterday."""
    now = datetime.now(UTC)
    people = shop.fill(engine, members, now)
    first = members - SUPPRESSED_MEMBERS + 1
    shop.suppress(engine, range(first, first + SUPPRESSIONS), now)
    for number in range(earlier_runs):
        shop.earlier_run(engine, people, now - timedelta(days=1, hours=number))
    return people


def floor(engine: sa.Engine, run: Run) -> None:
    """The very rows once more by one INSERT … SELECT, which judges nobody."""
    member = tables.audience
    with database.write(engine) as connection:
        twin = shop.new_run(connection, datetime.now(UTC))
        names = ["party_id", "ordinal", "skip_reason", "address_hash"]
        rows = (
            sa.select(sa.literal(twin.id), *(member.c[name] for name in names))
            .where(member.c.run_id == run.id)
            .order_by(member.c.party_id)
        )
        connection.execute(member.insert().from_select(["run_id", *names], rows))


def obvious(engine: sa.Engine, people: Sequence[int]) -> None:
    """Read the facts, judge in a loop, insert a list of dicts. Neither cap nor holdout, nor one mailbox once."""
    party, consent, suppression = tables.parties, tables.consents, tables.suppressions
    with database.write(engine) as connection:
        run = shop.new_run(connection, datetime.now(UTC))
        known = {row.id: row for row in connection.execute(sa.select(party).where(party.c.account_id == shop.ACCOUNT))}
        words = sa.select(consent.c.party_id, consent.c.status).order_by(consent.c.occurred_at)
        last_word = {row[0]: row[1] for row in connection.execute(words)}
        refused = set(connection.scalars(sa.select(suppression.c.address_hash)))
        rows: list[dict[str, object]] = []
        planned = 0
        for one in people:
            reason = None
            if known[one].address_hash in refused:
                reason = SkipReason.SUPPRESSED_HARD_BOUNCE
            elif last_word.get(one) != "granted":
                reason = SkipReason.NO_CONSENT
            rows.append(
                {
                    "run_id": run.id,
                    "party_id": one,
                    "ordinal": None if reason else planned,
                    "skip_reason": reason,
                }
            )
            planned += reason is None
        connection.execute(tables.audience.insert(), rows)


def measured(engine: sa.Engine, name: str, work: Callable[[], object]) -> Row:
    """What the work costs on both sides of the connection."""
    server = server_cpu(engine)
    cost, _ = measure.measured(work)
    return Row(name, cost.cpu, server_cpu(engine) - server)


def server_cpu(engine: sa.Engine) -> float:
    """CPU seconds of the server process behind the pool's one connection; SQLite has none."""
    if engine.dialect.name == "sqlite":
        return 0.0
    with engine.connect() as connection:
        pid: int = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    return measure.cpu_of(pid)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--earlier-runs", type=int, default=3)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    frozen: list[Run] = []
    with shop.store(options.database) as engine:
        people = prepared(engine, options.members, options.earlier_runs)
        rows = [
            measured(engine, "freeze", lambda: frozen.append(shop.freeze(engine, people, datetime.now(UTC)))),
            measured(engine, "floor: INSERT … SELECT of the rows", lambda: floor(engine, frozen[0])),
            measured(engine, "judged in a loop, Core insert", lambda: obvious(engine, people)),
        ]
    title = f"{options.members:,} members, {options.earlier_runs} earlier runs of all of them, {options.database}"
    table = Table("work", "CPU s here", "in the server", "to floor", title=title)
    for row in rows:
        table.add_row(row.name, f"{row.client:.2f}", f"{row.server:.2f}", f"{row.cpu / rows[1].cpu:.1f} x")
    console = Console()
    console.print(table)
    console.print(f"{frozen[0].planned:,} planned, left out: {frozen[0].skipped}")


if __name__ == "__main__":
    main()
