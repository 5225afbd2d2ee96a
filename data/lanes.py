"""Lanes: the ways out of one stream, for any number of workers.

A decision (data.desk) is part of one short transaction, which also takes a slot. A worker that dies afterwards has lost
tokens and a slot for the length of a lease; nothing was sent. What the wire said comes back by `told`.

Both streams decide by the same code. What makes transactional mail quick is what marketing leaves alone: the last fifth
of every ESP's tokens and of its requests (pacing.RESERVE), and pools, breakers and concurrency of its own.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import database, pools, traffic_rows
from data.desk import Desk, Outlook, hand_over_key, never_quiet, release_key, sound
from data.traffic_rows import ProviderState
from domain import breaker, concurrency, failover, ledger, pacing, routing, warmup
from domain.failover import Needs
from domain.ledger import Outcome, OutcomeKind
from domain.policy import SendingPolicy
from domain.routes import MIXED, Grant, Route
from domain.suppression import Stream


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing can go now: why, in plain words, and when to ask again (seconds; None: never, until somebody acts).

    `by_esp`: the ESPs take nothing; otherwise it is we who wait (pace, warm-up, a slot, a brake).
    """

    reason: str
    seconds: float | None
    by_esp: bool = False


@dataclass(slots=True, kw_only=True)
class Lane:
    """The ways out of one account's mail of one stream. Any number of workers may share it, in one process or in many.

    Marketing has `data.traffic.Traffic`, which also knows whose turn it is. Transactional mail asks here, message by
    message or batch by batch, and waits for nothing that marketing has taken.
    """

    engine: sa.Engine
    routes: Sequence[Route]
    needs: Needs
    policy: SendingPolicy
    clock: Callable[[], datetime]
    refused: dict[str, str | None] = field(init=False)  # by route: why it may never carry this mail
    _open: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.refused = {route.name: failover.refused(route, self.needs) for route in self.routes}

    @property
    def stream(self) -> Stream:
        return self.needs.stream

    @property
    def call_back(self) -> timedelta:
        """So long does the ESP keep each mail, that it can be called back."""
        return timedelta()

    @property
    def providers(self) -> set[str]:
        """Whom this mail may go through."""
        return {route.provider for route in self.routes if self.refused[route.name] is None}

    def ask(self, item_id: int, *, messages: int, mailbox_group: str = MIXED) -> Grant | Stall:
        """Leave to send so many messages now, or why not. `item_id`: the caller's own name for what is to go.

        More than the ESP's reserve (a fifth of a minute's worth, or of the burst) may have to wait. The grant may be
        for fewer messages than were asked for (a probe, a pool that warms up). Whoever gets one says what came of it
        by `told`, or `given_back` where nothing was tried.
        """
        self.prepare()
        with database.write(self.engine) as connection:
            now = self.clock()
            return self._grant(connection, item_id, messages, mailbox_group, Outlook(), now)

    def prepare(self) -> None:
        """Once a process: what leaves through a pool names it, and workers stand in line by the provider's row.

        Committed before anybody decides: a second thread must find the row that it is to lock.
        """
        if self._open:
            return
        with database.write(self.engine, urgent=self.stream is Stream.TRANSACTIONAL) as connection:
            now = self.clock()
            pools.ensure(connection, self.routes, now=now)
            states = {route.provider: sound(route) for route in self.routes}
            traffic_rows.add_providers(connection, states, self.stream, now)
        self._open = True

    def _grant(
        self,
        connection: sa.Connection,
        item_id: int,
        size: int,
        group: str,
        outlook: Outlook,
        now: datetime,
        refused_by: str | None = None,
        quiet_at: Callable[[datetime], bool] = never_quiet,
        among: Sequence[Route] | None = None,
    ) -> Grant | Stall:
        """`refused_by`: the ESP that refused this very mail before. `quiet_at`: never released then.

        `among`: by these of the routes only; None: by any.
        """
        routes = self.routes if among is None else among
        permitted = [route for route in routes if self.refused[route.name] is None]
        desk = Desk(self.needs, permitted, self.policy, connection, group, outlook, now, self.call_back, quiet_at)
        candidates = [
            desk.candidate(route, size, refused=self.refused[route.name], refused_by=refused_by) for route in routes
        ]
        choice = routing.choose(candidates, messages=size)
        if choice.route is None:
            waiting = {one.route for one in routing.served(candidates) if one.refused is None}
            put_off = {route.name for route in permitted if desk.put_off(route)}
            return Stall(choice.reason, choice.wait_seconds, by_esp=bool(waiting) and waiting <= put_off)
        route = next(one for one in self.routes if one.name == choice.route)
        messages = min(size, choice.at_most or size, route.batch_size or size)
        release = desk.take(route, messages, probe=choice.probe)
        slot = str(uuid.uuid4())
        lease = timedelta(seconds=self.policy.lease_seconds)
        traffic_rows.take_slot(connection, slot, route.provider, self.stream, now + lease)
        return Grant(
            id=slot,
            batch_id=item_id,
            route=route,
            mailbox_group=group,
            messages=messages,
            decision=routing.decision(candidates, messages=size, choice=choice),
            release_seconds=max(0.0, (release - now).total_seconds()),
            probe=choice.probe,
            granted_at=now,
            release_per_minute=desk.release_pace(route).per_minute,
        )

    def told(self, grant: Grant, outcome: Outcome, *, messages: int, seconds: float) -> None:
        """Take in what the wire said: breaker, concurrency, Retry-After; give back what was not used.

        `messages`: so many were handed over, or may have been.
        """
        with database.write(self.engine) as connection:
            self.take_in(connection, grant, outcome, messages=messages, seconds=seconds)

    def take_in(
        self, connection: sa.Connection, grant: Grant, outcome: Outcome, *, messages: int, seconds: float
    ) -> None:
        """The same, within the caller's transaction."""
        now = self.clock()
        self._judge(connection, grant.route, outcome, seconds, now)
        self._settle(connection, grant, messages, now)

    def given_back(self, grant: Grant) -> None:
        """Nothing was tried: somebody else has the batch, or all its people were suppressed."""
        with database.write(self.engine) as connection:
            self._settle(connection, grant, 0, self.clock())

    def _judge(self, connection: sa.Connection, route: Route, outcome: Outcome, seconds: float, now: datetime) -> None:
        states = traffic_rows.provider_states(connection, [route.provider], self.stream)
        before = states.get(route.provider) or sound(route)
        answered = outcome.kind is OutcomeKind.ACCEPTED
        after = replace(
            before,
            breaker=breaker.after(before.breaker, ledger.gravest(outcome), now),
            concurrency=concurrency.after(
                before.concurrency,
                ceiling=route.concurrency,
                outcome=ledger.gravest(outcome),
                seconds=seconds,
                # A customer waits: answers that come slowly are no reason to ask for fewer at once, which would only make
                # a queue. Beside a million's campaign that came to one request at a time, and to 7 s.
                usual=before.latency if self.stream is Stream.MARKETING else None,
            ),
            latency=concurrency.usual(before.latency, seconds) if answered else before.latency,
        )
        if _worth_writing(before, after):
            traffic_rows.write_provider(connection, route.provider, self.stream, after, now)
        if outcome.retry_after is not None and outcome.kind is OutcomeKind.NOT_SENT:
            key = hand_over_key(route)
            bucket = traffic_rows.buckets(connection, [key]).get(key) or pacing.full(
                route.hand_over, now, least=self.policy.batch_size
            )
            traffic_rows.write_bucket(connection, key, pacing.block(bucket, now + outcome.retry_after))

    def _settle(self, connection: sa.Connection, grant: Grant, sent: int, now: datetime) -> None:
        """Give the slot back. What did not go was not handed over: it leaves the hour's volume, and its tokens come back."""
        traffic_rows.free_slot(connection, grant.id, now)
        route, unused = grant.route, grant.messages - sent
        if unused and route.hand_over.per_minute is not None:
            key = hand_over_key(route)
            if (bucket := traffic_rows.buckets(connection, [key]).get(key)) is not None:
                least = self.policy.batch_size
                traffic_rows.write_bucket(
                    connection, key, pacing.give_back(bucket, route.hand_over, unused, now, least=least)
                )
        if unused:
            granted_at = grant.granted_at or now
            traffic_rows.count_volume(
                connection, route.account_id, route.pool, grant.mailbox_group, -unused, granted_at
            )
        if unused and grant.release_per_minute is not None:
            key = release_key(route, grant.mailbox_group)
            if (bucket := traffic_rows.buckets(connection, [key]).get(key)) is not None:
                earlier = bucket.at - timedelta(minutes=unused / grant.release_per_minute)
                traffic_rows.write_bucket(connection, key, replace(bucket, at=max(earlier, now)))
        if sent and route.warm_up:
            kept = traffic_rows.warm_up(connection, route.account_id, route.pool, grant.mailbox_group)
            state = warmup.sent(kept or warmup.begin(now), now)
            traffic_rows.write_warm_up(connection, route.account_id, route.pool, grant.mailbox_group, state)


def _worth_writing(before: ProviderState, after: ProviderState) -> bool:
    """At full concurrency a usual answer changes next to nothing: it need not cost a write a batch."""
    if before.breaker != after.breaker or before.concurrency != after.concurrency:
        return True
    return before.latency is None or abs((after.latency or 0.0) - before.latency) > before.latency / 10
