"""The scheduled flows, over a run that was sent and the signed webhooks that came of it."""

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import settings
from data import database, inbox, reports, runs, suppressions, tables
from domain.campaigns import RunStatus
from domain.ledger import BatchState
from flows.process_delivery_events import process_delivery_events
from flows.reconcile import reconcile
from flows.refresh_features import refresh_features
from flows.report_kpis import report_kpis
from flows.run_campaign import run_campaign
from providers.sendgrid.management import ManagementError
from tasks import esps, lists, upkeep, wiring
from tasks.reporting import Unbalanced
from tasks.upkeep import UpkeepFailed
from tests.data import ledger_rows
from tests.flows.conftest import Esp
from tests.flows.shown import artifacts
from tests.flows.test_run_campaign import live, only_run

pytestmark = pytest.mark.slow


def _deliver_all(esp: Esp, run_id: str) -> None:
    deadline = time.monotonic() + 60
    while esp.summary(run_id)["events_due"]:
        assert time.monotonic() < deadline, "the sandbox did not get rid of its events"
        time.sleep(0.05)


def _move_to(engine: sa.Engine, domain: str, numbers: range) -> None:
    """Let some customers live at a domain on which the sandbox acts."""
    from domain import addresses
    from tests.conftest import PEPPER

    with database.write(engine) as connection:
        for number in numbers:
            address = f"customer{number}@{domain}"
            connection.execute(
                tables.parties.update()
                .where(tables.parties.c.external_id == f"c{number}")
                .values(email=address, address_hash=addresses.address_hash(address, PEPPER))
            )


def test_events_settle_the_run_and_suppress_whom_they_must(engine: sa.Engine, gateway: Esp) -> None:
    _move_to(engine, "hard.test", range(2))
    _move_to(engine, "block.test", range(2, 4))
    _move_to(engine, "complaint.test", range(4, 5))
    _move_to(engine, "delivered.test", range(5, 40))
    run_campaign(live())
    run = only_run(engine)
    _deliver_all(gateway, run.id)
    process_delivery_events()
    assert only_run(engine).status is RunStatus.SETTLED
    report = artifacts()[f"report-{run.id}"]  # at once, and not with the next hour's report
    assert "| delivered | 36 |" in report
    assert "| Gmail |" in report
    with database.read(engine) as connection:
        total = reports.run_report(connection, run.id).total
        kept = {row.reason for row in suppressions.listing(connection, "shop", limit=100)}
        count = len(suppressions.listing(connection, "shop", limit=100))
    theirs = gateway.summary(run.id)
    assert total.bounced == {"hard": 2, "block": 2}
    assert theirs["bounced"] == {"hard": 2, "soft": 0, "block": 2}
    assert (total.delivered, total.complained) == (theirs["delivered"], theirs["complained"]) == (36, 1)
    assert kept == {"hard_bounce", "complaint"}  # a block is the sender's trouble, and suppresses nobody
    assert count == 3
    report_kpis()
    shown = artifacts()
    assert "90.0 %" in shown["kpis"]
    assert f"report-{run.id}" in shown


def test_an_event_confirms_a_batch_whose_answer_was_cut(engine: sa.Engine, gateway: Esp) -> None:
    gateway.fault(drop_after_accept=1.0, next_n=1)
    run_campaign(live())
    run = only_run(engine)
    assert run.status is RunStatus.DISPATCHING
    _deliver_all(gateway, run.id)
    process_delivery_events()
    with database.read(engine) as connection:
        assert runs.get(connection, run.id).status in {RunStatus.DISPATCHED, RunStatus.SETTLED}
        proofs = connection.execute(sa.select(tables.batch_proofs.c.kind)).all()
    assert [row.kind for row in proofs] == ["event"]
    assert set(gateway.accepted(run.id).values()) == {1}


def _unknown_and_scheduled(engine: sa.Engine, run_id: str) -> None:
    """As if the run's only batch had been handed over in two phases and its answer been lost."""
    with closing(esps.reach("sandbox").scheduler()) as scheduler:
        schedule_id = scheduler.new_schedule()
    with database.write(engine) as connection:
        pool = {"account_id": "shop", "name": "main", "stream": "marketing"}
        connection.execute(tables.pools.insert().values(**pool, created_at=wiring.clock()))
        connection.execute(
            tables.attempt_routes.insert().values(
                attempt_id="a0",
                account_id="shop",
                route="main",
                provider="sandbox",
                pool="main",
                stream="marketing",
                mailbox_group="mixed",
                decision={},
                schedule_id=schedule_id,
                send_at=wiring.clock() + timedelta(minutes=15),
            )
        )
        connection.execute(tables.batch_attempts.update().values(outcome="unknown", provider="sandbox"))
        later = wiring.clock() + timedelta(days=1)
        run = tables.campaign_runs.update().where(tables.campaign_runs.c.id == run_id)
        connection.execute(
            run.values(provider="sandbox", two_phase=True, expires_at=later, status=RunStatus.DISPATCHING)
        )


@pytest.mark.parametrize("flow", [process_delivery_events, reconcile])
def test_an_unknown_batch_is_called_back_and_planned_again(engine: sa.Engine, installation: Esp, flow: Any) -> None:
    run_id = _second_run(engine, ledger_rows.BatchRow(0, 2, BatchState.UNKNOWN, "a0", finished_at=wiring.clock()))
    _unknown_and_scheduled(engine, run_id)
    assert flow()["sandbox_planned"] == 1
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(tables.batches.c.state)) == BatchState.PLANNED
        (proof,) = connection.execute(sa.select(tables.batch_proofs)).all()
    assert (proof.attempt_id, proof.kind) == ("a0", "cancelled")
    assert flow().get("sandbox_planned", 0) == 0


def test_an_esp_that_cannot_be_asked_stops_nothing_else(engine: sa.Engine, installation: Esp) -> None:
    """SendGrid has no key here, and an ESP of that name there is none: deadlines pass all the same."""
    unknown = ledger_rows.BatchRow(0, 0, BatchState.UNKNOWN, "a0")
    run_id = _second_run(engine, unknown, replace(unknown, first=1, last=1, attempt="a1"))
    with database.write(engine) as connection:
        attempt = tables.batch_attempts
        connection.execute(attempt.update().values(outcome="unknown", provider="pigeon").where(attempt.c.id == "a0"))
        connection.execute(attempt.update().values(outcome="unknown").where(attempt.c.id == "a1"))
    with pytest.raises(UpkeepFailed, match=r"ask pigeon .*UnknownProvider.*ask sendgrid .*SendGridNotConfigured"):
        process_delivery_events()
    with database.read(engine) as connection:
        batch = tables.batches.c
        assert set(connection.scalars(sa.select(batch.state).where(batch.run_id == run_id))) == {BatchState.HELD}


def test_reconcile_reads_what_webhooks_missed(engine: sa.Engine, installation: Esp) -> None:
    _move_to(engine, "hard.test", range(1))
    _move_to(engine, "delivered.test", range(1, 40))
    run_campaign(live())  # the gateway is closed: not one webhook comes in
    run = only_run(engine)
    deadline = time.monotonic() + 60
    while not reconcile()["suppressions_from_lists"]:
        assert time.monotonic() < deadline
    with database.read(engine) as connection:
        (row,) = suppressions.listing(connection, "shop", limit=10)
    assert row.reason == "hard_bounce"
    assert installation.summary(run.id)["events_due"] > 0


def test_the_first_reading_goes_back_to_the_beginning(engine: sa.Engine, installation: Esp, tmp_path: Path) -> None:
    _move_to(engine, "delivered.test", range(40))
    run_campaign(live())
    entry = ("customer7@delivered.test", "unsubscribes", 1_300_000_000.0, "", "")
    with closing(sqlite3.connect(tmp_path / "sandbox.db")) as store, store:
        store.execute("INSERT INTO suppressions VALUES (?, ?, ?, ?, ?)", entry)
    reconcile()
    with database.read(engine) as connection:
        (row,) = suppressions.listing(connection, "shop", limit=10)
    assert (row.reason, row.created_at) == ("unsubscribe", datetime.fromtimestamp(1_300_000_000, UTC))


def _unreachable(monkeypatch: pytest.MonkeyPatch, esp: Esp) -> None:
    """The sandbox refuses our key; what we take for SendGrid answers."""
    monkeypatch.setattr(lists, "merge_suppressions", lists.merge_suppressions.with_options(retries=0))
    monkeypatch.setenv("OMS_SANDBOX_API_KEY", "SG.wrong")
    monkeypatch.setenv("OMS_SENDGRID_API_KEY", "SG.sandbox")
    monkeypatch.setenv("OMS_SENDGRID_BASE_URL", esp.url)
    settings.load.cache_clear()


def _second_run(engine: sa.Engine, *batches: ledger_rows.BatchRow) -> str:
    """A run through SendGrid."""
    with database.write(engine) as connection:
        found = connection.scalars(sa.select(tables.parties.c.id).order_by(tables.parties.c.id).limit(3)).all()
        return ledger_rows.add_run(connection, "shop", found, batches, run_id="second", created_at=wiring.clock())


def test_an_esp_that_does_not_answer_stops_nothing_else(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    _move_to(engine, "hard.test", range(1))
    _move_to(engine, "delivered.test", range(1, 40))
    run_campaign(live())
    run = only_run(engine)
    _second_run(engine, ledger_rows.BatchRow(0, 2, attempt="b0"))  # by sendgrid
    _unreachable(monkeypatch, installation)
    with database.write(engine) as connection:
        _store(connection, DELIVERED, run.id)
        connection.execute(tables.batch_attempts.update().values(outcome="unknown"))
    with pytest.raises(UpkeepFailed) as caught:
        reconcile()
    for told in (
        "2 steps failed",
        "read sandbox's suppressions for shop: ManagementError",
        "401",
        "Unbalanced",
        run.id,
    ):
        assert told in str(caught.value)
    with database.read(engine) as connection:
        (row,) = suppressions.listing(connection, "shop", limit=10)
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.delivery_events)) == 1
    assert (row.reason, row.source) == ("hard_bounce", "esp:sendgrid")
    assert "does not balance" in artifacts()["audit"]


def test_an_esp_that_does_not_answer_is_told_of_when_all_else_is_well(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_campaign(live())
    _unreachable(monkeypatch, installation)
    with pytest.raises(ManagementError, match="401"):
        reconcile()


DELIVERED = {"event": "delivered", "timestamp": 1_795_338_000, "email": "x@example.com"}


def _store(connection: sa.Connection, element: dict[str, object], run_id: str, *, provider: str = "sendgrid") -> None:
    body = json.dumps([{**element, "message_id": f"{run_id}.0"}]).encode()
    inbox.store(connection, provider=provider, body=body, now=wiring.clock())


def test_deadlines_pass_also_when_events_cannot_be_read(engine: sa.Engine, installation: Esp) -> None:
    with database.write(engine) as connection:
        found = connection.scalars(sa.select(tables.parties.c.id).limit(3)).all()
        batch = ledger_rows.BatchRow(0, 2, BatchState.INFLIGHT, attempt="a0", finished_at=None)
        ledger_rows.add_run(connection, "shop", found, [batch], status=RunStatus.DISPATCHING)
        connection.execute(tables.batches.update().values(lease_expires_at=ledger_rows.NOW - timedelta(days=999)))
        connection.execute(tables.batch_attempts.update().values(provider="sandbox"))
        connection.exec_driver_sql("ALTER TABLE webhook_inbox RENAME TO gone")
    with pytest.raises(sa.exc.DBAPIError, match="webhook_inbox"):
        process_delivery_events()
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(tables.batches.c.state)) == BatchState.UNKNOWN


def test_what_was_kept_is_read_without_a_key_and_behind_bodies_that_fail(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_BODIES_AT_ONCE", 1)
    monkeypatch.setenv("OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS", "[]")
    settings.load.cache_clear()
    run_id = _second_run(engine, ledger_rows.BatchRow(0, 2))
    with database.write(engine) as connection:
        _store(connection, DELIVERED, run_id, provider="nobody")
        _store(connection, DELIVERED, run_id)
    counts = process_delivery_events()
    assert (counts["events"], counts["bodies"], counts["failed"]) == (1, 1, 3)  # three tries


def test_a_ledger_that_does_not_balance_is_an_alarm(engine: sa.Engine, installation: Esp) -> None:
    run_campaign(live())
    run = only_run(engine)
    with database.write(engine) as connection:
        connection.execute(tables.batch_attempts.update().values(outcome="unknown"))
    with pytest.raises(Unbalanced, match=run.id):
        reconcile()
    assert "does not balance" in artifacts()["audit"]


def test_features_are_refreshed_for_the_installations_own_account(engine: sa.Engine, installation: Esp) -> None:
    with database.write(engine) as connection:
        connection.execute(tables.customer_features.delete())
    refresh_features(full=True)
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.customer_features)) == 40
    assert "40 customers" in artifacts()["features"]
    assert "All were reckoned anew" in artifacts()["features"]
    assert "| all-customers | 40 |" in artifacts()["segments"]
    assert not any(ledger_rows.address(number) in text for text in artifacts().values() for number in range(40))
