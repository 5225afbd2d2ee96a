from dataclasses import replace

import pytest
import sqlalchemy as sa

from data import accounts, database
from domain.accounts import Account, InvalidAccount
from domain.policy import SendingPolicy
from tests.conftest import NOW

ACCOUNT = Account("tea", "The Tea Shop", "EUR", "Europe/Berlin", "1 Road, 12345 Town", "news@tea.example.com", "Tea")


def test_an_account_is_added_once_and_stays_as_it_is(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        accounts.ensure(connection, ACCOUNT, now=NOW)
        accounts.ensure(connection, replace(ACCOUNT, name="Another name"), now=NOW)
        assert accounts.get(connection, "tea") == ACCOUNT


def test_an_account_is_changed_and_its_own_limits_go_before_the_installations(
    engine: sa.Engine, account_id: str
) -> None:
    own = replace(ACCOUNT, name="Tea & Co", cap_mails=1, quiet_from="21:00", quiet_until="08:00")
    installation = SendingPolicy(cap_mails=4, cap_days=9)
    with database.write(engine) as connection:
        accounts.ensure(connection, ACCOUNT, now=NOW)
        assert accounts.policy_of(connection, "tea", installation) == installation
        accounts.change(connection, own)
        assert accounts.get(connection, "tea") == own
        assert accounts.policy_of(connection, "tea", installation) == replace(
            installation, cap_mails=1, quiet_from="21:00", quiet_until="08:00"
        )
        assert accounts.get(connection, "shop").name == "The Shop"
        with pytest.raises(accounts.UnknownAccount, match="no account 'tee'"):
            accounts.change(connection, replace(own, id="tee"))


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
