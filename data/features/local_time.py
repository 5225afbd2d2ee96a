"""The clocks of a zone, for many instants at once.

pandas asks zoneinfo for each instant by itself, which for ten million orders takes a minute; here each change of a
zone's clocks is looked for once.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from data.features.grouped import Integers

_SECOND = 1_000_000  # microseconds
_DAY = 86_400  # seconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def offsets(instants: Integers, zone: str) -> Integers:
    """How far the zone's clocks were ahead of UTC at each instant, in microseconds. Raises ZoneInfoNotFoundError."""
    if not len(instants):
        return np.empty(0, np.int64)
    years = range(_year(int(instants.min())), _year(int(instants.max())) + 1)
    changes = [change for year in years for change in _changes(zone, year)]
    at, ahead = (np.array(column, dtype=np.int64) for column in zip(*changes, strict=True))
    new = np.flatnonzero(np.diff(ahead, prepend=ahead[0] - 1))  # most years begin as the last one ended
    return ahead[new][np.searchsorted(at[new], instants, side="right") - 1]


def _year(instant: int) -> int:
    return (_EPOCH + timedelta(microseconds=instant)).year


@lru_cache(maxsize=4096)
def _changes(zone: str, year: int) -> tuple[tuple[int, int], ...]:
    """The offset at the start of a year (UTC), and each that its clocks changed to, with the instant (microseconds).

    Clocks are looked at once a day, and between two days that differ once a second: no zone ever changed its clocks
    and back within a day.
    """
    info = ZoneInfo(zone)
    first = (date(year, 1, 1) - _EPOCH.date()).days * _DAY
    days = range(first, first + (date(year, 12, 31) - date(year, 1, 1)).days * _DAY + 1, _DAY)
    ends = [*days, days[-1] + _DAY - 1]  # the last second of the year belongs to it
    seen = [_ahead(info, second) for second in ends]
    changed = (place for place in range(1, len(ends)) if seen[place] != seen[place - 1])
    changes = ((_first_second(info, ends[place - 1], ends[place]) * _SECOND, seen[place]) for place in changed)
    return (first * _SECOND, seen[0]), *changes


def _first_second(info: ZoneInfo, low: int, high: int) -> int:
    """The first second with the offset of `high`, which is not that of `low`."""
    wanted = _ahead(info, high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _ahead(info, middle) == wanted else (middle, high)
    return high


def _ahead(info: ZoneInfo, second: int) -> int:
    offset = (_EPOCH + timedelta(seconds=second)).astimezone(info).utcoffset()
    assert offset is not None, "a zone always knows its offset"
    return offset // timedelta(microseconds=1)
