"""How each source of orders does: heard when, how far behind, what was refused, and what should alarm somebody."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import accounts, tables
from data.channels.channel import Urgency
from data.channels.connections import Connection, Connections
from data.dead_letters import State as LetterState
from data.intake import quarantine
from data.intake.records import State
from domain import rhythm

_DAY = timedelta(days=1)
# The queue is drained all the time: what waits for so long has nobody who drains it.
_LONGEST_LAG = timedelta(minutes=15)
# Pulls start every quarter of an hour.
_LONGEST_UNASKED = timedelta(hours=1)
_WELL = {None, "active", "unknown"}  # unknown: the key may not see it, or the channel does not tell
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """One channel of one account. Shares and counts are of the last 24 hours; `lag`: how long the oldest record waits.

    `usual_silence`: the longest it was silent at this time of earlier weeks. `cursor_age`: up to how long ago its API
    was read. `alarms`: what somebody should do something about.
    """

    account_id: str
    channel: str
    last_heard: datetime | None
    waiting: int
    lag: timedelta | None
    orders: int
    refused: int
    open_letters: int
    cursor_age: timedelta | None
    subscription: str | None
    usual_silence: timedelta | None
    alarms: tuple[str, ...]

    @property
    def refused_share(self) -> float | None:
        """Of the orders of the last 24 hours; None where there were none."""
        return self.refused / self.orders if self.orders else None


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the store knows of all sources, by (account, channel). `drained_at`: when anything was drained last."""

    queues: Mapping[Pair, Any]
    cursors: Mapping[Pair, Any]
    held: frozenset[Pair]
    letters: Mapping[Pair, int]
    counts: Mapping[Pair, tuple[int, int]]
    active: frozenset[Pair]
    drained_at: datetime | None
    accounts: frozenset[str]


def examine(
    connection: sa.Connection, connections: Connections, *, now: datetime, account_id: str | None = None
) -> list[SourceHealth]:
    """All sources that are declared, that brought orders in the last eight weeks, or whose records wait."""
    facts = _Facts(
        queues=_queues(connection),
        cursors=_cursors(connection),
        held=quarantine.open_of(connection),
        letters=_open_letters(connection),
        counts=_counts(connection, now),
        active=_active(connection, now),
        drained_at=connection.scalar(sa.select(sa.func.max(tables.intake_batches.c.drained_at))),
        accounts=frozenset(accounts.names(connection)),
    )
    declared = {(one.account, one.channel): one for one in connections.connections}
    pairs = {pair for pair in (*declared, *facts.active, *facts.queues) if account_id in (None, pair[0])}
    return [_source(connection, pair, declared.get(pair), facts, now) for pair in sorted(pairs)]


def _source(
    connection: sa.Connection, pair: Pair, declared: Connection | None, facts: _Facts, now: datetime
) -> SourceHealth:
    heard_before = _ear(connection, pair)
    queue, cursor = facts.queues.get(pair), facts.cursors.get(pair)
    last = max(filter(None, (heard_before(now), queue.newest if queue is not None else None)), default=None)
    usual = _usual(last, declared, now, heard_before)
    alarms = [
        *([] if pair[0] in facts.accounts else [f"there is no account {pair[0]}: nothing of it can be kept"]),
        *_silence(last, usual, declared, now),
        *(["in quarantine: `campaigns intake quarantine` says why"] if pair in facts.held else []),
        *_behind(queue, facts, now, held=pair in facts.held),
        *_pulling(declared, cursor, now),
    ]
    orders, refused = facts.counts.get(pair, (0, 0))
    return SourceHealth(
        *pair,
        last_heard=last,
        waiting=queue.waiting if queue is not None else 0,
        lag=now - queue.oldest if queue is not None else None,
        orders=orders,
        refused=refused,
        open_letters=facts.letters.get(pair, 0),
        cursor_age=now - cursor.read_until if cursor is not None and cursor.read_until is not None else None,
        subscription=cursor.subscription if cursor is not None else None,
        usual_silence=usual,
        alarms=tuple(alarms),
    )


def _usual(
    last: datetime | None, declared: Connection | None, now: datetime, heard_before: rhythm.HeardBefore
) -> timedelta | None:
    if last is None or last > now or (declared is not None and declared.silent_after_hours is not None):
        return None
    return rhythm.usual_silence(last, now, heard_before)


def _silence(last: datetime | None, usual: timedelta | None, declared: Connection | None, now: datetime) -> list[str]:
    """By the limit that the connection names (0: never), else by the source's own rhythm."""
    if last is None:
        return []
    hours = declared.silent_after_hours if declared is not None else None
    if hours and now - last > timedelta(hours=hours):
        return [f"silent for {span(now - last)}: more than the {hours:g} h of channels.yaml"]
    if usual is not None and rhythm.is_silent(last, usual, now):
        return [f"silent for {span(now - last)}, and at this time of the week never longer than {span(usual)} before"]
    return []


def _behind(queue: Any, facts: _Facts, now: datetime, *, held: bool) -> list[str]:
    """History from files may wait while anything is drained at all; what was pushed or pulled just now may not."""
    if queue is None or held:
        return []
    is_drained = facts.drained_at is not None and now - facts.drained_at <= _LONGEST_LAG
    oldest = queue.oldest_news if is_drained else queue.oldest
    if oldest is None or now - oldest <= _LONGEST_LAG:
        return []
    return [f"records wait for {span(now - oldest)}: does the deployment ingest-orders run, and does it fail?"]


def _pulling(declared: Connection | None, cursor: Any, now: datetime) -> list[str]:
    if declared is None or declared.api is None:
        return []
    if cursor is None:
        return ["never asked yet: does the deployment pull-orders run?"]
    alarms = []
    if cursor.error:
        alarms.append(f"the last pull failed: {cursor.error}")
    elif now - cursor.asked_at > _LONGEST_UNASKED:
        alarms.append(f"last asked {span(now - cursor.asked_at)} ago: does the deployment pull-orders run?")
    if declared.webhook_secrets and cursor.subscription == "none":
        alarms.append("it has no webhook that posts here: add it in the channel's own settings")
    elif cursor.subscription not in {*_WELL, "none"}:
        alarms.append(f"its webhook is {cursor.subscription} there: switch it on again in the channel's own settings")
    return alarms


def _ear(connection: sa.Connection, pair: Pair) -> Callable[[datetime], datetime | None]:
    """Tells when the source last brought orders up to an instant. Pages of an API that held none are no sign of life."""
    batch = tables.intake_batches.c
    query = sa.select(batch.last_received_at).where(
        batch.account_id == pair[0], batch.channel == pair[1], batch.orders > 0
    )

    def heard_before(instant: datetime) -> datetime | None:
        newest = query.where(batch.drained_at <= instant).order_by(batch.drained_at.desc(), batch.id.desc()).limit(1)
        received: datetime | None = connection.scalar(newest)
        return None if received is None else min(received, instant)

    return heard_before


def _active(connection: sa.Connection, now: datetime) -> frozenset[Pair]:
    batch = tables.intake_batches.c
    query = sa.select(batch.account_id, batch.channel).where(batch.drained_at > now - rhythm.LOOK_BACK).distinct()
    return frozenset((row.account_id, row.channel) for row in connection.execute(query))


def _queues(connection: sa.Connection) -> dict[Pair, Any]:
    record = tables.intake_records.c
    query = (
        sa.select(
            record.account_id,
            record.channel,
            sa.func.count().label("waiting"),
            sa.func.min(record.received_at).label("oldest"),
            sa.func.min(sa.case((record.urgency != Urgency.BULK, record.received_at))).label("oldest_news"),
            sa.func.max(record.received_at).label("newest"),
        )
        .where(record.state.in_((State.PENDING, State.HELD)))
        .group_by(record.account_id, record.channel)
    )
    return {(row.account_id, row.channel): row for row in connection.execute(query)}


def _cursors(connection: sa.Connection) -> dict[Pair, Any]:
    rows = connection.execute(sa.select(tables.intake_cursors))
    return {(row.account_id, row.channel): row for row in rows}


def _open_letters(connection: sa.Connection) -> dict[Pair, int]:
    letter = tables.dead_letters.c
    query = sa.select(letter.account_id, letter.source, sa.func.count().label("open"))
    query = query.where(letter.state == LetterState.OPEN).group_by(letter.account_id, letter.source)
    return {(row.account_id, row.source): row.open for row in connection.execute(query)}


def _counts(connection: sa.Connection, now: datetime) -> dict[Pair, tuple[int, int]]:
    batch = tables.intake_batches.c
    query = sa.select(
        batch.account_id,
        batch.channel,
        sa.func.sum(batch.orders).label("orders"),
        sa.func.sum(batch.refused).label("refused"),
    )
    query = query.where(batch.drained_at > now - _DAY).group_by(batch.account_id, batch.channel)
    return {(row.account_id, row.channel): (int(row.orders), int(row.refused)) for row in connection.execute(query)}


def trend(connection: sa.Connection, *, now: datetime, days: int = 7) -> Sequence[tuple[datetime, int, int]]:
    """Of each of the last days (its end, how many orders were judged, how many were refused), the oldest first."""
    batch = tables.intake_batches.c
    found = []
    for back in range(days, 0, -1):
        start, end = now - back * _DAY, now - (back - 1) * _DAY
        sums = sa.select(sa.func.sum(batch.orders), sa.func.sum(batch.refused))
        orders, refused = connection.execute(sums.where(batch.drained_at > start, batch.drained_at <= end)).one()
        found.append((end, int(orders or 0), int(refused or 0)))
    return found


def span(duration: timedelta | None) -> str:
    """A duration for people: 5 min, 3 h, 2 days."""
    if duration is None:
        return "–"
    minutes = int(duration.total_seconds() // 60)
    if minutes < 120:  # noqa: PLR2004 - below two hours, minutes read best
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def percent(share: float | None) -> str:
    """A share for people."""
    return "–" if share is None else f"{share:.1%}"
