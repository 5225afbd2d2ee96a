"""Why did she (not) get it?"""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from cli.explain_command import _BATCH, _EXCEPTION
from data import database, tables
from domain.campaigns import RunStatus
from domain.delivery import Seen, Severity
from domain.ledger import BatchState, MessageState
from tests.cli.conftest import Campaigns
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, BatchRow

KEYS = [
    *("run", "customer", "sentence", "in_segment", "skip_reason", "message", "batch_state"),
    *("exception", "exception_reason", "events", "failed_conditions"),
]


def _add_run(engine: sa.Engine, batch: BatchState = BatchState.ACCEPTED, **facts: Any) -> None:
    """Customers c0 and c1 are planned, c2 is held out, c3 is not in the segment; c1 was suppressed at the claim."""
    with database.write(engine) as connection:
        people = ledger_rows.add_parties(connection, "shop", 4)
        finished = None if batch in {BatchState.PLANNED, BatchState.INFLIGHT} else NOW
        rows = [BatchRow(0, 1, batch, finished_at=finished, exceptions={1: "suppressed"})]
        ledger_rows.add_run(connection, "shop", people[:2], rows, skipped={"holdout": people[2:3]}, **facts)


def _hear(engine: sa.Engine, **facts: Any) -> None:
    with database.write(engine) as connection:
        values = {"run_id": "run1", "ordinal": 0, "severity": 0, **facts}
        connection.execute(tables.message_delivery.insert().values(**values))


def test_everything_that_was_heard_in_the_order_of_time(shop: sa.Engine, campaigns: Campaigns) -> None:
    _add_run(shop)
    seen = Seen.DEFERRED | Seen.DELIVERED | Seen.OPENED | Seen.OPENED_HUMAN | Seen.CLICKED | Seen.COMPLAINED
    minute = timedelta(minutes=1)
    _hear(
        shop,
        seen=int(seen),
        delivered_at=NOW + minute,
        opened_at=NOW + minute,
        human_opened_at=NOW + 3 * minute,
        clicked_at=NOW + 4 * minute,
        complained_at=NOW + 5 * minute,
    )
    assert campaigns("explain", "run1", "c0").lines == [
        "Customer c0 in run1 (campaign of run1): the mail was accepted by the ESP, 2026-11-22 09:00 UTC.",
        "                        put off by the mailbox provider, at least once",
        "  2026-11-22 09:01 UTC  delivered",
        "  2026-11-22 09:03 UTC  opened by a person",
        "  2026-11-22 09:04 UTC  clicked",
        "  2026-11-22 09:05 UTC  reported as spam",
    ]
    found = campaigns("explain", "run1", "c0", "--json").json
    assert list(found) == KEYS
    assert (found["message"], found["batch_state"], found["skip_reason"]) == ("run1.0", "accepted", None)
    assert found["events"][1] == {"at": "2026-11-22T09:01:00+00:00", "kind": "delivered", "what": "delivered"}
    assert found["events"][0]["at"] is None


def test_those_who_got_nothing(shop: sa.Engine, campaigns: Campaigns) -> None:
    _add_run(shop)
    says = {
        "c1": "the mail was not sent: the address was suppressed after the audience was frozen (unsubscribe)",
        "c2": "was left out: is held out, so that the effect can be measured",
        "c3": "was not in the segment 'everybody' when the audience was frozen, 2026-11-22 09:00 UTC",
    }
    for customer, sentence in says.items():
        first, *more = campaigns("explain", "run1", customer).lines
        assert first == f"Customer {customer} in run1 (campaign of run1): {sentence}."
        assert more == (
            ["  How it is now: campaigns segments explain everybody --customer c3"] if customer == "c3" else []
        )
        found = campaigns("explain", "run1", customer, "--json").json
        assert list(found) == KEYS
        assert found["sentence"] == sentence
    assert found["in_segment"] is False


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
class TestOnOneDatabase:
    @pytest.mark.parametrize("state", sorted(set(BatchState) - {BatchState.SPLIT}))
    def test_every_state_of_a_batch_has_its_words(
        self, shop: sa.Engine, campaigns: Campaigns, state: BatchState
    ) -> None:
        _add_run(shop, state, status=RunStatus.DISPATCHING)
        assert f"the mail {_BATCH[state]}" in campaigns("explain", "run1", "c0").out
        assert _EXCEPTION.keys() == set(MessageState)

    def test_accepted_and_nothing_heard(self, shop: sa.Engine, campaigns: Campaigns) -> None:
        _add_run(shop)
        assert campaigns("explain", "run1", "c0").out.endswith("09:00 UTC, which told nothing about it yet.\n")

    @pytest.mark.parametrize(
        ("seen", "severity", "fault", "says"),
        [
            (Seen.BOUNCED, Severity.HARD, "recipient", "bounced (hard, fault: recipient)"),
            (Seen.BOUNCED, Severity.NONE, None, "bounced"),
            (Seen.DROPPED, Severity.NONE, "sender", "dropped by the ESP (fault: sender)"),
        ],
    )
    def test_bounces_say_whose_fault_it_was(
        self, shop: sa.Engine, campaigns: Campaigns, seen: Seen, severity: Severity, fault: str | None, says: str
    ) -> None:
        _add_run(shop)
        _hear(shop, seen=int(seen), severity=int(severity), fault=fault, bounced_at=NOW)
        assert campaigns("explain", "run1", "c0").lines[1:] == [f"  2026-11-22 09:00 UTC  {says}"]

    def test_a_machines_open_is_no_persons(self, shop: sa.Engine, campaigns: Campaigns) -> None:
        _add_run(shop)
        _hear(shop, seen=int(Seen.OPENED), opened_at=NOW)
        assert campaigns("explain", "run1", "c0").lines[1:] == ["  2026-11-22 09:00 UTC  opened, by a machine at least"]

    def test_a_run_that_never_sent(self, shop: sa.Engine, campaigns: Campaigns) -> None:
        _add_run(shop, BatchState.PLANNED, status=RunStatus.REJECTED)
        assert "the mail was planned and not sent: the run is rejected." in campaigns("explain", "run1", "c0").out

    def test_a_dry_run(self, shop: sa.Engine, campaigns: Campaigns) -> None:
        _add_run(shop, live=False, status=RunStatus.PREVIEWED)
        assert "is planned, and a dry run sends nothing." in campaigns("explain", "run1", "c0").out

    def test_a_run_that_is_not_frozen(self, shop: sa.Engine, campaigns: Campaigns) -> None:
        _add_run(shop, frozen_at=None, status=RunStatus.STOPPED)
        assert "nobody is in the audience, it was not frozen (the run is stopped)." in (
            campaigns("explain", "run1", "c0").out
        )

    def test_the_audit_log_knows_who_asked_about_whom(self, shop: sa.Engine, campaigns: Campaigns) -> None:
        _add_run(shop)
        campaigns("explain", "run1", "c0")
        with database.read(shop) as connection:
            (log,) = connection.execute(sa.select(tables.audit_log)).all()
            party = connection.scalar(sa.select(tables.parties.c.id).where(tables.parties.c.external_id == "c0"))
        assert (log.account_id, log.action, log.subject) == ("shop", "read", f"party:{party}")
        assert log.detail == {"run": "run1"}

    def test_unknown_customers_and_runs(self, shop: sa.Engine, campaigns: Campaigns) -> None:
        _add_run(shop)
        with database.write(shop) as connection:
            ledger_rows.add_account(connection, "other")
            connection.execute(tables.parties.update().values(account_id="other").where(sa.text("external_id = 'c3'")))
        for stranger in ("bogus", "c3"):
            assert campaigns("explain", "run1", stranger).mistake == f"account 'shop' has no customer '{stranger}'"
        assert campaigns("explain", "bogus", "c0").mistake.startswith("there is no run 'bogus'")
