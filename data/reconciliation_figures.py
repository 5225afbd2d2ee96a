"""The figures that reconciliation compares with an ESP's: by day, campaign and measure, of one ESP.

A message counts on the day, in UTC, on which a thing happened to it first.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import tables
from data.reconciliation_reading import CHECKED_ONLY, date_of, day_number, sent, start_of, went_at
from data.results import with_rows_of
from domain.delivery import EventKind, Seen
from domain.esp_record import Measure
from domain.ledger import BatchState, OutcomeKind, ProofKind

_DAY = timedelta(days=1)
# Mail is read for weeks. What is older than this counts for no day that is compared.
_READ_FOR = timedelta(days=30)
_RETURNED_MAIL = "smtp"  # who writes to us to be taken off: no ESP hears of that

# Which day a message counts on under each measure. Refused and dropped share their time; a bit says which it was.
_TIMES = {
    Measure.DELIVERED: ("delivered_at", None),
    Measure.REFUSED: ("bounced_at", Seen.BOUNCED),
    Measure.DROPPED: ("bounced_at", Seen.DROPPED),
    Measure.COMPLAINED: ("complained_at", None),
    Measure.OPENED: ("opened_at", None),
    Measure.CLICKED: ("clicked_at", None),
}


Counts = dict[tuple[date, str, Measure], int]


def figures(
    connection: sa.Connection, provider: str, first: date, last: date
) -> tuple[Counts, dict[tuple[date, str], int]]:
    """By day, campaign and measure how many messages went through this ESP; and how many only machines opened."""
    counts: Counts = {}
    for day, campaign, messages in _requested(connection, provider, first, last):
        counts[day, campaign, Measure.REQUESTED] = messages
    for measure, (name, bit) in _TIMES.items():
        for day, campaign, messages in _happened(connection, provider, first, last, name, bit):
            counts[day, campaign, measure] = messages
    for day, campaign, messages in _unsubscribed(connection, provider, first, last):
        counts[day, campaign, Measure.UNSUBSCRIBED] = messages
    machines = _happened(connection, provider, first, last, "opened_at", None, machines_only=True)
    return counts, {(day, campaign): messages for day, campaign, messages in machines}


def _requested(connection: sa.Connection, provider: str, first: date, last: date) -> Iterator[tuple[date, str, int]]:
    attempt = tables.batch_attempts
    joined, _ = sent(None)
    day = day_number(went_at())
    query = (
        sa.select(day, tables.campaigns.c.name, sa.func.sum(attempt.c.messages))
        .select_from(joined)
        .where(
            tables.batches.c.state == BatchState.ACCEPTED,
            attempt.c.provider == provider,
            went_at() >= start_of(first),
            went_at() < start_of(last) + _DAY,
        )
        .group_by(sa.text("1"), tables.campaigns.c.name)
    )
    return by_day(connection, query)


def _happened(
    connection: sa.Connection,
    provider: str,
    first: date,
    last: date,
    column: str,
    bit: Seen | None,
    *,
    machines_only: bool = False,
) -> Iterator[tuple[date, str, int]]:
    joined, _ = sent(None)
    told, known = with_rows_of(connection, joined, tables.message_delivery)
    at = known.c[column]
    which = [] if bit is None else [known.c.seen.bitwise_and(int(bit)) != 0]
    if machines_only:
        which.append(known.c.human_opened_at.is_(None))
    day = day_number(at)
    query = (
        sa.select(day, tables.campaigns.c.name, sa.func.count())
        .select_from(told)
        .where(
            tables.batches.c.state == BatchState.ACCEPTED,
            tables.batch_attempts.c.provider == provider,
            tables.campaign_runs.c.created_at >= start_of(first) - _READ_FOR,
            at >= start_of(first),
            at < start_of(last) + _DAY,
            *which,
        )
        .group_by(sa.text("1"), tables.campaigns.c.name)
    )
    return by_day(connection, query)


def _unsubscribed(connection: sa.Connection, provider: str, first: date, last: date) -> Iterator[tuple[date, str, int]]:
    """Who left by the ESP. It never hears of those who left by our own link, one click or page: these are no difference."""
    event = tables.delivery_events.c
    run = tables.campaign_runs.c
    lately = sa.select(run.id).where(run.created_at >= start_of(first) - _READ_FOR)
    left = (
        sa.select(event.run_id, event.ordinal, sa.func.min(event.occurred_at).label("left_at"))
        .where(event.kind == EventKind.UNSUBSCRIBED, event.provider != _RETURNED_MAIL, event.run_id.in_(lately))
        .group_by(event.run_id, event.ordinal)
        .subquery()
    )
    batch = tables.batches.c
    joined, _ = sent(None)
    day = day_number(left.c.left_at)
    query = (
        sa.select(day, tables.campaigns.c.name, sa.func.count())
        .select_from(joined)
        .join(
            left,
            (left.c.run_id == batch.run_id) & left.c.ordinal.between(batch.first_ordinal, batch.last_ordinal),
        )
        .where(
            batch.state == BatchState.ACCEPTED,
            tables.batch_attempts.c.provider == provider,
            left.c.left_at >= start_of(first),
            left.c.left_at < start_of(last) + _DAY,
        )
        .group_by(sa.text("1"), tables.campaigns.c.name)
    )
    return by_day(connection, query)


def campaigns_of(connection: sa.Connection, provider: str, first: date, *, account_id: str | None) -> list[str]:
    """The campaigns whose mail through this ESP went since that day, or may still be read: all that it counts since.

    Also those of which we heard nothing since: in an outage that is so, and what the ESP counts is theirs all the same.
    """
    joined, which = sent(account_id)
    begin = start_of(first)
    query = (
        sa.select(tables.campaigns.c.name)
        .select_from(joined)
        .where(tables.batch_attempts.c.provider == provider, *which)
        .where((tables.campaign_runs.c.created_at >= begin - _READ_FOR) | (went_at() >= begin))
        .distinct()
    )
    return sorted(connection.scalars(query))


def unsettled(connection: sa.Connection, provider: str, since: datetime) -> dict[str, dict[tuple[date, str], int]]:
    """By day and campaign the messages of attempts that are unknown, cancelled, or only checked by this ESP."""
    batch, attempt, proof = tables.batches, tables.batch_attempts, tables.batch_proofs
    cancelled = sa.exists().where(proof.c.attempt_id == attempt.c.id, proof.c.kind == ProofKind.CANCELLED)
    unclear = (batch.c.attempt_id == attempt.c.id) & batch.c.state.in_([BatchState.UNKNOWN, BatchState.HELD])
    checked = (attempt.c.outcome == OutcomeKind.ACCEPTED) & (attempt.c.status_code == CHECKED_ONLY)
    found = {}
    for name, which in (("unknown", unclear), ("cancelled", cancelled), ("checked_only", checked)):
        day = day_number(attempt.c.claimed_at)
        query = (
            sa.select(day, tables.campaigns.c.name, sa.func.sum(attempt.c.messages))
            .select_from(
                attempt.join(batch, batch.c.id == attempt.c.batch_id)
                .join(tables.campaign_runs, tables.campaign_runs.c.id == batch.c.run_id)
                .join(tables.campaigns, tables.campaigns.c.id == tables.campaign_runs.c.campaign_id)
            )
            .where(attempt.c.provider == provider, attempt.c.claimed_at >= since, which)
            .group_by(sa.text("1"), tables.campaigns.c.name)
        )
        found[name] = {(day, campaign): messages for day, campaign, messages in by_day(connection, query)}
    return found


def by_day(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[tuple[date, str, int]]:
    for number, name, messages in connection.execute(query):
        yield date_of(number), name, int(messages)
