"""What a wave leaves behind: when and why the run goes on, over a real store."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

import settings
from data import database, ledger, runs, tables
from domain.campaigns import Run
from domain.ledger import Outcome, OutcomeKind
from tasks import dispatch, wiring
from tests.conftest import LINK_KEY, PEPPER
from tests.data import frozen
from tests.data.frozen import Clock

pytestmark = pytest.mark.usefixtures("account_id")
BUSY = Outcome(OutcomeKind.NOT_SENT, status=429, detail="429")
ACCEPTED = Outcome(OutcomeKind.ACCEPTED, status=202)


@pytest.fixture
def clock(engine: sa.Engine, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Clock]:
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    for name, value in {
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_DATABASE_URL": database_url,
    }.items():
        monkeypatch.setenv(name, value)
    settings.load.cache_clear()
    clock = Clock()
    monkeypatch.setattr(wiring, "clock", clock)
    yield clock
    settings.load.cache_clear()


def _watched(engine: sa.Engine) -> Run:
    """A run of 30 people, whose first ten are the canary."""
    run = frozen.dispatching(engine, 30)
    with database.write(engine) as connection:
        connection.execute(tables.batches.update().where(tables.batches.c.first_ordinal == 0).values(canary=True))
        connection.execute(tables.campaign_runs.update().values(canary="watching"))
        return runs.get(connection, run.id)


def _send(book: ledger.SqlLedger, outcome: Outcome) -> None:
    batch = book.claim(book.run.id, worker="w")
    assert batch is not None
    book.record(batch, outcome, seconds=0.1)


def test_a_canary_that_was_put_off_goes_again_before_anybody_waits_for_how_it_fares(
    engine: sa.Engine, clock: Clock
) -> None:
    run = _watched(engine)
    book = frozen.book(engine, run, clock)
    _send(book, BUSY)
    assert book.claim(run.id, worker="w") is None
    assert dispatch._state(run.id, book.traffic.stalled) == dispatch.Dispatched(30, 2.0, by_esp=True)
    clock.forward(seconds=2)
    _send(book, ACCEPTED)
    assert book.claim(run.id, worker="w") is None
    assert dispatch._state(run.id, book.traffic.stalled) == dispatch.Dispatched(20, 5.0, waits_for_canary=True)


def test_what_waits_longer_than_the_canary_does_not_put_it_off(engine: sa.Engine, clock: Clock) -> None:
    run = _watched(engine)
    book = frozen.book(engine, run, clock)
    _send(book, BUSY)
    with database.write(engine) as connection:
        others = tables.batches.update().where(~tables.batches.c.canary)
        connection.execute(others.values(not_before=frozen.NOW + timedelta(seconds=1)))
    assert dispatch._state(run.id, None).seconds_until_next == 2.0


def test_only_an_esp_that_takes_nothing_for_an_hour_ends_the_patience() -> None:
    patience = dispatch.Patience()
    put_off = dispatch.Dispatched(10, 0.5, by_esp=True)
    assert not any(patience.ended(put_off, 0.5 * at) for at in range(7200))  # however often within the hour
    assert patience.ended(put_off, 3600)
    assert not patience.ended(dispatch.Dispatched(9, 0.5, by_esp=True), 3601)  # progress
    assert not patience.ended(dispatch.Dispatched(9, 60.0), 90_000)  # it is we who wait: a pace, a brake, the canary
    assert not patience.ended(dispatch.Dispatched(9, 60.0, by_esp=True), 93_599)
    assert patience.ended(dispatch.Dispatched(9, 60.0, by_esp=True), 93_600)


def test_rounds_in_vain_come_slower() -> None:
    patience = dispatch.Patience()
    pauses = []
    for _ in range(12):
        patience.ended(dispatch.Dispatched(10, 0.5), 0.0)
        pauses.append(patience.pause(0.5))
    assert (pauses[:4], pauses[-1]) == ([0.5, 0.5, 1.0, 1.5], 5.0)
    patience.ended(dispatch.Dispatched(9, 0.5), 0.0)
    assert (patience.pause(0.5), patience.pause(60.0)) == (0.5, 60.0)


def test_what_an_esp_did_not_take_is_its_word_but_not_at_night(
    engine: sa.Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = frozen.dispatching(engine, 10)
    assert not dispatch._state(run.id, None).by_esp  # nobody was asked yet
    _send(frozen.book(engine, run, clock), BUSY)
    assert dispatch._state(run.id, None) == dispatch.Dispatched(10, 2.0, by_esp=True)
    monkeypatch.setenv("OMS_SENDING_QUIET_FROM", "09:00")  # at home it is ten
    monkeypatch.setenv("OMS_SENDING_QUIET_UNTIL", "20:00")
    settings.load.cache_clear()
    assert not dispatch._state(run.id, None).by_esp


@pytest.mark.parametrize("made", [False, True])
def test_a_bar_that_prefect_does_not_take_ends_nothing_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, made: bool
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise httpx.ConnectError("All connection attempts failed")

    # Prefect's own functions: over a real wire they leave their sockets to the collector, which is an error in tests.
    monkeypatch.setattr(dispatch, "create_progress_artifact", fails)
    monkeypatch.setattr(dispatch, "update_progress_artifact", fails)
    monkeypatch.setattr(dispatch, "get_run_logger", lambda: logging.getLogger("dispatch"))
    bar = dispatch._Bar("r23456789abcd", UUID(int=3) if made else None)
    for percent in (0.0, 50.0, 100.0):
        bar.show(percent)
    assert [one.name for one in caplog.records] == ["dispatch"]
