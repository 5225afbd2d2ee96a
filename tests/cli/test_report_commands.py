"""What is told of runs: status, audit, report."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, host_steps, pools, tables
from domain.campaigns import RunStatus
from domain.hosting import StepState
from domain.ledger import BatchState
from domain.routes import Route
from domain.suppression import Stream
from tests.cli.conftest import Campaigns
from tests.cli.fakes import FakeServer
from tests.data import ledger_rows
from tests.data.ledger_rows import BatchRow

FACTS = [
    *("run", "account", "campaign", "status", "stop_reason", "live", "segment", "template", "provider"),
    *("refinement", "limit", "holdout_percent", "seed", "feature_watermark", "definition_hash", "members_hash"),
    *("template_hash", "code_version", "gate", "members"),
    *("planned", "skipped", "created_at", "frozen_at", "dispatch_started_at", "dispatched_at", "settled_at"),
    "flow_run",
]


@pytest.fixture
def run_id(shop: sa.Engine) -> str:
    """Six planned: four accepted, one of them suppressed at the claim, two held; two left out."""
    with database.write(shop) as connection:
        people = ledger_rows.add_parties(connection, "shop", 8)
        batches = [BatchRow(0, 3, attempt="a1", exceptions={1: "suppressed"}), BatchRow(4, 5, BatchState.HELD)]
        left_out = {"no_consent": people[6:7], "frequency_cap": people[7:]}
        run_id = ledger_rows.add_run(connection, "shop", people[:6], batches, skipped=left_out)
        connection.execute(tables.batch_attempts.update().values(outcome="accepted"))
        values = {"run_id": run_id, "severity": 0}
        connection.execute(tables.message_delivery.insert(), [{**values, "ordinal": n, "seen": 4} for n in (0, 2)])
    return run_id


def test_the_list_of_runs(run_id: str, campaigns: Campaigns) -> None:
    head, line = campaigns("status").lines
    assert head == "RUN   STARTED           STATE       PLANNED  ACCEPTED  DELIVERED  CAMPAIGN"
    assert line == "run1  2026-11-22 08:55  dispatched        6         3          2  campaign of run1"
    (one,) = campaigns("status", "--json").json
    assert list(one) == [*FACTS, "accepted", "delivered"]
    assert (one["run"], one["accepted"], one["delivered"]) == (run_id, 3, 2)
    assert one["created_at"] == "2026-11-22T08:55:00+00:00"


def test_one_run(run_id: str, campaigns: Campaigns) -> None:
    lines = campaigns("status", run_id).lines
    assert lines[0] == "run1  campaign of run1: dispatched"
    assert "  people              6 planned of 8 in the segment" in lines
    assert "  held                2 messages" in lines
    found = campaigns("status", run_id, "--json").json
    assert list(found) == [*FACTS, "messages", "messages_by_batch_state", "scheduled"]
    assert found["scheduled"] is None
    assert found["messages"] == {
        "accepted": 3,
        "rejected": 0,
        "suppressed": 1,
        "expired": 0,
        "cancelled": 0,
        "held": 2,
        "open": 0,
    }
    assert found["messages_by_batch_state"] == {"accepted": 4, "held": 2}


def test_a_campaign_that_its_host_keeps_until_its_time(shop: sa.Engine, campaigns: Campaigns) -> None:
    at = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)
    with database.write(shop) as connection:
        people = ledger_rows.add_parties(connection, "shop", 2)
        batches = [BatchRow(0, 1, BatchState.INFLIGHT, attempt="a1")]
        run_id = ledger_rows.add_run(connection, "shop", people, batches, status=RunStatus.DISPATCHING)
        connection.execute(tables.campaign_runs.update().values(provider="mailchimp"))
        host_steps.note_schedule(connection, run_id, StepState.DONE, finished_at=at)
        way = Route("m", "shop", Stream.MARKETING, "mailchimp", "mailchimp-marketing", "shop.example.com")
        pools.ensure(connection, [way], now=at)
        route = {"route": "m", "provider": "mailchimp", "pool": "mailchimp-marketing", "stream": "marketing"}
        row = {"attempt_id": "a1", "account_id": "shop", "mailbox_group": "mixed", "decision": {}, "send_at": at}
        connection.execute(tables.attempt_routes.insert().values(row | route))
    told = f"scheduled at mailchimp for 2026-11-23 02:30 UTC: `campaigns pause {run_id}` calls it back"
    assert campaigns("status", run_id).lines[1] == told
    assert campaigns("status", run_id, "--json").json["scheduled"] == told
    with database.write(shop) as connection:
        connection.execute(tables.campaign_runs.update().values(status=RunStatus.PAUSED))
        connection.execute(tables.batches.update().values(state=BatchState.PLANNED, not_before=at))
    text = campaigns("status", run_id).out
    assert "scheduled at" not in text
    assert "next attempt" not in text, "nothing is tried while it is paused"


def test_a_ledger_that_balances(run_id: str, campaigns: Campaigns) -> None:
    told = campaigns("audit", run_id)
    assert told.status == 0
    assert told.lines == [
        "The ledger of run1 balances.",
        "                                    PEOPLE",
        "in the segment                           8",
        "  never agreed to marketing mail         1",
        "  got enough marketing mail lately       1",
        "planned                                  6",
        "  accepted                               3",
        "  suppressed                             1",
        "  held                                   2",
        "The ESP keeps no record of its own that could be compared.",
    ]
    found = campaigns("audit", run_id, "--json").json
    names = ["run", "balanced", "members", "planned", "skipped", "states", "duplicates", "missing", "complaints"]
    assert list(found) == names
    assert (found["balanced"], found["duplicates"], found["complaints"]) == (True, None, [])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
class TestOnOneDatabase:
    def test_a_ledger_that_does_not_balance_is_status_1(
        self, shop: sa.Engine, run_id: str, campaigns: Campaigns
    ) -> None:
        with database.write(shop) as connection:
            connection.execute(tables.campaign_runs.update().values(members=9))
        told = campaigns("audit", run_id)
        assert told.status == 1
        assert told.lines[0] == "The ledger of run1 DOES NOT BALANCE."
        assert told.lines[1] == "- the segment had 9 members, but 6 planned and 2 skipped"
        told = campaigns("audit", run_id, "--json")
        assert (told.status, told.json["balanced"]) == (1, False)

    def test_the_sandboxs_own_record_is_compared(
        self, shop: sa.Engine, run_id: str, campaigns: Campaigns, fake: FakeServer
    ) -> None:
        with database.write(shop) as connection:
            connection.execute(tables.campaign_runs.update().values(provider="sandbox"))
            connection.execute(tables.batch_attempts.update().values(provider="sandbox"))
        assert "the sandbox ESP did not say what it accepted" in campaigns("audit", run_id).mistake
        record = {f"{run_id}.{ordinal}": 1 for ordinal in (0, 2, 3)}
        fake.answer("GET", "/sandbox/accepted", record)
        told = campaigns("audit", run_id)
        assert told.status == 0
        assert "sent twice, by the ESP's own record       0" in told.lines
        fake.answer("GET", "/sandbox/accepted", record | {f"{run_id}.0": 2})
        told = campaigns("audit", run_id)
        assert told.status == 1
        assert told.lines[1] == "- the ESP accepted 1 messages more than once"

    def test_the_report(self, run_id: str, campaigns: Campaigns) -> None:
        lines = campaigns("report", run_id).lines
        assert lines[0] == "campaign of run1: dispatched"
        assert lines[1].split() == ["PEOPLE", "RATE"]
        assert lines[3].startswith("  never agreed to marketing mail  ")
        assert any(line.split() == ["delivered", "2", "66.7", "%"] for line in lines)
        assert any(line.split() == ["gmail", "2", "50.0", "%", "0.0", "%", "0.0", "%"] for line in lines)
        assert lines[-1].endswith(f"/campaigns/{run_id}")
        found = campaigns("report", run_id, "--json").json
        more = ["waterfall", "figures", "by_mailbox_provider", "seconds_to_accept", "page"]
        assert list(found) == [*FACTS, *more]
        assert found["waterfall"][0] == {"code": "members", "label": "in the segment", "count": 8}
        assert found["figures"]["deliverability"] == pytest.approx(2 / 3)
        assert found["by_mailbox_provider"].keys() == {"gmail", "other"}

    def test_a_relay_that_does_not_tell_of_deliveries(self, shop: sa.Engine, run_id: str, campaigns: Campaigns) -> None:
        with database.write(shop) as connection:
            connection.execute(tables.campaign_runs.update().values(provider="smtp"))
            connection.execute(tables.message_delivery.delete())
        lines = campaigns("report", run_id).lines
        assert any(line.split() == ["delivered:", "this", "relay", "does", "not", "tell", "–", "–"] for line in lines)
        assert [line.split()[1:3] for line in lines if line.startswith(("gmail", "other"))] == [
            ["2", "–"],
            ["1", "–"],
        ], lines
        assert campaigns("status").lines[1].split()[6] == "–"

    def test_the_page_in_one_file(self, run_id: str, campaigns: Campaigns) -> None:
        assert campaigns("report", run_id, "--html", "page.html").status == 0
        assert "campaign of run1" in Path("page.html").read_text()
        assert "cannot be written" in campaigns("report", run_id, "--html", "no/page.html").mistake

    @pytest.mark.usefixtures("shop")
    @pytest.mark.parametrize("command", ["status", "audit", "report"])
    def test_an_unknown_run(self, campaigns: Campaigns, command: str) -> None:
        told = campaigns(command, "bogus")
        assert told.mistake == "there is no run 'bogus': `campaigns status` lists the runs that there are"

    def test_a_dry_run_and_a_stopped_one(self, shop: sa.Engine, campaigns: Campaigns) -> None:
        with database.write(shop) as connection:
            people = ledger_rows.add_parties(connection, "shop", 3)
            ledger_rows.add_run(connection, "shop", people, [], run_id="dry", live=False, status=RunStatus.PREVIEWED)
            ledger_rows.add_run(
                connection,
                "shop",
                [],
                [],
                run_id="bad",
                status=RunStatus.STOPPED,
                stop_reason="stopped by the validation gate: no order for 20 days",
                **dict.fromkeys(("members", "planned", "skipped", "frozen_at", "dispatch_started_at", "dispatched_at")),
            )
        text = campaigns("status").out
        assert "previewed (dry)        3         –          –" in text
        assert "stopped                –         0          0" in text
        assert campaigns("audit", "dry").status == 0
        assert [line.split() for line in campaigns("report", "dry").lines[2:4]] == [
            ["in", "the", "segment", "3"],
            ["planned", "3"],
        ]
        assert "no order for 20 days" in campaigns("status", "bad").lines[1]
        assert "no order for 20 days" in campaigns("report", "bad").lines[0]
        for command in ("status", "report", "audit"):
            for run_id in ("dry", "bad"):
                assert campaigns(command, run_id, "--json").json["run"] == run_id

    @pytest.mark.usefixtures("run_id")
    def test_limits_have_limits(self, campaigns: Campaigns) -> None:
        for limit in (0, 1001):
            assert "Invalid value for '--limit'" in campaigns("status", "--limit", limit).mistake
        assert len(campaigns("status", "--limit", 1, "--json").json) == 1
