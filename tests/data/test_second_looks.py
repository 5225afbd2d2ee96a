"""A domain that was not found once is no reason; one that is not found twice is."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import address_marks, database, second_looks, tables
from data.address_marks import Address
from domain.delivery import EventKind
from tests.data import ledger_rows
from tests.data.bounced import apply, at, event, judged, shop_of, soft, standing

NO_HOST = "550 5.1.2 host unknown"
DOMAIN = "gone.example.org"
ADDRESS = Address("shop", ledger_rows.hash_of(0))
FOUR_HOURS = timedelta(hours=4)


@pytest.fixture(autouse=True)
def runs(engine: sa.Engine, account_id: str) -> None:
    shop_of(engine, 3)
    with database.write(engine) as connection:
        connection.execute(tables.parties.update().values(email=f"someone@{DOMAIN}"))


def due(engine: sa.Engine, after: timedelta) -> dict[str, list[Address]]:
    with database.read(engine) as connection:
        return second_looks.due(connection, now=at(0) + after, look_ups=10)


def look(engine: sa.Engine, answer: tuple[str, ...] | None) -> int:
    asked = due(engine, FOUR_HOURS)
    with database.write(engine) as connection:
        return second_looks.settle(connection, asked, dict.fromkeys(asked, answer), now=at(0) + FOUR_HOURS)


def test_a_domain_that_is_not_found_twice_is_gone(engine: sa.Engine) -> None:
    judged(engine, soft(0, 0, NO_HOST))
    assert standing(engine) == {}
    assert due(engine, timedelta(hours=2)) == {}
    assert due(engine, FOUR_HOURS) == {DOMAIN: [ADDRESS]}
    assert look(engine, ()) == 1
    assert standing(engine) == {"hard_bounce": (at(0), None)}
    assert due(engine, FOUR_HOURS) == {}
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(tables.suppressions.c.recorded_at)) == at(0) + FOUR_HOURS


def test_one_that_is_found_again_stays_a_soft_bounce(engine: sa.Engine) -> None:
    apply(engine, soft(0, 0, NO_HOST))
    assert look(engine, ("mx.example.org",)) == 0
    assert standing(engine) == {}
    assert due(engine, FOUR_HOURS) == {}
    apply(engine, soft(1, 0.05, NO_HOST))  # the next bounce asks for a look of its own
    assert due(engine, timedelta(hours=6)) == {DOMAIN: [ADDRESS]}


def test_where_the_dns_cannot_tell_it_is_asked_again_for_a_week(engine: sa.Engine) -> None:
    apply(engine, soft(0, 0, NO_HOST))
    assert look(engine, None) == 0
    assert due(engine, FOUR_HOURS) == {DOMAIN: [ADDRESS]}
    assert due(engine, timedelta(days=8)) == {}


def test_mail_that_arrived_since_speaks_for_the_address(engine: sa.Engine) -> None:
    apply(engine, soft(0, 0, NO_HOST), event(1, EventKind.DELIVERED, 0.1))
    assert look(engine, ()) == 0
    assert standing(engine) == {}


def test_an_address_that_no_customer_has_any_more_is_not_asked_for(engine: sa.Engine) -> None:
    apply(engine, soft(0, 0, NO_HOST))
    with database.write(engine) as connection:
        connection.execute(tables.parties.update().values(email=None, address_hash=None))
    assert due(engine, FOUR_HOURS) == {}


def test_at_most_so_many_domains_are_asked_for(engine: sa.Engine) -> None:
    new = [address_marks.NewMark("shop", ledger_rows.hash_of(0), address_marks.MarkKind.NO_HOST, "r0", at(0))]
    with database.write(engine) as connection:
        address_marks.record(connection, new)
        assert second_looks.due(connection, now=at(1), look_ups=0) == {}
