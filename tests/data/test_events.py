"""From stored bodies to what is known of each message: poison, crashes, crowds and proofs."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
import sqlalchemy as sa

from data import database, events, ledger_sweep, tables
from data.events import ProcessReport
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault, Seen
from domain.ledger import BatchState
from domain.policy import SendingPolicy
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, PEPPER, BatchRow
from tests.data.plain_events import PROVIDER, PlainReader, body_of, process, receive

AT = NOW + timedelta(minutes=1)


@pytest.fixture
def run(engine: sa.Engine, account_id: str) -> str:
    """Six messages in two accepted batches."""
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, account_id, 6)
        batches = [BatchRow(0, 2, attempt="a0"), BatchRow(3, 5, attempt="a1")]
        return ledger_rows.add_run(connection, account_id, ids, batches)


def event(kind: EventKind, ordinal: int = 0, **facts) -> DeliveryEvent:
    values = {"occurred_at": AT, "message_id": ledger_rows.message_id(ordinal), "attempt_id": "a0", **facts}
    return DeliveryEvent(provider="sendgrid", kind=kind, **values)


def rows(engine: sa.Engine, table: sa.Table) -> Sequence[sa.Row]:
    with database.read(engine) as connection:
        return connection.execute(sa.select(table).order_by(*table.primary_key)).all()


def seen(engine: sa.Engine) -> dict[int, Seen]:
    return {row.ordinal: Seen(row.seen) for row in rows(engine, tables.message_delivery)}


def batch_states(engine: sa.Engine) -> list[str]:
    return [row.state for row in rows(engine, tables.batches)]


def test_events_are_stored_once_and_folded(engine: sa.Engine, run: str) -> None:
    delivered = event(EventKind.DELIVERED)
    again = replace(delivered, provider_event_id="changed on redelivery")
    receive(engine, body_of(delivered, event(EventKind.PROCESSED), again), body_of(again, event(EventKind.OPENED, 1)))
    assert process(engine) == ProcessReport(
        bodies=2,
        failed=0,
        events=3,
        duplicates=2,
        unreadable=0,
        uncorrelated=0,
        suppressions=0,
        confirmed_batches=0,
    )
    assert seen(engine) == {0: Seen.DELIVERED | Seen.PROCESSED, 1: Seen.OPENED | Seen.OPENED_HUMAN}
    assert process(engine).bodies == 0


def test_each_transaction_asks_the_clock_anew_and_a_replay_is_not_timed(engine: sa.Engine, run: str) -> None:
    """What comes of a body is in force from its own time on, not from when a long round began."""
    times = (NOW + timedelta(seconds=tick) for tick in count(1))
    readers = {PROVIDER: PlainReader()}

    def tick() -> ProcessReport:
        return events.process(engine, readers=readers, pepper=PEPPER, clock=lambda: next(times), limit=100)

    receive(engine, *(body_of(event(EventKind.DELIVERED, ordinal)) for ordinal in range(6)))
    first = tick()
    done = [row.processed_at for row in rows(engine, tables.webhook_inbox)]
    assert done[0] < done[-1]
    assert (first.bodies, len(first.received)) == (6, 6)
    with database.write(engine) as connection:
        connection.execute(tables.webhook_inbox.update().values(state="pending"))
    again = tick()
    assert (again.bodies, again.duplicates, again.received) == (6, 6, ())


def test_of_a_clicked_link_only_the_page_is_kept(engine: sa.Engine, run: str) -> None:
    links = ["https://shop.example.com/new?to=ann%40example.com", "https://shop.example.com/new#ann", "?ann", None]
    clicks = [event(EventKind.CLICKED, ordinal, url=url) for ordinal, url in enumerate(links)]
    receive(engine, body_of(*clicks, replace(clicks[0], url="https://shop.example.com/new?to=bob")))
    assert process(engine).events == 5  # what is not kept tells two clicks apart all the same
    stored = sorted(str(row.url) for row in rows(engine, tables.delivery_events))
    assert stored == ["None", "None", *["https://shop.example.com/new"] * 3]


def test_nobody_can_guess_an_address_out_of_what_is_stored(engine: sa.Engine, run: str) -> None:
    stray = DeliveryEvent("sendgrid", EventKind.BOUNCED, AT, address=ledger_rows.address(0))
    receive(engine, body_of(stray))
    process(engine)
    (row,) = rows(engine, tables.delivery_events)
    assert row.dedupe_key == stray.dedupe_key(PEPPER)
    assert row.dedupe_key != stray.dedupe_key("a guess")


def test_a_round_reads_no_more_than_its_limit(engine: sa.Engine, run: str) -> None:
    receive(engine, *(body_of(event(EventKind.DELIVERED, ordinal)) for ordinal in range(3)))
    assert process(engine, limit=2).bodies == 2
    assert process(engine, limit=2).bodies == 1


@pytest.mark.parametrize("message_id", ["nobody.0", "run1", "run1.x", "", None])
def test_events_of_nobody_we_know_are_kept_and_counted(engine: sa.Engine, run: str, message_id: str | None) -> None:
    receive(engine, body_of(event(EventKind.DELIVERED, message_id=message_id)))
    assert process(engine).uncorrelated == 1
    (row,) = rows(engine, tables.delivery_events)
    assert (row.run_id, row.ordinal, row.kind) == (None, None, "delivered")
    assert seen(engine) == {}


def test_no_address_is_stored_with_an_event(engine: sa.Engine, run: str) -> None:
    receive(engine, body_of(event(EventKind.DELIVERED, address="anna@example.com")))
    process(engine)
    assert "anna@" not in repr(rows(engine, tables.delivery_events))


def test_an_unreadable_element_becomes_a_dead_letter_and_the_rest_is_applied(engine: sa.Engine, run: str) -> None:
    receive(engine, body_of(event(EventKind.DELIVERED), "no event", event(EventKind.DELIVERED, 1)))
    report = process(engine)
    assert (report.events, report.unreadable) == (2, 1)
    (letter,) = rows(engine, tables.dead_letters)
    assert (letter.row_number, letter.reason, letter.payload["position"]) == (1, "no object", 1)


def test_an_event_that_the_store_refuses_loses_only_itself(engine: sa.Engine, run: str) -> None:
    good = [event(EventKind.DELIVERED, ordinal) for ordinal in range(6)]
    bad = event(EventKind.BOUNCED, 3, detail="half a character: \ud800")
    receive(engine, body_of(*good[:4], bad, *good[4:]))
    report = process(engine)
    assert (report.bodies, report.failed, report.events, report.unreadable) == (1, 0, 6, 1)
    (letter,) = rows(engine, tables.dead_letters)
    assert letter.row_number == 4
    assert len(seen(engine)) == 6


@pytest.mark.parametrize("field", ["message_id", "attempt_id", "detail"])
def test_a_nul_that_only_one_database_can_hold_loses_no_neighbour(engine: sa.Engine, run: str, field: str) -> None:
    nul = event(EventKind.UNKNOWN, 0, **{field: "run1\0.1"})
    receive(engine, body_of(event(EventKind.DELIVERED), nul, event(EventKind.DELIVERED, 1)))
    report = process(engine)
    assert (report.bodies, report.failed, report.events + report.unreadable) == (1, 0, 3)
    assert seen(engine) == {0: Seen.DELIVERED, 1: Seen.DELIVERED}


def test_a_body_that_breaks_its_reader_gets_three_tries_and_holds_nobody_up(engine: sa.Engine, run: str) -> None:
    receive(engine, b'{"no": "list"}', body_of(event(EventKind.DELIVERED)))
    first = process(engine)
    assert (first.bodies, first.failed, first.events) == (1, 1, 1)
    assert [process(engine).failed for _ in range(3)] == [1, 1, 0]
    (letter,) = rows(engine, tables.dead_letters)
    assert "TypeError" in letter.reason
    assert "@" not in letter.reason, "an exception's text may quote an address"


def test_a_body_that_nobody_reads_is_kept(engine: sa.Engine, run: str) -> None:
    receive(engine, b"x", provider="carrier pigeon")
    assert process(engine).failed == 1
    (row,) = rows(engine, tables.webhook_inbox)
    assert row.state == "pending"
    assert "carrier pigeon" in row.error


class Killed(BaseException):
    """The process died: nothing of ours catches this."""


@pytest.mark.parametrize("point", ["message_delivery", "suppressions", "consents", "webhook_inbox SET state"])
def test_a_crash_in_the_middle_of_a_body_leaves_it_as_it_was(engine: sa.Engine, run: str, point: str) -> None:
    unsubscribed = event(EventKind.UNSUBSCRIBED, 1, suppresses="unsubscribe")
    receive(engine, body_of(event(EventKind.DELIVERED), unsubscribed))

    def die(_connection, _cursor, statement: str, *_rest) -> None:
        if point in statement and not statement.startswith("SELECT"):
            raise Killed

    sa.event.listen(engine, "before_cursor_execute", die)
    with pytest.raises(Killed):
        process(engine)
    sa.event.remove(engine, "before_cursor_execute", die)
    assert rows(engine, tables.delivery_events) == rows(engine, tables.message_delivery) == []
    report = process(engine)
    assert (report.events, report.duplicates, report.suppressions) == (2, 0, 1)
    assert len(rows(engine, tables.consents)) == 1


def test_two_processors_at_once_lose_and_double_nothing(engine: sa.Engine, run: str) -> None:
    # Every event comes in four bodies, in turns from the front and from the back.
    life = [
        event(kind, ordinal, occurred_at=AT + timedelta(seconds=place))
        for ordinal in range(6)
        for place, kind in enumerate((EventKind.PROCESSED, EventKind.DELIVERED, EventKind.OPENED, EventKind.CLICKED))
    ]
    bodies = []
    for copy in range(4):
        for start in range(0, len(life), 3):
            part = [replace(one, provider_event_id=f"copy {copy}") for one in life[start : start + 6]]
            bodies.append(body_of(*(part[::-1] if copy % 2 else part)))
    receive(engine, *bodies)
    reports: list[ProcessReport] = []
    threads = [threading.Thread(target=lambda: reports.append(process(engine))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports) == 2
    assert sum(report.bodies for report in reports) == len(bodies)
    assert sum(report.events for report in reports) == len(life) == len(rows(engine, tables.delivery_events))
    whole = Seen.PROCESSED | Seen.DELIVERED | Seen.OPENED | Seen.OPENED_HUMAN | Seen.CLICKED
    assert seen(engine) == dict.fromkeys(range(6), whole)


def test_the_number_of_statements_does_not_grow_with_the_events(engine: sa.Engine, run: str) -> None:
    counts = []
    for size in (2, 300):
        kinds = (EventKind.OPENED, EventKind.UNSUBSCRIBED)
        body = [
            event(kinds[n % 2], n % 6, occurred_at=AT + timedelta(seconds=size + n), suppresses="unsubscribe")
            for n in range(size)
        ]
        receive(engine, body_of(*body))
        statements: list[str] = []

        def note(_connection, _cursor, statement: str, *_rest, into: list[str] = statements) -> None:
            into.append(statement)

        sa.event.listen(engine, "before_cursor_execute", note)
        assert process(engine).events == size
        sa.event.remove(engine, "before_cursor_execute", note)
        counts.append(len(statements))
    # A second suppression row of the same address in one body is one statement more, however many there are.
    assert counts[1] <= counts[0] + 1


def with_batch(engine: sa.Engine, account_id: str, state: BatchState, attempt: str = "a0") -> None:
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, account_id, 2)
        ledger_rows.add_run(connection, account_id, ids, [BatchRow(0, 1, state, attempt)])


def test_one_event_of_an_unknown_batch_proves_it(engine: sa.Engine, account_id: str) -> None:
    with_batch(engine, account_id, BatchState.UNKNOWN)
    receive(engine, body_of(event(EventKind.PROCESSED)), body_of(event(EventKind.DELIVERED, 1)))
    assert process(engine).confirmed_batches == 1
    assert batch_states(engine) == ["accepted"]
    (proof,) = rows(engine, tables.batch_proofs)
    assert (proof.attempt_id, proof.kind) == ("a0", "event")


def test_one_body_may_prove_several_batches(engine: sa.Engine, account_id: str) -> None:
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, account_id, 3)
        unknown = [BatchRow(n, n, BatchState.UNKNOWN, f"a{n}") for n in range(3)]
        ledger_rows.add_run(connection, account_id, ids, unknown)
    receive(engine, body_of(event(EventKind.PROCESSED, 0), event(EventKind.PROCESSED, 2, attempt_id="a2")))
    assert process(engine).confirmed_batches == 2
    assert batch_states(engine) == ["accepted", "unknown", "accepted"]


@pytest.mark.parametrize("attempt_id", ["an earlier attempt", "never heard of", None])
def test_no_other_attempt_proves_it(engine: sa.Engine, account_id: str, attempt_id: str | None) -> None:
    with_batch(engine, account_id, BatchState.UNKNOWN)
    with database.write(engine) as connection:
        attempts = tables.batch_attempts
        (current,) = connection.execute(sa.select(attempts)).mappings()
        connection.execute(attempts.insert().values({**current, "id": "an earlier attempt", "number": 0}))
    receive(engine, body_of(event(EventKind.DELIVERED, attempt_id=attempt_id)))
    assert process(engine).confirmed_batches == 0
    assert batch_states(engine) == ["unknown"]
    assert rows(engine, tables.batch_proofs) == []


@pytest.mark.parametrize("state", [BatchState.HELD, BatchState.PLANNED, BatchState.EXPIRED])
def test_no_other_state_is_moved(engine: sa.Engine, account_id: str, state: BatchState) -> None:
    with_batch(engine, account_id, state)
    receive(engine, body_of(event(EventKind.DELIVERED)))
    assert process(engine).confirmed_batches == 0
    assert batch_states(engine) == [state]


def test_an_event_that_came_before_the_worker_died_proves_the_batch_all_the_same(
    engine: sa.Engine, account_id: str
) -> None:
    with_batch(engine, account_id, BatchState.INFLIGHT)
    receive(engine, body_of(event(EventKind.DELIVERED)))
    assert process(engine).confirmed_batches == 0
    assert batch_states(engine) == ["inflight"], "while the lease runs, the worker decides"
    with database.write(engine) as connection:
        connection.execute(tables.batches.update().values(lease_expires_at=NOW))
        swept = ledger_sweep.sweep(connection, policy=SendingPolicy(), now=NOW)
    assert (swept.lost, swept.confirmed) == (1, 1)
    assert batch_states(engine) == ["accepted"]


def test_soft_bounces_and_blocks_suppress_nobody(engine: sa.Engine, run: str) -> None:
    bounces = [
        event(EventKind.BOUNCED, ordinal, bounce_class=bounce_class, fault=Fault.SENDER, suppresses="hard_bounce")
        for ordinal, bounce_class in enumerate((BounceClass.SOFT, BounceClass.BLOCK, BounceClass.UNDETERMINED))
    ]
    receive(engine, body_of(*bounces))
    assert process(engine).suppressions == 0
    assert rows(engine, tables.suppressions) == []
