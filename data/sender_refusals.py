"""Messages that were refused because of their sender or content: written with the events, counted by the guards."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

import sqlalchemy as sa

from data import database, results, tables
from data.correlation import Placed
from domain import sender_faults, unknown_replies
from domain.routes import MIXED
from domain.sender_faults import Trouble

# Nothing older is asked for: pauses are judged by a quarter of an hour, a run's content by its window.
_KEPT = timedelta(days=7)
_TRIED_FOR = timedelta(hours=72)


class Way(NamedTuple):
    """By which provider's connection a message went, to which mailbox group."""

    provider: str
    mailbox_group: str


@dataclass(frozen=True, slots=True)
class _Part:
    first: int
    last: int
    way: Way


@dataclass(frozen=True, slots=True)
class _Words:
    """One text without what differs from mail to mail: a storm of refusals, each with an id of its own, is one."""

    text: str
    count: int
    example: str


def ways(connection: sa.Connection, placed: Iterable[Placed]) -> dict[tuple[str, int], Way]:
    """By which way each message went, where that is known."""
    ordinals: dict[str, set[int]] = defaultdict(set)
    for one in placed:
        if one.run_id is not None and one.ordinal is not None:
            ordinals[one.run_id].add(one.ordinal)
    found = {}
    for run_id, some in ordinals.items():
        parts = _parts(connection, run_id, min(some), max(some))
        for ordinal in some:
            place = bisect_right(parts, ordinal, key=attrgetter("first")) - 1
            if place >= 0 and ordinal <= parts[place].last:
                found[run_id, ordinal] = parts[place].way
    return found


def _parts(connection: sa.Connection, run_id: str, first: int, last: int) -> list[_Part]:
    """The run's batches between these ordinals, the first one first; they do not overlap."""
    batch, attempt, route = tables.batches.c, tables.batch_attempts.c, tables.attempt_routes.c
    group = sa.func.coalesce(route.mailbox_group, batch.mailbox_group, MIXED)
    query = (
        sa.select(batch.first_ordinal, batch.last_ordinal, attempt.provider, group)
        .join_from(tables.batches, tables.batch_attempts, attempt.id == batch.attempt_id)
        .outerjoin(tables.attempt_routes, route.attempt_id == batch.attempt_id)
        .where(batch.run_id == run_id, batch.last_ordinal >= first, batch.first_ordinal <= last)
        .order_by(batch.first_ordinal)
    )
    return [_Part(begin, end, Way(provider, name)) for begin, end, provider, name in connection.execute(query)]


def concerns(one: Placed) -> bool:
    """Whether an event says something against us of a message of ours."""
    return one.run_id is not None and sender_faults.trouble_of(one.event) is not None


def record(connection: sa.Connection, new: Sequence[Placed], went: Mapping[tuple[str, int], Way]) -> None:
    """Keep what new events say against us: a message and trouble once, however often it was said."""
    rows: dict[tuple[str, int, Trouble], dict[str, object]] = {}
    for one in sorted(new, key=lambda one: one.event.occurred_at):
        trouble = sender_faults.trouble_of(one.event)
        if trouble is None or one.run_id is None or one.ordinal is None:
            continue
        way = went.get((one.run_id, one.ordinal))
        if way is not None:
            words = one.event.detail or "(no words)"
            rows[one.run_id, one.ordinal, trouble] = {
                "run_id": one.run_id,
                "ordinal": one.ordinal,
                "trouble": trouble.value,
                "account_id": one.account_id,
                "provider": way.provider,
                "mailbox_group": way.mailbox_group,
                "text": unknown_replies.normalised(words),
                "example": words,
                "at": one.event.occurred_at,
            }
    if not rows:
        return
    table = tables.sender_refusals
    insert = database.insert(connection, table)
    newer = {name: insert.excluded[name] for name in ("at", "text", "example")}
    kept = insert.on_conflict_do_update(
        index_elements=["run_id", "ordinal", "trouble"], set_=newer, where=table.c.at < insert.excluded.at
    )
    connection.execute(kept, [rows[key] for key in sorted(rows)])


def accounts_in_trouble(connection: sa.Connection, since: datetime) -> list[str]:
    """Accounts of whom anything was refused since then."""
    refusal = tables.sender_refusals.c
    query = sa.select(refusal.account_id).where(refusal.at >= since).distinct().order_by(refusal.account_id)
    return list(connection.scalars(query))


def by_way(
    connection: sa.Connection, account_id: str, since: datetime, lifts: Mapping[Way, datetime]
) -> dict[tuple[Way, Trouble], tuple[int, str]]:
    """How many messages were refused since then, by way and trouble, and the words that came most often.

    `lifts`: when a person lifted a way's brake; what was refused before counts for it no more.
    """
    refusal = tables.sender_refusals.c
    said = (refusal.provider, refusal.mailbox_group, refusal.trouble, refusal.text)
    query = (
        sa.select(*said, sa.func.count(), sa.func.min(refusal.example))
        .where(refusal.account_id == account_id, refusal.at >= since, refusal.trouble != Trouble.CONTENT.value)
        .where(*(_not_before(way, at) for way, at in sorted(lifts.items()) if at >= since))
    )
    texts: dict[tuple[Way, Trouble], list[_Words]] = defaultdict(list)
    for provider, group, trouble, text, count, example in connection.execute(query.group_by(*said)):
        texts[Way(provider, group), Trouble(trouble)].append(_Words(text, count, example))
    return {key: _counted(words) for key, words in texts.items()}


def _not_before(way: Way, lifted_at: datetime) -> sa.ColumnElement[bool]:
    refusal = tables.sender_refusals.c
    return (refusal.provider != way.provider) | (refusal.mailbox_group != way.mailbox_group) | (refusal.at > lifted_at)


def of_content(connection: sa.Connection, run_id: str, since: datetime | None) -> tuple[int, str]:
    """How many messages of a run were refused for their content, and the words that came most often."""
    refusal = tables.sender_refusals.c
    query = sa.select(refusal.text, sa.func.count(), sa.func.min(refusal.example)).where(
        refusal.run_id == run_id, refusal.trouble == Trouble.CONTENT.value
    )
    if since is not None:
        query = query.where(refusal.at > since)
    return _counted([_Words(*row) for row in connection.execute(query.group_by(refusal.text))])


def _counted(words: Sequence[_Words]) -> tuple[int, str]:
    """How many all, and an example of those that came most often: of equals the first by alphabet."""
    often = min(words, key=lambda one: (-one.count, one.text), default=_Words("", 0, ""))
    return sum(one.count for one in words), often.example


def heard(connection: sa.Connection, account_id: str, since: datetime) -> dict[Way, int]:
    """How many messages a mailbox provider took or refused since then, by way.

    It costs a row a message of the last three days, so long do ESPs try: ask only where something was refused.
    """
    batch, attempt, route, run = tables.batches.c, tables.batch_attempts, tables.attempt_routes.c, tables.campaign_runs
    went = results.with_route().join(attempt, attempt.c.id == batch.attempt_id).join(run, run.c.id == batch.run_id)
    told, message = results.with_rows_of(connection, went, tables.message_delivery)
    group = sa.func.coalesce(route.mailbox_group, batch.mailbox_group, MIXED)
    query = (
        sa.select(attempt.c.provider, group, sa.func.count())
        .select_from(told)
        .where(run.c.account_id == account_id, run.c.live, results.went_out() >= since - _TRIED_FOR)
        .where(sa.or_(message.c.delivered_at >= since, message.c.bounced_at >= since))
        .group_by(attempt.c.provider, group)
    )
    return {Way(provider, name): count for provider, name, count in connection.execute(query)}


def forget(connection: sa.Connection, now: datetime) -> int:
    """Delete what is older than a week; how many rows that were."""
    table = tables.sender_refusals
    return connection.execute(table.delete().where(table.c.at < now - _KEPT)).rowcount
