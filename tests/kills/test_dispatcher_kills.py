"""A dispatcher that dies at any point, and one that is told to end: nothing lost, nothing twice but what is flagged."""

import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, tables
from domain import transactional
from domain.ledger import BatchState, OutcomeKind
from tests.kills import lane, processes, shop
from tests.kills.points import Hooks
from tests.kills.processes import Installation

pytestmark = pytest.mark.slow
_MESSAGES = 8
_FAULTS = {"drop_after_accept": 0.1, "drop_before_accept": 0.1, "rate_429": 0.1}


@pytest.fixture
def made(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    monkeypatch.setenv("OMS_MESSAGES_WORKERS", "4")
    with processes.installed(database_url, tmp_path) as installation:
        shop.fill(installation.engine)
        installation.applies = True
        installation.end(installation.gateway)
        installation.open_gateway()
        yield installation


def test_a_dispatcher_that_dies_anywhere_loses_nothing_and_sends_nothing_twice(made: Installation) -> None:
    lot = random.Random(8)
    chosen = list(lane.POINTS.items())[:: 1 if made.engine.dialect.name == "sqlite" else 2]  # a death takes seconds
    for name, arm in chosen:
        messages = lane.ask(made, _MESSAGES)
        made.turn_esp(**_FAULTS, seed=lot.randrange(1000))
        late = name.startswith(lane.LATE)
        hits = (1,) if late else lot.choice(((1,), (2,), (1, 1)))
        assert lane.run(made, arm, hits, late=late) == len(hits), f"{name} was never reached"
        verdict = lane.judge(made, messages)
        assert verdict.sound, (name, verdict)
    made.turn_esp()


def test_a_dispatcher_that_sends_again_what_is_unknown_is_caught(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle sees what it looks for."""
    after = transactional.state_after
    monkeypatch.setattr(
        transactional,
        "state_after",
        lambda one: BatchState.PLANNED if one.kind is OutcomeKind.UNKNOWN else after(replace(one)),
    )
    messages = lane.ask(made, 2 * _MESSAGES)
    made.turn_esp(drop_after_accept=0.5, seed=3, hold_events=True)  # else an event is there before the second try
    assert made.ended(made.start(lane.work_off))
    made.turn_esp()
    lane.settle(made)
    assert lane.judge(made, messages).twice > 0


def test_who_is_told_to_end_records_what_is_under_way_and_begins_nothing(made: Installation) -> None:
    messages = lane.ask(made, 40)
    made.turn_esp(latency_ms=400)
    child = made.start(_until_sigterm)
    deadline = time.monotonic() + 30
    while not lane.states(made.engine)[BatchState.INFLIGHT]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child, signal.SIGTERM)
    told = made.clock()
    assert made.ended(child)
    found = lane.states(made.engine)
    assert set(found) == {BatchState.ACCEPTED, BatchState.PLANNED}
    claimed = tables.transactional_attempts.c.claimed_at
    with database.read(made.engine) as connection:
        last = connection.scalar(sa.select(sa.func.max(claimed)))
        assert not connection.scalar(sa.select(sa.func.count()).select_from(tables.dispatchers))
    assert last is not None
    assert (last - told).total_seconds() < 0.2  # the time that the signal takes
    made.turn_esp()
    lane.settle(made)
    verdict = lane.judge(made, messages)
    assert (verdict.sound, verdict.held, verdict.resent) == (True, 0, 0)


def _until_sigterm(_: Hooks) -> None:
    lane.until_told(lambda _: None)
