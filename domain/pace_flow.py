"""How mail flows out by several routes at once: evenly, where batches jump. The arithmetic behind domain.pace_plan.

All mail of a mailbox group goes by whichever route can take it (domain.routing); a route carries no more than its limit
for that group, and all routes of a provider no more together than the provider takes. Times are minutes from the start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FOREVER = float("inf")
_HORIZON = 3650 * 24 * 60.0  # ten years: a plan that takes longer is none, whatever the figure
_NOTHING = 1e-6  # of a message: what is left over by rounding


@dataclass(frozen=True, slots=True)
class Limit:
    """Until when (minutes) how many a minute may go, and what says so."""

    until: float
    per_minute: float
    name: str


@dataclass(slots=True)
class Flow:
    """What one route carries of one mailbox group.

    `credit`: so many may go at once, as a first batch or a new hour of a warm-up lets them; from then on `limits` hold,
    the last one for ever. `track`: (from, to, per minute), as it went. `held`: what limited it, for how many minutes.
    """

    route: str
    provider: str
    group: str
    credit: float
    limits: Sequence[Limit]
    track: list[tuple[float, float, float]] = field(default_factory=list)
    held: dict[str, float] = field(default_factory=dict)

    @property
    def ends(self) -> float:
        """When its last message went; 0 where it carried none."""
        return next((end for _, end, rate in reversed(self.track) if rate > 0), 0.0)

    def by(self, minutes: float) -> float:
        """How many went until then."""
        return sum((min(end, minutes) - begin) * rate for begin, end, rate in self.track if begin < minutes)

    def limit(self, at: float) -> Limit:
        """What holds at this time; nothing does while there is credit."""
        if self.credit > _NOTHING:
            return Limit(FOREVER, FOREVER, "")
        return next(one for one in self.limits if at < one.until)


@dataclass(frozen=True, slots=True)
class _Going:
    """A flow at this time, and how fast."""

    flow: Flow
    limit: Limit
    rate: float
    limited_by: str


def run(flows: Sequence[Flow], people: Mapping[str, int], takes: Mapping[str, Limit]) -> None:
    """Let all of it go, as fast as every limit allows. `takes`: what each provider takes in a minute, and why."""
    left = {group: float(count) for group, count in people.items() if count}
    at = 0.0
    while left and at < _HORIZON:
        going = _rates([flow for flow in flows if flow.group in left], at, takes)
        if not going:
            return
        rates = dict.fromkeys(left, 0.0)
        for one in going:
            rates[one.flow.group] += one.rate
        step = min([_until_change(one, at) for one in going] + [left[g] / rates[g] for g in left if rates[g]])
        step = min(step, _HORIZON - at)
        for one in going:
            flow = one.flow
            flow.track.append((at, at + step, one.rate))
            flow.held[one.limited_by] = flow.held.get(one.limited_by, 0.0) + step
            flow.credit = max(flow.credit - one.rate * step, 0.0)
        at += step
        left = {group: rest for group in left if (rest := left[group] - rates[group] * step) > _NOTHING}


def _until_change(one: _Going, at: float) -> float:
    """Minutes until this flow has used its credit up or comes under another limit."""
    if one.flow.credit > _NOTHING:
        return max(one.flow.credit / one.rate, _NOTHING)
    return max(one.limit.until - at, _NOTHING)


def _rates(flows: Sequence[Flow], at: float, takes: Mapping[str, Limit]) -> list[_Going]:
    """A provider's flows share what it takes evenly, none goes over its own limit, and nothing is left unused."""
    going = []
    for provider in dict.fromkeys(flow.provider for flow in flows):  # in one order: a plan is the same each time
        mine = [(flow, flow.limit(at)) for flow in flows if flow.provider == provider]
        # The most limited first: what they leave over is there for the others.
        mine.sort(key=lambda one: one[1].per_minute)
        budget = takes[provider].per_minute
        for place, (flow, limit) in enumerate(mine):
            part = budget / (len(mine) - place)
            rate = min(limit.per_minute, part)
            going.append(_Going(flow, limit, rate, limit.name if limit.per_minute <= part else takes[provider].name))
            budget -= rate
    return going
