"""Transactional mail beside marketing that has taken all it may, over a real store."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import hypothesis
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st

from data import database, traffic_rows
from data.lanes import Lane, Stall
from domain import pacing
from domain.breaker import LONGEST_COOL_DOWN
from domain.failover import Needs
from domain.ledger import Outcome, OutcomeKind
from domain.routes import Grant, Pace, Route
from domain.suppression import Stream
from tests.data import frozen
from tests.data.frozen import POLICY, Clock

pytestmark = pytest.mark.usefixtures("account_id")
ACCEPTED = Outcome(OutcomeKind.ACCEPTED, status=202)
UNKNOWN = Outcome(OutcomeKind.UNKNOWN, detail="ReadTimeout")
TOO_MANY = Outcome(OutcomeKind.NOT_SENT, status=429)


def _lane(engine: sa.Engine, clock: Clock, stream: Stream, **facts: object) -> Lane:
    route: Route = frozen.route("esp", stream=stream, pool=f"esp-{stream}", **facts)
    return Lane(engine=engine, routes=[route], needs=Needs("shop", stream), policy=POLICY, clock=clock)


def _both(engine: sa.Engine, clock: Clock, **facts: object) -> tuple[Lane, Lane]:
    return _lane(engine, clock, Stream.MARKETING, **facts), _lane(engine, clock, Stream.TRANSACTIONAL, **facts)


def _asked(lane: Lane, messages: int = 1) -> Grant:
    found = lane.ask(1, messages=messages, mailbox_group="gmail")
    assert isinstance(found, Grant), found
    return found


def _grants(lane: Lane, messages: int) -> Iterator[Grant]:
    while isinstance(found := lane.ask(1, messages=messages, mailbox_group="gmail"), Grant):
        yield found


def test_marketing_leaves_a_fifth_of_the_requests(engine: sa.Engine) -> None:
    marketing, transactional = _both(engine, Clock(), concurrency=10)
    assert len(list(_grants(marketing, 10))) == 8
    assert len(list(_grants(transactional, 1))) == 2


@pytest.mark.parametrize("concurrency", [1, 2, 3, 4, 5])
def test_one_request_is_left_however_few_there_are(engine: sa.Engine, concurrency: int) -> None:
    marketing, transactional = _both(engine, Clock(), concurrency=concurrency)
    assert len(list(_grants(marketing, 10))) >= 1
    _asked(transactional)


def test_marketing_comes_to_its_own_limit_without_dragging_the_other(engine: sa.Engine) -> None:
    """429 and time-outs of campaigns halve marketing's requests and open marketing's breaker, and no more."""
    clock = Clock()
    marketing, transactional = _both(engine, clock)
    for _ in range(3):
        marketing.told(_asked(marketing), UNKNOWN, messages=10, seconds=30)
    stalled = marketing.ask(1, messages=10, mailbox_group="gmail")
    assert isinstance(stalled, Stall)
    assert "breaker" in stalled.reason
    assert len(list(_grants(transactional, 1))) == 8


def test_receipts_in_trouble_do_not_wait_for_what_campaigns_have_under_way(engine: sa.Engine) -> None:
    """Their own limit falls to one request; six of marketing's are under way, and the one goes all the same."""
    marketing, transactional = _both(engine, Clock())
    for _ in range(4):
        transactional.told(_asked(transactional), TOO_MANY, messages=1, seconds=1)
    assert len(list(_grants(marketing, 10))) == 6
    assert len(list(_grants(transactional, 1))) == 1


def test_a_fifth_of_the_tokens_is_left_and_comes_back_with_time(engine: sa.Engine) -> None:
    clock = Clock()
    marketing, transactional = _both(engine, clock, hand_over=Pace(10_000), concurrency=100)
    assert sum(grant.messages for grant in _grants(marketing, 1000)) == 8000
    assert sum(grant.messages for grant in _grants(transactional, 500)) == 2000
    stalled = marketing.ask(1, messages=1000, mailbox_group="gmail")
    assert isinstance(stalled, Stall)
    assert stalled.seconds == pytest.approx(18, abs=0.1)  # 1,000 and the reserve of 2,000 at 10,000 a minute


@hypothesis.settings(
    max_examples=15, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture], deadline=None
)
@hypothesis.given(
    per_minute=st.floats(1, 10_000),
    burst=st.none() | st.floats(1, 20_000),
    concurrency=st.integers(1, 12),
    marketing_takes=st.lists(
        st.tuples(st.integers(1, POLICY.batch_size), st.sampled_from([None, ACCEPTED, UNKNOWN]), st.integers(0, 90)),
        max_size=15,
    ),
    part=st.floats(0, 1),
)
def test_whatever_marketing_takes_a_receipt_within_the_reserve_goes_at_once(
    engine: sa.Engine,
    per_minute: float,
    burst: float | None,
    concurrency: int,
    marketing_takes: list[tuple[int, Outcome | None, int]],
    part: float,
) -> None:
    clock, pace = Clock(), Pace(per_minute, burst)
    with database.write(engine) as connection:
        _forget(connection)
    marketing, transactional = _both(engine, clock, hand_over=pace, concurrency=concurrency)
    for messages, outcome, seconds in marketing_takes:
        clock.forward(seconds=seconds)
        found = marketing.ask(1, messages=messages, mailbox_group="gmail")
        if isinstance(found, Grant) and outcome is not None:
            marketing.told(found, outcome, messages=messages, seconds=0.2)
    _take_every_token(marketing)
    hypothesis.event(f"requests under way: {len(list(_grants(marketing, 1)))}")
    reserve = int(pacing.RESERVE * pacing.size(pace, least=POLICY.batch_size))
    asked = max(1, int(part * reserve))
    assert _asked(transactional, asked).messages == asked


def _take_every_token(lane: Lane) -> None:
    for messages in (1000, 100, 10, 1):
        for grant in _grants(lane, messages):
            lane.told(grant, ACCEPTED, messages=messages, seconds=0.2)


def _forget(connection: sa.Connection) -> None:
    for name in ("slots", "buckets", "provider_states", "pool_volumes"):
        connection.execute(sa.text(f"DELETE FROM {name}"))


def test_an_esp_that_is_down_for_both_is_tried_by_each_stream_alone(engine: sa.Engine) -> None:
    clock = Clock()
    marketing, transactional = _both(engine, clock)
    for lane in (marketing, transactional):
        for _ in range(3):
            lane.told(_asked(lane), UNKNOWN, messages=1, seconds=30)
    clock.forward(seconds=LONGEST_COOL_DOWN.total_seconds())
    probes = [_asked(marketing, 50), _asked(transactional)]
    assert [probe.probe for probe in probes] == [True, True]
    transactional.told(probes[1], ACCEPTED, messages=1, seconds=0.2)
    _asked(transactional)
    assert isinstance(marketing.ask(1, messages=1, mailbox_group="gmail"), Stall)


def test_what_was_granted_and_not_used_is_there_again(engine: sa.Engine) -> None:
    transactional = _lane(engine, Clock(), Stream.TRANSACTIONAL, hand_over=Pace(100), concurrency=1)
    transactional.given_back(_asked(transactional, 1000))
    _asked(transactional, 1000)


def test_a_stream_has_a_row_before_its_first_decision(engine: sa.Engine) -> None:
    """Two workers who find no row to lock would both take the last request."""
    lane = _lane(engine, Clock(), Stream.TRANSACTIONAL)
    _asked(lane)
    with database.read(engine) as connection:
        found = traffic_rows.provider_states(connection, ["esp"], Stream.TRANSACTIONAL)
    assert found["esp"].concurrency == 8


def test_no_way_is_said_and_never_waited_for(engine: sa.Engine) -> None:
    lane = Lane(engine=engine, routes=[], needs=Needs("shop", Stream.TRANSACTIONAL), policy=POLICY, clock=Clock())
    found = lane.ask(1, messages=1)
    assert isinstance(found, Stall)
    assert (found.seconds, "none is declared" in found.reason) == (None, True)


def test_nothing_is_handed_over_ahead_that_would_be_released_in_the_quiet_hours(engine: sa.Engine) -> None:
    """It is 10:00 in Berlin and quiet from 10:30 on; ten mails a minute, which the ESP may get an hour ahead."""
    clock, route = Clock(), frozen.route(schedules=True, release={"*": Pace(10)})
    book = frozen.book(engine, frozen.dispatching(engine, 500), clock, route)
    book = replace(book, policy=replace(POLICY, release_ahead_minutes=60, quiet_from="10:30", quiet_until="20:00"))
    released = []
    while (batch := book.claim(book.run.id, worker="w")) is not None:
        released.append(batch.send_at or clock())
        book.record(batch, ACCEPTED, seconds=0.1)
    assert len(released) > 20
    assert max(released) < clock() + timedelta(minutes=30)
    clock.forward(minutes=30)
    assert book.claim(book.run.id, worker="w") is None
    clock.forward(hours=9, minutes=30)
    assert book.claim(book.run.id, worker="w") is not None


def test_slow_answers_keep_no_receipt_waiting(engine: sa.Engine) -> None:
    """Marketing asks for fewer at once then; what customers wait for goes on at full width."""
    clock = Clock()
    left = {}
    for stream in Stream:
        lane = _lane(engine, clock, stream)
        for seconds in (0.05, *[2.0] * 6):
            lane.told(_asked(lane), ACCEPTED, messages=1, seconds=seconds)
        granted = list(_grants(lane, 1))
        left[stream] = len(granted)
        for grant in granted:
            lane.given_back(grant)
    assert left[Stream.MARKETING] < 6
    assert left[Stream.TRANSACTIONAL] == 8
