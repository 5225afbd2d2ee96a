"""What we hold, as reconciliation compares it: accepted mail without an end, strays, open batches, counts by day.

A message's ESP and campaign are those of the attempt that was accepted with it. Batches come first in each join: of a
batch the messages are one range of the primary key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import tables
from data.columns import days_between
from data.results import with_rows_of
from domain.delivery import Seen
from domain.ledger import BatchState
from domain.reconciliation import Accepted, Difference, Explanation, Kind, Strays

_ENDED = int(Seen.DELIVERED | Seen.BOUNCED | Seen.DROPPED)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
CHECKED_ONLY = 200  # SendGrid's sandbox mode; what is to go out is answered 202 (facts/esp-contracts.md 4.1)
_SEED_EVENTS = 5  # processed, deferred, delivered, opened, and one to spare


def start_of(day: date) -> datetime:
    """The first instant of a day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def went_at() -> sa.ColumnElement[datetime]:
    attempt, route = tables.batch_attempts, tables.attempt_routes
    return sa.func.coalesce(route.c.send_at, attempt.c.finished_at, attempt.c.claimed_at)


def sent(account_id: str | None) -> tuple[sa.FromClause, list[sa.ColumnElement[bool]]]:
    """Batches with their attempt, route, run and campaign."""
    batch, attempt, route = tables.batches, tables.batch_attempts, tables.attempt_routes
    run, campaign = tables.campaign_runs, tables.campaigns
    joined = (
        batch.join(attempt, attempt.c.id == batch.c.attempt_id)
        .join(run, run.c.id == batch.c.run_id)
        .join(campaign, campaign.c.id == run.c.campaign_id)
        .outerjoin(route, route.c.attempt_id == attempt.c.id)
    )
    return joined, [run.c.account_id == account_id] if account_id else []


def accepted(connection: sa.Connection, since: datetime, *, account_id: str | None = None) -> list[Accepted]:
    """Every accepted attempt since then, with how many of its messages have no event, and how many no end."""
    found = connection.execute(_accepted(connection, since, account_id))
    return [
        Accepted(
            provider=provider,
            account_id=account,
            run_id=run_id,
            campaign=name,
            attempt_id=attempt_id,
            went_at=at,
            messages=messages,
            silent=messages - heard,
            unfinished=heard - int(finished),
            checked_only=status == CHECKED_ONLY,
        )
        for provider, account, run_id, name, attempt_id, at, messages, status, heard, finished in found
    ]


def _accepted(connection: sa.Connection, since: datetime, account_id: str | None) -> sa.Select[Any]:
    batch, attempt, run = tables.batches, tables.batch_attempts, tables.campaign_runs
    joined, which = sent(account_id)
    told, known = with_rows_of(connection, joined, tables.message_delivery, outer=True)
    ended = sa.case((known.c.seen.bitwise_and(_ENDED) != 0, 1), else_=0)
    columns = [
        attempt.c.provider,
        run.c.account_id,
        batch.c.run_id,
        tables.campaigns.c.name,
        attempt.c.id,
        went_at(),
        attempt.c.messages,
        attempt.c.status_code,
    ]
    return (
        sa.select(*columns, sa.func.count(known.c.ordinal), sa.func.coalesce(sa.func.sum(ended), 0))
        .select_from(told)
        .where(batch.c.state == BatchState.ACCEPTED, went_at() >= since, *which)
        .group_by(*columns)
        .order_by(went_at(), attempt.c.id)
    )


def day_number(at: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """The day, in UTC, as a number since 1970. Grouped by its place: a second copy would have another parameter."""
    epoch = sa.literal(_EPOCH, tables.batches.c.finished_at.type)
    return days_between(epoch, at)


def date_of(number: int) -> date:
    """The day that `day_number` gives."""
    return (_EPOCH + number * _DAY).date()


def open_batches(
    connection: sa.Connection, since: datetime, *, account_id: str | None, now: datetime
) -> list[Difference]:
    """Unknown and held batches by run, with their age and what would resolve them."""
    batch, attempt, run = tables.batches, tables.batch_attempts, tables.campaign_runs
    joined, which = sent(account_id)
    query = (
        sa.select(
            batch.c.state,
            attempt.c.provider,
            run.c.account_id,
            batch.c.run_id,
            tables.campaigns.c.name,
            sa.func.count().label("batches"),
            sa.func.sum(attempt.c.messages).label("messages"),
            sa.func.min(attempt.c.claimed_at).label("oldest"),
        )
        .select_from(joined)
        .where(batch.c.state.in_([BatchState.UNKNOWN, BatchState.HELD]), attempt.c.claimed_at >= since, *which)
        .group_by(batch.c.state, attempt.c.provider, run.c.account_id, batch.c.run_id, tables.campaigns.c.name)
        .order_by(batch.c.run_id)
    )
    return [_open(row, now) for row in connection.execute(query)]


def _open(row: Any, now: datetime) -> Difference:
    held = row.state == BatchState.HELD
    would = "nothing but a person" if held else "an event, a look-up at the ESP, a schedule cancelled in time"
    age = (now - row.oldest) // timedelta(hours=1)
    return Difference(
        Kind.HELD if held else Kind.UNKNOWN,
        row.provider,
        row.oldest.date(),
        row.batches,
        Explanation.HELD if held else Explanation.WAITING,
        account_id=row.account_id,
        run_id=row.run_id,
        campaign=row.name,
        detail=f"{int(row.messages):,} messages, the oldest {age} h old; resolved by {would}",
    )


def strays(connection: sa.Connection, first: date, last: date) -> list[Strays]:
    """Events of these days that tell of no message of ours, by day and kind."""
    event = tables.delivery_events
    day = day_number(event.c.occurred_at)
    query = (
        sa.select(event.c.provider, day, event.c.kind, sa.func.count())
        .where(
            event.c.run_id.is_(None),
            event.c.occurred_at >= start_of(first),
            event.c.occurred_at < start_of(last) + _DAY,
        )
        .group_by(event.c.provider, sa.text("2"), event.c.kind)
        .order_by(sa.text("2"), event.c.kind)
    )
    return [
        Strays(provider, date_of(number), kind, count) for provider, number, kind, count in connection.execute(query)
    ]


def seed_events(connection: sa.Connection, first: date, last: date) -> dict[date, int]:
    """How many events the seed messages of these days may have made, which are no run's."""
    seed = tables.seed_messages
    day = day_number(seed.c.sent_at)
    query = sa.select(day, sa.func.count()).where(
        seed.c.sent_at >= start_of(first) - _DAY, seed.c.sent_at < start_of(last) + _DAY
    )
    return {date_of(number): count * _SEED_EVENTS for number, count in connection.execute(query.group_by(sa.text("1")))}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The messages of an attempt, by the hash of the address that was mailed."""

    ordinals: dict[str, int]
    ended: frozenset[int]  # of these the end is known
    listed: frozenset[int]  # the ESP put the address on a list since, so there is an event that may be lost


def wanted(connection: sa.Connection, attempt: Accepted) -> Wanted:
    """Whose messages these are, and of which of them nothing needs to be asked."""
    batch, member, known = tables.batches, tables.audience, tables.message_delivery
    of_batch = (
        sa.select(batch.c.first_ordinal, batch.c.last_ordinal)
        .where(batch.c.attempt_id == attempt.attempt_id)
        .subquery()
    )
    query = (
        sa.select(member.c.ordinal, member.c.address_hash, sa.func.coalesce(known.c.seen, 0), _listed(attempt))
        .select_from(
            member.join(
                of_batch, member.c.ordinal.between(of_batch.c.first_ordinal, of_batch.c.last_ordinal)
            ).outerjoin(known, (known.c.run_id == member.c.run_id) & (known.c.ordinal == member.c.ordinal))
        )
        .where(member.c.run_id == attempt.run_id, member.c.address_hash.is_not(None))
    )
    rows: Sequence[Any] = connection.execute(query).all()
    return Wanted(
        {row[1]: row[0] for row in rows},
        frozenset(row[0] for row in rows if row[2] & _ENDED),
        frozenset(row[0] for row in rows if row[3]),
    )


def _listed(attempt: Accepted) -> sa.ColumnElement[bool]:
    """Did the ESP list the address since, and no event of the message said so?"""
    refusal = tables.suppressions
    said = int(Seen.COMPLAINED | Seen.UNSUBSCRIBED | Seen.BOUNCED | Seen.DROPPED)
    return sa.exists().where(
        refusal.c.account_id == attempt.account_id,
        refusal.c.address_hash == tables.audience.c.address_hash,
        refusal.c.source == f"esp:{attempt.provider}",
        refusal.c.created_at >= attempt.went_at - timedelta(minutes=1),
        sa.func.coalesce(tables.message_delivery.c.seen, 0).bitwise_and(said) == 0,
    )
