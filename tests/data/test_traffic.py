"""Which batch goes next and by which way, over a real store: pace, breakers, failover, warm-up, canary, brakes."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from data import audit, database, ledger, ledger_sweep, pools, tables
from data.lanes import Stall
from domain import routing
from domain.ledger import BatchState, Outcome, OutcomeKind
from domain.ports import Batch
from domain.routes import Pace, Route
from tests.data import frozen
from tests.data.frozen import Clock

pytestmark = pytest.mark.usefixtures("account_id")
ACCEPTED = Outcome(OutcomeKind.ACCEPTED, status=202)
UNKNOWN = Outcome(OutcomeKind.UNKNOWN, detail="ReadTimeout")
REFUSED = Outcome(OutcomeKind.NOT_SENT, detail="ConnectError")
A, B = frozen.route("a"), frozen.route("b")


def _book(engine: sa.Engine, people: int, *routes: Route, batch_size: int = 10) -> tuple[ledger.SqlLedger, Clock]:
    run, clock = frozen.dispatching(engine, people, batch_size=batch_size), Clock()
    return frozen.book(engine, run, clock, *routes), clock


def _claim(book: ledger.SqlLedger) -> Batch | None:
    return book.claim(book.run.id, worker="w")


def _claimed(book: ledger.SqlLedger) -> Batch:
    batch = _claim(book)
    assert batch is not None, book.traffic.stalled
    return batch


def _drain(book: ledger.SqlLedger, **answers: Outcome) -> Counter[str]:
    """Send until nothing may go; messages by provider. Each provider always gives the same answer."""
    found: Counter[str] = Counter()
    while (batch := _claim(book)) is not None:
        provider = batch.grant.route.provider
        found[provider] += len(batch)
        book.record(batch, answers.get(provider, ACCEPTED), seconds=0.1)
    return found


def _decisions(engine: sa.Engine) -> list[Any]:
    with database.read(engine) as connection:
        return list(connection.scalars(sa.select(tables.attempt_routes.c.decision)))


def test_equals_share_by_their_shares_and_each_choice_can_be_made_again(engine: sa.Engine) -> None:
    book, _ = _book(engine, 200, replace(A, share=3), replace(B, share=1))
    assert _drain(book) == {"a": 150, "b": 50}
    for kept in _decisions(engine):
        assert routing.replay(kept).route == kept["choice"]["route"]
        assert kept["choice"]["reason"]


def test_a_second_way_waits_until_the_first_cannot(engine: sa.Engine) -> None:
    book, _ = _book(engine, 50, A, replace(B, priority=2))
    assert _drain(book) == {"a": 50}


def test_an_esp_that_dies_in_mid_campaign_gives_no_duplicate_over_both(engine: sa.Engine) -> None:
    """Only what was certainly not sent moves; what is unknown stays where it is, whatever the other could carry."""
    book, clock = _book(engine, 200, A, replace(B, priority=2))
    sent: Counter[str] = Counter()
    for number in range(200):
        batch = _claim(book)
        if batch is None:
            break
        by_a = batch.grant.route is A
        outcome = ACCEPTED if not by_a or number < 5 else UNKNOWN if number % 2 else REFUSED
        if outcome.kind is not OutcomeKind.NOT_SENT:
            sent.update(batch.message_ids)  # of the unknown ones we do not know: count them as sent
        book.record(batch, outcome, seconds=0.1)
        clock.forward(seconds=1)
    clock.forward(minutes=frozen.POLICY.hold_after_minutes)
    with database.write(engine) as connection:
        ledger_sweep.sweep(connection, policy=frozen.POLICY, now=clock())
        found = audit.audit(connection, book.run.id, record=None)
        ways = Counter(connection.scalars(sa.select(tables.attempt_routes.c.provider)))
    assert set(sent.values()) == {1}
    assert found.balanced
    assert found.states["held"] > 0
    assert found.states["accepted"] + found.states["held"] == 200
    assert ways["b"] > 5  # the rest of the campaign


def test_a_refused_key_opens_the_breaker_and_the_rest_goes_elsewhere(engine: sa.Engine) -> None:
    book, _ = _book(engine, 50, A, replace(B, priority=2))
    refused = Outcome(OutcomeKind.NOT_SENT, detail="HTTP 401", status=401, stop_provider=True)
    assert _drain(book, a=refused)["a"] == 10
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(tables.provider_states)).all()
    assert {(row.provider, row.stream, row.breaker) for row in rows} >= {("a", "marketing", "open")}


REJECTED = Outcome(OutcomeKind.REJECTED, status=400, detail="HTTP 400")


def test_what_an_esp_refused_goes_to_no_other(engine: sa.Engine) -> None:
    """Neither the halves of a batch, nor a single message of a run of which nothing was ever accepted."""
    book, clock = _book(engine, 4, A, replace(B, priority=2))
    book.record(_claimed(book), REJECTED, seconds=0.1)
    with database.write(engine) as connection:
        connection.execute(tables.provider_states.update().values(breaker="open", probe_at=clock() + frozen.HOUR))
        connection.execute(
            tables.provider_states.update().where(tables.provider_states.c.provider == "b").values(breaker="closed")
        )
    assert _claim(book) is None
    assert book.traffic.stalled is not None
    assert "the ESP refused this very mail" in book.traffic.stalled.reason
    with database.write(engine) as connection:
        connection.execute(tables.provider_states.update().values(breaker="closed", probe_at=None))
    for _ in range(3):
        batch = _claimed(book)
        assert batch.grant.route == A
        book.record(batch, REJECTED, seconds=0.1)
        clock.forward(seconds=1)
    with database.read(engine) as connection:
        assert set(connection.scalars(sa.select(tables.batches.c.refused_by))) == {"a"}


def test_a_part_of_what_was_refused_stays_too(engine: sa.Engine) -> None:
    book, _ = _book(engine, 8, A)
    book.record(_claimed(book), REJECTED, seconds=0.1)
    grant = book.traffic.next()
    assert grant is not None
    assert book._claimed(replace(grant, messages=1), "w") is not None
    with database.read(engine) as connection:
        assert set(connection.scalars(sa.select(tables.batches.c.refused_by))) == {"a"}


def test_what_we_refused_ourselves_is_no_esps_word(engine: sa.Engine) -> None:
    book, _ = _book(engine, 4, A)
    book.record(_claimed(book), replace(REJECTED, local=True), seconds=0.1)
    with database.read(engine) as connection:
        assert set(connection.scalars(sa.select(tables.batches.c.refused_by))) == {None}


def test_an_open_breaker_is_tried_again_with_a_few_messages(engine: sa.Engine) -> None:
    book, clock = _book(engine, 200, A, batch_size=50)
    for _ in range(3):
        book.record(_claimed(book), UNKNOWN, seconds=0.1)
    assert _claim(book) is None
    assert book.traffic.stalled is not None
    assert "breaker" in book.traffic.stalled.reason
    assert book.traffic.stalled.by_esp
    clock.forward(minutes=1)
    probe = _claimed(book)
    assert (len(probe), probe.grant.probe) == (routing.PROBE_MESSAGES, True)
    assert _claim(book) is None  # one probe at a time
    book.record(probe, ACCEPTED, seconds=0.1)
    assert _drain(book) == {"a": 50 - routing.PROBE_MESSAGES}


def test_a_rate_limit_is_obeyed_by_whoever_asks_next(engine: sa.Engine) -> None:
    book, clock = _book(engine, 30, A)
    slow_down = Outcome(OutcomeKind.NOT_SENT, status=429, detail="429", retry_after=timedelta(seconds=30))
    book.record(_claimed(book), slow_down, seconds=0.1)
    other = frozen.book(engine, book.run, clock, A)  # another process, or this one after a restart
    assert _claim(other) is None
    assert other.traffic.stalled is not None
    assert other.traffic.stalled.seconds == pytest.approx(30)
    assert other.traffic.stalled.by_esp
    clock.forward(seconds=30)
    assert _drain(other) == {"a": 30}


def test_the_pace_of_hand_over_is_shared_and_survives_restarts(engine: sa.Engine) -> None:
    run, clock = frozen.dispatching(engine, 100, batch_size=10), Clock()
    slow = replace(A, hand_over=Pace(per_minute=10, burst=20))
    policy = replace(frozen.POLICY, batch_size=10)
    went = 0
    for _ in range(10):
        book = replace(frozen.book(engine, run, clock, slow), policy=policy)
        went += sum(_drain(book).values())
        clock.forward(seconds=30)
    # What the bucket held at first, and 10 a minute over 4.5 minutes; a fifth of the burst is transactional mail's.
    assert 40 <= went <= 20 + 45


def test_mail_is_released_at_its_own_pace_where_the_esp_keeps_it(engine: sa.Engine) -> None:
    book, clock = _book(engine, 40, replace(A, schedules=True, release={"*": Pace(per_minute=10, burst=10)}))
    due = []
    for _ in range(4):
        batch = _claimed(book)
        due.append(batch.send_at)
        book.record(batch, ACCEPTED, seconds=0.1)
    minutes = [0 if at is None else round((at - clock()).total_seconds() / 60) for at in due]
    assert minutes == [0, 1, 2, 3]


def test_without_such_an_esp_the_hand_over_waits(engine: sa.Engine) -> None:
    book, clock = _book(engine, 30, replace(A, release={"*": Pace(per_minute=10, burst=10)}))
    assert _drain(book) == {"a": 10}
    assert book.traffic.stalled is not None
    assert book.traffic.stalled.seconds == pytest.approx(60, abs=1)
    clock.forward(minutes=1)
    assert _drain(book) == {"a": 10}


def test_a_new_pool_carries_what_its_day_allows(engine: sa.Engine) -> None:
    book, clock = _book(engine, 60, replace(A, warm_up=True), batch_size=50)
    assert _drain(book) == {"a": 20}  # SendGrid's first hour
    assert book.traffic.stalled is not None
    clock.forward(hours=1)
    assert _drain(book) == {"a": 20}
    with database.read(engine) as connection:
        states = Counter(connection.scalars(sa.select(tables.batches.c.state)))
    assert states[BatchState.SPLIT] >= 1  # a batch of 50 was cut


def test_what_an_esp_did_not_take_leaves_room(engine: sa.Engine) -> None:
    book, clock = _book(engine, 60, replace(A, warm_up=True), batch_size=10)
    book.record(_claimed(book), REFUSED, seconds=0.1)
    clock.forward(minutes=2)
    assert _drain(book) == {"a": 20}


def test_requests_at_once_are_counted_over_all_workers(engine: sa.Engine) -> None:
    run, clock = frozen.dispatching(engine, 100, batch_size=10), Clock()
    books = [frozen.book(engine, run, clock, replace(A, concurrency=5)) for _ in range(3)]
    taken = [batch for book in books for _ in range(3) if (batch := _claim(book)) is not None]
    assert len(taken) == 4  # a fifth is transactional mail's
    books[0].record(taken[0], ACCEPTED, seconds=0.1)
    assert _claim(books[2]) is not None
    clock.forward(seconds=frozen.POLICY.lease_seconds + 1)  # all the others died
    assert _claim(books[1]) is not None


def test_an_esp_that_struggles_gets_fewer_requests_at_once(engine: sa.Engine) -> None:
    book, _ = _book(engine, 100, replace(A, concurrency=8))
    book.record(_claimed(book), Outcome(OutcomeKind.NOT_SENT, status=429, detail="429"), seconds=0.1)
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(tables.provider_states.c.concurrency)) == 4


def test_a_route_that_may_not_carry_the_mail_never_does(engine: sa.Engine) -> None:
    run, clock = frozen.dispatching(engine, 20), Clock()
    book = replace(frozen.book(engine, run, clock), routes=[replace(A, authenticated=False), B])
    assert _drain(book) == {"b": 20}
    nobody = replace(book, routes=[replace(A, authenticated=False)])
    assert nobody.traffic.next() is None


def test_without_any_way_it_says_so(engine: sa.Engine) -> None:
    run, clock = frozen.dispatching(engine, 20), Clock()
    book = replace(frozen.book(engine, run, clock), routes=[replace(A, authenticated=False)])
    assert _claim(book) is None
    assert book.traffic.stalled == Stall(
        "no route may carry this mail: a: its sending domain is not authenticated", None
    )


def test_a_batch_whose_turn_was_taken_by_a_dead_worker_comes_up_again(engine: sa.Engine) -> None:
    book, clock = _book(engine, 10)
    assert book.traffic.next() is not None  # and then it died, before the claim
    assert _claim(book) is None
    clock.forward(seconds=11)
    assert _drain(book) == {"sendgrid": 10}


def test_marketing_cannot_leave_by_the_transactional_pool(engine: sa.Engine) -> None:
    book, _ = _book(engine, 10, replace(A, pool="orders"))
    with database.write(engine) as connection:
        connection.execute(
            tables.pools.insert().values(
                account_id="shop", name="orders", stream="transactional", created_at=frozen.NOW
            )
        )
    with pytest.raises(pools.PoolOfOtherStream, match="transactional stream"):
        _claim(book)


def test_a_pace_is_not_the_esps_word(engine: sa.Engine) -> None:
    book, _ = _book(engine, 60, replace(A, hand_over=Pace(per_minute=10, burst=20)))
    book = replace(book, policy=replace(book.policy, batch_size=10))
    assert _drain(book)["a"] > 0
    assert book.traffic.stalled is not None
    assert not book.traffic.stalled.by_esp
