"""A whole run by Mailchimp Transactional through the real ledger, over a sandbox on a bad day: nobody gets two mails, none
is lost, and what the look-up says of each unknown attempt is so."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from data import audit, database, tables
from domain import dispatch
from domain.ledger import BatchState
from domain.ports import Finding, UnknownAttempt
from providers.mailchimp.calls import open_transactional
from providers.mailchimp.config import MailchimpConfig
from providers.mailchimp.inquiry import TransactionalInquirer
from providers.mailchimp.transactional_mailer import open_mailer
from tests.data import frozen
from tests.data.frozen import Clock
from tests.providers.sandbox.conftest import KEY, Esp, esp, start
from tests.providers.sandbox.mandrill import BASE

__all__ = ["esp", "start"]  # fixtures of the sandbox's own tests
SIZE, ROUNDS = 40, 40
BAD_DAY = {"rate_429": 0.1, "rate_500": 0.08, "drop_before_accept": 0.08, "drop_after_accept": 0.12}


def config(esp: Esp, batch_size: int) -> MailchimpConfig:
    return MailchimpConfig(
        transactional_api_key=SecretStr(KEY),
        transactional_base_url=f"{esp.url}{BASE}",
        transactional_batch_size=batch_size,
        transactional_lookup=True,
    )


def unknown_attempts(engine: sa.Engine, run_id: str) -> dict[str, list[int]]:
    """Attempt → the ordinals of which nobody knows."""
    batch = tables.batches.c
    query = sa.select(batch.attempt_id, batch.first_ordinal, batch.last_ordinal)
    with database.read(engine) as connection:
        rows = connection.execute(query.where(batch.run_id == run_id, batch.state == BatchState.UNKNOWN)).all()
    return {attempt: list(range(first, last + 1)) for attempt, first, last in rows}


def states_of_messages(engine: sa.Engine, run_id: str, record: dict[str, int]) -> dict[int, str]:
    batch = tables.batches.c
    query = sa.select(batch.first_ordinal, batch.last_ordinal, batch.state)
    with database.read(engine) as connection:
        rows = connection.execute(query.where(batch.run_id == run_id, batch.state != BatchState.SPLIT)).all()
        assert audit.audit(connection, run_id, record=record).balanced
    return {ordinal: state for first, last, state in rows for ordinal in range(first, last + 1)}


def last_accepted(engine: sa.Engine, run_id: str) -> str:
    attempt, batch = tables.batch_attempts.c, tables.batches.c
    query = (
        sa.select(attempt.id)
        .join(tables.batches, batch.attempt_id == attempt.id)
        .where(batch.run_id == run_id, batch.state == BatchState.ACCEPTED)
        .order_by(attempt.claimed_at.desc())
    )
    with database.read(engine) as connection:
        found: str = connection.execute(query).scalars().first()
    return found


@pytest.mark.usefixtures("account_id")
@pytest.mark.parametrize(("seed", "batch_size"), [(1, 1), (2, 1), (3, 4), (4, 4)])
def test_nobody_gets_two_mails_and_none_is_lost(engine: sa.Engine, esp: Esp, seed: int, batch_size: int) -> None:
    clock, own = Clock(), config(esp, batch_size)
    book = frozen.book(engine, frozen.dispatching(engine, SIZE, batch_size=batch_size), clock)
    run_id = book.run.id
    knobs: dict[str, Any] = {**BAD_DAY, "seed": seed, "searches_a_minute": None}
    esp.client.put("/sandbox/faults", json=knobs).raise_for_status()
    with closing(open_mailer(own)) as mailer:
        mailer._clock = clock
        for _ in range(ROUNDS):
            dispatch.drain(run_id, book=book, mailers={"sendgrid": mailer}, worker="w", stop=Event(), busy=set())
            clock.forward(minutes=6)
    record = esp.client.get("/sandbox/accepted", params={"run": run_id}).json()
    states = states_of_messages(engine, run_id, record)
    assert len(states) == SIZE
    assert set(record.values()) == {1}
    unknown = unknown_attempts(engine, run_id)
    assert unknown, "a bad day leaves something unknown"
    for ordinal, state in states.items():
        if state == BatchState.ACCEPTED:
            assert f"{run_id}.{ordinal}" in record
        else:
            assert state == BatchState.UNKNOWN
    known, now = last_accepted(engine, run_id), datetime.now(UTC)
    minutes = count(step=60.0)  # between two searches, of which twenty a minute are allowed
    with closing(TransactionalInquirer(open_transactional(own), own, timer=lambda: next(minutes))) as inquirer:
        for attempt_id, ordinals in unknown.items():
            asked = UnknownAttempt(attempt_id, run_id, now - timedelta(hours=1), None, None, known)
            wanted = Finding.ACCEPTED if f"{run_id}.{ordinals[0]}" in record else Finding.NOT_SENT
            assert inquirer.inquire(asked, now=now).finding is wanted
