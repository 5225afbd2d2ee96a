"""The counts of a day, the ESP's against ours: why they differ.

Pure. The ESP's days are those of its account's own zone, and its figures come late; both are explanations, and neither
covers more than it can.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from domain.esp_record import Measure
from domain.reconciliation import WEBHOOKS_RETRIED_FOR, Difference, Explanation, Kind, portions

# Opens and clicks are counted by each side's own rules about machines and repetitions; more than this is no rule.
_RULES_SHARE = 0.1
# A message has one of these, on one day.
_ENDS = frozenset({Measure.DELIVERED, Measure.REFUSED, Measure.DROPPED})
_DAY = timedelta(days=1)


def day_edges(gaps: Mapping[date, int]) -> dict[date, int]:
    """How much of each day's gap (there less here) its neighbour has the other way round: the ESP's day is another."""
    left = dict(gaps)
    edges = dict.fromkeys(gaps, 0)
    for day in sorted(gaps):
        other = day + _DAY
        if left.get(day, 0) * left.get(other, 0) < 0:
            size = min(abs(left[day]), abs(left[other]))
            for one in (day, other):
                edges[one] += size
                left[one] -= size if left[one] > 0 else -size
    return edges


Figures = Mapping[tuple[date, str, Measure], int]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What else is known of one ESP, by which counts that differ are explained."""

    provider: str
    now: datetime
    pending_events: bool  # bodies of webhooks wait to be read
    missing: Mapping[str, int]  # campaign → messages of outages of which nothing is known
    outage_days: frozenset[date]
    unknown: Mapping[tuple[date, str], int]  # messages of unknown and held batches
    checked_only: Mapping[tuple[date, str], int]
    cancelled: Mapping[tuple[date, str], int]
    machines: Mapping[tuple[date, str], int]  # messages that only machines opened


def counts(here: Figures, there: Figures, days: Sequence[date], known: Circumstances) -> list[Difference]:
    """The campaigns' counts of these days, compared. Both have the days before and after them as well."""
    found: list[Difference] = []
    lost: dict[tuple[str, Measure], int] = {}  # how much of what was lost in outages explains nothing yet
    for campaign, measure in sorted({(campaign, measure) for _, campaign, measure in {*here, *there}}):
        of = {day: there.get((day, campaign, measure), 0) for day, _, _ in {*here, *there}}
        gaps = {day: theirs - here.get((day, campaign, measure), 0) for day, theirs in of.items()}
        edges = day_edges(gaps)
        once = (campaign, Measure.DELIVERED if measure in _ENDS else measure)
        lost.setdefault(once, known.missing.get(campaign, 0))
        for day in days:
            if gap := gaps.get(day, 0):
                allowances = [
                    (Explanation.DAY_EDGE, edges[day]),
                    *_allowances(gap, of[day], day, campaign, measure, replace(known, missing={campaign: lost[once]})),
                ]
                parts = portions(abs(gap), allowances)
                lost[once] = max(0, lost[once] - next((part for why, part in parts if why is Explanation.OUTAGE), 0))
                found += [_difference(known.provider, day, campaign, measure, of[day], gap, one) for one in parts]
    return found


def _difference(
    provider: str, day: date, campaign: str, measure: Measure, theirs: int, gap: int, part: tuple[Explanation, int]
) -> Difference:
    why, count = part
    return Difference(
        *(Kind.COUNT, provider, day, count, why),
        campaign=campaign,
        measure=measure,
        here=theirs - gap,
        there=theirs,
    )


def _allowances(
    gap: int, theirs: int, day: date, campaign: str, measure: Measure, known: Circumstances
) -> Iterator[tuple[Explanation, int]]:
    """What may explain a gap, the best founded first, and how much of it each may."""
    whole, place = abs(gap), (day, campaign)
    age = known.now - datetime(day.year, day.month, day.day, tzinfo=known.now.tzinfo) - _DAY
    lately = age < WEBHOOKS_RETRIED_FOR
    engaged = measure in {Measure.OPENED, Measure.CLICKED}
    if gap < 0:
        yield Explanation.TEST, known.checked_only.get(place, 0)
        if lately:
            yield Explanation.FIGURES_BEHIND, whole
        if measure is Measure.OPENED:
            yield Explanation.MACHINES, known.machines.get(place, 0)
    else:
        yield Explanation.WAITING, known.unknown.get(place, 0)
        if measure is Measure.REQUESTED:
            yield Explanation.CANCELLED, known.cancelled.get(place, 0)
        else:
            yield Explanation.OUTAGE, known.missing.get(campaign, 0)
            # What mail that was delivered before did in an outage: nobody can ask for it, so it is as large as it is.
            if {day, day - _DAY} & known.outage_days and measure not in {Measure.DELIVERED, Measure.REFUSED}:
                yield Explanation.OUTAGE, whole
            if lately or known.pending_events:
                yield Explanation.LATE_EVENTS, whole
    if engaged:
        yield Explanation.RULES, max(1, round(_RULES_SHARE * max(theirs, theirs - gap)))


def past_us(
    total: Mapping[tuple[date, Measure], int],
    ours: Figures,
    seeds: Mapping[tuple[date, Measure], int],
    days: Sequence[date],
    provider: str,
) -> list[Difference]:
    """What the ESP counts besides our campaigns. `ours`: its own figures of our campaigns, so the days are the same."""
    found = []
    for day in days:
        for measure in Measure:
            all_of_it = total.get((day, measure), 0)
            known = sum(count for (on, _, what), count in ours.items() if (on, what) == (day, measure))
            allowances = [(Explanation.SEEDS, seeds.get((day, measure), 0)), (Explanation.PAST_US, all_of_it)]
            found += [
                Difference(Kind.COUNT, provider, day, part, why, measure=measure, here=known, there=all_of_it)
                for why, part in portions(max(all_of_it - known, 0), allowances)
            ]
    return found
