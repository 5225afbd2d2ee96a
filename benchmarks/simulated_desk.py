"""data.desk without a database: the same rules of domain, over the same state in memory."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from benchmarks.simulated_world import Scenario
from domain import breaker, concurrency, pacing, routing, warmup
from domain.breaker import Breaker
from domain.ledger import Outcome, OutcomeKind
from domain.routes import Pace, Route

_UNTIL_A_SLOT = 0.5
_DAY = 24


@dataclass(slots=True)
class Provider:
    """How one ESP fares, as the table provider_states keeps it, and what is under way to it."""

    limit: float
    health: Breaker = field(default_factory=Breaker)
    latency: float | None = None
    under_way: int = 0
    tokens: pacing.Bucket | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """One batch may go by this route; the mailbox providers get it at `release`."""

    route: Route
    messages: int
    release: datetime
    probe: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """None may go for so many seconds; `limit` is the setting or the state that says so."""

    seconds: float
    limit: str


class Desk:
    """All that the workers share."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario, self._routes = scenario, {route.name: route for route in scenario.routes}
        self.providers = {route.provider: Provider(float(route.concurrency)) for route in scenario.routes}
        self._next_free: dict[tuple[str, str], datetime] = {}
        self._warm: dict[tuple[str, str], warmup.WarmUp] = {}
        self._volumes: Counter[tuple[str, str, datetime]] = Counter()
        self._carried: dict[str, list[tuple[datetime, int]]] = {}
        self.brakes: dict[str, float] = {}
        self.factors: dict[tuple[str, str], float] = {}
        self.results: dict[tuple[str, str], tuple[int, int]] = {}

    def ask(self, group: str, size: int, now: datetime) -> Leave | Wait:
        """Leave for the next batch of this group, tokens taken; or what it waits for."""
        found = [self._candidate(route, group, size, now) for route in self._routes.values()]
        choice = routing.choose([one for one, _ in found], messages=size)
        if choice.route is None:
            wait = choice.wait_seconds if choice.wait_seconds is not None else routing.LOOK_AGAIN_SECONDS
            regular = [one for one in found if one[0].share > 0]
            soonest = min(regular or found, key=lambda one: (not one[0].in_service, one[0].wait_seconds))
            return Wait(wait, soonest[1])
        route, messages = self._routes[choice.route], min(size, choice.at_most or size)
        return Leave(route, messages, self._take(route, group, messages, now, probe=choice.probe), choice.probe)

    def _candidate(self, route: Route, group: str, size: int, now: datetime) -> tuple[routing.Candidate, str]:
        provider, room = self.providers[route.provider], self._room(route, group, now)
        messages = min(size, room) if room else size
        waits = dict(self._waits(route, group, messages, now))
        leave = breaker.leave(provider.health, now)
        limit = max(waits, key=lambda one: waits[one])
        if leave == "no":
            limit = f"breaker of {route.provider}"
        elif room == 0:
            limit = f"warm-up of {route.pool}"
        delivered, blocked = self.results.get((route.pool, group), (0, 0))
        one = routing.Candidate(
            route=route.name,
            priority=route.priority,
            share=route.share,
            cost_per_thousand=route.cost_per_thousand,
            refused=None,
            leave=leave,
            wait_seconds=max(waits.values()),
            room=room,
            carried=self._volume_of_a_day(route.pool, now),
            delivered=delivered,
            blocked=blocked,
        )
        return one, limit

    def _waits(self, route: Route, group: str, messages: int, now: datetime) -> Iterator[tuple[str, float]]:
        """Seconds by the setting that asks for them."""
        provider = self.providers[route.provider]
        yield f"hand-over pace of {route.provider}", self._tokens(route, messages, now).wait.total_seconds()
        most = max(1, int(min(provider.limit, route.concurrency) * (1 - pacing.RESERVE)))
        yield f"requests at once to {route.provider}", _UNTIL_A_SLOT if provider.under_way >= most else 0.0
        pace, factor = self._pace(route, group)
        if pace.per_minute is None:
            return
        at, _ = pacing.schedule(self._next_free.get((route.pool, group)), pace, messages, now)
        quiet = self._scenario.policy.quiet_hours
        keeps = route.schedules and not (quiet and quiet.holds(at, self._scenario.zone))
        ahead = timedelta(minutes=self._scenario.policy.release_ahead_minutes if keeps else 0)
        slowed = "" if factor == 1 else ", slowed"
        yield f"release pace {route.pool} → {group}{slowed}", max(0.0, (at - ahead - now).total_seconds())

    def _pace(self, route: Route, group: str) -> tuple[Pace, float]:
        pace = route.release_of(group)
        factor = self.brakes.get(group, 1.0) * self.factors.get((route.pool, group), 1.0)
        if factor >= 1:
            return pace, 1.0
        per_minute = pace.per_minute or float(self._scenario.policy.batch_size)
        return replace(pace, per_minute=per_minute * factor), factor

    def _tokens(self, route: Route, messages: int, now: datetime) -> pacing.Taken:
        least, provider = self._scenario.policy.batch_size, self.providers[route.provider]
        bucket = provider.tokens or pacing.full(route.hand_over, now, least=least)
        return pacing.take(bucket, route.hand_over, messages, now, least=least, reserve=pacing.RESERVE)

    def _room(self, route: Route, group: str, now: datetime) -> int | None:
        if not route.warm_up:
            return None
        state = self._warm.get((route.pool, group)) or warmup.begin(now)
        return warmup.room(state, self._volumes[route.pool, group, _hour(now)], now)

    def _take(self, route: Route, group: str, messages: int, now: datetime, *, probe: bool) -> datetime:
        provider = self.providers[route.provider]
        if probe:
            provider.health = breaker.probing(provider.health, now)
        provider.tokens = self._tokens(route, messages, now).bucket
        provider.under_way += 1
        self._count(route, group, messages, now)
        pace, _ = self._pace(route, group)
        if pace.per_minute is None:
            return now
        at, free = pacing.schedule(self._next_free.get((route.pool, group)), pace, messages, now)
        self._next_free[route.pool, group] = free
        return at

    def _count(self, route: Route, group: str, messages: int, now: datetime) -> None:
        hour = _hour(now)
        self._volumes[route.pool, group, hour] += messages
        hours = self._carried.setdefault(route.pool, [])
        if not hours or hours[-1][0] != hour:
            hours.append((hour, 0))
            del hours[:-_DAY]
        hours[-1] = (hours[-1][0], hours[-1][1] + messages)

    def _volume_of_a_day(self, pool: str, now: datetime) -> int:
        since = now - timedelta(hours=_DAY)
        return sum(messages for hour, messages in self._carried.get(pool, ()) if hour > since)

    def told(self, leave: Leave, group: str, outcome: Outcome, seconds: float, now: datetime) -> None:
        """Take in what the wire said (data.lanes.Lane.told)."""
        route, provider = leave.route, self.providers[leave.route.provider]
        provider.under_way -= 1
        provider.health = breaker.after(provider.health, outcome, now)
        provider.limit = concurrency.after(
            provider.limit, ceiling=route.concurrency, outcome=outcome, seconds=seconds, usual=provider.latency
        )
        if outcome.kind is OutcomeKind.ACCEPTED:
            provider.latency = concurrency.usual(provider.latency, seconds)
        if outcome.kind is OutcomeKind.NOT_SENT:
            self._give_back(leave, group, outcome, now)
        elif route.warm_up:
            key = (route.pool, group)
            self._warm[key] = warmup.sent(self._warm.get(key) or warmup.begin(now), now)

    def _give_back(self, leave: Leave, group: str, outcome: Outcome, now: datetime) -> None:
        route, provider = leave.route, self.providers[leave.route.provider]
        least = self._scenario.policy.batch_size
        bucket = provider.tokens or pacing.full(route.hand_over, now, least=least)
        bucket = pacing.give_back(bucket, route.hand_over, leave.messages, now, least=least)
        if outcome.retry_after is not None:
            bucket = pacing.block(bucket, now + outcome.retry_after)
        provider.tokens = bucket
        self._count(route, group, -leave.messages, now)

    def trouble(self, group: str, now: datetime) -> None:
        """A mailbox group was stopped: pools that warm up go back by a day with it."""
        for (pool, one), state in self._warm.items():
            if one == group:
                self._warm[pool, one] = warmup.trouble(state, now)


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)
