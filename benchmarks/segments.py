"""All segments of the library over a shop's customers, beside reading the frame and counting people in plain SQL.

`python -m benchmarks.segments [CUSTOMERS]` (100,000; the target speaks of 1,000,000). CPU seconds of one process on one
SQLite file in one run. Predicates over the frame are measured apart from selects over orders: the frame is read once,
each select is the database's work.
"""

import argparse
import tempfile
from pathlib import Path

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from benchmarks import features as shop
from benchmarks import measure
from data import database, tables
from data.features import refresh
from data.features.population import Customers
from domain.campaigns import Refinement
from segments import registry, selection

_ORDERS_PER_CUSTOMER = 2.9


def plain_count(engine: sa.Engine) -> int:
    """The floor of one segment: the database counts the people whom one condition chooses."""
    feature = tables.customer_features.c
    with database.read(engine) as connection:
        count: int = connection.execute(
            sa.select(sa.func.count()).where(feature.account_id == shop.ACCOUNT, feature.orders >= 2)  # noqa: PLR2004
        ).scalar_one()
    return count


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("customers", type=int, nargs="?", default=100_000)
    options = parser.parse_args()
    library = registry.load()
    rows: list[tuple[str, measure.Cost, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        engine = database.engine_for(f"sqlite:///{Path(folder) / 'shop.db'}")
        shop.load(engine, int(options.customers * _ORDERS_PER_CUSTOMER))
        report = refresh.refresh(engine, account_id=shop.ACCOUNT, as_of=shop.AS_OF, now=shop.AS_OF)
        customers = Customers(engine, shop.ACCOUNT)
        needs = sorted({name for one in library.values() for name in one.needs})
        read, _ = measure.measured(lambda: customers.frame(needs))
        rows.append((f"read {len(needs)} columns, once", read, ""))
        by_kind: dict[str, list[tuple[str, measure.Cost, int]]] = {}
        for name, one in library.items():
            chosen_by = selection.of(name, Refinement())
            cost, inside = measure.measured(lambda by=chosen_by: by.members(customers))  # type: ignore[misc]
            by_kind.setdefault(one.kind, []).append((name, cost, int(inside.sum())))
        count, _ = measure.measured(lambda: plain_count(engine))
        rows.append(("one condition counted in SQL", count, ""))
        engine.dispose()
    for kind, found in by_kind.items():
        total = measure.Cost(sum(cost.wall for _, cost, _ in found), sum(cost.cpu for _, cost, _ in found))
        dearest = max(found, key=lambda each: each[1].cpu)
        rows.append((f"{len(found)} segments of kind {kind}", total, f"dearest {dearest[0]}: {dearest[1].cpu:.2f}"))
    table = Table("work", "CPU s", "wall s", "", title=f"{report.customers:,} customers, {report.orders:,} orders")
    for work, cost, more in rows:
        table.add_row(work, f"{cost.cpu:.2f}", f"{cost.wall:.2f}", more)
    Console().print(table)


if __name__ == "__main__":
    main()
