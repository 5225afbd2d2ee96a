"""A whole run by SMTP through the real ledger, over a relay that fails at random: nobody gets two mails, none is lost."""

import random
from collections import Counter
from contextlib import closing
from threading import Event

import pytest
import sqlalchemy as sa

from data import audit, database, tables
from domain import dispatch
from domain.ledger import BatchState
from providers.smtp.mailer import open_mailer
from tests.conftest import LINK_KEY
from tests.data import frozen
from tests.data.frozen import Clock
from tests.providers.smtp import relayed, sink
from tests.providers.smtp.sink import DROP, NONSENSE, TAKE_AND_DROP, Sink

SIZE, ROUNDS = 40, 40
FAULTS = {
    "RCPT": [DROP, NONSENSE, "451 4.3.0 later", "421 4.3.2 closing", "550 5.1.1 no such user"],
    "DATA": [DROP, "451 4.3.0 later"],
    "DOT": [DROP, TAKE_AND_DROP, NONSENSE, "451 4.3.0 later", "421 4.3.2 closing", "554 5.6.0 content"],
}


def failing_at_random(seed: int) -> Sink:
    chance = random.Random(seed)

    def script(stage: str, _who: str) -> str | None:
        found = FAULTS.get(stage)
        return chance.choice(found) if found and chance.random() < 0.08 else None

    return Sink(script, sink.OFFERS if seed % 2 else sink.OFFERS[1:])


def states_of_messages(engine: sa.Engine, run_id: str) -> dict[int, str]:
    batch = tables.batches.c
    query = sa.select(batch.first_ordinal, batch.last_ordinal, batch.state)
    with database.read(engine) as connection:
        rows = connection.execute(query.where(batch.run_id == run_id, batch.state != BatchState.SPLIT)).all()
        assert audit.audit(connection, run_id, record=None).balanced
    return {ordinal: state for first, last, state in rows for ordinal in range(first, last + 1)}


@pytest.mark.usefixtures("account_id")
@pytest.mark.parametrize("seed", range(4))
def test_nobody_gets_two_mails_and_none_is_lost(engine: sa.Engine, seed: int) -> None:
    clock, scripted = Clock(), failing_at_random(seed)
    book = frozen.book(engine, frozen.dispatching(engine, SIZE), clock)
    with sink.running(scripted):
        config = relayed.settings_for(scripted.port, batch_size=10, messages_per_connection=7)
        with closing(open_mailer(config, link_key=LINK_KEY, clock=clock)) as mailer:
            for _ in range(ROUNDS):
                mailers = {"sendgrid": mailer}
                dispatch.drain(book.run.id, book=book, mailers=mailers, worker="w", stop=Event(), busy=set())
                clock.forward(minutes=6)
    states = states_of_messages(engine, book.run.id)
    taken = Counter(int(path.partition("+")[2].split(".")[1]) for path, _, _ in scripted.taken)
    assert len(states) == SIZE
    assert max(taken.values()) == 1
    for ordinal, state in states.items():
        if state == BatchState.ACCEPTED:
            assert taken[ordinal] == 1
        elif state in {BatchState.REJECTED, BatchState.PLANNED}:
            assert taken[ordinal] == 0
        else:
            assert state == BatchState.UNKNOWN
    assert BatchState.PLANNED not in states.values()
    assert list(states.values()).count(BatchState.ACCEPTED) > SIZE // 2
