"""The nightly flow: an outage healed, shown without addresses, an alarm where nobody can explain."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from prefect import flow

import settings
from data import database, inbox, reconciliations, tables
from domain.reconciliation import Difference, Explanation, Kind
from flows.reconcile import reconcile
from flows.run_campaign import run_campaign
from tasks import reconciling, turn, wiring
from tasks.upkeep import UpkeepFailed
from tests.data import ledger_rows
from tests.flows.conftest import Esp
from tests.flows.shown import artifacts, everything
from tests.flows.test_run_campaign import live

pytestmark = pytest.mark.slow


def _nights(engine: sa.Engine) -> list[reconciliations.Night]:
    with database.read(engine) as connection:
        return reconciliations.nights(connection, limit=10)


def _known(engine: sa.Engine) -> int:
    with database.read(engine) as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(tables.message_delivery)) or 0


def test_a_night_without_the_add_on_says_what_it_cannot_do(engine: sa.Engine, installation: Esp) -> None:
    run_campaign(live())  # the gateway is closed: not one webhook comes in
    counts = reconcile(silent_after_hours=0)
    assert _known(engine) == 0
    assert counts["sandbox_questions"] == 0
    shown = artifacts()["reconciliation"]
    assert "there is no Email Activity to ask" in shown
    assert "webhook outage" in shown
    assert "See that the ESP's webhook reaches the gateway" in shown
    (night,) = _nights(engine)
    assert night.finished_at is not None
    assert night.unexplained == 0


def test_a_dry_run_changes_nothing(engine: sa.Engine, installation: Esp) -> None:
    run_campaign(live())
    reconcile(dry_run=True, silent_after_hours=0)
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.suppressions)) == 0
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.webhook_inbox)) == 0
    assert "Nothing was repaired: this was a dry run." in artifacts()["reconciliation"]
    assert _nights(engine)[0].dry_run


def test_raw_bodies_are_emptied_once_their_days_are_over(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each holds an address; the setting is the operator's, and a dry run removes nothing."""
    monkeypatch.setenv("OMS_GATEWAY_KEEP_DAYS", "3")
    settings.load.cache_clear()
    with database.write(engine) as connection:
        for age in (2, 4):
            at = wiring.clock() - timedelta(days=age)
            inbox.store(connection, provider="sandbox", body=b'[{"email": "%d@example.com"}]' % age, now=at)
            connection.execute(
                tables.webhook_inbox.update()
                .where(tables.webhook_inbox.c.received_at == at)
                .values(state="done", processed_at=at)
            )

    def bodies() -> list[bytes]:
        with database.read(engine) as connection:
            column = tables.webhook_inbox.c
            return list(connection.scalars(sa.select(column.body).order_by(column.id)))

    reconcile(dry_run=True)
    assert all(bodies())
    assert reconcile()["raw_bodies_removed"] == 1
    assert bodies() == [b'[{"email": "2@example.com"}]', b""]


def test_one_account_and_an_alarm(engine: sa.Engine, installation: Esp) -> None:
    with database.write(engine) as connection:
        some = connection.scalars(sa.select(tables.parties.c.id).order_by(tables.parties.c.id).limit(3)).all()
        batch = ledger_rows.BatchRow(0, 2, attempt="a0")
        old = wiring.clock() - 4 * timedelta(days=1)
        ledger_rows.add_run(connection, "shop", some, [batch], created_at=old, settled_at=old)
        attempt = tables.batch_attempts.update()
        connection.execute(attempt.values(provider="sandbox", claimed_at=old, finished_at=old, outcome="accepted"))
    # Three messages of which nothing is known for four days, and three requests that the ESP does not count.
    with pytest.raises(UpkeepFailed, match="Unexplained: 6 differences have no explanation"):
        reconcile(days=5, account="shop", alarm_above=2)
    (night,) = _nights(engine)
    assert (night.account_id, night.unexplained == 6, night.finished_at is not None) == ("shop", True, True)
    with pytest.raises(LookupError):
        reconcile(account="nobody's")


def test_who_lost_the_turn_shows_what_he_found_all_the_same(engine: sa.Engine, installation: Esp) -> None:
    @flow
    def slow() -> None:
        night = reconciling.begin(1, "", dry_run=False, silent_after_hours=0)
        later = wiring.clock() + reconciliations.LEASE + timedelta(minutes=1)
        with database.write(engine) as connection:
            days = (night.first, night.last)
            reconciliations.begin(connection, worker="other", days=days, account_id=None, dry_run=False, now=later)
        with pytest.raises(reconciliations.TurnLost):
            turn.renew(night)
        reconciling.compare_ledger(night, [], [], {})  # what finds goes on
        reconciling.report(night, [found], 0)

    found = Difference(Kind.COUNT, "sandbox", wiring.clock().date(), 7, Explanation.RULES, detail="seven of them")
    with pytest.raises(reconciliations.TurnLost, match="is kept and shown"):
        slow()
    assert "seven of them" in artifacts()["reconciliation"]
    with database.read(engine) as connection:
        (_, mine) = sorted(reconciliations.nights(connection, limit=2), key=lambda one: -one.started_at.timestamp())
        assert reconciliations.differences(connection, mine.id) == [found]


def test_nobody_s_address_is_shown(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_campaign(live())
    reconcile(silent_after_hours=0)
    settings.load.cache_clear()
    text = everything()
    assert not any(ledger_rows.address(number) in text for number in range(40))
