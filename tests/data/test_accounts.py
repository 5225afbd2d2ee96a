from dataclasses import replace

import pytest
import sqlalchemy as sa

from data import accounts, database
from domain.accounts import Account, InvalidAccount
from tests.conftest import NOW

ACCOUNT = Account("tea", "The Tea Shop", "EUR", "Europe/Berlin", "1 Road, 12345 Town", "news@tea.example.com", "Tea")


def test_an_account_is_added_once_and_stays_as_it_is(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        accounts.ensure(connection, ACCOUNT, now=NOW)
        accounts.ensure(connection, replace(ACCOUNT, name="Another name"), now=NOW)
        assert accounts.get(connection, "tea") == ACCOUNT


def test_an_unknown_account_is_told_the_known_ones(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        with pytest.raises(accounts.UnknownAccount, match="no account 'tee'; known accounts: shop"):
            accounts.get(connection, "tee")
        accounts.ensure(connection, ACCOUNT, now=NOW)
        with pytest.raises(accounts.UnknownAccount, match="known accounts: shop, tea"):
            accounts.lock(connection, "tee")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"currency": "eur"}, "currency"),
        ({"currency": "Euro"}, "currency"),
        ({"timezone": "Berlin"}, "time zone"),
        ({"timezone": "/etc/passwd"}, "time zone"),
        ({"timezone": ""}, "time zone"),
    ],
)
def test_an_account_that_cannot_be_right_is_refused(wrong, said) -> None:
    with pytest.raises(InvalidAccount, match=said):
        replace(ACCOUNT, **wrong)
