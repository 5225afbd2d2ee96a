"""Two dispatcher processes of eight threads share a queue while events come in: each message once, the urgent first."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from data import database, transactional_proofs
from domain.ledger import BatchState, Outcome, OutcomeKind
from domain.ports import Batch, Capabilities
from domain.transactional import Urgency
from tasks import esps, wiring
from tasks.dispatcher import Dispatcher
from tests.data import ledger_rows
from tests.kills import lane, processes, shop
from tests.kills.points import Hooks
from tests.kills.processes import Installation

pytestmark = pytest.mark.slow
_WAITING, _URGENT = 500, 40
_THREADS = 8
_STRUCK = {100, 250, 400}  # after so many were taken one answer is never recorded, as if its worker had died
_LOOK_SECONDS = 0.05


class Record:
    """An ESP that takes whatever comes and writes it down: one line a message, in one file of all processes."""

    capabilities = Capabilities(batch_size=1, concurrency=_THREADS, variables_per_recipient=True, events=True)

    def __init__(self, path: Path) -> None:
        self.path = path

    def send(self, batch: Batch) -> Outcome:
        file = os.open(self.path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        os.write(file, f"{batch.run_id} {batch.attempt_id}\n".encode())
        os.close(file)
        if len(self.taken()) in _STRUCK:
            raise ArithmeticError("the worker died")
        return Outcome(OutcomeKind.ACCEPTED, status=202)

    def taken(self) -> list[tuple[str, str]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [(one.partition(" ")[0], one.partition(" ")[2]) for one in lines]

    def close(self) -> None:
        pass


@pytest.fixture
def made(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    monkeypatch.setenv("OMS_MESSAGES_WORKERS", str(_THREADS))
    monkeypatch.setenv("OMS_SENDGRID_CONCURRENCY", "16")
    with processes.installed(database_url, tmp_path) as installation:
        shop.fill(installation.engine)
        with database.write(installation.engine) as connection:
            ledger_rows.add_account(connection, "another")
        yield installation


def test_each_message_goes_once_and_the_urgent_first(made: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Record(made.folder / "taken")
    monkeypatch.setattr(esps, "mailer", lambda _provider: record)
    deadlocks = _deadlocks(made.engine)
    waiting = lane.ask(made, _WAITING, urgency=Urgency.SHIPPING)
    (single,) = lane.ask(made, 1, urgency=Urgency.SHIPPING, account_id="another")
    urgent = lane.ask(made, _URGENT, urgency=Urgency.SECURITY)
    children = [made.start(_work_off) for _ in range(2)]
    children += [made.start(lambda _: _tell_events(record)) for _ in range(2)]
    while lane.states(made.engine)[BatchState.PLANNED]:
        time.sleep(_LOOK_SECONDS)
    made.clock.forward(seconds=processes.LEASE_SECONDS + 1)
    assert [made.ended(one) for one in children] == [True] * 4
    order = [message for message, _ in record.taken()]
    assert Counter(order) == dict.fromkeys([*waiting, single, *urgent], 1)
    assert lane.states(made.engine) == {BatchState.ACCEPTED: len(order)}
    # What was under way when the first of the next ones was taken: a thread of each process for each of them.
    abreast = 2 * _THREADS
    assert set(urgent) <= set(order[: _URGENT + abreast])
    assert single in order[: _URGENT + 3 * abreast]
    assert _deadlocks(made.engine) == deadlocks


def _work_off(_: Hooks) -> None:
    def told(one: Dispatcher) -> None:
        while not one.stop.wait(_LOOK_SECONDS):
            if set(lane.states(one.engine)) <= {BatchState.ACCEPTED}:
                one.stop.set()

    lane.until_told(told)


def _tell_events(record: Record) -> None:
    """Event upon event of all that was taken, again and again, while it is recorded: in the other order by turns."""
    engine, turn = wiring.engine(), 0
    while set(lane.states(engine)) - {BatchState.ACCEPTED}:
        newest: Sequence[tuple[str, str]] = record.taken()[-40:]
        turn += 1
        with database.write(engine) as connection:
            named = dict.fromkeys(newest[:: 1 if turn % 2 else -1], turn)
            transactional_proofs.record(connection, named, now=wiring.clock())
        threading.Event().wait(0.01)


def _deadlocks(engine: sa.Engine) -> int:
    if engine.dialect.name == "sqlite":
        return 0  # one writer at a time
    with database.read(engine) as connection:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return int(connection.exec_driver_sql(query).scalar_one())
