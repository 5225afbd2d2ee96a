"""How much mail each mailbox group gets: what a run has planned, and what the last weeks saw. For the plan of a run."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from data import tables
from domain.ledger import BatchState
from domain.mailbox_groups import OTHER

WEEKS = timedelta(days=28)


def planned(connection: sa.Connection, run_id: str) -> dict[str, int]:
    """The planned people of a frozen run by mailbox group, the most first."""
    member, party = tables.audience.c, tables.parties
    group = sa.func.coalesce(party.c.mailbox_provider, OTHER)
    count = sa.func.count()
    query = (
        sa.select(group, count)
        .join_from(tables.audience, party, party.c.id == member.party_id)
        .where(member.run_id == run_id, member.ordinal.is_not(None))
        .group_by(group)
        .order_by(count.desc(), group)
    )
    return dict(connection.execute(query).tuples().all())


def by_day(connection: sa.Connection, account_id: str, *, now: datetime) -> dict[str, dict[date, int]]:
    """Messages of each mailbox group on each of the last 28 days (UTC; the day of `now` is not whole), over all pools.

    Days before the account's first counted hour are those of its accepted batches.
    """
    since = now - WEEKS
    volume = tables.pool_volumes.c
    counted_from = connection.scalar(sa.select(sa.func.min(volume.hour)).where(volume.account_id == account_id))
    found: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    query = sa.select(volume.mailbox_group, volume.hour, sa.func.sum(volume.messages))
    hours = query.where(volume.account_id == account_id, volume.hour > since, volume.hour <= now)
    for group, hour, messages in connection.execute(hours.group_by(volume.mailbox_group, volume.hour)):
        found[group][hour.date()] += int(messages)
    if counted_from is None or counted_from > since:
        for group, day, messages in _accepted(connection, account_id, since, counted_from or now):
            found[group][day] += messages
    return {group: dict(days) for group, days in found.items()}


def _accepted(
    connection: sa.Connection, account_id: str, since: datetime, until: datetime
) -> list[tuple[str, date, int]]:
    """Of batches of one group, their size; those of before groups were told apart are counted person by person."""
    batch, run = tables.batches.c, tables.campaign_runs
    theirs = (
        run.c.account_id == account_id,
        batch.state == BatchState.ACCEPTED,
        batch.finished_at > since,
        batch.finished_at <= until,
    )
    size = batch.last_ordinal - batch.first_ordinal + 1
    whole = (
        sa.select(batch.mailbox_group, batch.finished_at, size)
        .join_from(tables.batches, run, run.c.id == batch.run_id)
        .where(*theirs, batch.mailbox_group.is_not(None))
    )
    member, party = tables.audience.c, tables.parties
    group = sa.func.coalesce(party.c.mailbox_provider, OTHER)
    mixed = (
        sa.select(group, batch.finished_at, sa.func.count())
        .join_from(tables.batches, run, run.c.id == batch.run_id)
        .join(
            tables.audience,
            (member.run_id == batch.run_id) & member.ordinal.between(batch.first_ordinal, batch.last_ordinal),
        )
        .join(party, party.c.id == member.party_id)
        .where(*theirs, batch.mailbox_group.is_(None))
        .group_by(batch.id, group, batch.finished_at)
    )
    rows = [*connection.execute(whole), *connection.execute(mixed)]
    return [(str(group), finished_at.date(), int(messages)) for group, finished_at, messages in rows]


def largest_day(days: Mapping[str, Mapping[date, int]], *, now: datetime) -> dict[str, int]:
    """Each group's largest day before today."""
    today = now.date()
    return {group: max((count for day, count in of.items() if day < today), default=0) for group, of in days.items()}


def today(days: Mapping[str, Mapping[date, int]], *, now: datetime) -> dict[str, int]:
    """What each group got today."""
    return {group: of.get(now.date(), 0) for group, of in days.items()}
