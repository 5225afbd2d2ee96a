"""Live counters: the store's figures a moment ago, the last event, and what is not counted yet."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, kpi_counts, kpis, live
from data.runs import UnknownRun
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, BatchRow
from tests.data.plain_events import body_of, process, receive


@pytest.fixture
def run(engine: sa.Engine, account_id: str) -> str:
    with database.write(engine) as connection:
        parties = ledger_rows.add_parties(connection, account_id, 6)
        return ledger_rows.add_run(connection, account_id, parties, [BatchRow(0, 2), BatchRow(3, 5)])


def event(kind: EventKind, ordinal: int, seconds: int, **facts) -> DeliveryEvent:
    at = NOW + timedelta(seconds=seconds)
    return DeliveryEvent("sendgrid", kind, at, message_id=ledger_rows.message_id(ordinal), **facts)


def read(engine: sa.Engine, run_id: str, **options) -> live.Live:
    with database.read(engine) as connection:
        return live.read(connection, run_id, **options)


def test_counters_are_those_of_the_store_with_the_time_of_the_last_event(engine, run):
    receive(
        engine,
        body_of(
            event(EventKind.DELIVERED, 0, 5),
            event(EventKind.OPENED, 0, 90),
            event(EventKind.DEFERRED, 1, 7),
            event(EventKind.DEFERRED, 3, 7),
            event(EventKind.DELIVERED, 3, 8),
            event(EventKind.BOUNCED, 4, 9, bounce_class=BounceClass.BLOCK, fault=Fault.SENDER),
        ),
    )
    process(engine)
    found = read(engine, run)
    with database.read(engine) as connection:
        assert found.figures == kpis.figures(connection, run)[0]
    assert (found.figures.delivered, found.figures.deferred, found.figures.on_its_way) == (2, 1, 3)
    assert found.figures.bounced == {"block": 1}
    assert found.figures.faults == {"sender": 1}
    assert found.last_event_at == NOW + timedelta(seconds=90)
    assert found.batches_left == 0
    kpi_counts.refresh(engine)
    assert read(engine, run) == found


def test_before_any_event_there_is_no_last_one(engine, run):
    found = read(engine, run)
    assert (found.figures.accepted, found.last_event_at) == (6, None)


def test_what_waits_in_the_inbox_is_told_with_its_age(engine, run):
    assert (read(engine, run).bodies_waiting, read(engine, run).oldest_waiting_at) == (0, None)
    receive(engine, body_of(event(EventKind.DELIVERED, 0, 5)))
    found = read(engine, run)
    assert found.bodies_waiting == 1
    assert found.oldest_waiting_at is not None
    assert found.figures.delivered == 0
    process(engine)
    assert (read(engine, run).bodies_waiting, read(engine, run).figures.delivered) == (0, 1)


def test_no_more_batches_are_reckoned_at_a_look_than_it_may_cost(engine, run):
    kpi_counts.refresh(engine)
    receive(engine, body_of(event(EventKind.DELIVERED, 0, 5), event(EventKind.DELIVERED, 3, 6)))
    process(engine)
    stored, one, both = (read(engine, run, batches_now=n) for n in (0, 1, 2))
    assert [each.figures.delivered for each in (stored, one, both)] == [0, 1, 2]
    assert [each.batches_left for each in (stored, one, both)] == [2, 1, 0]


def test_runs_that_changed_are_those_whose_stored_figures_are_old(engine, run, account_id):
    def stale() -> set[str]:
        with database.read(engine) as connection:
            return kpi_counts.stale_runs(connection)

    assert stale() == {run}  # no figures yet
    kpi_counts.refresh(engine)
    assert stale() == set()
    receive(engine, body_of(event(EventKind.DELIVERED, 0, 5)))
    process(engine)
    assert stale() == {run}
    kpi_counts.refresh(engine)
    assert stale() == set()


def test_of_an_unknown_run_there_are_no_counters(engine, account_id):
    with pytest.raises(UnknownRun):
        read(engine, "nobody")
