"""The figures of a run, by one set-based query over one row a message: never a count over events.

Of each accepted message the strongest fate counts, once: bounced, else dropped, else delivered, else still on its way.
"""

from dataclasses import asdict, fields
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

import sqlalchemy as sa

from data import database, tables
from domain.delivery import SEVERITY, BounceClass, Seen, Severity
from domain.ledger import BatchState
from domain.mailbox_groups import OTHER
from domain.reports import Figures

_FAILED = Seen.BOUNCED | Seen.DROPPED
_FINAL = Seen.DELIVERED | _FAILED


def figures(connection: sa.Connection, run_id: str) -> tuple[Figures, dict[str, Figures]]:
    """The run's figures, and the same by mailbox provider."""
    party = tables.parties
    provider = sa.func.coalesce(party.c.mailbox_provider, OTHER).label("mailbox_provider")
    query = (
        accepted(provider, *_counts())
        .where(tables.batches.c.run_id == run_id)
        .join(party, party.c.id == tables.audience.c.party_id)
        .group_by(provider)
        .order_by(sa.func.count().desc(), provider)
    )
    by_provider = {row.mailbox_provider: _figures(row) for row in connection.execute(query)}
    return reduce(_sum, by_provider.values(), Figures()), by_provider


def accepted(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """`columns` over the messages that ESPs accepted, each with its row of `message_delivery`, if it has one."""
    member, batch, left_out, message = (
        tables.audience,
        tables.batches,
        tables.message_exceptions,
        tables.message_delivery,
    )
    rows = batch.join(
        member,
        (member.c.run_id == batch.c.run_id)
        & (member.c.ordinal >= batch.c.first_ordinal)
        & (member.c.ordinal <= batch.c.last_ordinal),
    ).outerjoin(message, (message.c.run_id == member.c.run_id) & (message.c.ordinal == member.c.ordinal))
    excepted = sa.exists().where(left_out.c.run_id == member.c.run_id, left_out.c.ordinal == member.c.ordinal)
    return sa.select(*columns).select_from(rows).where(batch.c.state == BatchState.ACCEPTED, ~excepted)


def _counts() -> list[sa.ColumnElement[Any]]:
    severity = tables.message_delivery.c.severity
    bounced = _has(Seen.BOUNCED)
    # A bounce that came without a class is as good as undetermined.
    classes = {
        name: severity <= Severity.UNDETERMINED if name is BounceClass.UNDETERMINED else severity == SEVERITY[name]
        for name in BounceClass
    }
    return [
        sa.func.count().label("accepted"),
        _count(_has(Seen.DELIVERED) & ~_has(_FAILED), "delivered"),
        *(_count(bounced & of_class, f"bounced_{name}") for name, of_class in classes.items()),
        _count(_has(Seen.DROPPED) & ~bounced, "dropped"),
        _count(_has(Seen.COMPLAINED), "complained"),
        _count(_has(Seen.UNSUBSCRIBED), "unsubscribed"),
        _count(_has(Seen.OPENED), "opened_unique"),
        _count(_has(Seen.OPENED_HUMAN), "opened_human"),
        _count(_has(Seen.CLICKED), "clicked_unique"),
    ]


def _has(bits: Seen) -> sa.ColumnElement[bool]:
    return tables.message_delivery.c.seen.bitwise_and(int(bits)) != 0


def _count(where: sa.ColumnElement[bool], name: str) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((where, 1), else_=0)), 0).label(name)


def _figures(row: Any) -> Figures:
    plain = {field.name: getattr(row, field.name) for field in fields(Figures) if field.name != "bounced"}
    bounced = {name.value: count for name in BounceClass if (count := getattr(row, f"bounced_{name}"))}
    return Figures(bounced=bounced, **plain)


def _sum(one: Figures, other: Figures) -> Figures:
    plain = {
        field.name: getattr(one, field.name) + getattr(other, field.name)
        for field in fields(Figures)
        if field.name != "bounced"
    }
    classes = {**one.bounced, **other.bounced}
    return Figures(bounced={name: one.bounced.get(name, 0) + other.bounced.get(name, 0) for name in classes}, **plain)


def snapshot(connection: sa.Connection, run_id: str, *, now: datetime) -> Figures:
    """Store the figures of this moment, and return the run's."""
    total, by_provider = figures(connection, run_id)
    document = {
        "total": asdict(total),
        "by_mailbox_provider": {name: asdict(part) for name, part in by_provider.items()},
    }
    statement = database.insert(connection, tables.campaign_kpis).values(
        run_id=run_id, computed_at=now, figures=document
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["run_id", "computed_at"], set_={"figures": statement.excluded.figures}
        )
    )
    return total


def newest_snapshot(connection: sa.Connection, run_id: str) -> Figures | None:
    """The run's figures as they were stored last."""
    table = tables.campaign_kpis
    document = connection.scalar(
        sa.select(table.c.figures).where(table.c.run_id == run_id).order_by(table.c.computed_at.desc()).limit(1)
    )
    return None if document is None else Figures(**document["total"])


def is_settled(connection: sa.Connection, run_id: str, *, now: datetime, settle_after_hours: int) -> bool:
    """Every accepted message has its final fate, or the ESP gave up trying by now (it retries for three days)."""
    run = tables.campaign_runs
    dispatched_at = connection.scalar(sa.select(run.c.dispatched_at).where(run.c.id == run_id))
    if dispatched_at is None:
        return False
    if now >= dispatched_at + timedelta(hours=settle_after_hours):
        return True
    seen = sa.func.coalesce(tables.message_delivery.c.seen, 0)
    on_its_way = accepted(sa.literal(1)).where(tables.batches.c.run_id == run_id, seen.bitwise_and(int(_FINAL)) == 0)
    return connection.execute(on_its_way.limit(1)).first() is None
