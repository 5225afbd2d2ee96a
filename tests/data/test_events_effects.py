"""Whom an event suppresses, in which account, by which address."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, esp_listings, suppressions, tables
from domain import addresses
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, PEPPER, BatchRow
from tests.data.plain_events import body_of, process, receive

AT = NOW + timedelta(minutes=1)


@pytest.fixture
def run(engine: sa.Engine, account_id: str) -> str:
    """Three messages of the shop; another account has the same three customers."""
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, account_id, 3)
        ledger_rows.add_account(connection, "other")
        ledger_rows.add_parties(connection, "other", 3)
        return ledger_rows.add_run(connection, account_id, ids, [BatchRow(0, 2, attempt="a0")])


def complaint(message_id: str | None, address: str | None, **facts) -> DeliveryEvent:
    values = {"kind": EventKind.COMPLAINED, "suppresses": "complaint", "occurred_at": AT, **facts}
    return DeliveryEvent(provider="sendgrid", message_id=message_id, address=address, **values)


def standing(engine: sa.Engine) -> set[tuple[str, str, str]]:
    table = tables.suppressions
    with database.read(engine) as connection:
        found = connection.execute(sa.select(table).where(table.c.lifted_at.is_(None)))
        return {(row.account_id, row.address_hash, row.reason) for row in found}


def statements(engine: sa.Engine) -> Sequence[sa.Row]:
    with database.read(engine) as connection:
        return connection.execute(sa.select(tables.consents)).all()


def test_the_events_own_address_is_suppressed_in_the_account_of_the_run(engine: sa.Engine, run: str) -> None:
    receive(engine, body_of(complaint("run1.1", "Former.Address@Example.com")))
    assert process(engine).suppressions == 1
    own = addresses.address_hash("former.address@example.com", PEPPER)
    assert standing(engine) == {("shop", own, "complaint")}


@pytest.mark.parametrize("address", [None, "no address at all"])
@pytest.mark.parametrize("present", ["another", None])
def test_without_an_address_that_which_was_mailed_is_suppressed(
    engine: sa.Engine, run: str, address: str | None, present: str | None
) -> None:
    with database.write(engine) as connection:
        connection.execute(tables.parties.update().values(address_hash=present))
    receive(engine, body_of(complaint("run1.1", address)))
    process(engine)
    assert standing(engine) == {("shop", ledger_rows.hash_of(1), "complaint")}


_HARD = {
    "kind": EventKind.BOUNCED,
    "bounce_class": BounceClass.HARD,
    "fault": Fault.RECIPIENT,
    "suppresses": "hard_bounce",
}


def test_a_late_bounce_without_our_id_concerns_who_was_mailed_last(engine: sa.Engine, run: str) -> None:
    receive(engine, body_of(complaint(None, ledger_rows.address(2), **_HARD)))
    report = process(engine)
    assert (report.uncorrelated, report.suppressions) == (0, 1)
    assert standing(engine) == {("shop", ledger_rows.hash_of(2), "hard_bounce")}


def test_one_to_whom_nothing_went_concerns_everybody_with_the_address(engine: sa.Engine, run: str) -> None:
    with database.write(engine) as connection:
        connection.execute(tables.batches.update().values(state="rejected"))
    bounce = complaint(None, ledger_rows.address(2), **_HARD)
    receive(engine, body_of(bounce, complaint(None, "stranger@example.com"), complaint(None, None)))
    report = process(engine)
    assert (report.uncorrelated, report.suppressions) == (3, 2)
    assert standing(engine) == {(account, ledger_rows.hash_of(2), "hard_bounce") for account in ("shop", "other")}


def test_an_unsubscribe_withdraws_the_consent_too(engine: sa.Engine, run: str) -> None:
    event = complaint("run1.0", ledger_rows.address(0), kind=EventKind.UNSUBSCRIBED, suppresses="unsubscribe")
    receive(engine, body_of(event), body_of(event, event))
    assert process(engine).suppressions == 1
    (row,) = statements(engine)
    assert (row.account_id, row.status, row.source, row.occurred_at) == ("shop", "withdrawn", "esp:sendgrid", AT)


def test_a_complaint_withdraws_no_consent(engine: sa.Engine, run: str) -> None:
    receive(engine, body_of(complaint("run1.0", ledger_rows.address(0))))
    process(engine)
    assert statements(engine) == []


def test_a_reason_that_we_do_not_know_is_a_dead_letter(engine: sa.Engine, run: str) -> None:
    receive(engine, body_of(complaint("run1.0", None, suppresses="bad karma"), complaint("run1.1", None)))
    report = process(engine)
    assert (report.unreadable, report.suppressions) == (1, 1)


def test_a_redelivered_event_does_not_undo_a_lift(engine: sa.Engine, run: str) -> None:
    event = complaint("run1.0", ledger_rows.address(0))
    receive(engine, body_of(event))
    process(engine)
    with database.write(engine) as connection:
        suppressions.lift(
            connection,
            account_id="shop",
            address_hash=ledger_rows.hash_of(0),
            actor="support",
            reason="pressed the wrong button",
            now=AT + timedelta(hours=1),
            asked_for=True,
        )
    receive(engine, body_of(event, event))
    assert process(engine).duplicates == 2
    assert standing(engine) == set()


@pytest.mark.parametrize("reason", ["unsubscribe", "complaint", "invalid"])
def test_a_drop_suppresses_but_undoes_no_lift(engine: sa.Engine, run: str, reason: str) -> None:
    """The ESP drops for a list of its own, for as long as she is on it; her own word does undo one."""
    drop = {"kind": EventKind.DROPPED, "suppresses": reason}
    receive(engine, body_of(complaint("run1.0", ledger_rows.address(0), **drop)))
    process(engine)
    assert standing(engine) == {("shop", ledger_rows.hash_of(0), reason)}
    with database.write(engine) as connection:
        suppressions.lift(
            connection,
            account_id="shop",
            address_hash=ledger_rows.hash_of(0),
            actor="ben",
            reason="she asked",
            now=AT + timedelta(minutes=1),
            asked_for=True,
        )
    later = AT + timedelta(days=1)
    receive(engine, body_of(complaint("run1.0", ledger_rows.address(0), occurred_at=later, **drop)))
    receive(engine, body_of(complaint("run1.1", ledger_rows.address(1), occurred_at=later, **drop)))
    process(engine)
    assert standing(engine) == {("shop", ledger_rows.hash_of(1), reason)}
    receive(engine, body_of(complaint("run1.0", ledger_rows.address(0), occurred_at=later, suppresses=reason)))
    process(engine)
    assert ("shop", ledger_rows.hash_of(0), reason) in standing(engine)


@pytest.fixture
def put(engine: sa.Engine, run: str) -> str:
    """The address of customer 0, which we put on a list of the ESP's at AT."""
    hashed = ledger_rows.hash_of(0)
    with database.write(engine) as connection:
        esp_listings.about_to_put(connection, "sendgrid", "rejects", [hashed], now=AT)
    return ledger_rows.address(0)


SYNC = {"kind": EventKind.UNKNOWN, "suppresses": "manual"}
LEFT = {"kind": EventKind.UNSUBSCRIBED, "suppresses": "unsubscribe"}


@pytest.mark.parametrize("told", [SYNC, LEFT])
@pytest.mark.parametrize("minutes", [-4, 0, 60])
def test_what_we_put_there_does_not_come_back_by_the_webhook(
    engine: sa.Engine, put: str, told: dict, minutes: int
) -> None:
    echo = complaint(None, put, occurred_at=AT + timedelta(minutes=minutes), **told)
    theirs = complaint(None, ledger_rows.address(1), **told)
    receive(engine, body_of(echo, theirs))
    assert process(engine).suppressions == 1
    assert standing(engine) == {("shop", ledger_rows.hash_of(1), told["suppresses"])}
    with database.read(engine) as connection:
        withdrawn = {row.party_id for row in statements(engine)}
        mailed = sa.select(tables.parties.c.id).where(tables.parties.c.address_hash == ledger_rows.hash_of(0))
        assert not withdrawn & set(connection.scalars(mailed))


@pytest.mark.parametrize(
    "facts",
    [
        {**SYNC, "occurred_at": AT + timedelta(days=2)},
        {**LEFT, "occurred_at": AT - timedelta(hours=1)},
        {**LEFT, "provider_message_id": "campaign"},
        {"kind": EventKind.COMPLAINED, "suppresses": "complaint"},
    ],
)
def test_what_others_say_of_an_address_that_we_put_there_is_heard(engine: sa.Engine, put: str, facts: dict) -> None:
    receive(engine, body_of(complaint(None, put, **facts)))
    process(engine)
    assert {(hashed, reason) for _, hashed, reason in standing(engine)} == {
        (ledger_rows.hash_of(0), facts["suppresses"])
    }


def test_who_leaves_by_a_mail_of_ours_is_heard_whoever_put_her_there(engine: sa.Engine, put: str) -> None:
    receive(engine, body_of(complaint("run1.0", put, **LEFT)))
    process(engine)
    assert standing(engine) == {("shop", ledger_rows.hash_of(0), "unsubscribe")}
