"""A source's own rhythm: how long it usually has been silent at this time of the week.

A web shop is silent for some hours each night, a till from Saturday to Monday, a weekly file for seven days. A limit
that allows for the weekend would let a shop that broke on Tuesday be silent until Saturday. So the present silence is
held against those that there were at the same time of earlier weeks, and of the days before.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

_WEEKS, _DAYS = 8, 6
_WEEK, _DAY, _HOUR = timedelta(weeks=1), timedelta(days=1), timedelta(hours=1)
LOOK_BACK = _WEEKS * _WEEK
_ENOUGH_WEEKS = 3  # before the third weekend nobody knows whether a source rests on weekends
_FACTOR = 3  # of a source without any rhythm, with five orders a day: one false alarm in a month
_GRACE = timedelta(minutes=30)

HeardBefore = Callable[[datetime], datetime | None]


def usual_silence(last_heard: datetime, now: datetime, heard_before: HeardBefore) -> timedelta | None:
    """The longest silence of earlier weeks and days at this time; None while too little is known.

    `heard_before`: when the source was last heard at or before an instant. An hour late is not late: files take their
    time, and clocks are put back. A day without a word is a matter of the week, so earlier days count only below one.
    """
    weeks = [_silence(at, heard_before) for at in _earlier(last_heard, now, _WEEK, _WEEKS)]
    known = [silence for silence in weeks if silence is not None]
    if len(known) < _ENOUGH_WEEKS:
        return None
    days = [_silence(at, heard_before) for at in _earlier(last_heard, now, _DAY, _DAYS)]
    return max(*known, *(silence for silence in days if silence is not None and silence < _DAY))


def _earlier(last_heard: datetime, now: datetime, step: timedelta, count: int) -> list[datetime]:
    """The same time of earlier weeks or days, from before the present silence began."""
    first = (now - last_heard) // step + 1
    return [now - number * step for number in range(first, first + count)]


def _silence(at: datetime, heard_before: HeardBefore) -> timedelta | None:
    """How long the source had been silent then, or an hour before that if it was longer."""
    heard = [(at - late, heard_before(at - late)) for late in (timedelta(0), _HOUR)]
    return max((then - last for then, last in heard if last is not None), default=None)


def is_silent(last_heard: datetime, usual: timedelta, now: datetime) -> bool:
    """Has the source said nothing for far longer than it usually does?"""
    return now - last_heard > _FACTOR * usual + _GRACE
