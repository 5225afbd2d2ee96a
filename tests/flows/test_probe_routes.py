"""Seed messages through the sandbox ESP, and what its signed webhooks tell of them."""

import json
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

import settings
from data import database, seeds, tables
from data.seeds import SeedState
from flows.probe_routes import probe_routes
from flows.process_delivery_events import process_delivery_events
from tasks import wiring
from tasks.seeding import RouteUnwell
from tests.flows.conftest import Esp

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMS_SEEDS_MAILBOXES", json.dumps(["seed@delivered.test"]))
    settings.load.cache_clear()


def _rows(engine: sa.Engine) -> list[sa.Row]:
    with database.read(engine) as connection:
        return list(connection.execute(sa.select(tables.seed_messages)))


def _health(engine: sa.Engine) -> SeedState:
    with database.read(engine) as connection:
        return seeds.health(connection, "sandbox", wiring.clock()).state


@pytest.mark.usefixtures("installation")
def test_without_a_mailbox_nothing_is_sent(engine: sa.Engine) -> None:
    assert probe_routes() == {}
    assert _rows(engine) == []


@pytest.mark.usefixtures("mailbox")
def test_each_route_is_probed_and_its_events_confirm_it(engine: sa.Engine, gateway: Esp) -> None:
    counts = probe_routes()
    assert counts.pop("accepted") == 2
    assert set(counts) == {"not_configured", "without_messages"}  # the others have no key here, or send no messages
    assert {(row.provider, row.stream, row.outcome) for row in _rows(engine)} == {
        ("sandbox", "marketing", "accepted"),
        ("sandbox", "transactional", "accepted"),
    }
    deadline = time.monotonic() + 60
    while _health(engine) is not SeedState.WELL:
        assert time.monotonic() < deadline
        process_delivery_events()
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.dead_letters)) == 0
    probe_routes()


@pytest.mark.usefixtures("mailbox")
def test_an_esp_whose_events_do_not_come_is_an_alarm(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe_routes()  # the gateway is closed: no event comes in
    now = wiring.clock()
    monkeypatch.setattr(wiring, "clock", lambda: now + timedelta(minutes=9))
    probe_routes()
    monkeypatch.setattr(wiring, "clock", lambda: now + timedelta(minutes=11))
    with pytest.raises(RouteUnwell, match="sandbox takes mail and tells nothing: no event came within 10 minutes"):
        probe_routes()
    assert len(_rows(engine)) == 6  # the alarm stops no probe


@pytest.mark.usefixtures("mailbox")
def test_an_esp_that_takes_nothing_is_an_alarm_of_the_next_round(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMS_SANDBOX_API_KEY", "SG.wrong")
    settings.load.cache_clear()
    assert probe_routes()["not_sent"] == 2
    with pytest.raises(RouteUnwell, match=r"sandbox did not take the seed message of .*401"):
        probe_routes()
