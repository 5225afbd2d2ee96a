"""Durations in classes of fixed bounds, so that those of any two groups add up exactly: a sum, never a sample.

Below 16 seconds a class is one second; above it each doubling has eight classes, so that a class is known to within
6 % (its middle is at most half of 1/8 away). Whole seconds, as ESPs tell no less.
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

    def quantile(self, share: float) -> float | None:
        """The duration that this share of all does not exceed (the middle of its class); None of nothing."""
        rank, seen = share * self.total, 0
        for number, times in sorted(self.counts.items()):
            seen += times
            if seen >= rank:
                low, high = bounds(number)
                return (low + min(high, self.longest if self.longest is not None else high)) / 2
        return None
