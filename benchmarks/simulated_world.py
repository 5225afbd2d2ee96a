"""What a simulated campaign meets: ESPs that fail for hours, mailbox providers that put off or block."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import isclose

from domain.guardrails import Results
from domain.ledger import Outcome, OutcomeKind
from domain.policy import SendingPolicy
from domain.routes import Route

BEGINS = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
# An answer takes 0.2 to 0.8 s; a request that gets none is given up after the adapter's read time-out.
_ANSWER = (0.2, 0.8)
_TIME_OUT = 30.0
_NO_CONNECTION = 5.0
# Of requests that got no answer, so many were taken all the same.
_TAKEN_UNSEEN = 0.5
# Usual shares of what a mailbox provider says: hard bounces, blocks, deferrals, complaints.
_USUAL = (0.003, 0.001, 0.01, 0.0002)


class Silent(ValueError):
    """The scenario cannot be played; the message says why."""


@dataclass(frozen=True, slots=True)
class Window:
    """From so many hours after the beginning on, for so many hours."""

    begins: float
    hours: float

    def holds(self, at: datetime) -> bool:
        return self.begins <= (at - BEGINS) / timedelta(hours=1) < self.begins + self.hours


@dataclass(frozen=True, slots=True)
class Outage:
    """An ESP is down. `connects`: requests go out and no answer comes; otherwise nobody is reached."""

    provider: str
    when: Window
    connects: bool = False


@dataclass(frozen=True, slots=True)
class Busy:
    """An ESP answers this share of the requests with 429 and says when to come back."""

    provider: str
    when: Window
    share: float
    retry_after: timedelta


@dataclass(frozen=True, slots=True)
class Trouble:
    """A mailbox provider puts off or blocks these shares of what comes through a pool."""

    pool: str
    group: str
    when: Window
    deferred: float = 0.0
    blocked: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who, by which ways, and what goes wrong. `groups`: each mailbox group's share of the recipients."""

    recipients: int
    groups: Mapping[str, float]
    routes: tuple[Route, ...]
    policy: SendingPolicy
    outages: tuple[Outage, ...] = ()
    busy: tuple[Busy, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    zone: str = "UTC"
    person_returns: timedelta = field(default=timedelta(hours=1))  # lifts a brake that waits for a person

    def __post_init__(self) -> None:
        if self.recipients < len(self.groups) or not isclose(sum(self.groups.values()), 1):
            raise Silent("shares of mailbox groups sum up to 1, and each group has somebody")

    def people(self) -> dict[str, int]:
        """How many recipients each mailbox group has; what rounding leaves goes to the last."""
        found = {group: int(self.recipients * share) for group, share in self.groups.items()}
        last = next(reversed(found))
        found[last] += self.recipients - sum(found.values())
        return found


class World:
    """The ESPs and the mailbox providers behind them. `took` is the oracle: what the ESPs really accepted."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._scenario = scenario
        self._chance = random.Random(seed)
        self.took: list[tuple[int, int]] = []

    def answer(self, provider: str, messages: tuple[int, int], now: datetime) -> tuple[Outcome, float, bool]:
        """What the adapter makes of the ESP's answer, after how many seconds, and whether the ESP took it."""
        found = self._said(provider, now)
        if found[2]:
            self.took.append(messages)
        return found

    def _said(self, provider: str, now: datetime) -> tuple[Outcome, float, bool]:
        seconds = self._chance.uniform(*_ANSWER)
        for outage in self._scenario.outages:
            if outage.provider == provider and outage.when.holds(now):
                if not outage.connects:
                    return Outcome(OutcomeKind.NOT_SENT, "ConnectError"), _NO_CONNECTION, False
                return Outcome(OutcomeKind.UNKNOWN, "ReadTimeout"), _TIME_OUT, self._chance.random() < _TAKEN_UNSEEN
        for busy in self._scenario.busy:
            if busy.provider == provider and busy.when.holds(now) and self._chance.random() < busy.share:
                outcome = Outcome(OutcomeKind.NOT_SENT, "HTTP 429", 429, retry_after=busy.retry_after)
                return outcome, seconds, False
        return Outcome(OutcomeKind.ACCEPTED, status=202), seconds, True

    def results(self, pool: str, group: str, messages: int, at: datetime) -> Results:
        """What the mailbox provider says of so many messages that reach it then."""
        hard, blocked, deferred, complained = _USUAL
        for trouble in self._scenario.troubles:
            if (trouble.pool, trouble.group) == (pool, group) and trouble.when.holds(at):
                blocked, deferred = max(blocked, trouble.blocked), max(deferred, trouble.deferred)
        counts = {
            "hard": self._count(messages, hard),
            "blocked": self._count(messages, blocked),
            "deferred": self._count(messages, deferred),
        }
        delivered = max(0, messages - sum(counts.values()))
        complaints = self._count(delivered, complained)
        return Results(accepted=messages, heard=messages, delivered=delivered, complained=complaints, **counts)

    def _count(self, whole: int, share: float) -> int:
        """About so many: the rest of the division is left to chance, so that small batches count too."""
        exact = whole * share
        return int(exact) + (self._chance.random() < exact - int(exact))
