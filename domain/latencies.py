"""Durations in classes of fixed bounds, so that those of any two groups add up exactly: a sum, never a sample.

Below 16 seconds a class is one second; above it each doubling has eight classes, so that what is told of a class, its
end, is too long by an eighth at most and never too short. Whole seconds, as ESPs tell no less.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

_EXACT = 16
_PARTS = 8
_PARTS_BITS = _PARTS.bit_length() - 1


def bucket(seconds: int) -> int:
    """The class of a duration; less than nothing (clocks differ) is nothing."""
    seconds = max(0, seconds)
    if seconds < _EXACT:
        return seconds
    shift = seconds.bit_length() - 1 - _PARTS_BITS
    return _EXACT + (shift - 1) * _PARTS + (seconds >> shift) - _PARTS


def bounds(number: int) -> tuple[int, int]:
    """The shortest and the longest duration of a class, in seconds."""
    if number < _EXACT:
        return number, number
    shift, part = divmod(number - _EXACT, _PARTS)
    shift += 1
    first = (_PARTS + part) << shift
    return first, first + (1 << shift) - 1


@dataclass(frozen=True, slots=True)
class Latencies:
    """How many durations lie in which class, and the longest one exactly."""

    counts: Mapping[int, int] = field(default_factory=dict)
    longest: int | None = None

    @classmethod
    def of(cls, seconds: Mapping[int, int]) -> "Latencies":
        """Out of whole seconds, each with how often it was."""
        counts: Counter[int] = Counter()
        for duration, times in seconds.items():
            counts[bucket(duration)] += times
        return cls(dict(counts), max((max(0, one) for one in seconds), default=None))

    def __add__(self, other: "Latencies") -> "Latencies":
        longest = [one for one in (self.longest, other.longest) if one is not None]
        return Latencies(dict(Counter(self.counts) + Counter(other.counts)), max(longest, default=None))

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def quantile(self, share: float) -> int | None:
        """What this share of all does not exceed: the end of its class, never past the longest. None of nothing."""
        rank, seen = share * self.total, 0
        for number, times in sorted(self.counts.items()):
            seen += times
            if seen >= rank:
                end = bounds(number)[1]
                return end if self.longest is None else min(end, self.longest)
        return None
