"""A jump of a key figure at one mailbox provider, or of one sender domain, against its own history. Pure.

What rises with every answer (bounces, complaints, unsubscribes) is judged of today's mail: mail that is still on its way
only makes it look better. Deliverability is judged of yesterday's, whose answers have come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from domain.kpis import BOUNCE_RATE, COMPLAINT_RATE, DELIVERABILITY, UNSUBSCRIBE_RATE, Figures, Kpi
from domain.rates import LEAST, SMALL_SAMPLE, Rate

DAYS = 28  # of history
MAILBOX, DOMAIN = "mailbox", "domain"
RISING = (BOUNCE_RATE, COMPLAINT_RATE, UNSUBSCRIBE_RATE)
# Of a million mails the interval is a tenth of a point wide: what nobody would mind must not be an alarm.
_HALF_AS_MUCH_AGAIN = 1.5


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A figure of one day's mail of a group, and the same of the days before."""

    group: str  # a mailbox group, or what else `by` says
    kpi: Kpi
    day: date
    now: Rate
    before: Rate
    by: str = MAILBOX


def found(by_day: Mapping[tuple[date, str], Figures], today: date, by: str = MAILBOX) -> list[Anomaly]:
    """The jumps of today and yesterday. `by_day`: figures by day and group, up to four weeks back; `by`: what groups are."""
    yesterday = today - timedelta(days=1)
    jumps = []
    for group in sorted({group for _, group in by_day}):
        before = sum((one for (day, of), one in by_day.items() if of == group and day < yesterday), Figures())
        watched = [(kpi, today) for kpi in RISING] + [(DELIVERABILITY, yesterday)]
        for kpi, day in watched:
            now, then = kpi.of(by_day.get((day, group), Figures())), kpi.of(before)
            if _jumped(kpi, now, then):
                jumps.append(Anomaly(group, kpi, day, now, then, by))
    return jumps


def _jumped(kpi: Kpi, now: Rate, before: Rate) -> bool:
    """Surely worse than before (the Wilson intervals lie apart), by half as much again, and by more than a few mails."""
    if before.whole < SMALL_SAMPLE or not now.whole:
        return False
    bad, bad_before = _bad(kpi, now), _bad(kpi, before)
    surely = bad.interval[0] > bad_before.interval[1]
    return surely and bad.part >= LEAST and (bad.value or 0) >= _HALF_AS_MUCH_AGAIN * (bad_before.value or 0)


def _bad(kpi: Kpi, rate: Rate) -> Rate:
    """What one does not want of it: of deliverability, what was not delivered."""
    high_is_good = kpi.lines is not None and kpi.lines.high_is_good
    return Rate(rate.whole - rate.part, rate.whole) if high_is_good else rate
