"""How the transactional lane does: what waits, what a window brought, how long the hand-over took, by class and by ESP.

What we ask ourselves to see that the lane works is no customer's, and is counted in none of these.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import tables
from data.transactional import AskedBy
from domain.ledger import BatchState, OutcomeKind
from domain.transactional import Urgency

_message = tables.transactional_messages
_customers = _message.c.asked_by != AskedBy.SYNTHETIC
_LONGEST_SAMPLE = 200_000  # of a window with more messages the latest so many tell the latency


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is open of one class. `oldest_due`: when the first was asked for of those that could go now."""

    open: int = 0
    due: int = 0
    oldest_due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from the asking to the acceptance, of so many messages; None of none."""

    count: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One urgency class: what waits now, what was asked in the window and became of it."""

    urgency: Urgency
    backlog: Backlog
    asked: int = 0
    states: Mapping[BatchState, int] = field(default_factory=dict)
    resent: int = 0
    latency: Latency = field(default_factory=Latency)


@dataclass(frozen=True, slots=True)
class ProviderFigures:
    """Attempts of the window by one ESP, by outcome; `open`: no answer is recorded yet."""

    provider: str
    attempts: int
    outcomes: Mapping[OutcomeKind, int]

    @property
    def failed(self) -> int:
        """Those that brought no decision: not taken, or no answer."""
        return self.outcomes.get(OutcomeKind.NOT_SENT, 0) + self.outcomes.get(OutcomeKind.UNKNOWN, 0)


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """The whole lane, of one account or of all."""

    since: datetime
    until: datetime
    classes: Sequence[ClassFigures]
    providers: Sequence[ProviderFigures]


def read(connection: sa.Connection, *, now: datetime, window: timedelta, account_id: str | None = None) -> LaneFigures:
    """What waits now, and the messages that were asked for in the window up to now."""
    since = now - window
    which = _asked_since(connection, since, account_id)
    waiting, states, latencies = backlog(connection, now=now, account_id=account_id), *_asked(connection, which)
    again = sa.select(_message.c.urgency, sa.func.count()).where(which, _message.c.resent).group_by(_message.c.urgency)
    resent = {Urgency(urgency): count for urgency, count in connection.execute(again)}
    classes = [
        ClassFigures(
            urgency=one,
            backlog=waiting[one],
            asked=sum(states[one].values()),
            states=states[one],
            resent=resent.get(one, 0),
            latency=latency(latencies[one]),
        )
        for one in Urgency
    ]
    return LaneFigures(since, now, classes, _providers(connection, which))


def _asked_since(connection: sa.Connection, since: datetime, account_id: str | None) -> sa.ColumnElement[bool]:
    """Customers' messages of these accounts: all are named, as the index begins with the account."""
    known = [account_id] if account_id is not None else list(connection.scalars(sa.select(tables.accounts.c.id)))
    return _message.c.account_id.in_(known) & (_message.c.asked_at > since) & _customers


def backlog(connection: sa.Connection, *, now: datetime, account_id: str | None = None) -> dict[Urgency, Backlog]:
    """What is open of each class. It reads the partial indexes of open messages, however many are over."""
    waits = _message.c.state == sa.literal_column("'planned'")
    each = (waits, *(_message.c.state == sa.literal_column(f"'{one}'") for one in ("inflight", "unknown")))
    # One that is put off between two tries waits, too: for the customer it is as late.
    due = waits & ((_message.c.not_before <= now) | (_message.c.attempts > 0))
    mine = _customers if account_id is None else _customers & (_message.c.account_id == account_id)
    found = {one: Backlog() for one in Urgency}
    for which in each:  # one by one, as the partial indexes name them
        query = (
            sa.select(
                _message.c.urgency,
                sa.func.count().label("open"),
                sa.func.count(sa.case((due, 1))).label("due"),
                sa.func.min(sa.case((due, _message.c.asked_at))).label("oldest_due"),
            )
            .where(which, mine)
            .group_by(_message.c.urgency)
        )
        for row in connection.execute(query):
            before = found[Urgency(row.urgency)]
            oldest = before.oldest_due or row.oldest_due
            found[Urgency(row.urgency)] = Backlog(before.open + row.open, before.due + row.due, oldest)
    return found


def _asked(
    connection: sa.Connection, which: sa.ColumnElement[bool]
) -> tuple[dict[Urgency, dict[BatchState, int]], dict[Urgency, list[float]]]:
    """By class: messages by state, and the seconds that each accepted one took."""
    states: dict[Urgency, dict[BatchState, int]] = {one: {} for one in Urgency}
    counts = sa.select(_message.c.urgency, _message.c.state, sa.func.count()).where(which)
    for urgency, state, count in connection.execute(counts.group_by(_message.c.urgency, _message.c.state)):
        states[Urgency(urgency)][BatchState(state)] = count
    seconds: dict[Urgency, list[float]] = {one: [] for one in Urgency}
    took = (
        sa.select(_message.c.urgency, _message.c.asked_at, _message.c.accepted_at)
        .where(which, _message.c.accepted_at.is_not(None))
        .order_by(_message.c.asked_at.desc())
        .limit(_LONGEST_SAMPLE)
    )
    for urgency, asked, accepted in connection.execute(took):
        seconds[Urgency(urgency)].append((accepted - asked).total_seconds())
    return states, seconds


def latency(seconds: Sequence[float]) -> Latency:
    """The quantiles of these: what so large a share of the messages did not exceed."""
    if not seconds:
        return Latency()
    ordered = sorted(max(0.0, one) for one in seconds)

    def quantile(share: float) -> float:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    return Latency(len(ordered), quantile(0.5), quantile(0.95), quantile(0.99))


def _providers(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[ProviderFigures]:
    attempt = tables.transactional_attempts
    query = (
        sa.select(attempt.c.provider, attempt.c.outcome, sa.func.count())
        .join_from(attempt, _message, _message.c.id == attempt.c.message_id)
        .where(which)
        .group_by(attempt.c.provider, attempt.c.outcome)
    )
    found: dict[str, dict[OutcomeKind, int]] = {}
    attempts: dict[str, int] = {}
    for provider, outcome, count in connection.execute(query):
        attempts[provider] = attempts.get(provider, 0) + count
        outcomes = found.setdefault(provider, {})
        if outcome is not None:
            outcomes[OutcomeKind(outcome)] = count
    return [ProviderFigures(one, attempts[one], found[one]) for one in sorted(found)]


def by_slice(
    connection: sa.Connection, *, now: datetime, slices: int, length: timedelta, account_id: str | None = None
) -> list[tuple[int, Latency]]:
    """Messages asked for and their latency in each slice of time, the oldest first."""
    begin = now - slices * length
    took = sa.select(_message.c.asked_at, _message.c.accepted_at)
    took = took.where(_asked_since(connection, begin, account_id)).order_by(_message.c.asked_at.desc())
    asked, seconds = [0] * slices, [list[float]() for _ in range(slices)]
    for at, accepted in connection.execute(took.limit(_LONGEST_SAMPLE)):
        place = min(int((at - begin) / length), slices - 1)
        asked[place] += 1
        if accepted is not None:
            seconds[place].append((accepted - at).total_seconds())
    return [(count, latency(each)) for count, each in zip(asked, seconds, strict=True)]


@dataclass(frozen=True, slots=True)
class Failure:
    """Messages that did not go for one reason."""

    account_id: str
    template: str
    state: BatchState
    why: str
    count: int
    latest_at: datetime
    latest: str  # one of them, to look at


def failures(connection: sa.Connection, *, since: datetime, account_id: str | None = None) -> list[Failure]:
    """Dead letters: what was rejected, held, suppressed or expired, grouped by reason, the most first."""
    ends = (BatchState.REJECTED, BatchState.HELD, BatchState.EXPIRED, BatchState.SUPPRESSED)
    group = (_message.c.account_id, _message.c.template, _message.c.state, _message.c.why)
    latest = sa.func.max(_message.c.finished_at)
    query = (
        sa.select(
            *group, sa.func.count().label("messages"), latest.label("at"), sa.func.max(_message.c.id).label("one")
        )
        .where(_asked_since(connection, since, account_id), _message.c.state.in_(ends))
        .group_by(*group)
        .order_by(sa.func.count().desc(), latest.desc(), *group)
    )
    return [
        Failure(
            row.account_id,
            row.template,
            BatchState(row.state),
            row.why or "no reason was told",
            row.messages,
            row.at,
            row.one,
        )
        for row in connection.execute(query)
    ]
