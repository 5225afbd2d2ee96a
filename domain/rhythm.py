"""A source's own rhythm: how long it usually has been silent at this time of the week.

A web shop is silent for some hours each night, a till from Saturday to Monday, a weekly file for seven days. A limit
that allows for the weekend would let a shop that broke on Tuesday be silent until Saturday. So the present silence is
held against those that there were at the same time of earlier weeks.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

_WEEKS = 8
_WEEK = timedelta(weeks=1)
_LATE = [timedelta(minutes=minutes) for minutes in range(0, 61, 10)]
LOOK_BACK = _WEEKS * _WEEK
_ENOUGH_WEEKS = 3  # before the third weekend nobody knows whether a source rests on weekends
# Orders that come as they like, five a day, so alarm falsely three times a year; with 3, a dozen times.
_FACTOR = 5
_GRACE = timedelta(minutes=30)

HeardBefore = Callable[[datetime], datetime | None]


def usual_silence(last_heard: datetime, now: datetime, heard_before: HeardBefore) -> timedelta | None:
    """The longest silence at this time of earlier weeks; None while too little is known.

    `heard_before`: when the source was last heard at or before an instant. An hour late is not late: files take their
    time, and clocks are put back.
    """
    first = (now - last_heard) // _WEEK + 1  # from before the present silence began
    silences = [_silence(now - week * _WEEK, heard_before) for week in range(first, first + _WEEKS)]
    known = [silence for silence in silences if silence is not None]
    return max(known) if len(known) >= _ENOUGH_WEEKS else None


def _silence(at: datetime, heard_before: HeardBefore) -> timedelta | None:
    """The longest silence that there was at some time of the hour before."""
    heard = [(then, heard_before(then)) for then in (at - late for late in _LATE)]
    return max((then - last for then, last in heard if last is not None), default=None)


def is_silent(last_heard: datetime, usual: timedelta, now: datetime) -> bool:
    """Has the source said nothing for far longer than it usually does?"""
    return now - last_heard > _FACTOR * usual + _GRACE
