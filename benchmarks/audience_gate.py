"""What it costs to look again at a frozen audience, beside reading its planned people and no more.

`python -m benchmarks.audience_gate [--members 1000000] [--database sqlite|postgresql]`. CPU seconds of this process,
and of PostgreSQL's, past the import of Great Expectations. There columns are read on a connection of their own, whose
server process is not counted.
"""

import argparse
from datetime import UTC, datetime

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from benchmarks import freeze, shop
from data import arrow, tables, variables
from data.expectations import audience, gate

VARIABLES = ("first_name",)


def read(engine: sa.Engine, run_id: str) -> None:
    """The floor: id, address and mailbox of everybody planned, as columns."""
    member, party = tables.audience.c, tables.parties.c
    arrow.read_table(
        engine,
        sa.select(party.id, party.email, party.address_hash)
        .join_from(tables.audience, tables.parties, party.id == member.party_id)
        .where(member.run_id == run_id, member.skip_reason.is_(None), member.party_id > 0),  # by party id, as they lie
    )


def judge(engine: sa.Engine, run_id: str) -> None:
    """The whole gate, Great Expectations included."""
    found = gate.check_audience(
        engine,
        run_id,
        required_variables=VARIABLES,
        variable_columns=variables.columns(VARIABLES),
        previous_planned=None,
        shrink_percent=50,
        now=datetime.now(UTC),
    )
    if not found.passed:
        raise SystemExit(f"a sound audience was refused: {found.failures()}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    with shop.store(options.database) as engine:
        people = freeze.prepared(engine, options.members, 0)
        run = shop.freeze(engine, people, datetime.now(UTC))
        known = variables.columns(VARIABLES)
        read(engine, "")  # nobody's: what is imported and compiled once is not the floor's
        rows = [
            freeze.measured(engine, "floor: read the planned people", lambda: read(engine, run.id)),
            freeze.measured(
                engine,
                "facts: their faults, counted",
                lambda: audience.facts(engine, run.id, variables=known, now=datetime.now(UTC)),
            ),
            freeze.measured(engine, "the whole gate", lambda: judge(engine, run.id)),
        ]
    table = Table(
        "work", "CPU s here", "in the server", "to floor", title=f"{run.planned:,} planned, {options.database}"
    )
    for row in rows:
        table.add_row(row.name, f"{row.client:.2f}", f"{row.server:.2f}", f"{row.cpu / rows[0].cpu:.1f} x")
    Console().print(table)


if __name__ == "__main__":
    main()
