"""Orders in, dead letters, features."""

import gzip
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, tables
from tests.cli.conftest import ORDERS, Campaigns


def test_orders_go_in_once(shop: sa.Engine, campaigns: Campaigns) -> None:
    first = campaigns("import-orders", ORDERS / "good.csv", "--json")
    assert (first.status, first.err) == (0, "")
    assert first.json == {"rows": 5, "loaded": 4, "updated": 0, "unchanged": 0, "stale": 0, "dead": 0}
    again = campaigns("import-orders", ORDERS / "good.csv")
    assert again.lines == ["5 rows. Orders: 0 loaded, 0 updated, 4 unchanged, 0 older than what we have."]
    with database.read(shop) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.orders)) == 4


@pytest.mark.usefixtures("shop")
def test_bad_rows_become_dead_letters_and_the_rest_is_loaded(campaigns: Campaigns) -> None:
    told = campaigns("import-orders", ORDERS / "bad.csv")
    assert told.status == 0
    assert told.lines[-1] == "22 rows went to the dead letters: `campaigns dead-letters`."
    found = campaigns("dead-letters", "--json").json
    assert len(found) == 22
    assert list(found[0]) == ["id", "source", "file", "row", "priority", "since", "reason"]
    assert (found[0]["source"], found[0]["file"], found[0]["row"], found[0]["priority"]) == ("csv", "bad.csv", 3, 10)
    assert found[0]["reason"].startswith("status is none of: ")
    head, first, *_ = campaigns("dead-letters", "--source", "csv").lines
    assert head.split() == ["ID", "SOURCE", "FILE", "ROW", "PRIORITY", "SINCE", "REASON"]
    assert "bad.csv" in first
    assert campaigns("dead-letters", "--source", "web").lines == ["No open dead letters."]
    assert len(campaigns("dead-letters", "--limit", 3, "--json").json) == 3


def test_records_are_shown_when_asked_for_and_the_audit_log_knows(shop: sa.Engine, campaigns: Campaigns) -> None:
    campaigns("import-orders", ORDERS / "bad.csv")
    assert "@" not in campaigns("dead-letters", "--json").out + campaigns("dead-letters").out
    with database.read(shop) as connection:
        assert connection.execute(sa.select(tables.audit_log)).all() == []
    (one,) = campaigns("dead-letters", "--payload", "--limit", 1, "--json").json
    assert one["payload"]["email"] == "a@example.com"
    text = campaigns("dead-letters", "--payload", "--limit", 1).lines
    assert text[0].startswith(f"{one['id']}  csv bad.csv row 3 (10), ")
    assert '      "email": "a@example.com",' in text
    with database.read(shop) as connection:
        log = connection.execute(sa.select(tables.audit_log)).all()
    assert [(row.account_id, row.action, row.subject, row.detail) for row in log] == [
        ("shop", "read", "dead letters", {"ids": [one["id"]]})
    ] * 2
    assert log[0].actor.endswith("(command line)")


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("limit", [0, 10_001, "many"])
def test_limits_have_limits(campaigns: Campaigns, limit: object) -> None:
    assert "Invalid value for '--limit'" in campaigns("dead-letters", "--limit", limit).mistake


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
def test_what_is_no_file_of_orders_is_refused(campaigns: Campaigns, tmp_path: Path) -> None:
    assert campaigns("import-orders", "nowhere.csv").mistake == "there is no file nowhere.csv"
    assert campaigns("import-orders", tmp_path).mistake == f"there is no file {tmp_path}"
    picture = tmp_path / "picture.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    assert "has no header row in UTF-8" in campaigns("import-orders", picture).mistake
    prose = tmp_path / "prose.csv"
    prose.write_text("Dear Sir or Madam\n")
    assert "unknown column 'Dear Sir or Madam'" in campaigns("import-orders", prose).mistake
    (tmp_path / "empty.csv").touch()
    assert "the file is empty" in campaigns("import-orders", "empty.csv").mistake
    cut = tmp_path / "cut.csv.gz"
    with gzip.open(cut, "wb") as target, (ORDERS / "good.csv").open("rb") as source:
        shutil.copyfileobj(source, target)
    cut.write_bytes(cut.read_bytes()[:-30])
    assert "cut.csv.gz cannot be read" in campaigns("import-orders", cut).mistake
    assert campaigns("dead-letters").lines == ["No open dead letters."]


@pytest.mark.usefixtures("shop")
def test_features_are_made_of_orders_and_segments_of_features(campaigns: Campaigns) -> None:
    assert "`campaigns features refresh` makes them" in campaigns("segments", "preview", "all-customers").mistake
    campaigns("import-orders", ORDERS / "good.csv")
    told = campaigns("features", "refresh")
    assert told.out.startswith("1 customers out of 1 orders, as of ")
    assert campaigns("features", "refresh", "--json").json.keys() == {"customers", "orders", "as_of"}
    found = campaigns("segments", "preview", "all-customers", "--json").json
    assert (found["members"], found["customers"], found["share"]) == (1, 1, 1.0)
    assert found.keys() == {"segment", "members", "customers", "share", "as_of"}
    assert campaigns("segments", "preview", "vip").out.startswith("0 of 1 customers (0.0%) are in vip, as of ")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
def test_without_orders_there_are_features_of_nobody(campaigns: Campaigns) -> None:
    assert campaigns("features", "refresh").out.startswith("0 customers out of 0 orders")
    assert campaigns("segments", "preview", "vip").out.startswith("0 of 0 customers (0.0%)")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
def test_migrating_twice_changes_nothing(campaigns: Campaigns) -> None:
    told = campaigns("migrate", "--json").json
    assert told["before"] == told["after"]
    assert campaigns("migrate").out.endswith(f"is at {told['after']} already.\n")
