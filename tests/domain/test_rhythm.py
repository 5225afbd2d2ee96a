"""Silence against a source's own rhythm: nights, weekends, weekly files, and sources that come as they like."""

import random
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import rhythm

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)  # the first day of a history of nine weeks
END = MONDAY + timedelta(weeks=9)
MINUTE, HOUR, DAY, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


class Source:
    """One source, with all that came before it fell silent."""

    def __init__(self, arrivals: Iterable[datetime]) -> None:
        self.arrivals = sorted(arrivals)

    def heard_before(self, at: datetime) -> datetime | None:
        number = bisect_right(self.arrivals, at)
        return self.arrivals[number - 1] if number else None

    def usual(self, now: datetime) -> timedelta | None:
        last = self.heard_before(now)
        return None if last is None else rhythm.usual_silence(last, now, self.heard_before)

    def alarms(self, now: datetime) -> bool:
        last, usual = self.heard_before(now), self.usual(now)
        return last is not None and usual is not None and rhythm.is_silent(last, usual, now)

    def first_alarm(self, after: datetime) -> datetime:
        return next(at for minutes in range(0, 60 * 24 * 14, 10) if self.alarms(at := after + minutes * MINUTE))


def shop(until: datetime, *, opens: int = 8, closes: int = 22, weekdays: int = 7, zone: str = "UTC") -> Source:
    """An order every five minutes while it is open."""
    there = ZoneInfo(zone)
    arrivals = (MONDAY + number * 5 * MINUTE for number in range((until - MONDAY) // (5 * MINUTE) + 1))
    open_at = (at for at in arrivals if opens <= at.astimezone(there).hour < closes)
    return Source(at for at in open_at if at.astimezone(there).weekday() < weekdays)


def weekly(count: int, *, minutes_late: Iterable[int] = ()) -> Source:
    """A file each Monday at six."""
    late = [*minutes_late, *[0] * count]
    return Source(MONDAY + 6 * HOUR + number * WEEK + late[number] * MINUTE for number in range(count))


def test_a_shop_that_sleeps_at_night_is_not_silent() -> None:
    open_shop = shop(END)
    assert not any(open_shop.alarms(END - DAY + quarter * 15 * MINUTE) for quarter in range(96))


def test_one_that_breaks_at_noon_is_missed_within_an_hour_and_not_at_once() -> None:
    noon = END - 2 * DAY + 12 * HOUR
    broken = shop(noon)
    assert noon + 30 * MINUTE < broken.first_alarm(noon) <= noon + HOUR


def test_one_that_breaks_at_night_is_missed_in_the_morning() -> None:
    midnight = END - 2 * DAY
    assert midnight + 9 * HOUR <= shop(midnight).first_alarm(midnight) <= midnight + 10 * HOUR


def test_a_weekend_is_no_silence_for_who_rests_on_weekends() -> None:
    saturday = END - 2 * DAY
    closed = shop(saturday, opens=9, closes=17, weekdays=5)
    assert not any(closed.alarms(saturday + hour * HOUR) for hour in range(48 + 10))
    monday = saturday + 2 * DAY
    assert monday + 10 * HOUR <= closed.first_alarm(monday) <= monday + 11 * HOUR


def test_and_it_is_for_who_does_not() -> None:
    saturday = END - 2 * DAY
    assert shop(saturday + 12 * HOUR).first_alarm(saturday + 12 * HOUR) <= saturday + 13 * HOUR


def test_a_tuesday_is_not_given_the_patience_of_a_weekend() -> None:
    tuesday = END - 6 * DAY + 12 * HOUR
    assert shop(tuesday, opens=9, closes=17, weekdays=5).first_alarm(tuesday) <= tuesday + HOUR


def test_a_weekly_file_is_awaited_for_a_week_and_an_hour() -> None:
    due = MONDAY + 8 * WEEK + 6 * HOUR
    source = weekly(8)
    assert not any(source.alarms(due - WEEK + hour * HOUR) for hour in range(1, 7 * 24 + 1))
    assert due + HOUR <= source.first_alarm(due) <= due + 8 * HOUR


def test_one_that_often_is_late_may_be_so() -> None:
    due = MONDAY + 8 * WEEK + 6 * HOUR
    source = weekly(8, minutes_late=(0, 200, 10, 150, 0, 30, 180, 20))
    assert not source.alarms(due + 3 * HOUR)
    assert source.alarms(due + DAY)


def test_a_file_that_stays_away_for_good_is_missed_for_good() -> None:
    source = weekly(8)
    assert all(source.alarms(MONDAY + number * WEEK + 2 * DAY) for number in range(9, 30))


def test_before_the_third_week_nobody_knows() -> None:
    at = MONDAY + 2 * WEEK + 5 * DAY + 12 * HOUR
    assert shop(at - 5 * HOUR).usual(at) is None
    assert shop(at + WEEK - 5 * HOUR).usual(at + WEEK) is not None


def test_a_source_that_comes_on_the_hour_may_be_some_minutes_late() -> None:
    hourly = Source(MONDAY + number * HOUR for number in range(9 * 7 * 24 + 1))
    assert not any(hourly.alarms(END + minutes * MINUTE) for minutes in range(0, 60 * 4, 3))
    assert hourly.first_alarm(END) <= END + 6 * HOUR


def test_when_clocks_are_put_back_a_shop_that_opens_by_them_is_not_late() -> None:
    """On the 25th of October 2026 Berlin opens an hour later by UTC."""
    sunday = datetime(2026, 10, 25, tzinfo=UTC)
    berlin = shop(sunday + 12 * HOUR, zone="Europe/Berlin")
    assert not any(berlin.alarms(sunday + quarter * 15 * MINUTE) for quarter in range(12 * 4))


@pytest.mark.parametrize("orders_a_day", [3, 5, 20])
def test_orders_that_come_as_they_like_hardly_ever_alarm(orders_a_day: int) -> None:
    dice = random.Random(7)
    at, arrivals = MONDAY, []
    while at < MONDAY + 52 * WEEK:
        at += timedelta(days=dice.expovariate(orders_a_day))
        arrivals.append(at)
    source = Source(arrivals)
    hours = [MONDAY + 9 * WEEK + number * HOUR for number in range(43 * 7 * 24)]
    alarmed = [hour for hour in hours if source.alarms(hour)]
    episodes = sum(1 for hour in alarmed if hour - HOUR not in alarmed)
    assert episodes <= 4  # in ten months


@given(st.lists(st.integers(0, 60 * 24 * 70), min_size=1, max_size=60), st.integers(0, 60 * 24 * 80))
def test_nothing_is_an_alarm_that_was_as_long_before(minutes: list[int], now: int) -> None:
    source = Source(MONDAY + one * MINUTE for one in minutes)
    at = MONDAY + now * MINUTE
    usual, last = source.usual(at), source.heard_before(at)
    if usual is not None and last is not None and at - last <= usual:
        assert not source.alarms(at)
    if usual is not None:
        assert usual >= timedelta(0)
