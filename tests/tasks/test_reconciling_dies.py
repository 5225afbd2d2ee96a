"""A reconciliation that is killed anywhere, and done again, leaves what one leaves that nobody disturbed."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from data import database, reconciliations, tables
from tasks import wiring
from tests.tasks import reconciled
from tests.tasks.reconciled import Shop

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("account_id")]
_COMMITS = 40


@pytest.fixture
def shop(
    engine: sa.Engine, account_id: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    with reconciled.shop(engine, database_url, tmp_path, monkeypatch, people=60) as made:
        yield made


def _killed(engine: sa.Engine, work: Callable[[], object]) -> bool:
    """Do the work in a process of its own; whether it was killed."""
    engine.dispose()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, -signal.SIGKILL}, "the process failed by itself"
    return code != 0


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _later(monkeypatch: pytest.MonkeyPatch, nights: int) -> None:
    """The dead one's lease is over."""
    ahead = nights * (reconciliations.LEASE + timedelta(minutes=1))
    monkeypatch.setattr(wiring, "clock", lambda: datetime.now(UTC) + ahead)


def _whole(engine: sa.Engine, shop: Shop, run_id: str) -> None:
    """All is healed, nothing is counted twice, and the late webhooks change nothing."""
    healed, refused = reconciled.states(engine), reconciled.refused(engine)
    assert len(healed) == 60
    shop.open_gateway()
    shop.turn()
    shop.all_came(run_id)
    assert reconciled.states(engine) == healed
    assert reconciled.refused(engine) == refused
    with database.read(engine) as connection:
        nights = reconciliations.nights(connection, limit=100)
    assert nights[0].finished_at is not None
    reconciled.told_by_webhooks_alone(engine)
    assert reconciled.states(engine) == healed


@pytest.mark.parametrize(
    ("step", "time"),
    [
        ("begin", 1),
        ("lists", 1),
        ("before", 1),
        ("question", 2),
        ("question", 9),
        ("pulled", 1),
        ("applied", 1),
        ("kept", 1),
    ],
)
def test_killed_at_a_step(engine: sa.Engine, shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str, time: int) -> None:
    run = reconciled.sent(engine, batch_size=20)
    seen: list[str] = []

    def passed(name: str) -> None:
        seen.append(name)
        if seen.count(step) == time:
            _die()

    assert _killed(engine, lambda: reconciled.reconcile(passed=passed))
    with pytest.raises(reconciliations.OneAtWork):
        reconciled.begin()
    _later(monkeypatch, 1)
    reconciled.reconcile()
    _whole(engine, shop, run.id)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_killed_at_each_commit(engine: sa.Engine, shop: Shop, monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    """The first night dies at its first commit, the next at its second, and so on, until one comes to its end."""
    run = reconciled.sent(engine, batch_size=20)
    deaths = 0
    for number in range(1, _COMMITS):
        _later(monkeypatch, number)
        if not _killed(engine, lambda: _dying_at(engine, number, before=before)):  # noqa: B023 - called at once
            break
        deaths += 1
    else:
        pytest.fail("no night came to its end")
    assert deaths > 10
    _whole(engine, shop, run.id)


def _dying_at(engine: sa.Engine, number: int, *, before: bool) -> None:
    dialect: Any = wiring.engine().dialect
    commit, commits = dialect.do_commit, 0

    def watched(connection: Any) -> None:
        nonlocal commits
        commits += 1
        if commits == number and before:
            _die()
        commit(connection)
        if commits == number:
            _die()

    dialect.do_commit = watched
    reconciled.reconcile()


def test_a_whole_night_after_a_dead_one_is_the_trend(
    engine: sa.Engine, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciled.sent(engine)
    reconciled.begin(worker="dead")
    _later(monkeypatch, 1)
    reconciled.reconcile()
    with database.read(engine) as connection:
        newest, dead = reconciliations.nights(connection, limit=5)
        turns = connection.scalars(sa.select(tables.reconciliations.c.turn)).all()
    assert (dead.worker, dead.finished_at, newest.finished_at is not None) == ("dead", None, True)
    assert turns == [None, None]
    assert newest.repaired >= 60
