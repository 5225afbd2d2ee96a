from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import consents, database, eligibility, tables
from domain.consent import Consent, ConsentStatus, is_granted
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW

PARTIES = 3
# (party, status, second, source): the same word at the same instant may come from two sources, but once from each.
statements = st.lists(
    st.tuples(st.integers(0, PARTIES - 1), st.sampled_from(ConsentStatus), st.integers(0, 2), st.sampled_from("ab")),
    max_size=10,
    unique=True,
)


@pytest.fixture
def parties(engine: sa.Engine, account_id: str) -> list[int]:
    with database.write(engine) as connection:
        return ledger_rows.add_parties(connection, account_id, PARTIES)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statements=statements)
def test_current_is_the_fold_of_the_history(
    engine: sa.Engine, parties: list[int], statements: list[tuple[int, ConsentStatus, int, str]]
) -> None:
    histories: dict[int, list[Consent]] = {}
    rows = []
    for party, status, second, source in statements:
        word = Consent(status, "opt-in", source, "v1", NOW + timedelta(seconds=second))
        histories.setdefault(parties[party], []).append(word)
        rows.append(
            {
                "account_id": "shop",
                "party_id": parties[party],
                "status": status,
                "basis": word.basis,
                "source": source,
                "wording": word.wording,
                "occurred_at": word.occurred_at,
                "recorded_at": NOW,
            }
        )
    with database.write(engine) as connection:
        connection.execute(tables.consents.delete())
        if rows:
            connection.execute(tables.consents.insert(), rows)
        found = connection.execute(consents.current("shop")).all()
        single = {
            party_id: connection.scalar(sa.select(eligibility.consent_status(sa.literal(party_id))))
            for party_id in histories
        }
    current = {row.party_id: row.status == ConsentStatus.GRANTED for row in found}
    assert len(found) == len(histories), "one row a party"
    assert current == {party_id: is_granted(history) for party_id, history in histories.items()}
    assert current == {party_id: status == ConsentStatus.GRANTED for party_id, status in single.items()}


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
        assert connection.execute(consents.current("shop")).all() == [(parties[0], "withdrawn")]
