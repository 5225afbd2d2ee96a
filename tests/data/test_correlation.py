"""Whose message an event tells of, and what becomes of an event that tells of none yet."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from data import database, events, tables, unplaced
from data.events import ProcessReport
from data.strays import Origins
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault, Seen
from domain.ledger import BatchState
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, PEPPER, BatchRow
from tests.data.plain_events import PROVIDER, PlainReader, body_of, receive

AT = NOW + timedelta(minutes=1)
BOUNCE = DeliveryEvent(
    provider=PROVIDER,
    kind=EventKind.BOUNCED,
    occurred_at=AT,
    address=ledger_rows.address(1),
    bounce_class=BounceClass.HARD,
    fault=Fault.RECIPIENT,
    suppresses="hard_bounce",
)


@pytest.fixture
def parties(engine: sa.Engine, account_id: str) -> list[int]:
    with database.write(engine) as connection:
        return ledger_rows.add_parties(connection, account_id, 4)


def sent(
    engine: sa.Engine,
    parties: Sequence[int],
    run_id: str = "run1",
    *,
    state: BatchState = BatchState.ACCEPTED,
    claimed_at: datetime = NOW,
    provider: str = PROVIDER,
    reference: str | None = None,
) -> None:
    """A run of one batch whose attempt is named after it."""
    with database.write(engine) as connection:
        batch = BatchRow(0, len(parties) - 1, state, f"a-{run_id}")
        ledger_rows.add_run(connection, "shop", parties, [batch], run_id=run_id)
        told = {"claimed_at": claimed_at, "provider": provider, "provider_reference": reference}
        attempt = tables.batch_attempts
        connection.execute(attempt.update().where(attempt.c.id == f"a-{run_id}").values(told))


def process(
    engine: sa.Engine, *, after: timedelta = timedelta(0), vendors: dict[str, str] | None = None
) -> ProcessReport:
    readers = {PROVIDER: PlainReader()}
    return events.process(
        engine,
        readers=readers,
        pepper=PEPPER,
        clock=lambda: NOW + after,
        limit=100,
        origins=Origins(vendors or {"sandbox": PROVIDER}),
    )


def placed(engine: sa.Engine) -> list[tuple[str | None, int | None]]:
    event = tables.delivery_events.c
    with database.read(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.select(event.run_id, event.ordinal).order_by(event.id))]


def rows(engine: sa.Engine, table: sa.Table) -> list[tuple]:
    """All but the evidence, which names the place in the inbox."""
    columns = [column for column in table.c if column.name not in {"id", "evidence", "recorded_at"}]
    with database.read(engine) as connection:
        return sorted(map(tuple, connection.execute(sa.select(*columns))), key=repr)


class TestByAddressAndRecency:
    def test_a_bounce_without_an_id_is_of_the_newest_message_before_it(self, engine, parties):
        sent(engine, parties, "run1", claimed_at=NOW - timedelta(days=2))
        sent(engine, parties, "run2", claimed_at=NOW)
        sent(engine, parties, "run3", claimed_at=NOW + timedelta(hours=1))
        receive(engine, body_of(BOUNCE))
        assert process(engine).uncorrelated == 0
        assert placed(engine) == [("run2", 1)]
        ((run_id, ordinal, seen, *_),) = rows(engine, tables.message_delivery)
        assert (run_id, ordinal, Seen(seen)) == ("run2", 1, Seen.BOUNCED)

    @pytest.mark.parametrize("days", [9, -1])
    def test_not_of_one_of_long_ago_or_of_later(self, engine, parties, days):
        sent(engine, parties, claimed_at=AT - timedelta(days=days))
        receive(engine, body_of(BOUNCE))
        assert process(engine).uncorrelated == 1

    def test_not_of_one_that_went_by_another_vendor(self, engine, parties):
        sent(engine, parties, "run1", provider="eu", claimed_at=NOW - timedelta(hours=1))
        sent(engine, parties, "run2", provider="mailchimp")
        receive(engine, body_of(BOUNCE))
        process(engine, vendors={"eu": PROVIDER})
        assert placed(engine) == [("run1", 1)]

    @pytest.mark.parametrize("state", [BatchState.REJECTED, BatchState.EXPIRED, BatchState.PLANNED, BatchState.HELD])
    def test_not_of_one_that_never_went_out(self, engine, parties, state):
        sent(engine, parties, "run1", claimed_at=NOW - timedelta(hours=1))
        sent(engine, parties, "run2", state=state)
        receive(engine, body_of(BOUNCE))
        process(engine)
        assert placed(engine) == [("run1", 1)]

    def test_while_it_is_not_known_whether_the_newest_went_out_it_waits(self, engine, parties):
        sent(engine, parties, "run1", claimed_at=NOW - timedelta(hours=1))
        sent(engine, parties, "run2", state=BatchState.INFLIGHT)
        receive(engine, body_of(BOUNCE))
        assert process(engine).uncorrelated == 1
        with database.write(engine) as connection:
            connection.execute(tables.batches.update().values(state=BatchState.ACCEPTED))
        assert process(engine, after=timedelta(seconds=9)).placed_late == 0
        assert process(engine, after=timedelta(seconds=10)).placed_late == 1
        assert placed(engine) == [("run2", 1)]

    @pytest.mark.parametrize("kind", [EventKind.UNSUBSCRIBED, EventKind.OPENED, EventKind.UNKNOWN])
    def test_what_need_not_follow_from_a_mail_is_not_laid_to_one(self, engine, parties, kind):
        sent(engine, parties)
        receive(engine, body_of(replace(BOUNCE, kind=kind, bounce_class=None, fault=None, suppresses=None)))
        process(engine)
        assert placed(engine) == [(None, None)]
        assert rows(engine, tables.unplaced_events) == []

    @pytest.mark.parametrize("message_id", [f"seed.{0:032}", "of another program"])
    def test_an_event_of_another_programs_message_is_nobodys(self, engine, parties, message_id):
        sent(engine, parties)
        receive(engine, body_of(replace(BOUNCE, message_id=message_id)))
        process(engine)
        assert placed(engine) == [(None, None)]
        assert rows(engine, tables.unplaced_events) == []


class TestByTheEspsId:
    def test_request_and_address_name_the_message(self, engine, parties):
        sent(engine, parties, "run1", reference="LRzXl_NHStOGhQ4kofSm_A", claimed_at=NOW - timedelta(days=60))
        sent(engine, parties, "run2", reference="another")
        receive(engine, body_of(replace(BOUNCE, provider_message_id="LRzXl_NHStOGhQ4kofSm_A")))
        process(engine)
        assert placed(engine) == [("run1", 1)]

    def test_a_request_that_is_not_ours_is_not_guessed_at(self, engine, parties):
        sent(engine, parties, reference="ours")
        receive(engine, body_of(replace(BOUNCE, provider_message_id="another program's")))
        process(engine)
        assert placed(engine) == [(None, None)]

    def test_our_own_id_goes_before_it(self, engine, parties):
        sent(engine, parties, "run1", reference="x")
        sent(engine, parties, "run2", reference="y")
        receive(engine, body_of(replace(BOUNCE, provider_message_id="x", message_id="run2.3")))
        process(engine)
        assert placed(engine) == [("run2", 3)]

    def test_whoever_has_another_mailbox_now_was_not_mailed_there(self, engine, parties):
        sent(engine, parties, reference="x")
        with database.write(engine) as connection:
            party = tables.parties
            moved = party.update().where(party.c.id == parties[2])
            connection.execute(moved.values(address_hash=ledger_rows.hash_of(77)))
        receive(engine, body_of(replace(BOUNCE, provider_message_id="x", address=ledger_rows.address(77))))
        process(engine)
        assert placed(engine) == [(None, None)]


class TestWaiting:
    def test_an_event_that_overtook_the_result_of_its_request_is_placed_when_that_is_known(self, engine, parties):
        """The refusal stands at once; state, run and ordinal follow; nothing is done twice."""
        sent(engine, parties, state=BatchState.INFLIGHT)
        receive(engine, body_of(replace(BOUNCE, provider_message_id="x")))
        assert (process(engine).uncorrelated, len(rows(engine, tables.suppressions))) == (1, 1)
        before = rows(engine, tables.suppressions)
        with database.write(engine) as connection:
            connection.execute(tables.batches.update().values(state=BatchState.ACCEPTED))
            connection.execute(tables.batch_attempts.update().values(provider_reference="x"))
        later = process(engine, after=timedelta(minutes=1))
        assert (later.placed_late, later.suppressions, later.strays) == (1, 0, 0)
        assert placed(engine) == [("run1", 1)]
        assert rows(engine, tables.suppressions) == before
        with database.read(engine) as connection:  # it was in force when it was only kept
            assert connection.scalar(sa.select(tables.reactions.c.applied_at)) == NOW
        again = process(engine, after=timedelta(days=30))
        assert (again.placed_late, again.strays) == (0, 0)

    def test_a_run_that_is_not_there_yet(self, engine, parties):
        opened = replace(BOUNCE, kind=EventKind.OPENED, message_id="run9.2", bounce_class=None, suppresses=None)
        left = replace(opened, kind=EventKind.UNSUBSCRIBED, message_id="run9.3", suppresses="unsubscribe", address=None)
        receive(engine, body_of(opened, left))
        assert process(engine).uncorrelated == 2
        sent(engine, parties, "run9")
        assert process(engine, after=timedelta(minutes=1)).placed_late == 2
        assert sorted(placed(engine)) == [("run9", 2), ("run9", 3)]
        assert len(rows(engine, tables.message_delivery)) == 2
        # Without an address of its own it could say whom it concerns only now.
        assert len(rows(engine, tables.suppressions)) == len(rows(engine, tables.consents)) == 1

    def test_it_is_tried_again_ever_more_rarely_and_given_up(self, engine, parties):
        receive(engine, body_of(BOUNCE))
        process(engine)
        after, strays = timedelta(0), 0
        for _ in range(7):
            assert strays == 0
            after += timedelta(hours=24)
            strays += process(engine, after=after).strays
        assert strays == 1
        with database.read(engine) as connection:
            assert unplaced.waiting(connection) == 0
            (told,) = unplaced.summary(connection, since=NOW)
            assert (told.provider, told.waiting, told.placed, told.strays) == (PROVIDER, 0, 0, 1)
        sent(engine, parties)
        assert process(engine, after=timedelta(days=30)).placed_late == 0

    def test_nothing_is_lost_where_the_body_cannot_be_read_for_a_while(self, engine, parties):
        sent(engine, parties, state=BatchState.INFLIGHT)
        receive(engine, body_of(BOUNCE))
        process(engine)
        with database.write(engine) as connection:
            connection.execute(tables.batches.update().values(state=BatchState.ACCEPTED))
        readers = {"another": PlainReader()}
        events.process(engine, readers=readers, pepper=PEPPER, clock=lambda: NOW + timedelta(minutes=1), limit=9)
        assert placed(engine) == [(None, None)]
        assert process(engine, after=timedelta(hours=1)).placed_late == 1

    def test_a_late_event_that_came_twice_with_another_id_is_one(self, engine, parties):
        receive(engine, body_of(replace(BOUNCE, message_id="run9.1")))
        receive(engine, body_of(replace(BOUNCE, message_id="run9.1", provider_event_id="other")))
        assert process(engine).duplicates == 1
        sent(engine, parties, "run9")
        assert process(engine, after=timedelta(minutes=1)).placed_late == 1
