"""What a command says when the store is not as it should be."""

from pathlib import Path

import pytest
import sqlalchemy as sa

import settings
from data import database, migrate
from tests.cli.conftest import Campaigns

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
READERS = (
    ["status"],
    ["report", "run1"],
    ["audit", "run1"],
    ["explain", "run1", "c1"],
    ["resume", "run1"],
    ["intake", __file__],
    ["intake", "drain"],
    ["intake", "pull", "--channel", "medusa"],
    ["intake", "health"],
    ["intake", "dead-letters"],
    ["intake", "patch", "1", "a=b"],
    ["intake", "replay", "1"],
    ["intake", "discard", "1", "--note", "x"],
    ["intake", "quarantine"],
    ["intake", "release", "--channel", "csv", "--note", "x"],
    ["intake", "reread", "--channel", "csv", "--note", "x"],
    ["intake", "rules"],
    ["intake", "tune"],
    ["features", "refresh"],
    ["segments", "preview", "loyal"],
    ["suppressions", "list"],
    ["suppressions", "add", "a@example.com"],
)


def _use(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("OMS_DATABASE_URL", url)
    settings.load.cache_clear()


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_an_empty_database_must_be_migrated(
    environment: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path, command: list[str]
) -> None:
    _use(environment, f"sqlite:///{tmp_path}/new.db")
    assert campaigns(*command).mistake.endswith("new.db is empty: run `campaigns migrate`")


def test_an_old_schema_must_be_migrated(environment: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    migrate.upgrade(database.engine_for(url), "0001")
    _use(environment, url)
    newest = migrate.newest()
    assert f"has schema 0001, and this program needs {newest}: run `campaigns migrate`" in campaigns("status").mistake
    migrated = {"before": "0001", "after": newest, "environment": "production"}
    assert campaigns("migrate", "--json").json == migrated
    assert campaigns("status").out == "No runs yet: `campaigns run` starts one.\n"


def test_a_schema_of_a_newer_program_is_left_alone(
    environment: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/newer.db"
    engine = database.engine_for(url)
    migrate.upgrade(engine)
    with database.write(engine) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'fffff'"))
    _use(environment, url)
    assert "has schema fffff" in campaigns("status").mistake
    assert "cannot be migrated by this program" in campaigns("migrate").mistake


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense:::s3cr3t", "OMS_DATABASE_URL is no database URL"),
        ("mysql://ann:s3cr3t@host/oms", "OMS_DATABASE_URL names 'mysql'"),
        ("sqlite:////proc/nowhere/oms.db", "the folder of the database cannot be made"),
        ("sqlite:////proc", "unable to open database file"),
        ("postgresql://ann:s3cr3t@127.0.0.1:1/oms", "127.0.0.1:1/oms cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used(
    environment: pytest.MonkeyPatch, campaigns: Campaigns, url: str, says: str
) -> None:
    _use(environment, url)
    for command in ("status", "migrate"):
        mistake = campaigns(command).mistake
        assert says in mistake
        assert "s3cr3t" not in mistake


def test_a_file_that_is_no_database(environment: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path) -> None:
    (tmp_path / "junk.db").write_text("no database " * 100)
    _use(environment, f"sqlite:///{tmp_path}/junk.db")
    assert "file is not a database" in campaigns("status").mistake


@SQLITE
@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    "command",
    [
        ["features", "refresh"],
        ["intake", __file__],
        ["intake", "pull", "--channel", "medusa"],
        ["intake", "health"],
        ["intake", "dead-letters"],
        ["intake", "patch", "1", "a=b"],
        ["intake", "replay", "1"],
        ["intake", "discard", "1", "--note", "x"],
        ["intake", "quarantine"],
        ["intake", "release", "--channel", "csv", "--note", "x"],
        ["intake", "reread", "--channel", "csv", "--note", "x"],
        ["intake", "rules"],
        ["intake", "tune"],
        ["segments", "preview", "loyal"],
        ["suppressions", "list"],
        ["suppressions", "add", "a@example.com"],
        ["suppressions", "remove", "a@example.com", "--reason", "x", "--by", "x"],
        ["suppressions", "export", "out.csv"],
        ["run", "news", "--segment", "loyal", "--template", "new-arrivals"],
    ],
    ids=" ".join,
)
def test_an_unknown_account(campaigns: Campaigns, command: list[str]) -> None:
    assert campaigns(*command, "--account", "bogus").mistake == "there is no account 'bogus'; known accounts: shop"


@SQLITE
def test_the_installations_own_account_may_be_missing_too(
    environment: pytest.MonkeyPatch, engine: sa.Engine, database_url: str, campaigns: Campaigns
) -> None:
    _use(environment, database_url)
    assert "`campaigns up` makes the one that OMS_ACCOUNT names" in campaigns("suppressions", "list").mistake
