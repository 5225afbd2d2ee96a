"""A relay says "no such user" while it refuses the mail: that ends mail to the address as a bounce would."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from data import database, tables, told_at_once
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from domain.ledger import Outcome, OutcomeKind
from tests.data import frozen
from tests.data.frozen import Clock

HARD = DeliveryEvent(
    provider="smtp",
    kind=EventKind.BOUNCED,
    occurred_at=frozen.NOW,
    bounce_class=BounceClass.HARD,
    fault=Fault.RECIPIENT,
    suppresses="hard_bounce",
    detail="550 5.1.1 no such user (to RCPT)",
)
BLOCK = replace(
    HARD, bounce_class=BounceClass.BLOCK, fault=Fault.SENDER, suppresses=None, cause="spam", detail="554 5.7.1 spam"
)


@pytest.mark.usefixtures("account_id")
def test_who_is_not_there_is_suppressed_and_what_blames_us_is_held_against_us(engine: sa.Engine) -> None:
    book = frozen.book(engine, frozen.dispatching(engine, 4), clock := Clock())
    batch = book.claim(book.run.id, worker="w")
    assert batch is not None
    gone, spam = batch.message_ids[1], batch.message_ids[2]
    exceptions = {
        message_id: Outcome(OutcomeKind.REJECTED, event=replace(event, message_id=message_id))
        for message_id, event in ((gone, HARD), (spam, BLOCK))
    }
    outcome = Outcome(OutcomeKind.ACCEPTED, exceptions=exceptions)
    book.record(batch, outcome, seconds=0.1)
    with database.write(engine) as connection:
        told_at_once.record(connection, batch, outcome, now=clock())  # it may be said twice
    with database.read(engine) as connection:
        (row,) = connection.execute(sa.select(tables.suppressions)).all()
        (against,) = connection.execute(sa.select(tables.sender_refusals)).all()
    assert (row.reason, row.source, row.evidence) == ("hard_bounce", "esp:smtp", f"bounced at once: {gone}")
    assert (against.run_id, against.ordinal, against.trouble) == (batch.run_id, 2, "reputation")


@pytest.mark.usefixtures("account_id")
def test_where_nothing_was_said_of_a_mailbox_nothing_follows(engine: sa.Engine) -> None:
    book = frozen.book(engine, frozen.dispatching(engine, 2), clock := Clock())
    batch = book.claim(book.run.id, worker="w")
    assert batch is not None
    with database.write(engine) as connection:
        assert told_at_once.record(connection, batch, Outcome(OutcomeKind.ACCEPTED), now=clock()) == 0
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.suppressions)) == 0
