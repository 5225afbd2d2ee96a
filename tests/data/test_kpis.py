import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database, kpis, tables
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from domain.kpis import Figures
from domain.ledger import BatchState
from tests.data import kpi_oracle, ledger_rows
from tests.data.ledger_rows import NOW, BatchRow
from tests.data.plain_events import body_of, process, receive

# Ordinals 0 … 9: accepted but 1 and 5, which were suppressed at the claim; 6 was rejected, 7 … 9 are still open.
BATCHES = [
    BatchRow(0, 3, exceptions={1: "suppressed"}),
    BatchRow(4, 5, exceptions={5: "suppressed"}),
    BatchRow(6, 6, BatchState.REJECTED, exceptions={6: "rejected"}),
    BatchRow(7, 8, BatchState.UNKNOWN),
    BatchRow(7, 9, BatchState.SPLIT),
    BatchRow(9, 9, BatchState.PLANNED),
]
ACCEPTED = [0, 2, 3, 4]
_RUNS = itertools.count()


@pytest.fixture
def parties(engine: sa.Engine, account_id: str) -> list[int]:
    with database.write(engine) as connection:
        return ledger_rows.add_parties(connection, account_id, 10)


@pytest.fixture
def run(engine: sa.Engine, parties: list[int]) -> str:
    with database.write(engine) as connection:
        return ledger_rows.add_run(connection, "shop", parties, BATCHES)


def event(kind: EventKind, ordinal: int, **facts) -> DeliveryEvent:
    values = {"occurred_at": NOW + timedelta(seconds=1), "message_id": ledger_rows.message_id(ordinal), **facts}
    return DeliveryEvent(provider="sendgrid", kind=kind, **values)


def bounce(ordinal: int, bounce_class: BounceClass | None, **facts) -> DeliveryEvent:
    return event(EventKind.BOUNCED, ordinal, bounce_class=bounce_class, **facts)


def happened(engine: sa.Engine, *events: DeliveryEvent) -> None:
    receive(engine, body_of(*events))
    process(engine)


def total(engine: sa.Engine, run_id: str) -> Figures:
    with database.read(engine) as connection:
        return kpis.figures(connection, run_id)[0]


events = st.builds(
    event,
    kind=st.sampled_from(EventKind),
    ordinal=st.integers(0, 9),
    occurred_at=st.integers(0, 2).map(lambda second: NOW + timedelta(seconds=second)),
    bounce_class=st.none() | st.sampled_from(BounceClass),
    machine=st.booleans(),
    fault=st.none() | st.sampled_from(Fault),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happenings=st.lists(events, max_size=30))
def test_the_figures_equal_a_full_recomputation(
    engine: sa.Engine, parties: list[int], happenings: list[DeliveryEvent]
) -> None:
    run_id = f"r{next(_RUNS)}"
    with database.write(engine) as connection:
        ledger_rows.add_run(connection, "shop", parties, BATCHES, run_id=run_id)
    theirs = [replace(one, message_id=str(one.message_id).replace("run1", run_id)) for one in happenings]
    happened(engine, *theirs)
    with database.read(engine) as connection:
        whole, by_provider = kpis.figures(connection, run_id)
    assert by_provider == kpi_oracle.by_mailbox_group(theirs, ACCEPTED)
    assert whole.accepted == len(ACCEPTED) == sum(part.accepted for part in by_provider.values())
    assert whole.delivered + sum(whole.bounced.values()) + whole.dropped <= whole.accepted, "one fate a message"


def test_before_any_event_everything_accepted_is_on_its_way(engine: sa.Engine, run: str) -> None:
    assert total(engine, run) == Figures(accepted=4)


def test_a_run_without_an_accepted_batch_has_no_figures(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        run = ledger_rows.add_run(connection, "shop", parties, [BatchRow(0, 9, BatchState.HELD)])
    assert total(engine, run) == Figures()
    assert total(engine, run).deliverability is None


def test_a_late_bounce_takes_the_delivery_back(engine: sa.Engine, run: str) -> None:
    happened(engine, event(EventKind.DELIVERED, 0), event(EventKind.DELIVERED, 2))
    assert total(engine, run).deliverability == 0.5
    happened(engine, bounce(0, BounceClass.HARD))
    assert (total(engine, run).delivered, total(engine, run).bounced) == (1, {"hard": 1})


def test_bounces_are_counted_by_their_worst_class(engine: sa.Engine, run: str) -> None:
    happened(engine, bounce(0, None), bounce(2, BounceClass.BLOCK), bounce(3, BounceClass.SOFT))
    happened(engine, bounce(3, BounceClass.HARD, occurred_at=NOW), bounce(4, BounceClass.UNDETERMINED))
    assert total(engine, run).bounced == {"undetermined": 2, "block": 1, "hard": 1}


def test_repeated_opens_count_once_and_machines_apart(engine: sa.Engine, run: str) -> None:
    happened(
        engine,
        event(EventKind.OPENED, 0, machine=True),
        event(EventKind.OPENED, 2, machine=True),
        event(EventKind.OPENED, 2, client="phone"),
        event(EventKind.OPENED, 2, client="laptop"),
    )
    assert (total(engine, run).opened_unique, total(engine, run).opened_human) == (2, 1)


def test_a_customer_whose_mailbox_provider_is_not_known_counts_under_other(engine: sa.Engine, run: str) -> None:
    with database.write(engine) as connection:
        connection.execute(tables.audience.update().values(mailbox_group=None))
        connection.execute(tables.parties.update().values(mailbox_provider=None))
        assert set(kpis.figures(connection, run)[1]) == {"other"}


def test_of_who_was_planned_before_groups_were_kept_the_partys_group_counts(engine: sa.Engine, run: str) -> None:
    with database.write(engine) as connection:
        kept = kpis.figures(connection, run)[1]
        connection.execute(tables.audience.update().values(mailbox_group=None))
        assert kpis.figures(connection, run)[1] == kept
        connection.execute(tables.parties.update().values(mailbox_provider="gmx"))
        assert set(kpis.figures(connection, run)[1]) == {"gmx"}


def settled(engine: sa.Engine, run: str, *, after: timedelta = timedelta(minutes=1)) -> bool:
    with database.read(engine) as connection:
        return kpis.is_settled(connection, run, now=NOW + after, settle_after_hours=72)


def test_a_run_is_settled_when_the_last_accepted_message_has_its_fate(engine: sa.Engine, run: str) -> None:
    happened(engine, event(EventKind.DELIVERED, 0), bounce(2, BounceClass.SOFT), event(EventKind.DROPPED, 3))
    assert not settled(engine, run)
    happened(engine, event(EventKind.DEFERRED, 4), event(EventKind.OPENED, 4))
    assert not settled(engine, run)
    happened(engine, event(EventKind.DELIVERED, 4))
    assert settled(engine, run)


def test_a_run_is_settled_when_the_esp_gave_up_trying(engine: sa.Engine, run: str) -> None:
    assert not settled(engine, run, after=timedelta(hours=71, minutes=59))
    assert settled(engine, run, after=timedelta(hours=72))


def test_a_run_that_is_still_dispatching_is_not_settled(engine: sa.Engine, parties: list[int]) -> None:
    with database.write(engine) as connection:
        run = ledger_rows.add_run(connection, "shop", parties, [], dispatched_at=None)
    assert not settled(engine, run, after=timedelta(days=9))
