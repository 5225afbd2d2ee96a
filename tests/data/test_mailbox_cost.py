"""What one more order costs in a mailbox of thousands: counted in SQLite's own steps, however fast the machine is."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from data import database, orders, tables
from tests.conftest import NOW, PEPPER
from tests.data.test_persons import bought

DUMMY = "nobody@shop.example.com"


@contextmanager
def steps(connection: sa.Connection) -> Iterator[list[int]]:
    """Count SQLite's own steps, in hundreds: what it reads, however fast the machine is."""
    count = [0]

    def one_more() -> int:
        count[0] += 1
        return 0

    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.set_progress_handler(one_more, 100)
    yield count
    driver.set_progress_handler(None, 0)


def test_another_order_of_a_crowded_mailbox_costs_the_same_however_large_it_is(sqlite_url: str) -> None:
    """A till writes one address for all its customers; reading them all for each order would never end."""
    engine = database.engine_for(sqlite_url)
    costs = []
    with database.write(engine) as connection:
        known = {"name": "", "currency": "USD", "timezone": "UTC", "postal_address": "", "sender_email": ""}
        connection.execute(tables.accounts.insert().values(id="shop", sender_name="", created_at=NOW, **known))
        source = orders.Source("shop", "till", "till", PEPPER)
        for number in range(4):
            some = [bought(f"{number}-{n}", f"{number}-{n}", DUMMY) for n in range(1500)]
            orders.take_in(connection, some, source, now=NOW)
            with steps(connection) as count:
                orders.take_in(connection, [bought(f"one-{number}", f"one-{number}", DUMMY)], source, now=NOW)
            costs.append(count[0])
    engine.dispose()
    assert costs[-1] <= costs[0] + 5  # 6,000 customers and 1,500
