import pytest
import sqlalchemy as sa

from data import consents, database, tables
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW


@pytest.fixture
def parties(engine: sa.Engine, account_id: str) -> list[int]:
    with database.write(engine) as connection:
        return ledger_rows.add_parties(connection, account_id, 2)


def test_a_withdrawal_is_added_once_and_another_account_has_its_own(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "other")
        (theirs,) = ledger_rows.add_parties(connection, "other", 1)
        for account, party_id in (("shop", parties[0]), ("shop", parties[0]), ("other", theirs)):
            consents.withdraw(
                connection, account_id=account, party_id=party_id, source="page", wording="pressed the button", now=NOW
            )
        rows = connection.execute(sa.select(tables.consents)).all()
        assert [(row.account_id, row.status) for row in rows] == [("shop", "withdrawn"), ("other", "withdrawn")]
