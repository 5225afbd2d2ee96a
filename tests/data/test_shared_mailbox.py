"""Customers who share a mailbox: what one of them says counts for all, at the freeze and at the claim."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import audit, database, eligibility, tables
from domain.audience import SkipReason
from domain.campaigns import Run
from domain.consent import Consent, ConsentStatus, is_granted
from domain.ledger import Outcome, OutcomeKind
from tests.data import frozen, ledger_rows
from tests.data.frozen import NOW, Clock

pytestmark = pytest.mark.usefixtures("account_id")

GRANTED, WITHDRAWN = ConsentStatus.GRANTED, ConsentStatus.WITHDRAWN
# Of four customers two share a mailbox, one has his own, and one has an address that cannot exist.
MAILBOXES = ("shared", "shared", "own", None)
statements = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(ConsentStatus), st.integers(0, 2)), max_size=8, unique=True
)


def _say(connection: sa.Connection, party_id: int, status: ConsentStatus, seconds: int, account: str = "shop") -> None:
    word = {"basis": "b", "source": "s", "wording": "v1", "recorded_at": NOW}
    at = NOW - timedelta(days=1) + timedelta(seconds=seconds)
    connection.execute(
        tables.consents.insert().values(**word, account_id=account, party_id=party_id, status=status, occurred_at=at)
    )


def _move(connection: sa.Connection, party_id: int, address_hash: str | None) -> None:
    party = tables.parties
    connection.execute(party.update().where(party.c.id == party_id).values(address_hash=address_hash))


def _judged(connection: sa.Connection, party_ids: list[int]) -> dict[int, str | None]:
    among = sa.select(tables.parties.c.id.label("party_id")).where(tables.parties.c.id.in_(party_ids)).subquery("among")
    about: dict[str, Any] = {"run_id": "r", "among": among, "policy": frozen.POLICY, "now": NOW}
    few, many = (
        {row.party_id: row.reason for row in connection.execute(select)}
        for select in (eligibility.select(connection, "shop", **about, many=many) for many in (False, True))
    )
    assert few == many  # how the shared mailboxes are found makes no difference
    return few


@pytest.fixture
def people(engine: sa.Engine) -> list[int]:
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, "shop", 4)
        for party_id, mailbox in zip(ids, MAILBOXES, strict=True):
            _move(connection, party_id, mailbox)
        ledger_rows.add_account(connection, "other")
        (stranger,) = ledger_rows.add_parties(connection, "other", 1)
        _move(connection, stranger, "shared")
        _say(connection, stranger, WITHDRAWN, 60, account="other")
    return ids


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statements=statements)
def test_the_last_word_of_a_mailbox_is_the_fold_over_all_who_share_it(
    engine: sa.Engine, people: list[int], statements: list[tuple[int, ConsentStatus, int]]
) -> None:
    history: dict[str | None, list[Consent]] = {mailbox: [] for mailbox in MAILBOXES}
    with engine.connect().execution_options(writes=True) as connection, connection.begin() as transaction:
        for number, status, second in statements:
            _say(connection, people[number], status, second)
            history[MAILBOXES[number]].append(Consent(status, "b", "s", "v1", NOW + timedelta(seconds=second)))
        judged = _judged(connection, people)
        # A segment may hold one of those who share: the others count all the same.
        alone = _judged(connection, people[:1])
        transaction.rollback()
    expected = [_expected(history[mailbox]) for mailbox in MAILBOXES[:3]] + [SkipReason.INVALID_ADDRESS]
    assert [judged[one] for one in people] == expected
    assert alone == {people[0]: expected[0]}


def _expected(history: list[Consent]) -> str | None:
    if not history:
        return SkipReason.NO_CONSENT
    return None if is_granted(history) else SkipReason.CONSENT_WITHDRAWN


def _dispatching(engine: sa.Engine) -> tuple[Run, list[int]]:
    run = frozen.dispatching(engine, 4)
    with database.read(engine) as connection:
        member = tables.audience.c
        return run, list(connection.scalars(sa.select(member.party_id).order_by(member.party_id)))


def _mailed(engine: sa.Engine, run: Run) -> set[str]:
    """Send all there is; the addresses."""
    book = frozen.book(engine, run, Clock())
    addresses: list[str] = []
    while (batch := book.claim(run.id, worker="w")) is not None:
        addresses += batch.addresses
        book.record(batch, Outcome(OutcomeKind.ACCEPTED, status=202), seconds=0.1)
    assert len(set(addresses)) == len(addresses)
    return set(addresses)


def _exceptions(engine: sa.Engine) -> list[str]:
    with database.read(engine) as connection:
        return list(connection.scalars(sa.select(tables.message_exceptions.c.reason)))


def test_a_withdrawal_under_another_customer_number_holds_at_the_claim(engine: sa.Engine) -> None:
    run, _ = _dispatching(engine)
    with database.write(engine) as connection:
        number = connection.execute(
            tables.parties.insert()
            .values(
                account_id="shop",
                external_id="77",
                email=ledger_rows.address(1),
                address_hash=ledger_rows.hash_of(1),
                created_at=NOW,
                updated_at=NOW,
            )
            .returning(tables.parties.c.id)
        ).scalar_one()
        _say(connection, number, WITHDRAWN, 0)
    assert _mailed(engine, run) == {ledger_rows.address(n) for n in (0, 2, 3)}
    assert _exceptions(engine) == ["consent_withdrawn"]


def test_an_address_that_changed_since_the_freeze_is_not_mailed(engine: sa.Engine) -> None:
    run, people = _dispatching(engine)
    party = tables.parties
    with database.write(engine) as connection:  # the second moves into the mailbox of the first
        now_hers = {"email": ledger_rows.address(0), "address_hash": ledger_rows.hash_of(0)}
        connection.execute(party.update().where(party.c.id == people[1]).values(now_hers))
        gone = {"email": "new@example.com", "address_hash": "new"}
        connection.execute(party.update().where(party.c.id == people[2]).values(gone))
        respelt = {"email": ledger_rows.address(3).upper()}
        connection.execute(party.update().where(party.c.id == people[3]).values(respelt))
    assert _mailed(engine, run) == {ledger_rows.address(0), ledger_rows.address(3).upper()}
    assert _exceptions(engine) == ["address_changed", "address_changed"]
    with database.read(engine) as connection:
        assert audit.audit(connection, run.id, record=None).balanced
        assert audit.message_states(connection, run.id)["suppressed"] == 2


def test_a_stronger_reason_is_named_before_the_change_of_address(engine: sa.Engine) -> None:
    run, people = _dispatching(engine)
    party = tables.parties
    with database.write(engine) as connection:
        erased = {"email": None, "address_hash": None, "erased_at": NOW}
        connection.execute(party.update().where(party.c.id == people[1]).values(erased))
    assert len(_mailed(engine, run)) == 3
    assert _exceptions(engine) == ["suppressed_erased"]


def test_the_audience_tells_the_mailbox_of_the_planned_only(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        people = frozen.consenting_parties(connection, 3)
        _move(connection, people[1], ledger_rows.hash_of(0))
        run = frozen.freeze(connection, people, limit=1)
        member = tables.audience.c
        found = connection.execute(
            sa.select(member.party_id, member.ordinal, member.address_hash).where(member.run_id == run.id)
        ).all()
    (planned,) = [row for row in found if row.ordinal is not None]
    hashes = dict(zip(people, map(ledger_rows.hash_of, (0, 0, 2)), strict=True))
    assert planned.address_hash == hashes[planned.party_id]
    assert [row.address_hash for row in found if row.ordinal is None] == [None, None]
