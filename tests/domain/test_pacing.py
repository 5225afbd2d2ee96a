import itertools
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import pacing
from domain.pacing import Bucket
from domain.routes import Pace

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)
NO_TIME = timedelta(0)
SECOND = timedelta(seconds=1)
PACES = st.builds(Pace, per_minute=st.floats(0.5, 1e6), burst=st.none() | st.floats(0.5, 1e5))
LEAST = st.integers(1, 1000)


@dataclass(frozen=True)
class Step:
    """A worker asks for tokens (or gives the last ones back) some seconds after the step before."""

    seconds: float
    clock_error: float
    messages: int
    reserve: float
    give_back: bool


def _steps(clock_errors: st.SearchStrategy[float]) -> st.SearchStrategy[list[Step]]:
    step = st.builds(
        Step,
        seconds=st.just(0.0) | st.floats(0, 300),
        clock_error=clock_errors,
        messages=st.integers(1, 1000),
        reserve=st.sampled_from([0.0, pacing.RESERVE]),
        give_back=st.booleans(),
    )
    return st.lists(step, max_size=60)


def _restarted(bucket: Bucket) -> Bucket:
    """What comes back after the process died: the bucket as text, as a database keeps it."""
    read = json.loads(json.dumps(asdict(bucket), default=datetime.isoformat))
    until = read["blocked_until"]
    return Bucket(
        read["tokens"],
        datetime.fromisoformat(read["at"]),
        datetime.fromisoformat(until) if until is not None else None,
    )


def _flow(pace: Pace, least: int, steps: list[Step], errors: list[float]) -> list[tuple[float, int]]:
    """Real seconds and net messages of all that went; `errors` is each step's clock minus the real time."""
    bucket = pacing.full(pace, NOW, least=least)
    real, last, went = 0.0, 0, []
    for step, error in zip(steps, errors, strict=True):
        real += step.seconds
        clock = NOW + timedelta(seconds=real + error)
        bucket = _restarted(bucket)
        if step.give_back and last:
            bucket = pacing.give_back(bucket, pace, last, clock, least=least)
            went.append((real, -last))
            last = 0
            continue
        messages = min(step.messages, least)
        taken = pacing.take(bucket, pace, messages, clock, least=least, reserve=step.reserve)
        bucket = taken.bucket
        assert bucket.tokens <= pacing.size(pace, least=least)
        if taken.wait == NO_TIME:
            went.append((real, messages))
            last = messages
            assert bucket.tokens >= step.reserve * pacing.size(pace, least=least) - 1e-6
    return went


def _check_every_window(pace: Pace, least: int, went: list[tuple[float, int]], slack_seconds: float) -> None:
    """In any window what was taken is at most a bucket, what time brought, and what was given back into it."""
    assert pace.per_minute is not None
    for first, last in itertools.combinations_with_replacement(range(len(went)), 2):
        window = went[first : last + 1]
        taken = sum(messages for _, messages in window if messages > 0)
        returned = -sum(messages for _, messages in window if messages < 0)
        seconds = window[-1][0] - window[0][0] + slack_seconds
        allowed = pacing.size(pace, least=least) + pace.per_minute / 60 * seconds + returned
        assert taken <= allowed * (1 + 1e-9) + 1e-3


@given(pace=PACES, least=LEAST, steps=_steps(st.just(0.0) | st.floats(0, 10_000)))
def test_never_more_than_a_bucket_and_the_rate_though_clocks_step_back_and_workers_restart(
    pace: Pace, least: int, steps: list[Step]
) -> None:
    errors = list(itertools.accumulate(-step.clock_error for step in steps))
    _check_every_window(pace, least, _flow(pace, least, steps, errors), slack_seconds=0.001)


@given(pace=PACES, least=LEAST, steps=_steps(st.floats(-25, 25)))
def test_never_more_though_workers_clocks_disagree_by_less_than_a_minute(
    pace: Pace, least: int, steps: list[Step]
) -> None:
    errors = [step.clock_error for step in steps]
    _check_every_window(pace, least, _flow(pace, least, steps, errors), slack_seconds=50.001)


def test_two_workers_whose_clocks_disagree_do_not_make_time_by_asking_in_turns() -> None:
    pace, taken, bucket = Pace(per_minute=60, burst=100), 0, Bucket(0.0, NOW)
    for turn in range(1000):
        asked = pacing.take(bucket, pace, 1, NOW + turn % 2 * 30 * SECOND, least=1)
        bucket, taken = asked.bucket, taken + (asked.wait == NO_TIME)
    assert taken == 30


def test_a_worker_whose_clock_is_behind_is_told_to_wait_by_its_own_clock() -> None:
    asked = pacing.take(Bucket(0.0, NOW), Pace(60), 1, NOW - 30 * SECOND, least=1)
    assert asked.wait == 31 * SECOND + timedelta.resolution


@given(
    pace=PACES,
    least=LEAST,
    tokens=st.floats(0, 1),
    messages=st.integers(1, 5000),
    reserve=st.sampled_from([0.0, pacing.RESERVE]),
    behind=st.floats(-59, 100_000),
)
def test_who_waits_as_told_gets_it(
    pace: Pace, least: int, tokens: float, messages: int, reserve: float, behind: float
) -> None:
    """Nobody starves: even a batch above `least`, by a worker whose clock is behind."""
    assert pace.per_minute is not None
    now, asked = NOW + timedelta(seconds=behind), 0
    needed = messages + reserve * pacing.size(pace, least=max(least, messages))
    hours = needed / pace.per_minute / 60
    bucket = Bucket(tokens * pacing.size(pace, least=least), NOW)
    while (taken := pacing.take(bucket, pace, messages, now, least=least, reserve=reserve)).wait:
        assert taken.wait > NO_TIME
        bucket, now, asked = taken.bucket, now + taken.wait, asked + 1
        # Who waits for hours asks once in each; all others ask once, or once more for the rounding.
        assert asked <= hours + 2
    assert taken.bucket.tokens >= -1e-6


def test_marketing_leaves_a_fifth_and_transactional_mail_finds_it() -> None:
    pace, bucket = Pace(per_minute=6000, burst=5000), pacing.full(Pace(6000, 5000), NOW, least=1000)
    for _ in range(4):
        taken = pacing.take(bucket, pace, 1000, NOW, least=1000, reserve=pacing.RESERVE)
        assert taken.wait == NO_TIME
        bucket = taken.bucket
    refused = pacing.take(bucket, pace, 1000, NOW, least=1000, reserve=pacing.RESERVE)
    assert refused.wait == 10 * SECOND + timedelta.resolution
    assert refused.bucket == bucket
    assert pacing.take(refused.bucket, pace, 1, NOW, least=1000).wait == NO_TIME


def test_a_bucket_smaller_than_a_batch_is_one_that_a_batch_fits_in_above_the_reserve() -> None:
    pace = Pace(per_minute=10)
    taken = pacing.take(pacing.full(pace, NOW, least=1000), pace, 1000, NOW, least=1000, reserve=pacing.RESERVE)
    assert taken.wait == NO_TIME
    assert taken.bucket.tokens == 250


def test_a_reserve_with_which_a_batch_might_never_go_is_refused() -> None:
    with pytest.raises(ValueError, match=r"from 0 to 0\.2, not 0\.5"):
        pacing.take(Bucket(1.0, NOW), Pace(60), 1, NOW, least=1, reserve=0.5)


@given(
    pace=PACES | st.just(Pace()),
    least=LEAST,
    given_back=st.lists(st.tuples(st.integers(0, 5000), st.floats(-200, 200)), max_size=20),
)
def test_what_is_given_back_never_fills_a_bucket_above_its_size(
    pace: Pace, least: int, given_back: list[tuple[int, float]]
) -> None:
    bucket = Bucket(0.0, NOW)
    for messages, seconds in given_back:
        before = bucket.tokens
        bucket = pacing.give_back(bucket, pace, messages, NOW + timedelta(seconds=seconds), least=least)
        assert before <= bucket.tokens <= pacing.size(pace, least=least)


def test_what_was_taken_and_given_back_is_there_again() -> None:
    pace, full = Pace(60), pacing.full(Pace(60), NOW, least=10)
    taken = pacing.take(full, pace, 10, NOW, least=10)
    assert pacing.give_back(taken.bucket, pace, 10, NOW, least=10) == full


@given(pace=PACES | st.just(Pace()), blocks=st.lists(st.floats(-100, 5000), min_size=1, max_size=5))
def test_nothing_goes_until_the_latest_word_of_the_other_side(pace: Pace, blocks: list[float]) -> None:
    bucket = pacing.full(pace, NOW, least=1)
    for seconds in blocks:
        bucket = pacing.block(bucket, NOW + timedelta(seconds=seconds))
    latest = timedelta(seconds=max(blocks))
    taken = pacing.take(bucket, pace, 1, NOW, least=1)
    assert taken.wait == max(latest, NO_TIME)
    assert taken.bucket.tokens == bucket.tokens or taken.wait == NO_TIME
    assert pacing.take(bucket, pace, 1, NOW + taken.wait, least=1).wait == NO_TIME


def test_a_block_survives_a_clock_that_is_set_back_no_longer_than_it_was_meant() -> None:
    """A machine that was a year ahead blocked for a minute; once its clock is right, that is still a minute."""
    ahead = NOW + timedelta(days=365)
    bucket = pacing.block(pacing.full(Pace(), ahead, least=1), ahead + 60 * SECOND)
    assert pacing.take(bucket, Pace(), 1, NOW, least=1).wait == 60 * SECOND


@given(messages=st.lists(st.integers(1, 10**6), max_size=20))
def test_without_a_pace_nothing_ever_waits(messages: list[int]) -> None:
    bucket = Bucket(0.0, NOW)
    for many in messages:
        taken = pacing.take(bucket, Pace(), many, NOW, least=1, reserve=pacing.RESERVE)
        assert taken.wait == NO_TIME
        bucket = taken.bucket
    assert pacing.schedule(None, Pace(), 10**6, NOW) == (NOW, NOW)


@given(
    pace=PACES,
    batches=st.lists(st.tuples(st.integers(1, 1000), st.just(0.0) | st.floats(-50, 600)), min_size=1, max_size=40),
)
def test_mail_is_never_released_faster_than_a_burst_or_a_batch_and_the_rate(
    pace: Pace, batches: list[tuple[int, float]]
) -> None:
    """The sum of the released in any window, whenever the batches were handed over, also by a clock that steps back."""
    assert pace.per_minute is not None
    burst = max(pace.burst or pace.per_minute, *(float(messages) for messages, _ in batches))
    now, next_free, released = NOW, None, []
    for messages, seconds in batches:
        now += timedelta(seconds=seconds)
        at, next_free = pacing.schedule(next_free, pace, messages, now)
        assert at >= now
        released.append((at, messages))
    released.sort()
    for first, last in itertools.combinations_with_replacement(range(len(released)), 2):
        minutes = (released[last][0] - released[first][0]).total_seconds() / 60
        total = sum(messages for _, messages in released[first : last + 1])
        assert total <= (burst + pace.per_minute * minutes) * (1 + 1e-9) + 1


def test_a_schedule_in_figures() -> None:
    """100 a minute, a minute's worth at once: two batches of 50 now, then one each half minute."""
    pace, next_free, delays = Pace(per_minute=100), None, []
    for _ in range(5):
        at, next_free = pacing.schedule(next_free, pace, 50, NOW)
        delays.append((at - NOW).total_seconds())
    assert delays == [0, 0, 30, 60, 90]
    # After a pause all is as in the beginning; a batch larger than the burst goes at once, and the next waits for it.
    later = NOW + timedelta(hours=1)
    at, next_free = pacing.schedule(next_free, pace, 1000, later)
    assert at == later
    assert pacing.schedule(next_free, pace, 50, later)[0] == later + timedelta(minutes=9, seconds=30)


def test_a_pace_so_slow_that_no_calendar_holds_it_is_late_and_no_error() -> None:
    slow = Pace(per_minute=1e-300)
    at, next_free = pacing.schedule(None, slow, 1000, NOW)
    assert at == NOW
    assert next_free > NOW + timedelta(days=300)
    assert pacing.take(Bucket(0.0, NOW), slow, 1, NOW, least=1).wait <= timedelta(hours=1, seconds=1)
