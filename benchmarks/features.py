"""Features of a million orders: `data.features.compute` beside the ways that come to mind first.

Run with `python -m benchmarks.features [ORDERS]`. CPU seconds of one process, side by side in one run; only the ratios mean
something. `compute` starts from the frames that `data.arrow` delivers; the two peers start from the same SQLite file.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from data import bulk, database, tables
from data.features import compute, refresh

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
ACCOUNT = "benchmark"
CATEGORIES = [f"category {number}" for number in range(40)]


def load(engine: sa.Engine, count: int) -> None:
    """A synthetic shop: 2.9 orders a customer (as CDNOW's), one line an order."""
    tables.metadata.create_all(engine)
    rng = np.random.default_rng(1)
    customers = max(int(count / 2.9), 1)
    party = rng.integers(1, customers + 1, count).tolist()
    units = rng.integers(1, 5_000_000, count).tolist()
    seconds = rng.integers(0, 900 * 86_400, count).tolist()
    category = rng.integers(0, len(CATEGORIES), count).tolist()
    # The very integers that Money and Instant keep; converting a million Decimals would only delay the benchmark.
    placed = [int((AS_OF - timedelta(seconds=second)).timestamp()) * 1_000_000 for second in seconds]
    with database.write(engine) as connection:
        account = dict.fromkeys((column.name for column in tables.accounts.c), "x")
        connection.execute(tables.accounts.insert().values(account | {"id": ACCOUNT, "created_at": AS_OF}))
        parties = ((number, ACCOUNT, str(number), "DE", AS_OF, AS_OF) for number in range(1, customers + 1))
        names = ["id", "account_id", "external_id", "country", "created_at", "updated_at"]
        bulk.insert_rows(connection, tables.parties, names, parties)
        cursor: Any = connection.connection.cursor()
        cursor.executemany(
            "INSERT INTO orders (id, account_id, channel, external_id, party_id, status, channel_status, currency,"
            " total, refunded, placed_at, updated_at, is_test, content_hash)"
            " VALUES (?, 'benchmark', 'csv', ?, ?, 'paid', 'paid', 'USD', ?, 0, ?, 0, 0, '')",
            zip(range(count), map(str, range(count)), party, units, placed, strict=True),
        )
        cursor.executemany(
            "INSERT INTO order_lines (order_id, line_no, sku, category, quantity, total) VALUES (?, 1, '', ?, 1, 0)",
            ((number, CATEGORIES[code]) for number, code in enumerate(category)),
        )
        cursor.close()


def by_read_sql(engine: sa.Engine) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The obvious way in: SQLAlchemy's rows, a Decimal and a datetime object each."""
    order, line = tables.orders.c, tables.order_lines.c
    with database.read(engine) as connection:
        orders = pd.read_sql(
            sa.select(order.id, order.party_id, order.total, order.refunded, order.placed_at, order.is_test), connection
        )
        lines = pd.read_sql(sa.select(line.order_id, line.category, line.quantity), connection)
    return orders, lines


def by_groupby(orders: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """The obvious computation of the same columns, with floats for money."""
    orders = orders[~orders["is_test"].astype(bool)].assign(
        total=orders["total"].astype(float), refunded=orders["refunded"].astype(float)
    )
    groups = orders.groupby("party_id")
    frame = groups.agg(
        orders=("total", "size"),
        total=("total", "sum"),
        refunded=("refunded", "sum"),
        first_order_at=("placed_at", "min"),
        last_order_at=("placed_at", "max"),
    )
    for days in (30, 90, 365):
        recent = orders[orders["placed_at"] > AS_OF - timedelta(days=days)]
        frame[f"orders_{days}d"] = recent.groupby("party_id").size().reindex(frame.index, fill_value=0)
    bought = lines.merge(orders[["id", "party_id"]], left_on="order_id", right_on="id")
    units = bought.groupby(["party_id", "category"])["quantity"].sum().reset_index()
    units = units.sort_values(["party_id", "quantity", "category"], ascending=[True, False, True])
    frame["favourite_category"] = units.drop_duplicates("party_id").set_index("party_id")["category"]
    frame["net_revenue"] = frame["total"] - frame["refunded"]
    frame["average_order_value"] = frame["net_revenue"] / frame["orders"]
    return frame


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        engine = database.engine_for(f"sqlite:///{Path(folder) / 'shop.db'}")
        load(engine, count)
        read, frames = timed(lambda: refresh.read(engine, ACCOUNT))
        computed, ours = timed(lambda: compute.features(*frames, as_of=AS_OF))
        peer_read, peer_frames = timed(lambda: by_read_sql(engine))
        peer_computed, theirs = timed(lambda: by_groupby(*peer_frames))
        engine.dispose()
    for column in ("orders", "orders_90d", "favourite_category"):
        assert ours[column].tolist() == theirs[column].tolist(), f"the two ways disagree on {column}"
    print(f"{count:,} orders, {len(ours):,} customers; CPU seconds")
    print(f"{'':34}{'read':>8}{'compute':>9}{'both':>8}{'ratio':>8}")
    whole = read + computed
    print(f"{'Arrow columns, compute.features':34}{read:8.2f}{computed:9.2f}{whole:8.2f}{1:7.1f}x")
    peer = peer_read + peer_computed
    print(f"{'pandas.read_sql, then groupby':34}{peer_read:8.2f}{peer_computed:9.2f}{peer:8.2f}{peer / whole:7.1f}x")


if __name__ == "__main__":
    main()
