"""Several senders of one run at once, and one that sleeps past its lease: each message is accepted once (A4, A6, A7)."""

import os
import signal

import pytest
import sqlalchemy as sa

from data import database, tables
from tests.kills import oracle, processes, shop
from tests.kills.points import BY_CODE
from tests.kills.processes import Installation

pytestmark = pytest.mark.slow


def _over(made: Installation, run_id: str) -> oracle.Verdict:
    """Let the events come in and be read, and time pass until nothing is open; then ask the ESP."""
    made.await_events(run_id)
    for wait in ({"seconds": processes.LEASE_SECONDS + 1}, {"minutes": processes.HOLD_MINUTES + 1}):
        made.clock.forward(**wait)
        assert made.ended(made.start(processes.ingest))
    return oracle.judge(made.engine, run_id, made.ask_esp("/sandbox/accepted", run=run_id))


@pytest.mark.parametrize("code", ["C2", "C8"])
def test_three_senders_share_a_run_and_one_is_killed(installation: Installation, code: str) -> None:
    made = installation
    run = shop.open_run(made.engine, made.clock())
    strikes = [processes.struck(BY_CODE[code], 1), None, None]
    senders = [made.start(processes.send(run.id), strike) for strike in strikes]
    assert [made.ended(sender) for sender in senders] in ([False, True, True], [True, True, True])
    verdict = _over(made, run.id)
    assert verdict.sound
    assert verdict.held <= 3 * shop.BATCH_SIZE  # what the dead sender's three threads had in hand


# Asleep in the middle of a transaction a process keeps SQLite's one write lock, and everybody waits: so one thread, and
# points outside of any transaction. At C3 it still sends when it wakes, at C8 the ESP took the batch before.
@pytest.mark.parametrize("code", ["C3", "C8"])
def test_a_sender_that_slept_past_its_lease_writes_nothing_more(installation: Installation, code: str) -> None:
    made = installation
    run = shop.open_run(made.engine, made.clock())
    sleeper = made.start(processes.send(run.id, threads=1), processes.struck(BY_CODE[code], 1, by=signal.SIGSTOP))
    os.waitpid(sleeper, os.WUNTRACED)  # asleep now
    made.clock.forward(seconds=processes.LEASE_SECONDS + 1)
    assert made.ended(made.start(processes.ingest))
    before = _lost_attempts(made, run.id)
    assert before
    os.kill(sleeper, signal.SIGCONT)
    assert made.ended(sleeper)
    after = _lost_attempts(made, run.id)
    assert made.ended(made.start(processes.send(run.id)))
    assert {one: after[one] for one in before} == before
    assert _over(made, run.id).sound


def _lost_attempts(made: Installation, run_id: str) -> dict[str, tuple[object, ...]]:
    """What the ledger holds of the attempts whose lease ran out: nothing that a woken worker would add."""
    batch, attempt = tables.batches.c, tables.batch_attempts.c
    query = sa.select(attempt.id, attempt.outcome, attempt.status_code, attempt.detail, attempt.finished_at).where(
        batch.run_id == run_id, attempt.batch_id == batch.id, attempt.detail == "the worker's lease ran out"
    )
    with database.read(made.engine) as connection:
        return {row.id: tuple(row) for row in connection.execute(query)}
