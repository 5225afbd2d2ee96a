"""Suppressions by hand."""

import csv
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, esp_listings, frequencies, suppressions, tables, topics
from data.esp_listings import Seen
from domain import addresses
from domain.preferences import Frequency, Topic
from domain.suppression import Reason
from tests.cli.conftest import Campaigns
from tests.conftest import NOW, PEPPER
from tests.data import ledger_rows

ADDRESS = "Jane.Doe@Example.com"
ASKED = ("--yes-they-asked",)
BECAUSE = ("--reason", "she called", "--by", "Ann")


def test_an_address_is_suppressed_listed_exported_and_lifted(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert campaigns("suppressions", "list").lines == ["No suppressions."]
    added = campaigns("suppressions", "add", ADDRESS, "--reason", "complaint", "--note", "wrote a letter", "--json")
    assert added.json == {"account": "shop", "reason": "complaint", "scope": "all", "added": True}
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
    lifted = campaigns(
        "suppressions", "remove", "jane.doe@example.com", "--reason", "mistake", "--by", "Ann", *ASKED, "--json"
    )
    assert lifted.json == {
        "account": "shop",
        "lifted": ["complaint"],
        "left": [],
        "taken_off": [],
        "still_refused": [],
    }
    assert campaigns("suppressions", "list", "--json").json == []
    with database.read(shop) as connection:
        added, log = connection.execute(sa.select(tables.audit_log).order_by(tables.audit_log.c.id)).all()
    assert (added.action, added.detail["why"]) == ("suppression added", "wrote a letter")
    assert (log.actor, log.detail) == ("Ann", {"why": "mistake", "reasons": ["complaint"], "asked_for": True})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
class TestOnOneDatabase:
    def test_twice_is_said(self, campaigns: Campaigns) -> None:
        assert campaigns("suppressions", "add", ADDRESS).out == (
            "Suppressed (manual): no marketing mail. It holds from the next batch on, also in a running campaign.\n"
        )
        again = campaigns("suppressions", "add", ADDRESS).out
        assert again == "Suppressed (manual): no marketing mail. It was suppressed already.\n"

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

    def test_a_complaint_is_lifted_only_if_she_asked(self, campaigns: Campaigns) -> None:
        campaigns("suppressions", "add", ADDRESS, "--reason", "complaint")
        assert "--yes-they-asked" in campaigns("suppressions", "remove", ADDRESS, *BECAUSE).mistake
        assert campaigns("suppressions", "remove", ADDRESS, *BECAUSE, *ASKED).lines == [
            "Lifted 1 suppression (complaint).",
            "The address may be mailed again.",
        ]

    def test_who_was_erased_stays_so(self, campaigns: Campaigns, shop: sa.Engine) -> None:
        with database.write(shop) as connection:
            suppressions.add(
                connection,
                account_id="shop",
                address_hash=addresses.address_hash(ADDRESS, PEPPER),
                reason=Reason.ERASED,
                source="erasure",
                evidence="she asked for it",
                now=NOW,
            )
        assert "cannot be lifted" in campaigns("suppressions", "remove", ADDRESS, *BECAUSE, *ASKED).mistake

    def test_one_reason_alone(self, campaigns: Campaigns) -> None:
        for reason in ("unsubscribe", "hard_bounce"):
            campaigns("suppressions", "add", ADDRESS, "--reason", reason)
        assert campaigns("suppressions", "remove", ADDRESS, *BECAUSE, "--only", "unsubscribe").lines == [
            "Lifted 1 suppression (unsubscribe).",
            "Others stand: hard_bounce.",
        ]

    def test_scope_and_days(self, campaigns: Campaigns) -> None:
        campaigns("suppressions", "add", ADDRESS, "--scope", "account", "--days", "3")
        (one,) = campaigns("suppressions", "list", "--json").json
        assert one["scope"] == "account"
        assert one["expires_at"] is not None

    def test_all_that_was_ever_said_is_shown_and_that_it_was_read_is_kept(
        self, campaigns: Campaigns, shop: sa.Engine
    ) -> None:
        nothing = campaigns("suppressions", "show", ADDRESS, "--by", "Ann")
        assert nothing.lines == [
            "Nothing was ever said against mail to this address.",
            "",
            "No topic was ever refused.",
            "Mail as often as usual: no wish for less.",
        ]
        campaigns("suppressions", "add", ADDRESS, "--note", "by letter")
        campaigns("suppressions", "remove", ADDRESS, *BECAUSE)
        campaigns("suppressions", "add", ADDRESS, "--reason", "hard_bounce")
        listed(shop, "blocks", None, "550 5.7.1 blocked")
        shown = campaigns("suppressions", "show", ADDRESS, "--by", "Ann", "--json").json
        assert [(row["reason"], row["state"][:6], row["evidence"]) for row in shown["suppressions"]] == [
            ("manual", "lifted", "by letter"),
            ("hard_bounce", "stands", "added by hand"),
        ]
        assert [(one["listing"], one["words"]) for one in shown["lists"]] == [("blocks", "550 5.7.1 blocked")]
        text = campaigns("suppressions", "show", ADDRESS, "--by", "Ann").out
        assert "evidence only" in text
        assert ADDRESS.lower() not in text.lower()
        with database.read(shop) as connection:
            actions = [row.action for row in connection.execute(sa.select(tables.audit_log))]
        assert actions.count("suppressions read") == 3
        assert "must say something" in campaigns("suppressions", "show", ADDRESS, "--by", " ").mistake

    def test_topics_left_and_frequency_are_told_in_plain_words(self, campaigns: Campaigns, shop: sa.Engine) -> None:
        hashed = addresses.address_hash(ADDRESS, PEPPER)
        source = {"source": "preferences", "evidence": "message r1.3"}
        with database.write(shop) as connection:
            topics.add(connection, "shop", Topic("offers", {"en": "Offers"}), now=NOW)
            topics.refuse(connection, "shop", hashed, ["offers", "tips"], **source, now=NOW)
            topics.accept(connection, "shop", hashed, ["tips"], now=NOW + timedelta(days=1))
            frequencies.choose(connection, "shop", hashed, Frequency.MONTHLY, **source, now=NOW)
        refused = "2026-11-22 09:00 UTC (preferences, message r1.3)"
        told = campaigns("suppressions", "show", ADDRESS, "--by", "Ann")
        assert told.lines[2:] == [
            "Wants no mail about offers (Offers), since 2026-11-22 09:00 UTC (preferences, message r1.3).",
            f"Wants mail about tips (offered no more) again since 2026-11-23 09:00 UTC; refused it on {refused}.",
            "Wants at most one marketing mail in 30 days, since 2026-11-22 09:00 UTC (preferences, message r1.3).",
        ]
        assert "@" not in told.out
        facts = campaigns("suppressions", "show", ADDRESS, "--by", "Ann", "--json").json
        assert [(one["topic"], one["lifted_at"] is None) for one in facts["topics"]] == [
            ("offers", True),
            ("tips", False),
        ]
        assert facts["frequency"]["frequency"] == "monthly"

    def test_a_person_may_be_named_by_her_number(self, campaigns: Campaigns, shop: sa.Engine) -> None:
        with database.write(shop) as connection:
            ledger_rows.add_parties(connection, "shop", 2)
            number = connection.scalar(sa.select(tables.parties.c.external_id).order_by(tables.parties.c.id))
        campaigns("suppressions", "add", ledger_rows.address(0), "--note", "by phone")
        told = campaigns("suppressions", "show", number, "--by", "Ann")
        assert "by phone" in told.out
        assert "@" not in told.out
        assert "has no customer 'nobody'" in campaigns("suppressions", "show", "nobody", "--by", "Ann").mistake

    def test_who_added_it_and_why_is_on_record(self, campaigns: Campaigns, shop: sa.Engine) -> None:
        campaigns("suppressions", "add", ADDRESS, "--by", "Ann", "--note", f"{ADDRESS} wrote a letter", "--days", "3")
        campaigns("suppressions", "add", ADDRESS)
        with database.read(shop) as connection:
            first, second = connection.execute(sa.select(tables.audit_log).order_by(tables.audit_log.c.id)).all()
        assert (first.actor, first.action) == ("Ann", "suppression added")
        assert first.subject == f"address {addresses.address_hash(ADDRESS, PEPPER)}"
        until = first.detail.pop("until")
        assert until.startswith("20")
        assert first.detail == {
            "why": "[address] wrote a letter",
            "reason": "manual",
            "scope": "marketing",
            "new": True,
        }
        assert second.actor.endswith("(command line)")
        assert (second.detail["new"], second.detail["why"]) == (True, "added by hand"), "it stands longer: for good"
        for empty in (["--by", " "], ["--note", ""]):
            assert "must say something" in campaigns("suppressions", "add", ADDRESS, *empty).mistake

    @pytest.mark.parametrize("reason", ["hard_bounce", "invalid", "complaint"])
    def test_a_scope_that_is_too_narrow_for_its_reason_is_refused(self, campaigns: Campaigns, reason: str) -> None:
        Path("in.csv").write_text(f"address\n{ADDRESS}\n")
        for command in (["add", ADDRESS], ["import", "in.csv"]):
            told = campaigns("suppressions", *command, "--reason", reason, "--scope", "marketing").mistake
            assert f"the scope marketing is too narrow for {reason}: transactional mail would go on" in told
            assert "Leave --scope out" in told
        assert campaigns("suppressions", "list", "--json").json == []
        kept = campaigns("suppressions", "add", ADDRESS, "--reason", reason, "--scope", "account").out
        assert f"It stays with this account: by itself {reason} reaches all" in kept

    def test_a_scope_that_is_wider_than_its_reason_is_taken(self, campaigns: Campaigns) -> None:
        told = campaigns("suppressions", "add", ADDRESS, "--reason", "unsubscribe", "--scope", "all").out
        assert told.endswith("in a running campaign.\n")

    def test_a_lift_says_that_the_esp_still_refuses(self, campaigns: Campaigns, shop: sa.Engine) -> None:
        campaigns("suppressions", "add", ADDRESS)
        listed(shop, "bounces", "hard_bounce", "550 5.1.1")
        listed(shop, "blocks", None, "550 5.7.1")
        lines = campaigns("suppressions", "remove", ADDRESS, *BECAUSE).lines
        assert lines[1].startswith("The ESP still refuses the address: sendgrid: bounces. --at-esp takes it off")

    def test_a_file_comes_in_and_its_bad_rows_are_listed(self, campaigns: Campaigns, tmp_path: Path) -> None:
        rows = [f"p{n}@example.com,2026-01-01" for n in range(3)] + ["nonsense,", "q@example.com,someday"]
        Path("in.csv").write_text("\ufeffaddress,created_at,name\n" + "\n".join(rows) + "\n")
        dry = campaigns("suppressions", "import", "in.csv", "--reason", "unsubscribe", "--dry-run")
        assert dry.lines[0] == "5 rows: 3 would be kept, 0 known already, 2 not readable."
        assert campaigns("suppressions", "list", "--json").json == []
        done = campaigns("suppressions", "import", "in.csv", "--reason", "unsubscribe", "--rejected", "bad.csv")
        assert done.lines == [
            "5 rows: 3 kept, 0 known already, 2 not readable.",
            "Columns that mean nothing here: name.",
            "line 5: an address needs a name, one @ and a domain",
            "line 6: created_at is no time such as 2026-01-31 or 2026-01-31T08:30:00+00:00",
            "All of them are in bad.csv, by line; correct them and import the file again.",
        ]
        with Path("bad.csv").open() as file:
            assert [row["line"] for row in csv.DictReader(file)] == ["5", "6"]
        again = campaigns("suppressions", "import", "in.csv", "--reason", "unsubscribe", "--json").json
        assert again == {
            "rows": 5,
            "kept": 0,
            "known": 3,
            "bad": 2,
            "ignored_columns": ["name"],
            "account": "shop",
            "dry_run": False,
            "rejected": "in.csv.rejected.csv",
        }

    def test_what_is_exported_can_be_imported(self, campaigns: Campaigns) -> None:
        campaigns("suppressions", "add", ADDRESS, "--scope", "account")
        campaigns("suppressions", "export", "out.csv")
        assert campaigns("suppressions", "import", "out.csv").lines == [
            "1 rows: 0 kept, 1 known already, 0 not readable."
        ]
        assert not Path("out.csv.rejected.csv").exists()

    def test_files_that_cannot_be_read(self, campaigns: Campaigns, tmp_path: Path) -> None:
        assert "nowhere.csv cannot be opened" in campaigns("suppressions", "import", "nowhere.csv").mistake
        assert "cannot be opened: Is a directory" in campaigns("suppressions", "import", tmp_path).mistake
        Path("empty.csv").touch()
        assert "first line" in campaigns("suppressions", "import", "empty.csv").mistake


def listed(engine: sa.Engine, listing: str, reason: str | None, words: str) -> None:
    """As if the address were on that list of SendGrid's."""
    hashed = addresses.address_hash(ADDRESS, PEPPER)
    with database.write(engine) as connection:
        seen = Seen(listing, hashed, NOW, Reason(reason) if reason else None, words)
        esp_listings.note(connection, "sendgrid", [seen], now=NOW)
