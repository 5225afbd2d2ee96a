"""Events of no message in an installation of two shops: no shop acts on what the other's customer did."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, events, tables
from data.strays import Origins
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, PEPPER, BatchRow
from tests.data.plain_events import PlainReader, body_of, receive

AT = NOW + timedelta(days=30)  # no mail of the last eight days is there, to which it could be laid
BOTH = {"shop", "other"}


@pytest.fixture
def shops(engine: sa.Engine, account_id: str) -> None:
    """Both have the same three customers; `shop` mailed them by the sandbox, `other` by nobody."""
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, account_id, 3)
        ledger_rows.add_account(connection, "other")
        ledger_rows.add_parties(connection, "other", 3)
        ledger_rows.add_run(connection, account_id, ids, [BatchRow(0, 2, attempt="a0")])
        connection.execute(tables.batch_attempts.update().values(provider="sandbox"))


def told(provider: str, kind: EventKind, suppresses: str, number: int = 1, **facts) -> DeliveryEvent:
    return DeliveryEvent(provider, kind, AT, address=ledger_rows.address(number), suppresses=suppresses, **facts)


def left(provider: str) -> DeliveryEvent:
    return told(provider, EventKind.UNSUBSCRIBED, "unsubscribe")


def complained(provider: str) -> DeliveryEvent:
    return told(provider, EventKind.COMPLAINED, "complaint")


def gone(provider: str) -> DeliveryEvent:
    return told(provider, EventKind.BOUNCED, "hard_bounce", bounce_class=BounceClass.HARD, fault=Fault.RECIPIENT)


def concerned(engine: sa.Engine, event: DeliveryEvent, **accounts: set[str]) -> set[str]:
    """The accounts in which somebody is suppressed by this event; the sandbox posts as SendGrid does."""
    receive(engine, body_of(event), provider=event.provider)
    origins = Origins({"sandbox": "sendgrid"}, accounts)
    readers = {event.provider: PlainReader()}
    report = events.process(engine, readers=readers, pepper=PEPPER, clock=lambda: AT, limit=9, origins=origins)
    assert (report.bodies, report.events) == (1, 1)
    return in_accounts(engine, tables.suppressions)


def in_accounts(engine: sa.Engine, table: sa.Table) -> set[str]:
    with database.read(engine) as connection:
        return set(connection.scalars(sa.select(table.c.account_id)))


def test_who_left_one_shops_list_has_not_left_the_others(engine: sa.Engine, shops: None) -> None:
    assert concerned(engine, left("mailchimp"), mailchimp={"other"}) == {"other"}
    assert in_accounts(engine, tables.consents) == {"other"}


def test_it_concerns_whose_mail_the_esp_took_and_who_has_a_route_to_it(engine: sa.Engine, shops: None) -> None:
    assert concerned(engine, complained("sendgrid")) == {"shop"}


def test_a_route_alone_is_enough(engine: sa.Engine, shops: None) -> None:
    assert concerned(engine, complained("sendgrid"), sendgrid={"other"}) == BOTH


def test_who_wrote_to_the_shared_mailbox_leaves_the_shop_that_mailed_him(engine: sa.Engine, shops: None) -> None:
    assert concerned(engine, left("smtp"), mailchimp={"other"}) == {"shop"}
    assert in_accounts(engine, tables.consents) == {"shop"}


@pytest.mark.parametrize("state", ["planned", "rejected", "held"])
def test_whom_nobody_mailed_leaves_nobody(engine: sa.Engine, shops: None, state: str) -> None:
    with database.write(engine) as connection:
        connection.execute(tables.batches.update().values(state=state))
    assert concerned(engine, left("smtp")) == set()


@pytest.mark.parametrize("provider", ["mailchimp", "sendgrid", "smtp"])
def test_that_a_mailbox_is_not_there_is_true_for_all(engine: sa.Engine, shops: None, provider: str) -> None:
    assert concerned(engine, gone(provider), mailchimp={"other"}) == BOTH
    assert in_accounts(engine, tables.address_marks) == BOTH


def test_an_address_that_is_none_is_none_for_all(engine: sa.Engine, shops: None) -> None:
    assert concerned(engine, told("sendgrid", EventKind.DROPPED, "invalid")) == BOTH


@pytest.mark.parametrize("provider", ["mailchimp", "sendgrid", "smtp"])
def test_where_there_is_one_account_it_concerns_that(engine: sa.Engine, account_id: str, provider: str) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_parties(connection, account_id, 3)
    assert concerned(engine, left(provider), mailchimp={"of a settings file for another"}) == {account_id}
