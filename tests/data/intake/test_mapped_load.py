from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, tables
from data.channels.connections import Connection, Connections
from data.intake import drain, load
from tests.data.channels import online_retail
from tests.data.intake import feed

MAPPING = Path(__file__).parents[3] / "docs" / "mappings" / "online-retail.yaml"


@pytest.mark.parametrize("form", ["latin", "second"])
def test_a_data_set_with_cancellations_is_stored_to_the_last_penny(
    engine: sa.Engine, account_id: str, tmp_path: Path, form: str
) -> None:
    rows = list(online_retail.rows(700))
    path = tmp_path / "online-retail.csv"
    path.write_bytes(online_retail.as_csv(rows, form))
    connection = Connection(account=account_id, channel="retail", adapter="mapped", mapping=MAPPING)
    intake = feed.intake(engine, connections=Connections(connections=(connection,)))
    staged = load.stage(intake, path, account_id=account_id, channel="retail")
    report = drain.drain(intake)
    assert staged.rows == len(rows)
    assert report.tally["rows"] == len(rows)
    assert (report.tally["refused"], report.quarantined) == (0, [])

    wanted: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.customer is not None:
            wanted[str(row.customer)] += row.quantity * Decimal(row.price)
    orders, parties = tables.orders, tables.parties
    query = sa.select(parties.c.external_id, orders.c.total, orders.c.refunded).join_from(orders, parties)
    net: defaultdict[str, Decimal] = defaultdict(Decimal)
    with database.read(engine) as reading:
        for customer, total, refunded in reading.execute(query):
            if not customer.startswith("guest"):
                net[customer] += total - refunded
    assert dict(net) == wanted
    assert load.stage(intake, path, account_id=account_id, channel="retail").new == 0
