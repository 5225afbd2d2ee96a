"""A shop that has mailed three customers, and what is known of them after mail came back."""

import sqlalchemy as sa

from data import database, events, tables
from data.events import ProcessReport
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, PEPPER, BatchRow
from tests.providers.smtp import returned


def mailed(engine: sa.Engine, account_id: str) -> str:
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, account_id, 3)
        return ledger_rows.add_run(connection, account_id, ids, [BatchRow(0, 2, attempt=returned.ATTEMPT)])


def read_mail(engine: sa.Engine, *, trusting: bool = False) -> ProcessReport:
    readers = {"smtp": returned.reader(trusting=trusting)}
    return events.process(engine, readers=readers, pepper=PEPPER, clock=lambda: NOW, limit=100)


def refused(engine: sa.Engine) -> dict[str, str]:
    """Address hash → reason of each suppression."""
    table = tables.suppressions
    with database.read(engine) as connection:
        return dict(connection.execute(sa.select(table.c.address_hash, table.c.reason)).all())


def count(engine: sa.Engine, table: sa.Table) -> int:
    with database.read(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def delivery(engine: sa.Engine) -> list[sa.Row]:
    with database.read(engine) as connection:
        return connection.execute(sa.select(tables.message_delivery)).all()
