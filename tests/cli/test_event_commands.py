"""Commands about delivery events."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, events, inbox, inbox_retention, tables
from providers.sendgrid.webhook import SendGridEvents
from tests.cli.conftest import Campaigns
from tests.conftest import NOW, PEPPER
from tests.data import ledger_rows

STAMP = int(NOW.timestamp())


class Broken(SendGridEvents):
    def parse(self, body: bytes):
        raise KeyError("secret@example.com")


def process(engine: sa.Engine, reader: SendGridEvents | None = None) -> events.ProcessReport:
    readers = {"sendgrid": reader or SendGridEvents(())}
    return events.process(engine, readers=readers, pepper=PEPPER, clock=lambda: NOW, limit=100)


def keep(engine: sa.Engine, *elements: dict) -> None:
    with database.write(engine) as connection:
        inbox.store(connection, provider="sendgrid", body=json.dumps(elements).encode(), now=NOW)


@pytest.fixture
def events_of(shop: sa.Engine) -> sa.Engine:
    """One body that was read, and one that its reader could not read three times."""
    with database.write(shop) as connection:
        ids = ledger_rows.add_parties(connection, "shop", 2)
        ledger_rows.add_run(connection, "shop", ids, [ledger_rows.BatchRow(0, 1)])
    keep(shop, {"event": "delivered", "timestamp": STAMP, "message_id": "run1.0"})
    process(shop)
    complaint = {"event": "spamreport", "timestamp": STAMP, "message_id": "run1.1", "email": ledger_rows.address(1)}
    keep(shop, complaint, {"event": "open", "timestamp": STAMP, "message_id": "gone.1", "email": "x@example.com"})
    for _ in range(3):
        process(shop, Broken(()))
    return shop


def letters(engine: sa.Engine) -> list[str]:
    with database.read(engine) as connection:
        return list(connection.scalars(sa.select(tables.dead_letters.c.state)))


def test_what_waits_and_what_is_dead_is_shown_without_addresses(events_of: sa.Engine, campaigns: Campaigns) -> None:
    told = campaigns("events", "show")
    assert "KeyError" in told.out
    assert "@" not in told.out
    found = campaigns("events", "show", "--json").json
    assert {(one["state"], one["bodies"]) for one in found["bodies"]} == {("done", 1), ("dead", 1)}
    assert [one["provider"] for one in found["dead"]] == ["sendgrid"]


def test_what_was_refused_of_a_body_is_shown_with_the_command_that_reads_it_again(
    events_of: sa.Engine, campaigns: Campaigns
) -> None:
    keep(events_of, {"event": "open", "timestamp": "x@example.com"}, {"event": "open", "timestamp": STAMP})
    process(events_of)
    told = campaigns("events", "show").out
    assert told.startswith("Bodies (webhooks and returned mail)")
    assert "campaigns events replay --inbox 2 --inbox 3" in told
    assert "@" not in told
    found = campaigns("events", "show", "--json").json
    assert [(one["id"], one["provider"], one["element"]) for one in found["refused"]] == [(3, "sendgrid", 0)]
    assert [one["id"] for one in found["dead"]] == [2], "its letter is not shown a second time"


@pytest.mark.parametrize("given", ["foo", "2026-13-01", "20.11.2026"])
def test_a_time_that_is_none_is_answered_with_one(shop: sa.Engine, campaigns: Campaigns, given: str) -> None:
    told = campaigns("events", "replay", "--since", given).mistake
    assert "such as 2026-11-20 or 2026-11-20T08:30" in told


def test_dead_bodies_are_read_again_once_their_reader_is_mended(events_of: sa.Engine, campaigns: Campaigns) -> None:
    assert "1 body would be read again" in campaigns("events", "replay", "--dead", "--dry-run").out
    assert process(events_of).bodies == 0
    assert letters(events_of) == ["open"]
    assert "1 body will be read again" in campaigns("events", "replay", "--dead").out
    report = process(events_of)
    assert (report.bodies, report.events, report.suppressions) == (1, 2, 1)
    assert letters(events_of) == ["fixed"]
    assert "No such bodies" in campaigns("events", "replay", "--dead").out
    (waiting,) = campaigns("events", "show", "--json").json["events"]
    assert waiting == {"provider": "sendgrid", "waiting": 1, "placed": 0, "strays": 0}


def test_reading_all_again_changes_nothing(events_of: sa.Engine, campaigns: Campaigns) -> None:
    campaigns("events", "replay", "--dead")
    process(events_of)
    found = campaigns("events", "replay", "--since", "2026-11-22", "--json").json
    assert found["bodies"] == [{"provider": "sendgrid", "state": "done", "bodies": 2}]
    report = process(events_of)
    assert (report.bodies, report.events, report.duplicates, report.suppressions) == (2, 0, 3, 0)
    assert "No such bodies" in campaigns("events", "replay", "--since", "2026-11-23").out


def test_what_was_kept_long_enough_cannot_be_read_again_and_that_is_said(
    events_of: sa.Engine, campaigns: Campaigns
) -> None:
    inbox_retention.purge(events_of, before=NOW + timedelta(days=31))
    told = campaigns("events", "replay", "--inbox", 1).out
    assert "1 more cannot be read again" in told
    assert "OMS_GATEWAY_KEEP_DAYS" in told
    assert campaigns("events", "replay", "--inbox", 1, "--json").json == {
        "dry_run": False,
        "bodies": [],
        "emptied": 1,
    }
    assert "emptied" in campaigns("events", "show").out
    assert "cannot be read again" not in campaigns("events", "replay", "--dead").out


def test_who_had_what_read_again_is_on_record(events_of: sa.Engine, campaigns: Campaigns) -> None:
    campaigns("events", "replay", "--inbox", 2, "--inbox", 99)
    with database.read(events_of) as connection:
        row = connection.execute(sa.select(tables.audit_log).where(tables.audit_log.c.action == "replay")).one()
    assert "command line" in row.actor
    assert row.detail["inbox"] == [2, 99]
    assert row.detail["bodies"] == [{"provider": "sendgrid", "state": "dead", "bodies": 1}]


def test_one_must_say_which(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert "say which bodies" in campaigns("events", "replay").mistake
    assert campaigns("events", "show").out.strip() == "No webhook and no returned mail came yet."
