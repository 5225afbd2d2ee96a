"""A source's own rhythm: how long it usually says nothing, and whether it has been silent for longer than that.

A web shop is silent for some hours each night, a till from Saturday to Monday, a weekly file for seven days. So not the
average gap counts, which is minutes for a busy shop, but the longest of each day.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

LOOK_BACK = timedelta(days=28)  # four weeks: each weekday four times
_ENOUGH_DAYS = 4
_QUANTILE = 0.9  # one odd night in ten is no rhythm
_PATIENCE = 1.5
_GRACE = timedelta(minutes=15)


def longest_usual_silence(heard: Iterable[tuple[datetime, datetime]]) -> timedelta | None:
    """The 90th percentile of each day's longest gap; None while too little is known.

    `heard`: (first, last) arrival of each batch, in any order. A gap counts for the day on which it ended.
    """
    longest: dict[date, timedelta] = {}
    until: datetime | None = None
    for first, last in sorted(heard):
        if until is not None and first > until:
            longest[first.date()] = max(longest.get(first.date(), timedelta(0)), first - until)
        until = max(last, until or last)
    if len(longest) < _ENOUGH_DAYS:
        return None
    ranked = sorted(longest.values())
    return ranked[min(len(ranked) - 1, int(_QUANTILE * len(ranked)))]


def is_silent(last_heard: datetime, usual: timedelta | None, now: datetime) -> bool:
    """Has the source said nothing for half as long again as it usually does?"""
    return usual is not None and now - last_heard > _PATIENCE * usual + _GRACE
