"""What freeze and claim read of a customer: the strongest refusal in force, and his last word on consent."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database, eligibility, tables
from data.suppressions import NewSuppression
from domain.consent import Consent, ConsentStatus, is_granted
from domain.suppression import STRENGTH, Reason, Stream
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW
from tests.data.refusals import HOUR, blocked, keep, lift, new

PARTIES = 3
# (party, status, second, source): the same word at the same instant may come from two sources, but once from each.
statements = st.lists(
    st.tuples(st.integers(0, PARTIES - 1), st.sampled_from(ConsentStatus), st.integers(0, 2), st.sampled_from("ab")),
    max_size=10,
    unique=True,
)


def test_the_strongest_reason_that_stops_the_stream_is_named(engine: sa.Engine, account_id: str) -> None:
    for place in range(len(STRENGTH)):
        keep(engine, *(new(weaker, f"h{place}") for weaker in STRENGTH[place:]))
    assert blocked(engine) == {f"h{place}": reason for place, reason in enumerate(STRENGTH)}
    transactional = set(blocked(engine, Stream.TRANSACTIONAL).values())
    assert transactional == {"erased", "complaint", "hard_bounce", "invalid"}


def test_what_expired_was_lifted_or_is_anothers_stops_nobody(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "other")
    keep(engine, NewSuppression("other", "theirs", Reason.COMPLAINT, "esp:sendgrid", "evidence", NOW))
    keep(engine, new(address_hash="expired", expires_at=NOW), new(address_hash="lifted"), new(address_hash="stands"))
    keep(engine, new(address_hash="later", expires_at=NOW + HOUR))
    lift(engine, "lifted")
    assert set(blocked(engine)) == {"stands", "later"}
    assert set(blocked(engine, now=NOW + HOUR)) == {"stands"}


def test_a_weaker_reason_stands_where_the_stronger_is_over(engine: sa.Engine, account_id: str) -> None:
    keep(engine, new(Reason.COMPLAINT, expires_at=NOW), new(Reason.UNSUBSCRIBE))
    assert blocked(engine) == {"h": "unsubscribe"}
    assert blocked(engine, Stream.TRANSACTIONAL) == {}


@pytest.fixture
def parties(engine: sa.Engine, account_id: str) -> list[int]:
    with database.write(engine) as connection:
        return ledger_rows.add_parties(connection, account_id, PARTIES)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statements=statements)
def test_the_last_word_on_consent_is_the_fold_of_the_history(
    engine: sa.Engine, parties: list[int], statements: list[tuple[int, ConsentStatus, int, str]]
) -> None:
    histories: dict[int, list[Consent]] = {party_id: [] for party_id in parties}
    for party, status, second, source in statements:
        word = Consent(status, "opt-in", source, "v1", NOW + timedelta(seconds=second))
        histories[parties[party]].append(word)
    party = tables.parties
    with database.write(engine) as connection:
        connection.execute(tables.consents.delete())
        for party_id, history in histories.items():
            for word in history:
                connection.execute(tables.consents.insert().values(_row(party_id, word)))
        found = dict(connection.execute(sa.select(party.c.id, eligibility.consent_status(party.c.id))).all())
    assert {party_id for party_id, status in found.items() if status is None} == {
        party_id for party_id, history in histories.items() if not history
    }
    assert {party_id: status == ConsentStatus.GRANTED for party_id, status in found.items()} == {
        party_id: is_granted(history) for party_id, history in histories.items()
    }


def _row(party_id: int, word: Consent) -> dict:
    return {
        "account_id": "shop",
        "party_id": party_id,
        "status": word.status,
        "basis": word.basis,
        "source": word.source,
        "wording": word.wording,
        "occurred_at": word.occurred_at,
        "recorded_at": NOW,
    }
