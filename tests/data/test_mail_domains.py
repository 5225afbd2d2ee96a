"""Mailbox groups by MX: what is asked for, what is remembered, and what customers are told."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, mail_domains, parties, tables
from data.mail_domains import Source
from data.parties import Key, Told
from domain import addresses
from domain.orders import Customer
from tests.conftest import NOW, PEPPER
from tests.data import ledger_rows

DAY = timedelta(days=1)


def add(connection: sa.Connection, account_id: str, *emails: str, provider: str | None = "other") -> None:
    connection.execute(
        tables.parties.insert(),
        [
            {
                "account_id": account_id,
                "external_id": f"{email} {number}",
                "email": email,
                "address_hash": addresses.address_hash(email, PEPPER) if addresses.is_valid(email) else None,
                "mailbox_provider": provider,
                "created_at": NOW,
                "updated_at": NOW,
            }
            for number, email in enumerate(emails)
        ],
    )


def groups(engine: sa.Engine, account_id: str) -> dict[str, str]:
    party = tables.parties.c
    with database.read(engine) as connection:
        query = sa.select(party.email, party.mailbox_provider).where(party.account_id == account_id)
        return dict(connection.execute(query).all())


def test_domains_of_most_customers_are_asked_for_first(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "second")
        add(connection, account_id, "a@Firm.com", "b@firm.com ", "a@small.com", "a@gmx.de", "no address", "a@hard.test")
        add(connection, "second", "c@FIRM.com", "a@middle.com", "b@middle.com", "a@gmx.de")
        found = mail_domains.unknown(connection, now=NOW, look_ups=2)
    assert found.to_look_up == ("firm.com", "middle.com")
    assert found.by_table == {"gmx.de": "gmx", "hard.test": "other"}


def test_what_is_remembered_is_asked_for_again_in_time(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        add(connection, account_id, "a@firm.com", "a@gone.com", "a@gmx.de", "a@formerly.com")
        mail_domains.remember(connection, {"firm.com": "gmail"}, Source.MX, now=NOW)
        mail_domains.remember(connection, {"gone.com": "other"}, Source.NONE, now=NOW)
        mail_domains.remember(connection, {"gmx.de": "gmx"}, Source.TABLE, now=NOW)

        def asked(after: timedelta) -> set[str]:
            return set(mail_domains.unknown(connection, now=NOW + after, look_ups=9).to_look_up)

        assert asked(timedelta()) == {"formerly.com"}
        assert asked(7 * DAY) == {"formerly.com", "gone.com"}
        assert asked(30 * DAY) == {"formerly.com", "gone.com", "firm.com"}
        assert not mail_domains.unknown(connection, now=NOW + 99 * DAY, look_ups=9).by_table
        mail_domains.remember(connection, {"firm.com": "yahoo"}, Source.MX, now=NOW + 30 * DAY)
        assert asked(31 * DAY) == {"formerly.com", "gone.com"}
        # A table of an older version named this one, ours does not: only its MX tells.
        mail_domains.remember(connection, {"formerly.com": "outlook"}, Source.TABLE, now=NOW)
        assert asked(timedelta()) == {"formerly.com"}


def test_a_newer_table_is_believed_over_what_is_remembered(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        add(connection, account_id, "a@gmx.de")
        mail_domains.remember(connection, {"gmx.de": "other"}, Source.MX, now=NOW)
        assert mail_domains.unknown(connection, now=NOW, look_ups=9).by_table == {"gmx.de": "gmx"}
        assert mail_domains.groups_of(connection, ["gmx.de", "firm.com"]) == {"gmx.de": "gmx"}


def test_customers_are_told_in_parts_and_only_those_of_whom_something_else_was_written(
    engine: sa.Engine, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_domains, "_AT_ONCE", 2)
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "second")
        add(connection, account_id, *(f"c{number}@Firm.com" for number in range(5)), "x@small.com")
        add(connection, "second", "z@firm.com")  # its id lies between theirs
        add(connection, account_id, "y@firm.com", provider="gmail")
        add(connection, account_id, "nobody at firm.com@", provider=None)
        mail_domains.remember(connection, {"firm.com": "gmail"}, Source.MX, now=NOW)
    assert mail_domains.apply(engine, account_id) == 5
    assert mail_domains.apply(engine, account_id) == 0
    found = groups(engine, account_id)
    assert {found[f"c{number}@Firm.com"] for number in range(5)} == {"gmail"}
    assert (found["x@small.com"], found["nobody at firm.com@"]) == ("other", None)
    assert groups(engine, "second") == {"z@firm.com": "other"}
    assert mail_domains.apply(engine, "second") == 1


def test_an_account_without_customers(engine: sa.Engine, account_id: str) -> None:
    assert mail_domains.apply(engine, account_id) == 0
    with database.read(engine) as connection:
        assert mail_domains.unknown(connection, now=NOW, look_ups=5) == mail_domains.Unsettled({}, ())


@pytest.mark.parametrize("email", ["a@firm.com", " A@FIRM.com ", "a@mail.firm.co.uk", "ä@müller.de", "a@MÜLLER.de"])
def test_sql_finds_the_domain_that_python_finds(engine: sa.Engine, email: str) -> None:
    with database.read(engine) as connection:
        found = connection.scalar(sa.select(mail_domains.of_column(sa.literal(email), connection.dialect.name)))
    assert found is not None
    assert found.lower() == addresses.domain_of(email)  # SQLite knows the lower case of ASCII only


def test_new_orders_keep_what_the_mx_said(engine: sa.Engine, account_id: str) -> None:
    """A new customer of a domain that is known, and a known customer who orders again."""

    def order(number: str, email: str, days: int) -> None:
        customer = Customer(external_id=number, email=email, first_name=None, last_name=None, country=None)
        told = Told(customer, NOW + days * DAY, NOW + days * DAY)
        with database.write(engine) as connection:
            parties.take_in(connection, account_id, {Key("", number): [told]}, pepper=PEPPER, now=NOW)

    order("1", "a@firm.com", 0)
    assert groups(engine, account_id) == {"a@firm.com": "other"}
    with database.write(engine) as connection:
        mail_domains.remember(connection, {"firm.com": "microsoft365"}, Source.MX, now=NOW)
    mail_domains.apply(engine, account_id)
    order("1", "a@firm.com", 1)
    order("2", "b@Firm.com", 1)
    order("3", "c@elsewhere.com", 1)
    order("4", "d@gmail.com", 1)
    assert groups(engine, account_id) == {
        "a@firm.com": "microsoft365",
        "b@Firm.com": "microsoft365",
        "c@elsewhere.com": "other",
        "d@gmail.com": "gmail",
    }
