"""Suppressions by hand."""

import csv
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, tables
from tests.cli.conftest import Campaigns

ADDRESS = "Jane.Doe@Example.com"


def test_an_address_is_suppressed_listed_exported_and_lifted(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert campaigns("suppressions", "list").lines == ["No suppressions."]
    added = campaigns("suppressions", "add", ADDRESS, "--reason", "complaint", "--note", "wrote a letter", "--json")
    assert added.json == {"account": "shop", "reason": "complaint", "added": True}
    (one,) = campaigns("suppressions", "list", "--json").json
    names = ["address_hash", "reason", "scope", "source", "created_at", "expires_at", "evidence"]
    assert list(one) == names
    assert (one["reason"], one["scope"], one["source"], one["evidence"]) == (
        "complaint",
        "all",
        "cli",
        "wrote a letter",
    )
    head, line = campaigns("suppressions", "list").lines
    assert head.startswith("ADDRESS HASH      REASON")
    assert line.startswith(f"{one['address_hash'][:16]}  complaint  all    cli")
    assert campaigns("suppressions", "export", "out.csv", "--json").json == {"file": "out.csv", "rows": 1}
    with Path("out.csv").open() as file:
        assert next(csv.DictReader(file))["address_hash"] == one["address_hash"]
    lifted = campaigns("suppressions", "remove", "jane.doe@example.com", "--reason", "mistake", "--by", "Ann", "--json")
    assert lifted.json == {"account": "shop", "lifted": 1}
    assert campaigns("suppressions", "list", "--json").json == []
    with database.read(shop) as connection:
        (log,) = connection.execute(sa.select(tables.audit_log)).all()
    assert (log.actor, log.detail) == ("Ann", {"why": "mistake", "reasons": ["complaint"]})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
class TestOnOneDatabase:
    def test_twice_is_said(self, campaigns: Campaigns) -> None:
        assert campaigns("suppressions", "add", ADDRESS).out == (
            "Suppressed (manual). It holds from the next batch on, also in a running campaign.\n"
        )
        assert campaigns("suppressions", "add", ADDRESS).out == "Suppressed (manual). It was suppressed already.\n"

    def test_nothing_to_lift(self, campaigns: Campaigns) -> None:
        told = campaigns("suppressions", "remove", ADDRESS, "--reason", "x", "--by", "Ann")
        assert told.mistake == "that address is not suppressed; nothing was changed"

    def test_a_lift_needs_a_reason_and_a_name(self, campaigns: Campaigns) -> None:
        campaigns("suppressions", "add", ADDRESS)
        for options in (["--reason", " ", "--by", "Ann"], ["--reason", "x", "--by", ""]):
            assert "must say something" in campaigns("suppressions", "remove", ADDRESS, *options).mistake
        assert "Missing option '--reason'" in campaigns("suppressions", "remove", ADDRESS).mistake
        assert len(campaigns("suppressions", "list", "--json").json) == 1

    @pytest.mark.parametrize("address", ["nonsense", "a b@example.com", "a@b", ""])
    def test_what_is_no_address_is_not_repeated(self, campaigns: Campaigns, address: str) -> None:
        for command in (["add"], ["remove", "--reason", "x", "--by", "x"]):
            mistake = campaigns("suppressions", *command, address).mistake
            assert mistake.startswith("that is no e-mail address: ")
            assert not address or address not in mistake

    def test_unknown_reasons_and_limits(self, campaigns: Campaigns) -> None:
        mistake = campaigns("suppressions", "add", ADDRESS, "--reason", "bogus").mistake
        assert "'bogus' is not one of 'hard_bounce'" in mistake
        assert "Invalid value for '--limit'" in campaigns("suppressions", "list", "--limit", "0").mistake

    def test_a_file_that_cannot_be_written(self, campaigns: Campaigns, tmp_path: Path) -> None:
        assert "nowhere/out.csv cannot be written" in campaigns("suppressions", "export", "nowhere/out.csv").mistake
        assert "cannot be written: Is a directory" in campaigns("suppressions", "export", tmp_path).mistake
