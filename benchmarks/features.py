"""Customer features: full and incremental refresh, beside their floor and the ways that come to mind first.

`python -m benchmarks.features [ORDERS]` (1,000,000; the target speaks of 10,000,000). CPU seconds of one process on one
SQLite file, side by side in one run; only the ratios mean something. The floor reads the same columns as Arrow and
reckons the same features with pandas, in floats and without writing them; `read_sql` is the obvious way in.
"""

import argparse
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from benchmarks import measure
from data import arrow, bulk, database, orders, tables
from data.features import compute, reading, refresh
from domain.features import WINDOWS
from domain.orders import Customer, Order, OrderStatus

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
ACCOUNT = "benchmark"
CATEGORIES = [f"category {number}" for number in range(40)]
BRANDS = [f"brand {number}" for number in range(200)]
COUNTRIES = ("DE", "US", "FR", "GB", None)
_SPAN_DAYS = 900
_PER_CUSTOMER = 2.9  # orders, as CDNOW's
_FULL, _NIGHT = "full refresh, written too", "one night later"
_NEW_SHARE = 1 / _SPAN_DAYS  # of all orders, in one night


def load(engine: sa.Engine, count: int) -> None:
    """A synthetic shop, one line an order."""
    tables.metadata.create_all(engine)
    rng = np.random.default_rng(1)
    customers = max(int(count / _PER_CUSTOMER), 1)
    with database.write(engine) as connection:
        texts = ("id", "name", "currency", "timezone", "postal_address", "sender_email", "sender_name")
        account = dict(zip(texts, (ACCOUNT, "Shop", "USD", "UTC", "1 Street", "a@example.com", "Shop"), strict=True))
        connection.execute(tables.accounts.insert().values(**account, created_at=AS_OF))
        names = ["id", "account_id", "numbering", "external_id", "country", "created_at", "updated_at", "relay"]
        countries = rng.integers(0, len(COUNTRIES), customers).tolist()
        bulk.insert_rows(
            connection,
            tables.parties,
            names,
            (
                (number, ACCOUNT, "", f"c{number}", COUNTRIES[country], AS_OF, AS_OF, False)
                for number, country in enumerate(countries, start=1)
            ),
        )
        for start in range(0, count, 1_000_000):
            _load_orders(connection, rng, start, min(1_000_000, count - start), customers)


def _load_orders(connection: sa.Connection, rng: np.random.Generator, start: int, count: int, customers: int) -> None:
    """The very integers that Money and Instant keep; converting a million Decimals would only delay the benchmark."""
    last = int(AS_OF.timestamp())
    ids = range(start, start + count)
    columns: list[list[Any]] = [
        rng.integers(1, customers + 1, count).tolist(),
        rng.integers(1, 5_000_000, count).tolist(),
        ((last - rng.integers(0, _SPAN_DAYS * 86_400, count)) * 1_000_000).tolist(),
        np.where(rng.random(count) < 0.3, 50_000, 0).tolist(),  # noqa: PLR2004 - a third was bought at a discount
    ]
    cursor: Any = connection.connection.cursor()
    cursor.executemany(
        "INSERT INTO orders (id, account_id, channel, external_id, party_id, status, channel_status, currency,"
        " total, refunded, placed_at, discount, updated_at, is_test, content_hash)"
        f" VALUES (?, '{ACCOUNT}', 'csv', ?, ?, 'paid', 'paid', 'USD', ?, 0, ?, ?, 0, 0, '')",
        zip(ids, map(str, ids), *columns, strict=True),
    )
    lines = (rng.integers(0, size, count).tolist() for size in (len(CATEGORIES), len(BRANDS)))
    cursor.executemany(
        "INSERT INTO order_lines (order_id, line_no, sku, category, brand, quantity, total) VALUES (?, 1, '', ?, ?, 1, 0)",
        ((one, CATEGORIES[category], BRANDS[brand]) for one, category, brand in zip(ids, *lines, strict=True)),
    )
    cursor.close()


def one_night(engine: sa.Engine, count: int) -> int:
    """New orders of the next day, by the way that orders take. Returns how many."""
    rng = np.random.default_rng(2)
    new = max(int(count * _NEW_SHARE), 1)
    customers = max(int(count / _PER_CUSTOMER), 1)
    at = AS_OF + timedelta(hours=12)
    source = orders.Source(ACCOUNT, "csv", "", "p" * 32)
    items = [_order(count + number, int(rng.integers(1, customers + 1)), at) for number in range(new)]
    with database.write(engine) as connection:
        orders.take_in(connection, items, source, now=at)
    return new


def _order(number: int, customer: int, at: datetime) -> Order:
    return Order(
        external_id=str(number),
        customer=Customer(f"c{customer}", None),
        status=OrderStatus.PAID,
        channel_status="paid",
        currency="USD",
        total=Decimal(30),
        refunded=Decimal(0),
        placed_at=at,
        updated_at=at,
        cancelled_at=None,
        is_test=False,
        lines=(),
    )


def by_read_sql(engine: sa.Engine) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The obvious way in: SQLAlchemy's rows, a Decimal and a datetime object each."""
    order, line = tables.orders.c, tables.order_lines.c
    with database.read(engine) as connection:
        bought = pd.read_sql(
            sa.select(
                *(order.id, order.party_id, order.total, order.refunded, order.placed_at),
                *(order.discount, order.coupons, order.channel),
            ),
            connection,
        )
        lines = pd.read_sql(sa.select(line.order_id, line.category, line.brand, line.quantity), connection)
    return bought, lines


def by_arrow(engine: sa.Engine) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The floor's way in: the columns as they are stored."""
    order, line = tables.orders.c, tables.order_lines.c
    bought = arrow.read_table(
        engine,
        sa.select(
            *(order.id, order.party_id, order.total, order.refunded, order.placed_at),
            *(order.discount, order.coupons, order.channel),
        ),
    ).to_pandas()
    lines = arrow.read_table(engine, sa.select(line.order_id, line.category, line.brand, line.quantity)).to_pandas()
    return bought, lines


def by_groupby(bought: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """The same features the obvious way: floats for money, one zone for all, no credits, nothing cancelled."""
    net = bought["total"].astype("float64") - bought["refunded"].astype("float64")
    bought = bought.assign(net=net, discounted=bought["discount"].astype("float64") > 0)
    bought = bought.sort_values(["party_id", "placed_at"])
    groups = bought.groupby("party_id")
    placed = groups["placed_at"]
    found = {"orders": groups.size(), "net_revenue": groups["net"].sum(), "first": placed.min(), "last": placed.max()}
    found["discounted_share"] = groups["discounted"].mean()
    for days in WINDOWS:
        recent = bought[bought["placed_at"] > AS_OF - timedelta(days=days)].groupby("party_id")
        found[f"orders_{days}d"], found[f"revenue_{days}d"] = recent.size(), recent["net"].sum()
    gaps = placed.diff().dt.total_seconds()
    found["spread"], found["last_gap"] = (gaps.groupby(bought["party_id"]).agg(how) for how in ("std", "last"))
    local = bought["placed_at"].dt.tz_convert("Europe/Berlin")
    for name, values in (("weekday", local.dt.day_of_week), ("hour", local.dt.hour)):
        found[name] = _favourite(bought["party_id"], values, pd.Series(1, bought.index))
    found["channels"] = bought.drop_duplicates(["party_id", "channel"]).groupby("party_id")["channel"].agg(",".join)
    owners = lines.merge(bought[["id", "party_id"]], left_on="order_id", right_on="id")
    for name in ("category", "brand"):
        found[f"favourite_{name}"] = _favourite(owners["party_id"], owners[name], owners["quantity"])
    return pd.DataFrame(found)


def _favourite(party: pd.Series, what: pd.Series, units: pd.Series) -> pd.Series:
    pairs = pd.DataFrame({"party": party, "what": what, "units": units}).groupby(["party", "what"])["units"].sum()
    ordered = pairs.reset_index().sort_values(["party", "units", "what"], ascending=[True, False, True])
    return ordered.drop_duplicates("party").set_index("party")["what"]


def check(ours: pd.DataFrame, floor: pd.DataFrame) -> None:
    """Two ways that agree measure the same work."""
    for name in ("orders", "orders_90d", "favourite_category", "favourite_brand"):
        theirs = floor[name].fillna(0).astype("int64") if name == "orders_90d" else floor[name]
        assert ours[name].tolist() == theirs.tolist(), f"the two ways disagree on {name}"


def ours(engine: sa.Engine) -> tuple[list[tuple[str, measure.Cost]], pd.DataFrame]:
    """Reading and reckoning, nothing written."""
    read, facts = measure.measured(lambda: reading.read(engine, ACCOUNT, as_of=AS_OF))
    reckon, frame = measure.measured(lambda: compute.features(facts, as_of=AS_OF, zone="UTC"))
    return [("ours: read", read), ("ours: reckon", reckon)], frame


def floor(engine: sa.Engine) -> tuple[list[tuple[str, measure.Cost]], pd.DataFrame]:
    """The same by the shortest way that there is."""
    read, frames = measure.measured(lambda: by_arrow(engine))
    reckon, frame = measure.measured(lambda: by_groupby(*frames))
    return [("floor: read as Arrow", read), ("floor: pandas groupby", reckon)], frame


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("orders", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--without-read-sql", action="store_true", help="it needs 6 GB for 10 million orders")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = database.engine_for(f"sqlite:///{Path(folder) / 'shop.db'}")
        load(engine, options.orders)
        with measure.memory() as memory:
            rows, frame = ours(engine)
        more, other = floor(engine)
        check(frame, other)
        del frame, other
        full, report = measure.measured(lambda: _refresh(engine, AS_OF, full=True))
        new = one_night(engine, options.orders)
        night, after = measure.measured(lambda: _refresh(engine, AS_OF + timedelta(days=1)))
        rows += [*more, (_FULL, full), (f"{_NIGHT}: {new:,} new orders", night)]
        if not options.without_read_sql:
            rows.append(
                ("pandas.read_sql, then groupby", measure.measured(lambda: by_groupby(*by_read_sql(engine)))[0])
            )
        engine.dispose()
    _tell(f"{options.orders:,} orders of {report.customers:,} customers; {after.touched:,} reckoned anew", rows, memory)


def _refresh(engine: sa.Engine, as_of: datetime, *, full: bool = False) -> refresh.RefreshReport:
    return refresh.refresh(engine, account_id=ACCOUNT, as_of=as_of, now=as_of, full=full)


def _tell(title: str, rows: list[tuple[str, measure.Cost]], memory: measure.Memory) -> None:
    def cpu(of: str) -> float:
        return sum(cost.cpu for name, cost in rows if name.startswith(of))

    table = Table("work", "CPU s", "wall s", "to the floor", title=title)
    for name, cost in rows:
        table.add_row(name, f"{cost.cpu:.2f}", f"{cost.wall:.2f}", f"{cost.cpu / cpu('floor'):.2f} x")
    console = Console()
    console.print(table)
    console.print(f"read and reckoned: {cpu('ours') / cpu('floor'):.2f} x the floor")
    console.print(f"a night: {cpu(_NIGHT) / cpu(_FULL):.3f} x a full refresh")
    console.print(f"memory {memory.before:.0f} -> {memory.highest:.0f} MiB while reading and reckoning")


if __name__ == "__main__":
    main()
