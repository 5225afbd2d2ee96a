"""The rows by which several workers share pace, breakers and warm-up: each read or change one statement.

Whoever changes a provider's row locks it first, and rows of several providers by name: so no two wait for each other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import database, tables
from domain import warmup
from domain.breaker import Breaker, BreakerState
from domain.pacing import Bucket
from domain.routes import Route
from domain.suppression import Stream
from domain.warmup import WarmUp


@dataclass(frozen=True, slots=True)
class ProviderState:
    """How one ESP fares with one stream. `latency`: seconds that an answer usually takes; None: not known yet."""

    breaker: Breaker
    concurrency: float
    latency: float | None = None


def provider_states(connection: sa.Connection, providers: Iterable[str], stream: Stream) -> dict[str, ProviderState]:
    """Those that have a row, locked; a provider without one is sound."""
    table = tables.provider_states
    query = sa.select(table).where(table.c.stream == stream, table.c.provider.in_(sorted(set(providers))))
    query = query.order_by(table.c.provider).with_for_update()
    return {
        row.provider: ProviderState(
            Breaker(
                state=BreakerState(row.breaker),
                failures=row.failures,
                unknowns=row.unknowns,
                openings=row.openings,
                probe_at=row.probe_at,
                reason=row.reason,
            ),
            row.concurrency,
            row.latency,
        )
        for row in connection.execute(query)
    }


def latencies(connection: sa.Connection, stream: Stream) -> dict[str, float]:
    """Seconds that each provider's answer usually takes, where it was measured."""
    state = tables.provider_states.c
    query = sa.select(state.provider, state.latency)
    rows = connection.execute(query.where(state.stream == stream, state.latency.is_not(None)))
    return {row.provider: float(row.latency) for row in rows}


def add_providers(
    connection: sa.Connection, states: Mapping[str, ProviderState], stream: Stream, now: datetime
) -> None:
    """Make sure that each has a row, for whoever decides locks it: of what has none, two would decide at once."""
    rows = [
        {
            "provider": provider,
            "stream": stream,
            "breaker": states[provider].breaker.state,
            "failures": 0,
            "unknowns": 0,
            "openings": 0,
            "concurrency": states[provider].concurrency,
            "changed_at": now,
        }
        for provider in sorted(states)
    ]
    if rows:
        connection.execute(database.insert(connection, tables.provider_states).on_conflict_do_nothing(), rows)


def write_provider(
    connection: sa.Connection, provider: str, stream: Stream, state: ProviderState, now: datetime
) -> None:
    table, breaker = tables.provider_states, state.breaker
    values = {
        "breaker": breaker.state,
        "failures": breaker.failures,
        "unknowns": breaker.unknowns,
        "openings": breaker.openings,
        "probe_at": breaker.probe_at,
        "reason": breaker.reason,
        "concurrency": state.concurrency,
        "latency": state.latency,
        "changed_at": now,
    }
    made = database.insert(connection, table).values(provider=provider, stream=stream, **values)
    connection.execute(made.on_conflict_do_update(index_elements=["provider", "stream"], set_=values))


def buckets(connection: sa.Connection, keys: Iterable[str]) -> dict[str, Bucket]:
    """Those that have a row, locked; a bucket without one is full."""
    table = tables.buckets
    query = sa.select(table).where(table.c.key.in_(sorted(set(keys)))).order_by(table.c.key).with_for_update()
    return {row.key: Bucket(row.tokens, row.at, row.blocked_until) for row in connection.execute(query)}


def write_bucket(connection: sa.Connection, key: str, bucket: Bucket) -> None:
    table = tables.buckets
    values = {"tokens": bucket.tokens, "at": bucket.at, "blocked_until": bucket.blocked_until}
    made = database.insert(connection, table).values(key=key, **values)
    connection.execute(made.on_conflict_do_update(index_elements=["key"], set_=values))


def requests_under_way(
    connection: sa.Connection, providers: Iterable[str], now: datetime
) -> dict[str, Mapping[Stream, int]]:
    """By provider and stream. What a dead worker left counts until its lease is over."""
    slot = tables.slots.c
    query = sa.select(slot.provider, slot.stream, sa.func.count()).where(
        slot.provider.in_(sorted(set(providers))), slot.expires_at > now
    )
    found: dict[str, dict[Stream, int]] = {}
    for provider, stream, count in connection.execute(query.group_by(slot.provider, slot.stream)):
        found.setdefault(provider, {})[Stream(stream)] = count
    return dict(found)


def way(route: Route) -> dict[str, Any]:
    """What `attempt_routes` keeps of the route itself, whatever went by it."""
    return {
        "account_id": route.account_id,
        "route": route.name,
        "provider": route.provider,
        "pool": route.pool,
        "stream": route.stream,
        "domain": route.domain,
    }


def take_slot(connection: sa.Connection, slot_id: str, provider: str, stream: Stream, until: datetime) -> None:
    connection.execute(tables.slots.insert().values(id=slot_id, provider=provider, stream=stream, expires_at=until))


def free_slot(connection: sa.Connection, slot_id: str, now: datetime) -> None:
    """Give it back, and clear away what dead workers left."""
    slot = tables.slots
    connection.execute(slot.delete().where((slot.c.id == slot_id) | (slot.c.expires_at <= now)))


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def count_volume(
    connection: sa.Connection, account_id: str, pool: str, group: str, messages: int, now: datetime
) -> None:
    """Add to what this hour saw; a negative number takes back what did not go."""
    table = tables.pool_volumes
    made = database.insert(connection, table).values(
        account_id=account_id, pool=pool, mailbox_group=group, hour=_hour(now), messages=max(0, messages)
    )
    summed = {"messages": sa.case((table.c.messages + messages > 0, table.c.messages + messages), else_=0)}
    keys = ["account_id", "pool", "mailbox_group", "hour"]
    connection.execute(made.on_conflict_do_update(index_elements=keys, set_=summed))


def volume_this_hour(connection: sa.Connection, account_id: str, pool: str, group: str, now: datetime) -> int:
    volume = tables.pool_volumes.c
    found = connection.scalar(
        sa.select(volume.messages).where(
            volume.account_id == account_id,
            volume.pool == pool,
            volume.mailbox_group == group,
            volume.hour == _hour(now),
        )
    )
    return found or 0


def volumes_of_a_day(connection: sa.Connection, account_id: str, now: datetime) -> Mapping[str, int]:
    """What each pool carried within 24 hours."""
    volume = tables.pool_volumes.c
    summed: sa.ColumnElement[Any] = sa.func.sum(volume.messages)
    query = sa.select(volume.pool, summed).where(
        volume.account_id == account_id, volume.hour > now - timedelta(hours=24)
    )
    return {row[0]: int(row[1]) for row in connection.execute(query.group_by(volume.pool))}


def warm_up(connection: sa.Connection, account_id: str, pool: str, group: str) -> WarmUp | None:
    """How far this pool is with this group, locked; None before its first mail."""
    table = tables.warmups
    row = connection.execute(
        sa.select(table)
        .where(table.c.account_id == account_id, table.c.pool == pool, table.c.mailbox_group == group)
        .with_for_update()
    ).one_or_none()
    return None if row is None else _as_warm_up(row)


def warm_ups(connection: sa.Connection, account_id: str) -> dict[tuple[str, str], WarmUp]:
    """How far each pool is with each mailbox group, where it began."""
    table = tables.warmups
    rows = connection.execute(sa.select(table).where(table.c.account_id == account_id))
    return {(row.pool, row.mailbox_group): _as_warm_up(row) for row in rows}


def _as_warm_up(row: Any) -> WarmUp:
    return WarmUp(row.day, row.day_began_at, row.last_sent_at, row.trouble_at)


def write_warm_up(connection: sa.Connection, account_id: str, pool: str, group: str, state: WarmUp) -> None:
    values = {
        "day": state.day,
        "day_began_at": state.day_began_at,
        "last_sent_at": state.last_sent_at,
        "trouble_at": state.trouble_at,
    }
    made = database.insert(connection, tables.warmups).values(
        account_id=account_id, pool=pool, mailbox_group=group, **values
    )
    keys = ["account_id", "pool", "mailbox_group"]
    connection.execute(made.on_conflict_do_update(index_elements=keys, set_=values))


def step_back(connection: sa.Connection, run_id: str, group: str, now: datetime) -> None:
    """A group of this run was stopped: the pools that it went through go a day back in their warm-up."""
    batch, attempt, route = tables.batches.c, tables.batch_attempts.c, tables.attempt_routes.c
    went = tables.attempt_routes.join(tables.batch_attempts, attempt.id == route.attempt_id).join(
        tables.batches, batch.id == attempt.batch_id
    )
    query = sa.select(route.account_id, route.pool).select_from(went)
    for account_id, pool in connection.execute(
        query.where(batch.run_id == run_id, route.mailbox_group == group).distinct()
    ).all():
        if (kept := warm_up(connection, account_id, pool, group)) is not None:
            write_warm_up(connection, account_id, pool, group, warmup.trouble(kept, now))
