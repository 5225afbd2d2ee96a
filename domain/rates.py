"""Rates with how sure one can be of them, and the lines that they are judged by."""

from dataclasses import dataclass
from enum import StrEnum

from domain import proportions

# Below so many the interval is shown with the rate: at 1,000 a share near 98 % is known to about one point.
SMALL_SAMPLE = 1000
# One complaint of eighty mails is surely past the line, and yet nothing to act on.
LEAST = 5


class Verdict(StrEnum):
    """How a figure stands to its lines. UNSURE: on the wrong side, but of too few to be sure. NONE: nothing to judge."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    UNSURE = "unsure"
    NONE = ""


ALARMS = (Verdict.WARN, Verdict.BAD)


@dataclass(frozen=True, slots=True)
class Rate:
    """`part` of `whole`; `low` and `high` are the Wilson interval in which the true share lies, 95 % sure."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        """None: not enough data, as nothing was there to divide by."""
        return self.part / self.whole if self.whole else None

    @property
    def interval(self) -> tuple[float, float]:
        # More people click than open where images are not loaded, and complain of what was never told as delivered.
        return proportions.bounds(min(self.part, self.whole), self.whole)

    @property
    def small(self) -> bool:
        return 0 < self.whole < SMALL_SAMPLE


@dataclass(frozen=True, slots=True)
class Lines:
    """Where a figure stops being good, and where it becomes bad; `source` says who drew them."""

    good: float
    bad: float
    source: str

    @property
    def high_is_good(self) -> bool:
        return self.good > self.bad

    def judge(self, rate: Rate) -> Verdict:
        """A warning only where the sample is large enough to be sure of it, and more than a few mails are concerned."""
        if rate.value is None:
            return Verdict.NONE
        low, high = rate.interval
        if self.high_is_good:
            missed, sure, worse = rate.value < self.good, high < self.good, high < self.bad
        else:
            missed, sure, worse = rate.value >= self.good, low >= self.good, low >= self.bad
        if not missed:
            return Verdict.GOOD
        wrong = rate.whole - rate.part if self.high_is_good else rate.part
        if not sure or wrong < LEAST:
            return Verdict.UNSURE
        return Verdict.BAD if worse else Verdict.WARN
