"""The scheduled flows, over a run that was sent and the signed webhooks that came of it."""

import time

import pytest
import sqlalchemy as sa

from data import database, reports, runs, suppressions, tables
from domain.campaigns import RunStatus
from flows.process_delivery_events import process_delivery_events
from flows.reconcile import reconcile
from flows.refresh_features import refresh_features
from flows.report_kpis import report_kpis
from flows.run_campaign import run_campaign
from tasks.reporting import Unbalanced
from tests.data import ledger_rows
from tests.flows.conftest import Esp
from tests.flows.test_run_campaign import artifacts, live, only_run

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


def test_reconcile_reads_what_webhooks_missed(engine: sa.Engine, installation: Esp) -> None:
    _move_to(engine, "hard.test", range(1))
    run_campaign(live())  # the gateway is closed: not one webhook comes in
    run = only_run(engine)
    deadline = time.monotonic() + 60
    while not reconcile()["suppressions_from_lists"]:
        assert time.monotonic() < deadline
    with database.read(engine) as connection:
        (row,) = suppressions.listing(connection, "shop", limit=10)
    assert row.reason == "hard_bounce"
    assert installation.summary(run.id)["events_due"] > 0


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
    refresh_features()
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.customer_features)) == 40
    assert "40 customers" in artifacts()["features"]
    assert not any(ledger_rows.address(number) in text for text in artifacts().values() for number in range(40))
