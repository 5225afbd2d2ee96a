import itertools
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import warmup
from domain.warmup import WarmUp

NOW = datetime(2026, 11, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
INSTANTS = st.integers(0, 19 * 24 * 3600).map(lambda seconds: NOW + timedelta(seconds=seconds))


def test_the_caps_are_those_of_sendgrids_table() -> None:
    caps = [warmup.hourly_cap(day) for day in range(1, 43)]
    assert caps[:8] == [20, 28, 39, 55, 77, 108, 151, 211]
    assert caps[12:14] == [1000, 1587]
    assert caps[-2:] == [14_000_754, None]
    assert warmup.hourly_cap(1000) is None
    limited = [cap for cap in caps if cap is not None]
    assert len(limited) == 41
    # Each about 1.4 times the one before; 1,000 after 810 is SendGrid's own, and so is what follows it.
    grown = [later / earlier for earlier, later in itertools.pairwise(limited)]
    assert [round(growth, 1) for number, growth in enumerate(grown) if number not in {11, 12}] == [1.4] * 38


@pytest.mark.parametrize("day", [0, -1])
def test_there_is_no_day_before_the_first(day: int) -> None:
    with pytest.raises(ValueError, match=f"no day {day}"):
        warmup.hourly_cap(day)


def test_a_day_goes_on_after_24_hours_with_mail_in_it() -> None:
    state = warmup.sent(warmup.begin(NOW), NOW)
    assert warmup.today(state, NOW + DAY - HOUR).day == 1
    assert warmup.today(state, NOW + DAY).day == 2
    assert warmup.today(state, NOW + 10 * DAY).day == 2  # nine of those days had no mail


def test_a_day_begins_with_its_first_mail() -> None:
    """Else a mail in its last minute would do, and the next limit be in force a minute later."""
    state = warmup.sent(warmup.begin(NOW), NOW + 5 * DAY)
    assert warmup.today(state, NOW + 6 * DAY - HOUR).day == 1
    state = warmup.sent(state, NOW + 8 * DAY)
    assert state.day == 2
    assert warmup.today(state, NOW + 9 * DAY - HOUR).day == 2
    assert warmup.today(state, NOW + 9 * DAY).day == 3


def test_trouble_puts_it_back_a_day_once_and_a_clean_day_has_to_follow() -> None:
    state = WarmUp(5, NOW, NOW, None)
    for hours in (1, 3, 20):
        state = warmup.trouble(state, NOW + hours * HOUR)
        state = warmup.sent(state, NOW + (hours + 1) * HOUR)
        assert state.day == 4
    over = NOW + HOUR + DAY
    assert warmup.today(state, over - HOUR).day == 4
    assert warmup.today(state, over).day == 4
    clean = warmup.sent(state, over)
    assert warmup.today(clean, over + DAY).day == 5
    again = warmup.trouble(clean, over + HOUR)
    assert again.day == 3


def test_trouble_on_the_first_day_keeps_it_there_and_a_warm_pool_falls_back_too() -> None:
    assert warmup.trouble(warmup.begin(NOW), NOW).day == 1
    warm = WarmUp(warmup.WARM, NOW, NOW, None)
    assert warmup.room(warm, 10**9, NOW) is None
    assert warmup.room(warmup.trouble(warm, NOW), 0, NOW) == 14_000_754


@pytest.mark.parametrize("day", [1, 12, warmup.WARM])
def test_after_thirty_idle_days_it_is_cold_again(day: int) -> None:
    state = WarmUp(day, NOW - 3 * DAY, NOW, None)
    assert warmup.today(state, NOW + 30 * DAY).day >= day
    cold = NOW + 30 * DAY + HOUR
    assert warmup.today(state, cold) == warmup.begin(cold)
    assert warmup.room(state, 0, cold) == 20


def test_room_is_what_the_hour_has_left() -> None:
    state = WarmUp(3, NOW, NOW, None)
    assert [warmup.room(state, sent, NOW) for sent in (0, 38, 39, 40)] == [39, 1, 0, 0]


@given(
    day=st.integers(1, warmup.WARM),
    events=st.lists(st.tuples(st.sampled_from([warmup.today, warmup.sent, warmup.trouble]), INSTANTS), max_size=40),
)
def test_whatever_comes_in_whatever_order_the_day_moves_by_one_at_a_time(
    day: int, events: list[tuple[object, datetime]]
) -> None:
    """Also by a clock that steps back: instants are not sorted here."""
    state = WarmUp(day, NOW, NOW, None)
    for step, at in events:
        before = state
        assert callable(step)
        state = step(state, at)
        assert 1 <= state.day <= warmup.WARM
        assert abs(state.day - before.day) <= 1
        if None not in (before.last_sent_at, state.last_sent_at):
            assert state.last_sent_at >= before.last_sent_at
        if state.day > before.day:
            assert at - before.day_began_at >= DAY
        assert warmup.today(warmup.today(state, at), at) == warmup.today(state, at)


@given(INSTANTS, INSTANTS)
def test_reading_without_writing_changes_nothing(first: datetime, second: datetime) -> None:
    """Who only looks need not store what `today` says: the next mail comes to the same."""
    first, second = sorted((first, second))
    state = WarmUp(7, NOW, NOW + HOUR, None)
    assert warmup.sent(warmup.today(state, first), second) == warmup.sent(state, second)


def _simulate(chance: random.Random, seen: Counter[str]) -> None:
    """A shop that always has more mail than room: it sends what fits, and has trouble at times.

    It counts by the last 60 minutes, so what is checked holds of any hour and not of those of the clock alone.
    """
    state, now = warmup.begin(NOW), NOW
    went: list[tuple[datetime, int]] = []
    stepped_up = NOW
    pace, danger = chance.choice([0.2, 1.0, 8.0, 60.0, 500.0]), chance.choice([0.0, 0.02, 0.2])
    for _ in range(20):
        now += timedelta(hours=pace * 2 * chance.random())
        went = [(at, messages) for at, messages in went if now - at < HOUR]
        before = warmup.today(state, now)
        if chance.random() < danger:
            state = warmup.trouble(state, now)
            assert state.day in {before.day, max(before.day - 1, 1)}
            seen["back"] += state.day < before.day
            continue
        this_hour = sum(messages for _, messages in went)
        room = warmup.room(state, this_hour, now)
        assert room is not None
        seen["full"] += room == 0
        if room:
            messages = chance.choice([room, chance.randint(1, room)])
            seen["forward"] += before.day > state.day
            seen["cold again"] += before.day < state.day
            if before.day > state.day:
                assert now - stepped_up >= DAY
                stepped_up = now
            state = warmup.sent(state, now)
            went.append((now, messages))
            cap = warmup.hourly_cap(state.day)
            assert cap is not None
            assert this_hour + messages <= cap


def test_the_cap_is_never_exceeded_in_any_hour_of_ten_thousand_simulations() -> None:
    """E44. What the simulations went through is counted, as one that never was full would prove nothing."""
    seen: Counter[str] = Counter()
    for seed in range(10_000):
        _simulate(random.Random(seed), seen)
    assert min(seen[what] for what in ("full", "back", "forward", "cold again")) > 100
