"""Mailboxes of many, of the erased and of attackers; and writers of persons at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import accounts, database, orders, parties, persons, tables
from domain.orders import Customer
from tests.conftest import NOW, PEPPER
from tests.data.test_persons import bought, load
from tests.data.test_persons import persons as groups

pytestmark = pytest.mark.usefixtures("account_id")
DUMMY = "nobody@shop.example.com"


def crowd(engine: sa.Engine, count: int, *, first: int = 0, email: str = DUMMY) -> None:
    """So many tills, each with one customer who was given this address."""
    for number in range(first, first + count):
        load(engine, f"till-{number:03}", bought("1", "1", email))


def joined(engine: sa.Engine) -> int:
    party = tables.parties.c
    with database.read(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).where(party.person_id.is_not(None))).scalar_one()


def test_a_mailbox_that_grows_too_large_joins_nobody_and_joins_again_when_it_shrinks(engine: sa.Engine) -> None:
    crowd(engine, 50)
    assert joined(engine) == 49
    crowd(engine, 1, first=50)
    assert joined(engine) == 0
    # One who comes from elsewhere, where he was joined, is nobody else's here.
    load(engine, "web", bought("1", "9", "anna@example.com"))
    load(engine, "app", bought("1", "9", "anna@example.com"))
    assert joined(engine) == 1
    for channel in ("web", "app"):
        load(engine, channel, bought("2", "9", DUMMY, day=1))
        assert joined(engine) == 0
    # Three give an address of their own: 50 are left, and one person.
    for number in (3, 4, 5):
        load(engine, f"till-{number:03}", bought("2", "1", f"own{number}@example.com", day=2))
    assert joined(engine) == 49


def test_a_whole_crowd_at_once(engine: sa.Engine) -> None:
    load(engine, "till", bought("0", "", DUMMY))
    load(engine, "web", bought("0", "1", DUMMY))
    assert joined(engine) == 1
    spellings = [bought(str(n), "", f"someone+{n}@gmail.com") for n in range(80)]
    load(engine, "till", *spellings[:50])
    assert joined(engine) == 50
    load(engine, "till", *spellings[50:])
    assert joined(engine) == 1


def test_who_was_erased_stands_for_nobody_and_is_not_filled_again(engine: sa.Engine) -> None:
    load(engine, "app", bought("1", "5", "anna@example.com"))
    load(engine, "web", bought("1", "7", "anna@example.com"), bought("2", "", "ANNA@example.com"))
    assert joined(engine) == 2  # both point to the app's
    gone = Customer("5", None, redacted=True)
    load(engine, "app", _saying(bought("1", "5", None, day=1), gone))
    party = tables.parties.c
    with database.read(engine) as connection:
        found = connection.execute(sa.select(party.id, party.numbering, party.person_id, party.email)).all()
    by = {row.numbering: row for row in found}
    assert (by["app"].email, by["app"].person_id) == (None, None)
    assert (by["web"].person_id, by["~guest"].person_id) == (None, by["web"].id)
    load(engine, "app", bought("3", "5", "anna@example.com", day=2))
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(party.email).where(party.numbering == "app")) is None
    assert groups(engine) == {frozenset({"app/1", "app/3"}), frozenset({"web/1", "web/2"})}


def _saying(order: orders.Order, customer: Customer) -> orders.Order:
    return replace(order, customer=customer)


def test_a_customer_number_that_looks_like_a_guests_is_that_number_and_no_guest(engine: sa.Engine) -> None:
    """Whoever chooses his own number at a channel must not become somebody whose address he knows."""
    load(engine, "web", bought("1", "", "anna@example.com"))
    with database.read(engine) as connection:
        key = connection.scalar(sa.select(tables.parties.c.external_id))
    assert key is not None
    assert key.startswith("guest:")
    load(engine, "web", bought("2", key, "mallory@example.com"), bought("3", f"~guest:{key}", "mallory@example.com"))
    load(engine, "csv", bought("4", key, None), numbering="")
    load(engine, "csv", bought("5", "guest-order:csv:6", None), bought("6", "", None), numbering="")
    party = tables.parties.c
    with database.read(engine) as connection:
        guests = connection.execute(sa.select(party.external_id, party.email).where(party.numbering == "~guest")).all()
    assert {tuple(row) for row in guests} == {(key, "anna@example.com"), ("guest-order:csv:6", None)}
    # Mallory's two numbers are told apart by the web shop itself, so nobody of that mailbox is joined.
    assert groups(engine) == {frozenset({one}) for one in ("web/1", "web/2", "web/3", "csv/4", "csv/5", "csv/6")}


@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_a_blank_address_is_none_and_two_who_gave_it_are_two(engine: sa.Engine, blank: str) -> None:
    load(engine, "web", bought("1", "", blank), bought("2", "", blank))
    assert len(groups(engine)) == 2


def test_many_writers_of_two_accounts_never_wait_for_each_other_in_a_circle(engine: sa.Engine) -> None:
    """On PostgreSQL a circle is an error; here also: all parties and persons are as if one had written them."""
    with database.write(engine) as connection:
        shop = accounts.get(connection, "shop")
        accounts.ensure(connection, replace(shop, id="tea"), now=NOW)

    def write(worker: int) -> None:
        for round_ in range(6):
            for account in ("shop", "tea") if worker % 2 else ("tea", "shop"):
                some = [
                    bought(
                        f"{worker}-{round_}-{n}",
                        "" if n % 3 else str(n),
                        f"c{(n * 7 + worker) % 20}@example.com",
                        day=n % 4,
                    )
                    for n in (range(40) if round_ % 2 else range(39, -1, -1))
                ]
                source = orders.Source(account, f"channel-{worker % 2}", f"channel-{worker % 2}", PEPPER)
                with database.write(engine) as connection:
                    orders.take_in(connection, some, source, now=NOW + timedelta(seconds=round_))

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write, worker) for worker in range(4)]:
            done.result()
    party = tables.parties.c
    before = _persons_by_key(engine)
    assert len(before) > 40
    with database.write(engine) as connection:
        connection.execute(sa.update(tables.parties).values(person_id=None))
        for account in ("shop", "tea"):
            mailboxes = connection.scalars(
                sa.select(party.address_hash)
                .where(party.account_id == account, party.address_hash.is_not(None))
                .distinct()
            )
            persons.regroup(connection, account, list(mailboxes), ())
    assert _persons_by_key(engine) == before


def _persons_by_key(engine: sa.Engine) -> dict[tuple[str, ...], tuple[str, ...] | None]:
    party, first = tables.parties, tables.parties.alias()
    query = sa.select(
        party.c.account_id, party.c.numbering, party.c.external_id, first.c.numbering, first.c.external_id
    ).select_from(party.outerjoin(first, first.c.id == party.c.person_id))
    with database.read(engine) as connection:
        return {tuple(row[:3]): tuple(row[3:]) if row[3] is not None else None for row in connection.execute(query)}


def test_the_key_of_a_relays_customer_is_his_order(engine: sa.Engine) -> None:
    order = _saying(bought("1", "", "x"), Customer("", "abc@marketplace.amazon.co.uk"))
    assert parties.key(order, "web", "web", PEPPER) == parties.Key("~guest", "guest-order:web:1")
    flagged = _saying(order, Customer("", "abc@relay.example.com", relay=True))
    assert parties.key(flagged, "web", "web", PEPPER) == parties.Key("~guest", "guest-order:web:1")
