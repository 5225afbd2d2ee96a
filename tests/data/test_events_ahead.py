"""Refusals of a long line of bodies are in force before their turn, and the end is the same."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, events_ahead, tables
from data.strays import Origins
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from gateway import applying
from gateway.applying import Applier
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, PEPPER, BatchRow
from tests.data.plain_events import PROVIDER, PlainReader, body_of, process, receive
from tests.data.test_events import event, rows

READERS = {PROVIDER: PlainReader()}
OPENED = event(EventKind.OPENED, 0)
COMPLAINED = event(EventKind.COMPLAINED, 1, suppresses="complaint")
BOUNCED = event(
    EventKind.BOUNCED, 2, bounce_class=BounceClass.HARD, fault=Fault.RECIPIENT, suppresses="hard_bounce", detail="no"
)
BODIES = (body_of(OPENED), body_of(event(EventKind.DELIVERED, 1), COMPLAINED), b"poison", body_of(BOUNCED, OPENED))


@pytest.fixture(autouse=True)
def run(engine: sa.Engine, account_id: str) -> str:
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, account_id, 3)
        return ledger_rows.add_run(connection, account_id, ids, [BatchRow(0, 2, attempt="a0")])


def ahead(engine: sa.Engine, after: int = 0) -> int:
    return events_ahead.apply(
        engine, after=after, readers=READERS, origins=Origins(), pepper=PEPPER, now=NOW + timedelta(minutes=2)
    )


def reasons(engine: sa.Engine) -> list[str]:
    return sorted(row.reason for row in rows(engine, tables.suppressions))


def states(engine: sa.Engine) -> list[str]:
    return [row.state for row in rows(engine, tables.webhook_inbox)]


def test_refusals_are_in_force_and_the_bodies_wait_on(engine: sa.Engine) -> None:
    receive(engine, *BODIES)
    upto = ahead(engine)
    assert reasons(engine) == ["complaint", "hard_bounce"]
    assert states(engine) == ["pending"] * 4
    assert [row.kind for row in rows(engine, tables.reactions)] == ["bounced"]
    assert ahead(engine, upto) == upto


def test_their_turn_brings_the_rest_and_changes_nothing_of_them(engine: sa.Engine) -> None:
    receive(engine, *BODIES)
    ahead(engine)
    report = process(engine)
    assert (report.bodies, report.failed, report.events, report.duplicates) == (3, 1, 2, 3)
    assert reasons(engine) == ["complaint", "hard_bounce"]
    assert [row.kind for row in rows(engine, tables.delivery_events)].count(EventKind.COMPLAINED) == 1
    assert states(engine).count("pending") == 1  # the poison has two tries left


def test_one_that_cannot_be_applied_is_left_to_its_turn(engine: sa.Engine) -> None:
    receive(engine, body_of(event(EventKind.COMPLAINED, 1, suppresses="no such reason")))
    assert ahead(engine) > 0
    assert not reasons(engine)
    assert states(engine) == ["pending"]


def test_the_gateway_looks_ahead_while_more_waits_than_a_round_takes(engine: sa.Engine, monkeypatch) -> None:
    monkeypatch.setattr(applying, "_BODIES_AT_ONCE", 1)
    receive(engine, *(body_of(event(EventKind.OPENED, 0, url=str(number))) for number in range(3)), body_of(COMPLAINED))
    in_force: list[bool] = []
    applier = Applier(
        engine, READERS, Origins(), PEPPER, lambda: NOW, applied=lambda _: in_force.append(bool(reasons(engine)))
    )
    applier.drain()
    assert in_force == [False, True, True, True]


def test_a_bad_body_takes_no_other_with_it(engine: sa.Engine) -> None:
    """Bodies are read ten at once; what cannot be stored of one falls back to each alone."""
    bad = DeliveryEvent("sendgrid", EventKind.DELIVERED, NOW, message_id=ledger_rows.message_id(0), detail="\ud800")
    receive(engine, body_of(OPENED), body_of(bad, COMPLAINED), body_of(BOUNCED))
    report = process(engine)
    assert (report.bodies, report.failed, report.unreadable) == (3, 0, 1)
    assert reasons(engine) == ["complaint", "hard_bounce"]
