"""To which environment the database belongs: show, claim, and what a copy is told."""

import pytest
import sqlalchemy as sa

import settings
from cli import store
from data import database, tables
from tests.cli.conftest import Campaigns

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_database_that_nobody_claimed(shop: sa.Engine, campaigns: Campaigns) -> None:
    told = campaigns("environment", "show")
    assert told.status == 0
    assert "Nobody claimed " in told.out
    store.prepare(shop)
    told = campaigns("environment", "show", "--json").json
    assert (told["environment"], told["live_runs"], told["claim"]["environment"]) == ("production", True, "production")


def test_a_copy_is_told_and_claimed_under_a_name_of_its_own(
    shop: sa.Engine, campaigns: Campaigns, environment: pytest.MonkeyPatch
) -> None:
    store.prepare(shop)
    with database.write(shop) as connection:
        connection.execute(tables.installation.update().values(fingerprint="that of another file"))
    told = campaigns("environment", "show")
    assert told.status == 1
    assert "No live run may start: this database is a copy of the one that belongs to 'production'" in told.out
    mistake = campaigns("environment", "claim", "--name", "staging", "--by", "Ann").mistake
    assert "OMS_ENVIRONMENT says 'production' on this machine" in mistake
    environment.setenv("OMS_ENVIRONMENT", "staging")
    settings.load.cache_clear()
    assert "--by must say something" in campaigns("environment", "claim", "--name", "staging", "--by", " ").mistake
    assert campaigns("environment", "claim", "--name", "staging", "--by", "Ann").status == 0
    told = campaigns("environment", "show", "--json").json
    assert (told["live_runs"], told["claim"]["claimed_by"]) == (True, "Ann")
    with database.read(shop) as connection:
        row = connection.execute(sa.select(tables.audit_log)).one()
    assert (row.actor, row.action, row.detail["was"]) == ("Ann", "claim", "production")


def test_the_name_of_an_environment_is_checked(
    shop: sa.Engine, campaigns: Campaigns, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OMS_ENVIRONMENT", "Our staging!")
    settings.load.cache_clear()
    assert "OMS_ENVIRONMENT: " in campaigns("environment", "show").mistake
