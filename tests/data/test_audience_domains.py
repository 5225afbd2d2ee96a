"""At which mail domains an audience is."""

import sqlalchemy as sa

from data import audience_domains, database, tables
from tests.data import frozen, ledger_rows
from tests.data.test_mail_domains import add


def test_recipients_are_counted_by_domain_without_those_left_out(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        ids = frozen.consenting_parties(connection, 6)
        party = tables.parties.c
        for one, email in zip(ids, ["a@Firm.com", "b@firm.com ", "c@GMX.de", "d@firm.com"], strict=False):
            connection.execute(tables.parties.update().where(party.id == one).values(email=email))
        usual = ledger_rows.address(4).rpartition("@")[2]
        run = frozen.freeze(connection, ids, excluded={ids[3], ids[5]})
        found = audience_domains.planned(connection, run.id)
    assert found == {"firm.com": 2, "gmx.de": 1, usual: 1}
    assert next(iter(found)) == "firm.com"


def test_customers_of_one_account_who_can_be_mailed(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "second")
        add(connection, account_id, "a@Firm.com", "b@firm.com ", "a@small.com", "no address")
        add(connection, "second", "c@firm.com")
        found = audience_domains.customers(connection, account_id)
    assert found == {"firm.com": 2, "small.com": 1}
