"""The figures of batches, reckoned anew from the ledger and from what is known of each message.

The one place where a key figure is counted. A batch's figures follow from what is stored and the version of the rules
alone: reckoning them twice, at any time and in any order gives the same rows.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from data import reactions, results, tables
from domain.delivery import SEVERITY, BounceClass, EventKind, Fault, Seen, Severity
from domain.kpis import Figures
from domain.latencies import Latencies
from domain.ledger import BatchState
from domain.machine_activity import Act, by_people
from domain.mailbox_groups import OTHER

_FAILED = Seen.BOUNCED | Seen.DROPPED
_SECOND = timedelta(seconds=1)
_TIMES = ("delivered_at", "bounced_at", "opened_at", "clicked_at", "complained_at", "unsubscribed_at")
UNKNOWN_POOL = "not known"  # of batches that went out before there were pools


class Messages(NamedTuple):
    """Accepted messages to select from: batch, audience and message_delivery, and what must be true of them."""

    rows: sa.FromClause
    batch: sa.FromClause
    member: sa.FromClause
    where: sa.ColumnElement[bool]

    def select(self, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        return sa.select(*columns).select_from(self.rows).where(self.where)

    @property
    def key(self) -> tuple[sa.ColumnElement[int], sa.ColumnElement[str]]:
        """Batch and mailbox group; written without a parameter, which PostgreSQL would take for another one each time.

        Of who was planned before the group was kept with the plan, the party's of today (migration 0011).
        """
        party = tables.parties.c
        now = sa.select(party.mailbox_provider).where(party.id == self.member.c.party_id).correlate(self.member)
        other: sa.ColumnElement[str] = sa.literal_column(f"'{OTHER}'")
        return self.batch.c.id, sa.func.coalesce(self.member.c.mailbox_group, now.scalar_subquery(), other)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose batch it is, by which way it went, and when."""

    batch_id: int
    account_id: str
    run_id: str
    zone: str
    provider: str
    pool: str
    domain: str
    claimed_at: datetime | None
    accepted_at: datetime
    left_at: datetime  # what the ESP keeps for later does not leave when it is taken

    @property
    def day(self) -> date:
        """When its mail left, on the account's calendar."""
        return self.left_at.astimezone(ZoneInfo(self.zone)).date()


@dataclass(frozen=True, slots=True)
class Part:
    """What became of a batch's messages at one mailbox group."""

    origin: Origin
    mailbox_group: str
    rules: int
    figures: Figures
    to_inbox: Latencies = field(default_factory=Latencies)
    handling: Latencies = field(default_factory=Latencies)
    last_event_at: datetime | None = None  # by the ESP's clock; of repeated opens and clicks the first


_Key = tuple[int, str]


def reckon(connection: sa.Connection, batch_ids: Sequence[int], rules: int, *, durations: bool = True) -> list[Part]:
    """The parts of these batches, as far as they are accepted; at least one of each, and a row a message is read.

    Without `durations` only what is counted, for half of the cost.
    """
    if not batch_ids:
        return []
    origins = _origins(connection, batch_ids)
    counts, last = _counts(connection, batch_ids)
    people = _people(connection, batch_ids, rules)
    to_inbox = _to_inbox(connection, origins) if durations else {}
    handling = _handling(connection, batch_ids) if durations else {}
    keys: set[_Key] = {*counts, *((one, OTHER) for one in origins.keys() - {batch_id for batch_id, _ in counts})}
    return [
        Part(
            origin=origins[key[0]],
            mailbox_group=key[1],
            rules=rules,
            figures=Figures.of(counts.get(key, {}) | people.get(key, {})),
            to_inbox=Latencies.of(to_inbox.get(key, {})),
            handling=Latencies.of(handling.get(key, {})),
            last_event_at=last.get(key),
        )
        for key in sorted(keys)
        if key[0] in origins
    ]


def _origins(connection: sa.Connection, batch_ids: Sequence[int]) -> dict[int, Origin]:
    batch, run, account = tables.batches.c, tables.campaign_runs.c, tables.accounts.c
    attempt, route = tables.batch_attempts, tables.attempt_routes
    tried = attempt.alias()
    first = sa.select(sa.func.min(tried.c.claimed_at)).where(tried.c.batch_id == batch.id).scalar_subquery()
    went = (
        tables.batches.join(tables.campaign_runs, run.id == batch.run_id)
        .join(tables.accounts, account.id == run.account_id)
        .outerjoin(attempt, attempt.c.id == batch.attempt_id)
        .outerjoin(route, route.c.attempt_id == batch.attempt_id)
    )
    query = sa.select(
        batch.id.label("batch_id"),
        run.account_id,
        batch.run_id,
        account.timezone.label("zone"),
        sa.func.coalesce(route.c.provider, attempt.c.provider, run.provider).label("provider"),
        sa.func.coalesce(route.c.pool, UNKNOWN_POOL).label("pool"),
        sa.func.coalesce(route.c.domain, run.sender_email).label("domain"),
        first.label("claimed_at"),
        batch.finished_at.label("accepted_at"),
        results.went_out().label("left_at"),
    ).select_from(went)
    found = connection.execute(query.where(batch.id.in_(batch_ids), batch.state == BatchState.ACCEPTED)).mappings()
    return {row["batch_id"]: Origin(**{**row, "domain": row["domain"].rpartition("@")[2]}) for row in found}


def accepted(connection: sa.Connection, which: sa.ColumnElement[bool]) -> Messages:
    """The messages that ESPs accepted, of those batches of which `which` is true.

    PostgreSQL takes a range for a ninth of the table and may read all of it for each batch, as data.results measured;
    so it is made to look the people up batch by batch: 15 µs a message, whatever the table holds besides.
    """
    batch = _batches(which)
    people = _within(connection, batch, tables.audience)
    return _with_state(batch, batch.join(people, _on(connection, batch, people)), people)


def _batches(which: sa.ColumnElement[bool]) -> sa.FromClause:
    batch = tables.batches
    columns = (batch.c.id, batch.c.run_id, batch.c.first_ordinal, batch.c.last_ordinal)
    return sa.select(*columns).where(batch.c.state == BatchState.ACCEPTED, which).subquery("accepted_batch")


def _with_state(batch: sa.FromClause, rows: sa.FromClause, member: sa.FromClause) -> Messages:
    message, left_out = tables.message_delivery.c, tables.message_exceptions.c
    known = (message.run_id == member.c.run_id) & (message.ordinal == member.c.ordinal)
    excepted = sa.exists().where(left_out.run_id == member.c.run_id, left_out.ordinal == member.c.ordinal)
    return Messages(rows.outerjoin(tables.message_delivery, known), batch, member, ~excepted)


def _reacted(connection: sa.Connection, batch_ids: Sequence[int]) -> tuple[Messages, Any]:
    """The accepted messages of these batches to which anything is on record, once for each reaction; and its columns."""
    batch, member = _batches(tables.batches.c.id.in_(batch_ids)), tables.audience
    reaction = _within(connection, batch, tables.reactions)
    theirs = (member.c.run_id == reaction.c.run_id) & (member.c.ordinal == reaction.c.ordinal)
    rows = batch.join(reaction, _on(connection, batch, reaction)).join(member, theirs)
    return _with_state(batch, rows, member), reaction.c


def _within(connection: sa.Connection, batch: sa.FromClause, table: sa.Table) -> sa.FromClause:
    if connection.dialect.name == "sqlite":
        return table
    # A subquery with OFFSET is not merged into the join.
    return sa.select(table).where(_range(batch, table)).offset(0).correlate(batch).lateral()


def _on(connection: sa.Connection, batch: sa.FromClause, rows: sa.FromClause) -> sa.ColumnElement[bool]:
    return _range(batch, rows) if connection.dialect.name == "sqlite" else sa.true()


def _range(batch: sa.FromClause, rows: sa.FromClause) -> sa.ColumnElement[bool]:
    first, last = batch.c.first_ordinal, batch.c.last_ordinal
    return sa.and_(rows.c.run_id == batch.c.run_id, rows.c.ordinal.between(first, last))


# --- counting --------------------------------------------------------------------------------------------------------


def _counts(
    connection: sa.Connection, batch_ids: Sequence[int]
) -> tuple[dict[_Key, dict[str, int]], dict[_Key, datetime]]:
    """All counts but those that the rules decide, and when the last thing happened that is counted."""
    messages = accepted(connection, tables.batches.c.id.in_(batch_ids))
    counts = [sa.func.sum(sa.case((true, 1), else_=0)).label(name) for name, true in _conditions().items()]
    latest = [sa.func.max(tables.message_delivery.c[name]) for name in _TIMES]
    columns: list[sa.ColumnElement[Any]] = [*messages.key, *latest, sa.func.count().label("accepted"), *counts]
    names = ("accepted", *_conditions())
    found: dict[_Key, dict[str, int]] = {}
    last: dict[_Key, datetime] = {}
    for batch_id, group, *rest in connection.execute(messages.select(*columns).group_by(*messages.key)):
        times, numbers = rest[: len(_TIMES)], rest[len(_TIMES) :]
        found[batch_id, group] = {name: int(count) for name, count in zip(names, numbers, strict=True)}
        if known := [at for at in times if at is not None]:
            last[batch_id, group] = max(known)
    return found, last


def _conditions() -> dict[str, sa.ColumnElement[bool]]:
    """What is true of a message that is counted. Of each the strongest fate counts, once.

    Bounced, else dropped, else delivered, else still on its way.
    """
    message = tables.message_delivery.c
    bounced = has(Seen.BOUNCED)
    # A bounce that came without a class is as good as undetermined, one without a fault is of unknown fault.
    classes = {
        f"bounced_{one}": bounced & (message.severity == SEVERITY[one])
        for one in BounceClass
        if one is not BounceClass.UNDETERMINED
    }
    faults = {f"fault_{one}": bounced & (sa.func.coalesce(message.fault, Fault.UNKNOWN) == one) for one in Fault}
    return {
        "delivered": has(Seen.DELIVERED) & ~has(_FAILED),
        **classes,
        f"bounced_{BounceClass.UNDETERMINED}": bounced & (message.severity <= Severity.UNDETERMINED),
        **faults,
        "deferred": has(Seen.DEFERRED) & ~has(Seen.DELIVERED | _FAILED),
        "dropped": has(Seen.DROPPED) & ~bounced,
        "complained": has(Seen.COMPLAINED),
        "unsubscribed": has(Seen.UNSUBSCRIBED),
        "opened_unique": has(Seen.OPENED),
        "clicked_unique": has(Seen.CLICKED),
    }


def has(bits: Seen) -> sa.ColumnElement[bool]:
    """Is any of these known of the message?"""
    return tables.message_delivery.c.seen.bitwise_and(int(bits)) != 0


def _people(connection: sa.Connection, batch_ids: Sequence[int], rules: int) -> dict[_Key, dict[str, int]]:
    """How many messages a person opened, and clicked in, by the rules of this version."""
    messages, reaction = _reacted(connection, batch_ids)
    acts = (reaction.kind, reaction.occurred_at, reaction.machine, reaction.agent, reaction.link)
    query = (
        messages.select(*messages.key, messages.member.c.ordinal, tables.message_delivery.c.delivered_at, *acts)
        .where(reaction.kind.in_(reactions.ENGAGED))
        .order_by(messages.batch.c.id, messages.member.c.ordinal)
    )
    found: dict[_Key, dict[str, int]] = defaultdict(lambda: {"opened_human": 0, "clicked_human": 0})
    for (batch_id, group, _, delivered_at), rows in groupby(connection.execute(query), key=lambda row: row[:4]):
        some = [Act(EventKind(row[4]), *row[5:]) for row in rows]
        opened, clicked = by_people(some, delivered_at, rules)
        counted = found[batch_id, group]
        counted["opened_human"] += opened
        counted["clicked_human"] += clicked
    return found


def _to_inbox(connection: sa.Connection, origins: Mapping[int, Origin]) -> dict[_Key, Counter[int]]:
    """Seconds from leaving to delivery, with how many messages took so long: of those that stayed delivered."""
    messages = accepted(connection, tables.batches.c.id.in_(origins))
    second = _second(connection, tables.message_delivery.c.delivered_at).label("second")
    query = messages.select(*messages.key, second, sa.func.count()).where(_conditions()["delivered"])
    found: dict[_Key, Counter[int]] = defaultdict(Counter)
    for batch_id, group, at, count in connection.execute(query.group_by(*messages.key, second)):
        if at is not None and batch_id in origins:
            took = datetime.fromtimestamp(int(at), UTC) - origins[batch_id].left_at
            found[batch_id, group][max(0, took // _SECOND)] += count
    return found


def _second(connection: sa.Connection, at: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """A time as whole seconds since 1970: the databases keep times differently (data.columns.Instant)."""
    if connection.dialect.name == "postgresql":
        return sa.func.floor(sa.extract("epoch", at))
    return sa.type_coerce(at, sa.BigInteger) // 1_000_000


def _handling(connection: sa.Connection, batch_ids: Sequence[int]) -> dict[_Key, Counter[int]]:
    """Seconds from a bounce that suppresses to the suppression in force, each message once."""
    messages, reaction = _reacted(connection, batch_ids)
    began, ended = sa.func.min(reaction.occurred_at), sa.func.min(reaction.applied_at)
    query = (
        messages.select(*messages.key, began, ended)
        .where(reaction.kind == EventKind.BOUNCED)
        .group_by(*messages.key, messages.member.c.ordinal)
    )
    found: dict[_Key, Counter[int]] = defaultdict(Counter)
    for batch_id, group, occurred_at, applied_at in connection.execute(query):
        found[batch_id, group][max(0, (applied_at - occurred_at) // _SECOND)] += 1
    return found
