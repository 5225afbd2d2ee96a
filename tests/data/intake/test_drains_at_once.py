"""Several drains of several accounts and channels at once: nothing twice, nothing lost, and no circle of waiting."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from data import accounts, database, tables
from data.channels.connections import Connections
from data.intake import thresholds
from tests.conftest import NOW
from tests.data.intake import feed
from tests.data.intake.feed import document, keep, row

pytestmark = pytest.mark.usefixtures("account_id")
RECORDS, ORDERS, ACCOUNTS, CHANNELS = 12, 25, ("shop", "tea"), ("csv", "till")


def test_drains_of_two_accounts_and_channels_wait_for_each_other_in_no_circle(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        accounts.ensure(connection, replace(accounts.get(connection, "shop"), id="tea"), now=NOW)
    for account in ACCOUNTS:
        for channel in CHANNELS:
            pieces = [
                document(
                    # The same customers and addresses in each piece and channel; some rows are refused.
                    [
                        row(
                            f"{piece * ORDERS + n}",
                            customer_id=f"c{n}",
                            email=f"c{(n + piece) % 9}@example.com",
                            currency="USD" if n % 11 else "EURO",
                            order_total=f"{n + 1}.00",
                        )
                        for n in (range(ORDERS) if piece % 2 else range(ORDERS - 1, -1, -1))
                    ],
                    source=f"{piece}.csv",
                )
                for piece in range(RECORDS)
            ]
            keep(engine, *pieces, channel=channel, account_id=account)
    listed = [
        {"account": account, "channel": channel, "adapter": "csv"} for account in ACCOUNTS for channel in CHANNELS
    ]
    about = {
        "connections": Connections.model_validate({"connections": listed}),
        "book": thresholds.parse("defaults: {refuse_share: 1}", "lenient"),
    }
    with ThreadPoolExecutor(4) as pool:
        reports = [done.result() for done in [pool.submit(feed.drained, engine, **about) for _ in range(4)]]
    everything = RECORDS * ORDERS * len(ACCOUNTS) * len(CHANNELS)
    tally = sum((report.tally for report in reports), type(reports[0].tally)())
    assert tally["records"] == RECORDS * len(ACCOUNTS) * len(CHANNELS)
    assert tally["orders"] == everything
    assert tally["loaded"] + tally["refused"] == everything
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.orders)) == tally["loaded"]
        assert connection.scalar(sa.select(sa.func.sum(tables.intake_batches.c.orders))) == everything
        assert set(connection.scalars(sa.select(tables.intake_records.c.state))) == {"done"}
