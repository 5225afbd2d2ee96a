"""Quiet hours: when on the customer's own clock no marketing mail goes out. They hold mail back and skip nobody.

What the clock shows decides, whatever the days of summer time do to it: of an hour that comes twice both are quiet, and
where the clock jumps over the end they end with the jump.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

_HOUR = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
# Longer than any quiet hours, be it a day on which the clock is set back.
_AHEAD = timedelta(hours=27)


class InvalidQuietHours(ValueError):
    """The hours cannot be meant so; the message says how they are written."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start`, and up to but not at `end`; over midnight where `end` is the earlier one."""

    start: time
    end: time

    def holds(self, at: datetime, zone: str) -> bool:
        """Whether it is quiet in this zone (IANA name) at this instant (aware)."""
        shown = at.astimezone(ZoneInfo(zone)).time()
        if self.start < self.end:
            return self.start <= shown < self.end
        return shown >= self.start or shown < self.end

    def until(self, at: datetime, zone: str) -> datetime | None:
        """The first instant (UTC) from then on that is not quiet; None where it is not quiet anyway."""
        if not self.holds(at, zone):
            return None
        local = at.astimezone(ZoneInfo(zone))
        # The clock leaves the quiet hours by showing their end, once or twice, or by jumping.
        ends = [
            datetime.combine(local.date() + day * _DAY, self.end, local.tzinfo).replace(fold=fold).astimezone(UTC)
            for day in range(3)
            for fold in (0, 1)
        ]
        if (jump := _jump(at, zone)) is not None:
            ends.append(jump)
        return min(end for end in ends if end > at and not self.holds(end, zone))


def _jump(at: datetime, zone: str) -> datetime | None:
    """When the zone's clock is set within the next day, if it is: no zone does that twice in so short a time."""

    def offset(moment: datetime) -> timedelta | None:
        return moment.astimezone(ZoneInfo(zone)).utcoffset()

    before = at.astimezone(UTC).replace(microsecond=0)
    after = before + _AHEAD
    if offset(before) == offset(after):
        return None
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        before, after = (middle, after) if offset(middle) == offset(before) else (before, middle)
    return after


def parse(start: str, end: str) -> QuietHours | None:
    """Read two times of the day (HH:MM); both empty means that there are no quiet hours. Raises InvalidQuietHours."""
    if not start and not end:
        return None
    if not start or not end:
        raise InvalidQuietHours("quiet hours need both a beginning and an end, such as 21:00 and 08:00; or neither")
    if not _HOUR.fullmatch(start) or not _HOUR.fullmatch(end):
        raise InvalidQuietHours("quiet hours are written as HH:MM from 00:00 to 23:59, such as 21:00 and 08:00")
    if start == end:
        raise InvalidQuietHours("quiet hours that begin when they end would leave no time to send; leave both empty")
    return QuietHours(time.fromisoformat(start), time.fromisoformat(end))
