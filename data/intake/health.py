"""How each source of orders does: heard when, how far behind, what was refused, and what should alarm somebody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import tables
from data.channels.connections import Connection, Connections
from data.intake import quarantine
from data.intake.records import State
from domain import rhythm

_DAY = timedelta(days=1)
# The queue is drained all the time: what waits for so long has nobody who drains it.
_LONGEST_LAG = timedelta(minutes=15)
# Pulls start every quarter of an hour.
_OLDEST_CURSOR = timedelta(hours=1)
_WELL = {None, "active", "none", "unknown"}
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """One channel of one account. Shares and counts are of the last 24 hours; `lag`: how long the oldest record waits.

    `usual_silence`: the longest it is silent by its own rhythm. `alarms`: what somebody should do something about.
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


def examine(
    connection: sa.Connection, connections: Connections, *, now: datetime, account_id: str | None = None
) -> list[SourceHealth]:
    """All sources that are declared, or that brought orders in the last four weeks; of one account or of all."""
    declared = {(one.account, one.channel): one for one in connections.connections}
    heard = _heard(connection, now)
    queues = _queues(connection)
    pairs = {pair for pair in (*declared, *heard, *queues) if account_id in (None, pair[0])}
    cursors = _cursors(connection)
    held = quarantine.open_of(connection)
    letters = _open_letters(connection)
    counts = _counts(connection, now)
    found = []
    for pair in sorted(pairs):
        arrivals, queue, cursor = heard.get(pair, []), queues.get(pair), cursors.get(pair)
        last = max((until for _, until in arrivals), default=None)
        if queue is not None:
            last = max(last or queue.newest, queue.newest)
        usual = rhythm.longest_usual_silence(arrivals)
        lag = now - queue.oldest if queue is not None else None
        age = now - cursor.read_until if cursor is not None and cursor.read_until is not None else None
        alarms = [
            *_silence(last, usual, now),
            *_quarantined(pair, held),
            *_behind(lag, pair in held),
            *_pulling(declared.get(pair), cursor, age),
        ]
        orders, refused = counts.get(pair, (0, 0))
        found.append(
            SourceHealth(
                *pair,
                last_heard=last,
                waiting=queue.waiting if queue is not None else 0,
                lag=lag,
                orders=orders,
                refused=refused,
                open_letters=letters.get(pair, 0),
                cursor_age=age,
                subscription=cursor.subscription if cursor is not None else None,
                usual_silence=usual,
                alarms=tuple(alarms),
            )
        )
    return found


def _silence(last: datetime | None, usual: timedelta | None, now: datetime) -> list[str]:
    if last is None or usual is None or not rhythm.is_silent(last, usual, now):
        return []
    return [f"silent for {span(now - last)}, and never longer than {span(usual)} by its own rhythm"]


def _quarantined(pair: Pair, held: frozenset[Pair]) -> list[str]:
    return ["in quarantine: `campaigns intake quarantine` says why"] if pair in held else []


def _behind(lag: timedelta | None, held: bool) -> list[str]:
    if lag is None or held or lag <= _LONGEST_LAG:
        return []
    return [f"records wait for {span(lag)}: does the deployment ingest-orders run?"]


def _pulling(declared: Connection | None, cursor: Any, age: timedelta | None) -> list[str]:
    if declared is None or declared.api is None or cursor is None:
        return []
    alarms = []
    if cursor.error:
        alarms.append(f"the last pull failed: {cursor.error}")
    elif age is not None and age > _OLDEST_CURSOR:
        alarms.append(f"last asked {span(age)} ago: does the deployment pull-orders run?")
    if cursor.subscription not in _WELL:
        alarms.append(f"its webhook is {cursor.subscription} there: switch it on again in the channel's own settings")
    return alarms


def _heard(connection: sa.Connection, now: datetime) -> dict[Pair, list[tuple[datetime, datetime]]]:
    batch = tables.intake_batches.c
    query = sa.select(batch.account_id, batch.channel, batch.first_received_at, batch.last_received_at)
    found: dict[Pair, list[tuple[datetime, datetime]]] = {}
    for row in connection.execute(query.where(batch.drained_at > now - rhythm.LOOK_BACK)):
        found.setdefault((row.account_id, row.channel), []).append((row.first_received_at, row.last_received_at))
    return found


def _queues(connection: sa.Connection) -> dict[Pair, Any]:
    record = tables.intake_records.c
    query = (
        sa.select(
            record.account_id,
            record.channel,
            sa.func.count().label("waiting"),
            sa.func.min(record.received_at).label("oldest"),
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
    query = query.where(letter.state == "open").group_by(letter.account_id, letter.source)
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
    return {(row.account_id, row.channel): (row.orders, row.refused) for row in connection.execute(query)}


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
