"""What it costs to find an event's message: counted in SQLite's own steps, however fast the machine is."""

from datetime import timedelta

import sqlalchemy as sa

from data import correlation, database, tables
from domain.delivery import DeliveryEvent, EventKind
from domain.ledger import BatchState
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, PEPPER, BatchRow
from tests.data.test_mailbox_cost import steps

BATCHES = 1000


def bounce(number: int, **facts) -> DeliveryEvent:
    at = NOW + timedelta(minutes=1)
    return DeliveryEvent("sendgrid", EventKind.BOUNCED, at, address=ledger_rows.address(number), **facts)


def cost(connection: sa.Connection, event: DeliveryEvent) -> int:
    with steps(connection) as count:
        (placed,) = correlation.place(connection, [(correlation.Element(1, 0), event)], pepper=PEPPER, vendors={})
    assert placed.run_id == "run1"
    return count[0]


def test_a_message_in_the_middle_of_a_large_run_costs_what_the_first_does(sqlite_url: str) -> None:
    engine = database.engine_for(sqlite_url)
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "shop")
        ids = ledger_rows.add_parties(connection, "shop", BATCHES)
        # One message a batch; the first ten were cut out of one, which stands there still.
        parts = [BatchRow(number, number, attempt=f"a{number}") for number in range(BATCHES)]
        cut = BatchRow(0, 9, BatchState.SPLIT, "cut")
        ledger_rows.add_run(connection, "shop", ids, [cut, *parts])
        connection.execute(tables.batch_attempts.update().values(provider_reference="r"))
        connection.exec_driver_sql("ANALYZE")
    with database.read(engine) as connection:
        for facts in ({}, {"provider_message_id": "r"}):
            first, middle = (cost(connection, bounce(number, **facts)) for number in (0, BATCHES // 2))
            assert middle <= first + 2, facts
