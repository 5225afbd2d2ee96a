"""The desk: which way one batch of one mailbox group may go now, and what it takes of what all workers share.

It lives within one transaction: what it reads is locked until that ends, so no two workers take the same token.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import traffic_rows
from data.traffic_rows import ProviderState
from domain import breaker, failover, pacing, routing, warmup
from domain.breaker import Breaker
from domain.failover import Needs
from domain.ledger import OutcomeKind
from domain.policy import SendingPolicy
from domain.routes import Pace, Route
from domain.suppression import Stream

# All requests that the ESP takes at once are under way; one of them is over soon.
_UNTIL_A_SLOT = 0.5
# To a priority: an ESP whose seed messages fare badly carries mail only while no other can.
_BEHIND_ALL = 1000
# Who has no pace of its own is slowed to this much of a batch a minute, times the brake's factor.
_BRAKED_BATCHES_A_MINUTE = 1.0


@dataclass(slots=True)
class Outlook:
    """What changes slowly, read once a wave: brakes by group (each time), and how each pool fares with each group."""

    brakes: Mapping[str, float] = field(default_factory=dict)
    results: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)  # pool, group: delivered, blocked
    unwell: frozenset[str] = frozenset()  # ESPs whose seed messages are refused, bounce, or bring no event
    factors: Mapping[tuple[str, str], float] = field(default_factory=dict)  # pool, group: volumes follow results
    providers: Mapping[tuple[str, str], float] = field(default_factory=dict)  # provider, group: brakes of one ESP alone


def no_outlook(_connection: sa.Connection, _now: datetime) -> Outlook:
    """No group is braked, and nothing is known of how any fares."""
    return Outlook()


def never_quiet(_at: datetime) -> bool:
    """Mail may be released at any time."""
    return False


@dataclass(slots=True)
class Desk:
    """What one decision is made from: read once, changed only by `take`."""

    needs: Needs
    routes: Sequence[Route]
    policy: SendingPolicy
    connection: sa.Connection
    group: str
    outlook: Outlook
    now: datetime
    call_back: timedelta
    quiet_at: Callable[[datetime], bool] = never_quiet
    states: dict[str, ProviderState] = field(init=False)
    under_way: dict[str, Mapping[Stream, int]] = field(init=False)
    buckets: dict[str, pacing.Bucket] = field(init=False)
    carried: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        routes = self.routes
        providers = {route.provider for route in routes}
        self.states = traffic_rows.provider_states(self.connection, providers, self.needs.stream)
        self.under_way = traffic_rows.requests_under_way(self.connection, providers, self.now)
        keys = [key for route in routes for key in (hand_over_key(route), release_key(route, self.group))]
        self.buckets = traffic_rows.buckets(self.connection, keys)
        # One way needs no share.
        several = len(routes) > 1
        carried = traffic_rows.volumes_of_a_day
        self.carried = carried(self.connection, routes[0].account_id, self.now) if several else {}

    def candidate(self, route: Route, size: int, *, refused: str | None, refused_by: str | None) -> routing.Candidate:
        """All that counts for or against this way now. `refused_by`: the ESP that refused this very mail before."""
        if refused is not None:
            return _candidate(route, refused=refused)
        state = self.states.get(route.provider) or sound(route)
        room = self._room(route)
        if refused_by is not None and (why := self._stays(route, refused_by)) is not None:
            return _candidate(route, refused=why)
        messages = min(size, room) if room else size
        delivered, blocked = self.outlook.results.get((route.pool, self.group), (0, 0))
        return _candidate(
            route,
            leave=breaker.leave(state.breaker, self.now),
            wait_seconds=max(
                self._hand_over(route, messages), self._slot(route, state), self._release(route, messages)
            ),
            room=room,
            carried=self.carried.get(route.pool, 0),
            delivered=delivered,
            blocked=blocked,
            priority=route.priority + (_BEHIND_ALL if route.provider in self.outlook.unwell else 0),
            braked=self._braked(route),
        )

    def _braked(self, route: Route) -> str | None:
        if self.outlook.providers.get((route.provider, self.group), 1.0) > 0:
            return None
        return f"{route.provider} is paused at {self.group} for our own fault"

    def _stays(self, route: Route, refused_by: str) -> str | None:
        """Why a mail that another ESP refused may not move here.

        What was merely not sent may go wherever it might have gone from the start, which is seen to before.
        """
        if refused_by == route.provider:
            return None
        move = failover.may_move(OutcomeKind.REJECTED, status=None, tried_by=refused_by, to=route, mail=self.needs)
        return None if move.allowed else move.reason

    def put_off(self, route: Route) -> bool:
        """Whether its ESP takes nothing for now: the breaker is open, or the ESP itself said when to come again."""
        state = self.states.get(route.provider) or sound(route)
        bucket = self.buckets.get(hand_over_key(route))
        until = bucket.blocked_until if bucket is not None else None
        return (until is not None and until > self.now) or breaker.leave(state.breaker, self.now) is breaker.Leave.NO

    def take(self, route: Route, messages: int, *, probe: bool) -> datetime:
        """Write what this batch uses; return when the mailbox providers may get it."""
        connection = self.connection
        if probe:
            state = self.states[route.provider]
            tried = replace(state, breaker=breaker.probing(state.breaker, self.now))
            traffic_rows.write_provider(connection, route.provider, self.needs.stream, tried, self.now)
        if route.hand_over.per_minute is not None:
            taken = self._taken(route, messages)
            traffic_rows.write_bucket(connection, hand_over_key(route), taken.bucket)
        traffic_rows.count_volume(connection, route.account_id, route.pool, self.group, messages, self.now)
        pace = self.release_pace(route)
        if pace.per_minute is None:
            return self.now
        at, next_free = pacing.schedule(self._next_free(route), pace, messages, self.now)
        traffic_rows.write_bucket(connection, release_key(route, self.group), pacing.Bucket(0.0, next_free))
        return at

    def _taken(self, route: Route, messages: int) -> pacing.Taken:
        least = self.policy.batch_size
        reserve = pacing.RESERVE if self.needs.stream is Stream.MARKETING else 0.0
        bucket = self.buckets.get(hand_over_key(route)) or pacing.full(route.hand_over, self.now, least=least)
        return pacing.take(bucket, route.hand_over, messages, self.now, least=least, reserve=reserve)

    def _hand_over(self, route: Route, messages: int) -> float:
        return self._taken(route, messages).wait.total_seconds()

    def _slot(self, route: Route, state: ProviderState) -> float:
        """The last fifth of an ESP's requests is for transactional mail.

        Of its own it has as many under way as its own answers allow, whatever marketing's say. The first of them goes
        even where all are taken: an ESP of a single request sees two for a moment, else marketing's threads, which
        ask without a pause, would never leave it free.
        """
        under_way = self.under_way.get(route.provider, {})
        every, mine = sum(under_way.values()), under_way.get(self.needs.stream, 0)
        limit = min(state.concurrency, route.concurrency)
        if self.needs.stream is Stream.MARKETING:
            full = every >= max(1, int(limit * (1 - pacing.RESERVE)))
        else:
            full = mine > 0 and (mine >= int(limit) or every >= route.concurrency)
        return _UNTIL_A_SLOT if full else 0.0

    def _release(self, route: Route, messages: int) -> float:
        """An ESP that can keep mail gets it ahead of its time, so far as suppressions may be read ahead.

        Not what it would let go in the quiet hours, at its pace or because it can be called back until then: that
        waits, and is held when they come.
        """
        pace = self.release_pace(route)
        at = self.now + self.call_back
        if pace.per_minute is not None:
            at = max(at, pacing.schedule(self._next_free(route), pace, messages, self.now)[0])
        if at <= self.now:
            return 0.0
        if self.quiet_at(at):
            return (at - self.now).total_seconds()
        ahead = timedelta(minutes=self.policy.release_ahead_minutes if route.schedules else 0)
        return max(0.0, (at - max(ahead, self.call_back) - self.now).total_seconds())

    def release_pace(self, route: Route) -> Pace:
        """The route's own, slower where the group is braked or its results are poor."""
        pace = route.release_of(self.group)
        factor = min(
            self.outlook.brakes.get(self.group, 1.0), self.outlook.providers.get((route.provider, self.group), 1.0)
        )
        if factor == 0:  # nothing goes, and what is put off knows no pace
            return pace
        if pace.per_minute is not None:  # of no limit there is no part: results then choose between routes only
            factor *= self.outlook.factors.get((route.pool, self.group), 1.0)
        if factor >= 1:
            return pace
        per_minute = pace.per_minute or _BRAKED_BATCHES_A_MINUTE * self.policy.batch_size
        return replace(pace, per_minute=per_minute * factor)

    def _next_free(self, route: Route) -> datetime | None:
        bucket = self.buckets.get(release_key(route, self.group))
        return bucket.at if bucket is not None else None

    def _room(self, route: Route) -> int | None:
        if not route.warm_up:
            return None
        kept = traffic_rows.warm_up(self.connection, route.account_id, route.pool, self.group)
        state = warmup.today(kept or warmup.begin(self.now), self.now)
        if kept is not None and state != kept:
            traffic_rows.write_warm_up(self.connection, route.account_id, route.pool, self.group, state)
        gone = traffic_rows.volume_this_hour(self.connection, route.account_id, route.pool, self.group, self.now)
        return warmup.room(state, gone, self.now)


def _candidate(route: Route, **facts: Any) -> routing.Candidate:
    nothing: dict[str, Any] = {
        "refused": None,
        "priority": route.priority,
        "leave": breaker.Leave.NO,
        "wait_seconds": 0.0,
        "room": None,
        "carried": 0,
        "delivered": 0,
        "blocked": 0,
        "braked": None,
    }
    return routing.Candidate(
        route=route.name,
        share=route.share,
        cost_per_thousand=route.cost_per_thousand,
        **(nothing | facts),
    )


def sound(route: Route) -> ProviderState:
    """The state of a provider that nobody has used yet."""
    return ProviderState(Breaker(), float(route.concurrency))


def hand_over_key(route: Route) -> str:
    """One for all routes of a provider: the limit is the ESP's, whichever pool the mail leaves by."""
    return f"provider/{route.provider}"


def release_key(route: Route, group: str) -> str:
    return f"pool/{route.account_id}/{route.pool}/{group}"
