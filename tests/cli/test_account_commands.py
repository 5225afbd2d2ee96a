import pytest
import sqlalchemy as sa

from data import accounts, database, tables
from tests.cli.conftest import Campaigns


def test_an_account_gets_rules_of_its_own_and_gives_them_back(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert "4 marketing mails in 7 days (the installation's)" in campaigns("account", "show").out
    told = campaigns("account", "limit", "--cap", "2/14", "--quiet", "21:00-08:00").out
    assert "2 marketing mails in 14 days (its own)" in told
    assert "21:00 to 08:00 on the customer's clock (its own)" in told
    with database.read(shop) as connection:
        kept = accounts.get(connection, "shop")
        (noted,) = connection.execute(sa.select(tables.audit_log).where(tables.audit_log.c.action == "limit")).all()
    assert (kept.cap_mails, kept.cap_days, kept.quiet_from) == (2, 14, "21:00")
    assert noted.detail["cap_mails"] == {"before": None, "after": 2}
    found = campaigns("account", "limit", "--cap", "default", "--quiet", "none", "--json").json
    limits = {"soft_bounces": 7, "soft_bounces_active": 15}
    assert found["in_force"] == {"cap_mails": 4, "cap_days": 7, "quiet_from": "", "quiet_until": "", **limits}
    assert (found["cap_mails"], found["quiet_from"]) == (None, "")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "nothing to change"),
        (("--cap", "often"), "such as 4/7"),
        (("--cap", "0/7"), "at least 1 mail"),
        (("--quiet", "22:00"), "two times of day"),
        (("--quiet", "25:00-08:00"), "HH:MM"),
    ],
)
def test_a_wrong_limit_is_one_sentence_and_changes_nothing(
    campaigns: Campaigns, options: tuple[str, ...], words: str
) -> None:
    assert words in campaigns("account", "limit", *options).mistake
    assert "4 marketing mails in 7 days (the installation's)" in campaigns("account", "show").out
