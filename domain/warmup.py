"""Warming up: a new pool carries little at first and more each day, so that mailbox providers learn to trust it.

The hourly limits, what counts as idle, and that a pool is warm after day 41 are SendGrid's, "Warming Up an IP Address"
(https://www.twilio.com/docs/sendgrid/concepts/reputation/warm-up-ip-addresses, table "Automated IP warmup hourly send
schedule"). SendGrid counts on by the calendar; here only a day that carried mail and no trouble counts (facts E44).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

# SendGrid's table from warm-up age 0 on; about 1.4 times more each day. Age 12 is 1,000 there and not 1,134. Day 1 here
# is age 0 there. Its last row, 19,601,056 an hour, would be day 42; nobody is limited by it, and day 41 is the last.
_HOURLY = (
    *(20, 28, 39, 55, 77, 108, 151, 211, 295, 413),
    *(579, 810, 1_000, 1_587, 2_222, 3_111, 4_356, 6_098, 8_583, 11_953),
    *(16_734, 23_427, 32_798, 45_917, 64_284, 89_998, 125_997, 176_395, 246_953, 345_735),
    *(484_029, 677_640, 948_696, 1_328_175, 1_859_444, 2_603_222, 3_644_511, 5_102_316, 7_143_242, 10_000_539),
    14_000_754,
)
WARM = len(_HOURLY) + 1  # the first day without a limit
_DAY = timedelta(hours=24)
_IDLE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How far a pool has come with a mailbox group.

    `day`: 1 … 41, then 42: warm. `day_began_at`: with the day's first mail, and until that when the day before ended.
    `last_sent_at`: None until the first mail. `trouble_at`: when it was last put back.
    """

    day: int
    day_began_at: datetime
    last_sent_at: datetime | None
    trouble_at: datetime | None


def begin(now: datetime) -> WarmUp:
    """Return a cold pool on its first day."""
    return WarmUp(1, now, None, None)


def today(state: WarmUp, now: datetime) -> WarmUp:
    """Return the state as it stands now.

    A day ends 24 hours after its first mail. After one without trouble the next day comes; after one with trouble the
    same again. A day without mail does not end, however long it lasts, so a pool never gains more than a day at once.
    After 30 days without mail it is cold again, were it warm before.
    """
    if now - (state.last_sent_at or state.day_began_at) > _IDLE:
        return begin(now)
    if now - state.day_began_at < _DAY:
        return state
    if _troubled(state):
        return replace(state, day_began_at=now)
    if _has_mail(state):
        return replace(state, day=min(state.day + 1, WARM), day_began_at=now)
    return state


def hourly_cap(day: int) -> int | None:
    """How many messages may go in an hour of this day; None: the pool is warm. Raises ValueError below day 1."""
    if day < 1:
        raise ValueError(f"a pool warms up from day 1 on; there is no day {day}")
    return None if day >= WARM else _HOURLY[day - 1]


def room(state: WarmUp, sent_this_hour: int, now: datetime) -> int | None:
    """How many more messages may go in this hour; None: any number.

    The hour is the one by which the caller counts. What is on its way counts as sent.
    """
    cap = hourly_cap(today(state, now).day)
    return None if cap is None else max(cap - sent_this_hour, 0)


def sent(state: WarmUp, now: datetime) -> WarmUp:
    """Mail went: the day's first one begins it, so that each limit is in force for 24 hours and not for a minute."""
    state = today(state, now)
    first = not _has_mail(state) and not _troubled(state)
    last = now if state.last_sent_at is None else max(now, state.last_sent_at)
    return replace(state, day_began_at=now if first else state.day_began_at, last_sent_at=last)


def trouble(state: WarmUp, now: datetime) -> WarmUp:
    """Mailbox providers hold it back (a brake, a pause): back by a day, at once and once in 24 hours.

    The day of the trouble does not count; a whole day without any has to follow before it goes on.
    """
    state = today(state, now)
    if _troubled(state):
        return state
    return replace(state, day=max(state.day - 1, 1), day_began_at=now, trouble_at=now)


def _has_mail(state: WarmUp) -> bool:
    return state.last_sent_at is not None and state.last_sent_at >= state.day_began_at


def _troubled(state: WarmUp) -> bool:
    return state.trouble_at is not None and state.trouble_at >= state.day_began_at
