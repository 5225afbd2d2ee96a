"""Key figures by day, run, segment, provider, pool, domain or mailbox provider: sums over figures by batch, no events."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from data import tables
from data.kpi_counts import HANDLING, INBOX
from domain.kpi_tables import By
from domain.kpis import COUNTS, Figures, Measured
from domain.latencies import Latencies

_Key = tuple[Any, ...]


@dataclass(slots=True)
class _Run:
    """One run's part of a group."""

    figures: Figures
    began: datetime | None
    ended: datetime
    longest: tuple[int | None, int | None]
    rules: tuple[int, int]


def measured(
    connection: sa.Connection,
    account_id: str,
    by: Sequence[By] = (),
    *,
    since: date | None = None,
    until: date | None = None,
) -> dict[_Key, Measured]:
    """An account's figures as they were last refreshed, by these in this order; without any, one under the empty key.

    `since` and `until` are days on the account's calendar, both included. Groups come in the order of their keys.
    """
    table = tables.kpi_counts
    columns = [_column(one) for one in by]
    where = table.c.account_id == account_id
    if since is not None:
        where &= table.c.day >= since
    if until is not None:
        where &= table.c.day <= until
    durations = _durations(connection, columns, where)
    found: dict[_Key, Measured] = {}
    for key, parts in sorted(_parts(connection, columns, where).items()):
        to_inbox, handling = durations.get((*key, INBOX), {}), durations.get((*key, HANDLING), {})
        found[key] = Measured(
            figures=sum((part.figures for part in parts), Figures()),
            to_inbox=Latencies(to_inbox, _longest(part.longest[0] for part in parts)),
            handling=Latencies(handling, _longest(part.longest[1] for part in parts)),
            hand_over_seconds=sum(
                (part.ended - part.began).total_seconds() for part in parts if part.began is not None
            ),
            handed_over=sum(part.figures.accepted for part in parts if part.began is not None),
            rules=frozenset(version for part in parts for version in part.rules),
        )
    return found


def figures(connection: sa.Connection, account_id: str, by: Sequence[By], *, since: date) -> dict[_Key, Figures]:
    """The counts alone, from this day on: for half of the cost, and for as many days as one likes."""
    table, run = tables.kpi_counts, tables.campaign_runs.c
    columns = [_column(one) for one in by]
    query = (
        sa.select(*columns, *(sa.func.sum(table.c[name]) for name in COUNTS))
        .join_from(table, tables.campaign_runs, run.id == table.c.run_id)
        .join(tables.campaigns, tables.campaigns.c.id == run.campaign_id)
        .where(table.c.account_id == account_id, table.c.day >= since, table.c.accepted > 0)
        .group_by(*columns)
    )
    return {
        tuple(row[: len(columns)]): Figures.of(dict(zip(COUNTS, map(int, row[len(columns) :]), strict=True)))
        for row in connection.execute(query)
    }


def _column(by: By) -> sa.ColumnElement[Any]:
    table = tables.kpi_counts.c
    columns = {
        By.RUN: table.run_id,
        By.CAMPAIGN: tables.campaigns.c.name,
        By.SEGMENT: tables.campaign_runs.c.segment,
        By.PROVIDER: table.provider,
        By.POOL: table.pool,
        By.DOMAIN: table.domain,
        By.MAILBOX: table.mailbox_group,
        By.DAY: table.day,
    }
    return columns[by]


def _parts(
    connection: sa.Connection, columns: Sequence[sa.ColumnElement[Any]], where: sa.ColumnElement[bool]
) -> dict[_Key, list[_Run]]:
    """Each group's runs: a hand-over lasts from a run's own beginning to its own end."""
    table, run = tables.kpi_counts.c, tables.campaign_runs.c
    query = (
        sa.select(
            *columns,
            sa.func.min(table.claimed_at),
            sa.func.max(table.accepted_at),
            sa.func.max(table.longest_to_inbox),
            sa.func.max(table.longest_handling),
            sa.func.min(table.rules),
            sa.func.max(table.rules),
            *(sa.func.sum(table[name]) for name in COUNTS),
        )
        .join_from(tables.kpi_counts, tables.campaign_runs, run.id == table.run_id)
        .join(tables.campaigns, tables.campaigns.c.id == run.campaign_id)
        .where(where, table.accepted > 0)
        .group_by(*columns, table.run_id)
    )
    found: dict[_Key, list[_Run]] = defaultdict(list)
    for row in connection.execute(query):
        key, (began, ended, inbox, handling, oldest, newest, *counts) = row[: len(columns)], row[len(columns) :]
        figures = Figures.of(dict(zip(COUNTS, map(int, counts), strict=True)))
        found[tuple(key)].append(_Run(figures, began, ended, (inbox, handling), (oldest, newest)))
    return found


def _durations(
    connection: sa.Connection, columns: Sequence[sa.ColumnElement[Any]], where: sa.ColumnElement[bool]
) -> dict[_Key, dict[int, int]]:
    """How many messages in each class of duration, by group and measure."""
    table, run, latency = tables.kpi_counts.c, tables.campaign_runs.c, tables.kpi_latencies.c
    same = (latency.batch_id == table.batch_id) & (latency.mailbox_group == table.mailbox_group)
    keys = (*columns, latency.measure, latency.bucket)
    query = (
        sa.select(*keys, sa.func.sum(latency.messages))
        .join_from(tables.kpi_counts, tables.kpi_latencies, same)
        .join(tables.campaign_runs, run.id == table.run_id)
        .join(tables.campaigns, tables.campaigns.c.id == run.campaign_id)
        .where(where)
        .group_by(*keys)
    )
    found: dict[_Key, dict[int, int]] = defaultdict(dict)
    for *key, bucket, messages in connection.execute(query):
        found[tuple(key)][bucket] = int(messages)
    return found


def _longest(some: Any) -> int | None:
    return max((one for one in some if one is not None), default=None)
