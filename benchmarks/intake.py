"""A million orders from a CSV file into the store, with all gates on, beside parsing and inserting them and no more.

Run with `python -m benchmarks.intake [ORDERS]`. CPU seconds of one process, side by side in one run on SQLite; only the
ratio means something. The floor reads the same file with the csv module, converts money and times, and inserts the same
rows (orders, lines, customers, consents) into the same tables by executemany: no queue, no checks, no second chance.
"""

import csv
import hashlib
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks import shop
from benchmarks.measure import measured, memory
from data import accounts, database, tables
from data.channels.connections import Connections
from data.expectations import gate
from data.intake import drain, load, thresholds
from domain.accounts import Account

_HEADER = (
    *("order_id", "customer_id", "email", "status", "currency", "order_total", "placed_at", "updated_at"),
    *("line_no", "sku", "quantity", "line_total"),
    *("consent_status", "consent_at", "consent_source", "consent_basis", "consent_wording"),
)
_AT_ONCE = 500
_PEPPER = "p" * 32


def write_file(path: Path, orders: int) -> int:
    """Orders of a shop with 2.9 orders a customer and 1.75 lines an order; return the number of rows."""
    chance, rows = random.Random(1), 0
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADER)
        for number in range(orders):
            customer = chance.randrange(int(orders / 2.9) + 1)
            at = f"2026-0{chance.randrange(1, 9)}-{chance.randrange(10, 28)}T{chance.randrange(10, 24)}:{chance.randrange(10, 60)}:{chance.randrange(10, 60)}+01:00"
            prices = [chance.randrange(100, 9999) for _ in range(chance.choice((1, 1, 2, 3)))]
            for line, price in enumerate(prices, start=1):
                order = (f"o{number}", f"c{customer}", f"c{customer}@example.com", "paid", "EUR")
                money = (f"{sum(prices) / 100:.2f}", at, at, line, f"SKU-{chance.randrange(500)}", 1)
                consent = ("granted", at, "checkout", "consent", "v1")
                writer.writerow((*order, *money, f"{price / 100:.2f}", *consent))
                rows += 1
    return rows


def floor(engine: sa.Engine, path: Path) -> None:
    """Parse and insert."""
    with path.open(newline="") as file:
        rows = csv.reader(file)
        next(rows)
        grouped = groupby(rows, key=lambda row: row[0])
        people: dict[str, int] = {}
        first = 1
        driver: Any
        while orders := [(key, list(group)) for key, group in islice(grouped, _AT_ONCE)]:
            connection = engine.raw_connection()
            driver = connection.driver_connection
            driver.execute("BEGIN IMMEDIATE")
            for table, values in _tables(orders, people, first):
                names = ", ".join(column.name for column in table.columns)
                marks = ", ".join("?" * len(table.columns))
                driver.executemany(f"INSERT OR IGNORE INTO {table.name} ({names}) VALUES ({marks})", values)
            driver.execute("COMMIT")
            connection.close()
            first += len(orders)


def _tables(
    orders: list[tuple[str, list[list[str]]]], people: dict[str, int], first: int
) -> Iterator[tuple[sa.Table, list[tuple[Any, ...]]]]:
    parties, bought, lines, consents = [], [], [], []
    for order_id, (key, rows) in enumerate(orders, start=first):
        row = rows[0]
        placed, updated, said = (_instant(row[place]) for place in (6, 7, 13))
        if row[1] not in people:
            people[row[1]] = len(people) + 1
            mailbox = hashlib.blake2b(row[2].encode(), digest_size=32).hexdigest()
            parties.append({"id": people[row[1]], "external_id": row[1], "email": row[2], "address_hash": mailbox})
            parties[-1] |= {"mailbox_provider": "other", "created_at": 0, "updated_at": updated, "address_at": updated}
            parties[-1] |= {"numbering": "", "relay": 0}
        total = _units(row[5])
        bought.append({"id": order_id, "channel": "csv", "external_id": key, "party_id": people[row[1]]})
        bought[-1] |= {"status": row[3], "channel_status": row[3], "currency": row[4], "total": total, "refunded": 0}
        bought[-1] |= {"placed_at": placed, "updated_at": updated, "is_test": 0, "content_hash": key, "kind": "sale"}
        bought[-1]["notify"] = 1
        for one in rows:
            lines.append({"order_id": order_id, "line_no": int(one[8]), "sku": one[9], "quantity": int(one[10])})
            lines[-1]["total"] = _units(one[11])
        consents.append({"party_id": people[row[1]], "status": row[12], "basis": row[15], "source": row[14]})
        consents[-1] |= {"wording": row[16], "occurred_at": said, "recorded_at": 0, "channel": "csv", "level": ""}
    for table, found in (
        (tables.parties, parties),
        (tables.orders, bought),
        (tables.order_lines, lines),
        (tables.consents, consents),
    ):
        names = [column.name for column in table.columns]
        yield table, [tuple((one | {"account_id": "main"}).get(name) for name in names) for one in found]


def _instant(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000_000)


def _units(text: str) -> int:
    return int(Decimal(text) * 10_000)


def ours(engine: sa.Engine, path: Path) -> dict[str, int]:
    """The way that `campaigns intake FILE` takes."""
    book = thresholds.load(Path(thresholds.__file__).parents[1] / "expectations" / "intake.yaml")
    intake = drain.Intake(engine, Connections(), book, _PEPPER, lambda: datetime.now(UTC), gate.check_intake)
    load.stage(intake, path, account_id="main", channel="csv")
    return drain.drain(intake).counts()


def main(orders: int) -> None:
    """Print both, and the ratio."""
    with tempfile.TemporaryDirectory(prefix="oms-benchmark-") as folder:
        path = Path(folder) / "orders.csv"
        rows = write_file(path, orders)
        print(f"{orders:,} orders, {rows:,} rows, {path.stat().st_size / 2**20:,.0f} MiB\n")
        with _store() as engine:
            base, _ = measured(lambda: floor(engine, path))
            expected = _sums(engine)
        with _store() as engine, memory() as seen:
            cost, counts = measured(lambda: ours(engine, path))
            assert _sums(engine) == expected, "both ways must end in the same orders"
        print(f"{'':32}{'CPU s':>8}{'wall s':>8}{'orders/s':>10}")
        for name, one in (("parse and insert", base), ("campaigns intake, all gates on", cost)):
            print(f"{name:32}{one.cpu:8.1f}{one.wall:8.1f}{orders / one.wall:10,.0f}")
        print(f"\nratio {cost.cpu / base.cpu:.2f} (CPU); memory {seen.before:.0f} → {seen.highest:.0f} MiB at most")
        print(f"loaded {counts['loaded']:,}, refused {counts['refused']:,}")


def _sums(engine: sa.Engine) -> list[Any]:
    with database.read(engine) as connection:
        return [
            tuple(connection.execute(sa.select(sa.func.count(), sa.func.sum(tables.orders.c.total))).one()),
            tuple(connection.execute(sa.select(sa.func.count(), sa.func.sum(tables.order_lines.c.total))).one()),
            connection.scalar(sa.select(sa.func.count()).select_from(tables.parties)),
            connection.scalar(sa.select(sa.func.count()).select_from(tables.consents)),
        ]


@contextmanager
def _store() -> Iterator[sa.Engine]:
    with shop.store("sqlite") as engine:
        with database.write(engine) as connection:
            account = Account("main", "Shop", "EUR", "Europe/Berlin", "1 Street", "n@shop.example.com", "Shop")
            accounts.ensure(connection, account, now=datetime.now(UTC))
        yield engine


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
