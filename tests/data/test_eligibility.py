"""What freeze and claim read of a customer: the strongest refusal in force, and his last word on consent."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database, eligibility, tables
from data.suppressions import NewSuppression
from domain import addresses
from domain.audience import SkipReason
from domain.campaigns import RunStatus
from domain.consent import Consent, ConsentStatus, is_granted
from domain.ledger import BatchState
from domain.suppression import STRENGTH, Reason, Stream
from tests.data import frozen, ledger_rows
from tests.data.ledger_rows import NOW, BatchRow
from tests.data.refusals import HOUR, blocked, keep, lift, new

PARTIES = 3
_id = tables.campaign_runs.c.id
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


roles = st.sampled_from(sorted(addresses.ROLES))
local_parts = st.one_of(
    roles,
    roles.map(str.upper),
    roles.map(lambda role: f"{role}+tag"),
    roles.map(lambda role: f"  {role}"),
    roles.map(lambda role: f"{role}.{role}"),
    roles.map(lambda role: f"x{role}"),
    roles.map(lambda role: f"x+{role}"),
    st.sampled_from(["sales", "support", "office", "contact", "İnfo", "in%fo", "inf_"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(locals_=st.lists(local_parts, min_size=PARTIES, max_size=PARTIES))
def test_the_databases_know_a_role_address_as_the_domain_does(
    engine: sa.Engine, parties: list[int], locals_: list[str]
) -> None:
    party = tables.parties
    spelled = [f"{local}@{'example.com' if number else 'Info.Example'}" for number, local in enumerate(locals_)]
    with engine.connect().execution_options(writes=True) as connection, connection.begin() as transaction:
        for one, address in zip(parties, spelled, strict=True):
            connection.execute(party.update().where(party.c.id == one).values(email=address))
        judged = _judged(connection)
        transaction.rollback()
    found = [judged[one] == SkipReason.ROLE_ADDRESS for one in parties]
    assert found == [addresses.is_role(address) for address in spelled]


def _judged(connection: sa.Connection, run_id: str = "r") -> dict[int, str | None]:
    among = sa.select(tables.parties.c.id.label("party_id")).subquery("among")
    select = eligibility.select(connection, "shop", run_id=run_id, among=among, policy=frozen.POLICY, now=NOW)
    return {row.party_id: row.reason for row in connection.execute(select)}


def test_an_address_erased_under_another_number_is_erased(engine: sa.Engine, parties: list[int]) -> None:
    keep(engine, new(Reason.ERASED, ledger_rows.hash_of(1)), new(Reason.COMPLAINT, ledger_rows.hash_of(2)))
    with database.read(engine) as connection:
        judged = _judged(connection)
    assert [judged[one] for one in parties] == [
        SkipReason.NO_CONSENT,
        SkipReason.SUPPRESSED_ERASED,
        SkipReason.NO_CONSENT,  # nobody here ever agreed, and that comes before a complaint
    ]


WAITING = BatchRow(0, 1, state=BatchState.PLANNED)


@pytest.mark.parametrize(
    ("facts", "batch", "reason"),
    [
        ({}, WAITING, SkipReason.HIGHER_PRIORITY),
        ({"status": RunStatus.APPROVED}, WAITING, SkipReason.HIGHER_PRIORITY),
        ({"status": RunStatus.PAUSED}, WAITING, SkipReason.HIGHER_PRIORITY),
        ({"status": RunStatus.FROZEN}, WAITING, None),  # nobody said yes to it yet
        ({"status": RunStatus.CANCELLED}, WAITING, None),
        ({"live": False}, WAITING, None),
        ({"priority": 2}, WAITING, None),  # of equals neither goes first
        ({"priority": 1}, WAITING, None),
        ({"expires_at": NOW}, WAITING, None),  # it will be sent no more
        ({"expires_at": NOW + HOUR}, WAITING, SkipReason.HIGHER_PRIORITY),
        ({}, BatchRow(0, 1, state=BatchState.INFLIGHT), SkipReason.HIGHER_PRIORITY),
        ({}, BatchRow(0, 1, state=BatchState.UNKNOWN), SkipReason.HIGHER_PRIORITY),
        ({}, BatchRow(0, 1, state=BatchState.EXPIRED), None),
        ({}, BatchRow(0, 1), None),  # mailed: that is the frequency cap's
        ({}, BatchRow(0, 1, state=BatchState.PLANNED, exceptions={0: "suppressed"}), None),
    ],
)
def test_who_waits_for_a_campaign_of_higher_priority_is_left_out(
    engine: sa.Engine, account_id: str, facts: dict[str, Any], batch: BatchRow, reason: SkipReason | None
) -> None:
    with database.write(engine) as connection:
        people = frozen.consenting_parties(connection, 3)
        party = tables.parties
        connection.execute(party.update().where(party.c.id == people[2]).values(person_id=people[0]))
        ledger_rows.add_run(connection, "shop", [], [], run_id="mine", priority=2)
        about = {"status": RunStatus.DISPATCHING, "priority": 3, "dispatched_at": None, **facts}
        ledger_rows.add_run(connection, "shop", people[:2], [batch], run_id="other", **about)
        ledger_rows.add_account(connection, "elsewhere")
        judged = _judged(connection, "mine")
        connection.execute(tables.campaign_runs.update().where(_id == "other").values(account_id="elsewhere"))
        assert set(_judged(connection, "mine").values()) == {None}
    assert judged[people[0]] == judged[people[2]] == reason  # whichever of his numbers
    assert judged[people[1]] == (SkipReason.HIGHER_PRIORITY if batch.exceptions else reason)


def test_the_claim_looks_again_for_campaigns_of_higher_priority(engine: sa.Engine, account_id: str) -> None:
    run, clock = frozen.dispatching(engine, 6), frozen.Clock()
    with database.write(engine) as connection:
        members = list(connection.scalars(sa.select(tables.audience.c.party_id).order_by(tables.audience.c.party_id)))
        about = {"status": RunStatus.APPROVED, "priority": 1, "dispatched_at": None}
        ledger_rows.add_run(connection, "shop", members[:2], [WAITING], run_id="urgent", **about)
    batch = frozen.book(engine, run, clock).claim(run.id, worker="w")
    assert batch is not None
    assert len(batch) == 4
    with database.read(engine) as connection:
        assert set(connection.scalars(sa.select(tables.message_exceptions.c.reason))) == {"higher_priority"}
