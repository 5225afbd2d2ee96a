"""Traffic: which batch may go next, by which way, and what it takes of what all workers share.

One short transaction before each claim: it looks at the first batch of every mailbox group that may go, asks
domain.routing for a way, and takes tokens, a slot and the batch's turn. A worker that dies afterwards has lost tokens
and a slot for the length of a lease, and the batch its turn for seconds; nothing was sent. What the wire said comes
back by `told`.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import batches, database, quiet_hours, traffic_rows
from data.traffic_rows import ProviderState
from domain import breaker, concurrency, pacing, routing, warmup
from domain.breaker import Breaker
from domain.campaigns import Run
from domain.guardrails import CanaryState
from domain.ledger import Outcome, OutcomeKind
from domain.policy import SendingPolicy
from domain.routes import MIXED, Grant, Pace, Route
from domain.suppression import Stream

# Of every pace and of every ESP's requests this much stays free for transactional mail (facts/reliability.md, D33).
RESERVED = 0.2
# A batch whose turn was taken comes up again after this, should the worker die before the claim.
_TURN = timedelta(seconds=10)
# All requests that the ESP takes at once are under way; one of them is over soon.
_UNTIL_A_SLOT = 0.5
_UNTIL_LIFTED = 60.0
# Who has no pace of its own is slowed to this much of a batch a minute, times the brake's factor.
_BRAKED_BATCHES_A_MINUTE = 1.0


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing can go now: why, in plain words, and when to ask again (seconds; None: never, until somebody acts)."""

    reason: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Way:
    """A route, and why it may never carry this run's mail, if so (domain.failover, domain.vetting)."""

    route: Route
    refused: str | None = None


@dataclass(slots=True)
class Outlook:
    """What changes slowly, read once a minute: brakes by group, and how each pool fares with each group."""

    brakes: Mapping[str, float] = field(default_factory=dict)
    results: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)  # pool, group: delivered, blocked
    factors: Mapping[tuple[str, str], float] = field(default_factory=dict)  # pool, group: volumes follow results


def no_outlook(_connection: sa.Connection, _now: datetime) -> Outlook:
    """No group is braked, and nothing is known of how any fares."""
    return Outlook()


@dataclass(slots=True)
class Traffic:
    """The ways out of one run. Any number of workers may share it, in one process or in many."""

    engine: sa.Engine
    run: Run
    ways: Sequence[Way]
    policy: SendingPolicy
    clock: Callable[[], datetime]
    outlook: Callable[[sa.Connection, datetime], Outlook] = no_outlook
    stalled: Stall | None = None  # why the last one who asked got nothing
    _pools_made: bool = False

    stream = Stream.MARKETING

    def next(self) -> Grant | None:
        """Leave to send one batch; None when nothing can go now, and `stalled` then says why."""
        with database.write(self.engine) as connection:
            now = self.clock()
            self._make_pools(connection, now)
            quiet = quiet_hours.quiet(connection, self.run, self.policy, now)
            outlook = self.outlook(connection, now)
            passed_over = {group for group, factor in outlook.brakes.items() if factor == 0}
            stalls: list[Stall] = []
            while True:
                row = batches.next_due(
                    connection,
                    self.run.id,
                    now,
                    besides=quiet.batches(),
                    groups=passed_over,
                    canary_only=self._canary_only(connection),
                )
                if row is None:
                    break
                found = self._grant(connection, row, outlook, now)
                if isinstance(found, Grant):
                    batches.put_off(connection, row.id, now + _TURN)
                    return found
                stalls.append(found)
                passed_over.add(row.mailbox_group or MIXED)
            quiet.hold(connection, self.run.id)
        if stopped := sorted(group for group, factor in outlook.brakes.items() if factor == 0):
            stalls.append(Stall(f"mail to {', '.join(stopped)} is stopped until a person lifts it", _UNTIL_LIFTED))
        self.stalled = min(stalls, key=_soonest, default=None)
        return None

    def _make_pools(self, connection: sa.Connection, now: datetime) -> None:
        """Once a process: what leaves through a pool names it."""
        if not self._pools_made:
            pools = ((way.route.account_id, way.route.pool, way.route.stream) for way in self.ways)
            traffic_rows.add_pools(connection, pools, now)
            self._pools_made = True

    def _canary_only(self, connection: sa.Connection) -> bool:
        """While the canary is watched nothing else goes."""
        return self.run.canary is not None and batches.canary_state(connection, self.run.id) == CanaryState.WATCHING

    def _grant(self, connection: sa.Connection, row: Any, outlook: Outlook, now: datetime) -> Grant | Stall:
        size, group = row.last_ordinal - row.first_ordinal + 1, row.mailbox_group or MIXED
        desk = _Desk(self, connection, group, outlook, now)
        candidates = [desk.candidate(way, size) for way in self.ways]
        choice = routing.choose(candidates, messages=size)
        if choice.route is None:
            return Stall(choice.reason, choice.wait_seconds)
        route = next(way.route for way in self.ways if way.route.name == choice.route)
        messages = min(size, choice.at_most or size)
        release = desk.take(route, messages, probe=choice.probe)
        slot = str(uuid.uuid4())
        lease = timedelta(seconds=self.policy.lease_seconds)
        traffic_rows.take_slot(connection, slot, route.provider, self.stream, now + lease)
        return Grant(
            id=slot,
            batch_id=row.id,
            route=route,
            mailbox_group=group,
            messages=messages,
            decision=routing.decision(candidates, messages=size, choice=choice),
            release_seconds=max(0.0, (release - now).total_seconds()),
            probe=choice.probe,
        )

    def told(self, grant: Grant, outcome: Outcome, *, messages: int, seconds: float) -> None:
        """Take in what the wire said: breaker, concurrency, Retry-After; give back what was not used."""
        sent = 0 if outcome.kind is OutcomeKind.NOT_SENT else messages
        with database.write(self.engine) as connection:
            now = self.clock()
            traffic_rows.free_slot(connection, grant.id, now)
            self._judge(connection, grant.route, outcome, seconds, now)
            self._settle(connection, grant, sent, now)

    def given_back(self, grant: Grant) -> None:
        """Nothing was tried: somebody else has the batch, or all its people were suppressed."""
        with database.write(self.engine) as connection:
            now = self.clock()
            traffic_rows.free_slot(connection, grant.id, now)
            self._settle(connection, grant, 0, now)

    def _judge(self, connection: sa.Connection, route: Route, outcome: Outcome, seconds: float, now: datetime) -> None:
        states = traffic_rows.provider_states(connection, [route.provider], self.stream)
        before = states.get(route.provider) or _sound(route)
        answered = outcome.kind is OutcomeKind.ACCEPTED
        after = replace(
            before,
            breaker=breaker.after(before.breaker, outcome, now),
            concurrency=concurrency.after(
                before.concurrency, ceiling=route.concurrency, outcome=outcome, seconds=seconds, usual=before.latency
            ),
            latency=concurrency.usual(before.latency, seconds) if answered else before.latency,
        )
        if _worth_writing(before, after):
            traffic_rows.write_provider(connection, route.provider, self.stream, after, now)
        if outcome.retry_after is not None and outcome.kind is OutcomeKind.NOT_SENT:
            key = _hand_over_key(route)
            bucket = traffic_rows.buckets(connection, [key]).get(key) or pacing.full(route.hand_over, now, least=1)
            traffic_rows.write_bucket(connection, key, pacing.block(bucket, now + outcome.retry_after))

    def _settle(self, connection: sa.Connection, grant: Grant, sent: int, now: datetime) -> None:
        """What did not go was not handed over: it leaves the hour's volume, and its tokens come back."""
        route, unused = grant.route, grant.messages - sent
        if unused and route.hand_over.per_minute is not None:
            key = _hand_over_key(route)
            if (bucket := traffic_rows.buckets(connection, [key]).get(key)) is not None:
                least = self.policy.batch_size
                traffic_rows.write_bucket(
                    connection, key, pacing.give_back(bucket, route.hand_over, unused, now, least=least)
                )
        if unused:
            traffic_rows.count_volume(connection, route.account_id, route.pool, grant.mailbox_group, -unused, now)
        if sent and route.warm_up:
            kept = traffic_rows.warm_up(connection, route.account_id, route.pool, grant.mailbox_group)
            state = warmup.sent(kept or warmup.begin(now), now)
            traffic_rows.write_warm_up(connection, route.account_id, route.pool, grant.mailbox_group, state)


@dataclass(slots=True)
class _Desk:
    """What one decision is made from: read once, changed only by `take`."""

    traffic: Traffic
    connection: sa.Connection
    group: str
    outlook: Outlook
    now: datetime
    states: dict[str, ProviderState] = field(init=False)
    under_way: dict[str, int] = field(init=False)
    buckets: dict[str, pacing.Bucket] = field(init=False)
    carried: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        routes = [way.route for way in self.traffic.ways if way.refused is None]
        providers = {route.provider for route in routes}
        self.states = traffic_rows.provider_states(self.connection, providers, self.traffic.stream)
        self.under_way = traffic_rows.requests_under_way(self.connection, providers, self.now)
        keys = [key for route in routes for key in (_hand_over_key(route), _release_key(route, self.group))]
        self.buckets = traffic_rows.buckets(self.connection, keys)
        # One way needs no share.
        several = len(routes) > 1
        account = self.traffic.run.plan.account_id
        self.carried = traffic_rows.volumes_of_a_day(self.connection, account, self.now) if several else {}

    def candidate(self, way: Way, size: int) -> routing.Candidate:
        route = way.route
        if way.refused is not None:
            return _candidate(route, refused=way.refused)
        state = self.states.get(route.provider) or _sound(route)
        room = self._room(route)
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
        )

    def take(self, route: Route, messages: int, *, probe: bool) -> datetime:
        """Write what this batch uses; return when the mailbox providers may get it."""
        traffic, connection = self.traffic, self.connection
        if probe:
            state = self.states[route.provider]
            tried = replace(state, breaker=breaker.probing(state.breaker, self.now))
            traffic_rows.write_provider(connection, route.provider, traffic.stream, tried, self.now)
        if route.hand_over.per_minute is not None:
            taken = self._taken(route, messages)
            traffic_rows.write_bucket(connection, _hand_over_key(route), taken.bucket)
        traffic_rows.count_volume(connection, route.account_id, route.pool, self.group, messages, self.now)
        pace = self._release_pace(route)
        if pace.per_minute is None:
            return self.now
        at, next_free = pacing.schedule(self._next_free(route), pace, messages, self.now)
        traffic_rows.write_bucket(connection, _release_key(route, self.group), pacing.Bucket(0.0, next_free))
        return at

    def _taken(self, route: Route, messages: int) -> pacing.Taken:
        least = self.traffic.policy.batch_size
        bucket = self.buckets.get(_hand_over_key(route)) or pacing.full(route.hand_over, self.now, least=least)
        return pacing.take(bucket, route.hand_over, messages, self.now, least=least, reserve=RESERVED)

    def _hand_over(self, route: Route, messages: int) -> float:
        return self._taken(route, messages).wait.total_seconds()

    def _slot(self, route: Route, state: ProviderState) -> float:
        """The last fifth of an ESP's requests is for transactional mail; of a single one everybody has a turn."""
        limit = max(1, int(min(state.concurrency, route.concurrency) * (1 - RESERVED)))
        return _UNTIL_A_SLOT if self.under_way.get(route.provider, 0) >= limit else 0.0

    def _release(self, route: Route, messages: int) -> float:
        """An ESP that can keep mail gets it ahead of its time, so far as suppressions may be read ahead."""
        pace = self._release_pace(route)
        if pace.per_minute is None:
            return 0.0
        at, _ = pacing.schedule(self._next_free(route), pace, messages, self.now)
        ahead = timedelta(minutes=self.traffic.policy.release_ahead_minutes if route.schedules else 0)
        return max(0.0, (at - ahead - self.now).total_seconds())

    def _release_pace(self, route: Route) -> Pace:
        """The route's own, slower where the group is braked or its results are poor."""
        pace = route.release_of(self.group)
        factor = self.outlook.brakes.get(self.group, 1.0) * self.outlook.factors.get((route.pool, self.group), 1.0)
        if factor >= 1:
            return pace
        per_minute = pace.per_minute or _BRAKED_BATCHES_A_MINUTE * self.traffic.policy.batch_size
        return replace(pace, per_minute=per_minute * factor)

    def _next_free(self, route: Route) -> datetime | None:
        bucket = self.buckets.get(_release_key(route, self.group))
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
        "leave": breaker.Leave.NO,
        "wait_seconds": 0.0,
        "room": None,
        "carried": 0,
        "delivered": 0,
        "blocked": 0,
    }
    return routing.Candidate(
        route=route.name,
        priority=route.priority,
        share=route.share,
        cost_per_thousand=route.cost_per_thousand,
        **(nothing | facts),
    )


def _sound(route: Route) -> ProviderState:
    return ProviderState(Breaker(), float(route.concurrency))


def _worth_writing(before: ProviderState, after: ProviderState) -> bool:
    """A usual answer changes next to nothing: it need not cost a write a batch."""
    if before.breaker != after.breaker or int(before.concurrency) != int(after.concurrency):
        return True
    if before.concurrency != after.concurrency:
        return True
    return before.latency is None or abs((after.latency or 0.0) - before.latency) > before.latency / 10


def _hand_over_key(route: Route) -> str:
    """One for all routes of a provider: the limit is the ESP's, whichever pool the mail leaves by."""
    return f"provider/{route.provider}"


def _release_key(route: Route, group: str) -> str:
    return f"pool/{route.account_id}/{route.pool}/{group}"


def _soonest(stall: Stall) -> float:
    return stall.seconds if stall.seconds is not None else float("inf")
