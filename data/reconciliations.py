"""Reconciliations as they are kept: one at a time, each step noted as it ends, every difference for the trend.

Each step may be done again, so one that died is simply followed by a whole new one; its lease says when.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import database, tables
from domain.reconciliation import Difference, Explanation, Kind

LEASE = timedelta(minutes=15)  # far longer than any pause between two notes of one that lives


class OneAtWork(RuntimeError):
    """Another reconciliation is under way; nothing was done. The message says whose."""


class TurnLost(RuntimeError):
    """The lease ran out and another reconciliation began; what this one did stands, the other goes on."""


@dataclass(frozen=True, slots=True)
class Night:
    """One reconciliation: its figures by kind."""

    id: str
    started_at: datetime
    finished_at: datetime | None
    worker: str
    first_day: date
    last_day: date
    account_id: str | None
    dry_run: bool
    steps: Mapping[str, Any]
    counts: Mapping[Kind, int]  # differences of each kind
    repaired: int
    unexplained: int


def begin(
    connection: sa.Connection,
    *,
    worker: str,
    days: tuple[date, date],
    account_id: str | None,
    dry_run: bool,
    now: datetime,
) -> str:
    """Take the turn; the id of the reconciliation. Raises OneAtWork."""
    table = tables.reconciliations
    connection.execute(table.update().where(table.c.turn == 1, table.c.lease_expires_at <= now).values(turn=None))
    row = {
        "id": uuid.uuid4().hex,
        "turn": 1,
        "worker": worker,
        "started_at": now,
        "lease_expires_at": now + LEASE,
        "account_id": account_id,
        "first_day": days[0].isoformat(),
        "last_day": days[1].isoformat(),
        "dry_run": dry_run,
        "steps": {},
    }
    taken = database.insert(connection, table).values(row).on_conflict_do_nothing(index_elements=["turn"])
    found = connection.scalar(taken.returning(table.c.id))
    if found is None:
        other = connection.execute(sa.select(table).where(table.c.turn == 1)).one_or_none()
        who = "another process" if other is None else f"{other.worker} since {other.started_at:%Y-%m-%d %H:%M} UTC"
        until = (
            "" if other is None else f" Should that be dead, the turn is free at {other.lease_expires_at:%H:%M} UTC."
        )
        raise OneAtWork(f"A reconciliation is under way, by {who}; nothing was done.{until}")
    return str(found)


def note(
    connection: sa.Connection, reconciliation_id: str, *, now: datetime, step: str | None = None, **counts: object
) -> None:
    """Renew the lease; with a step, keep that it was done. Raises TurnLost."""
    table = tables.reconciliations
    query = sa.select(table.c.steps).where(table.c.id == reconciliation_id, table.c.turn == 1).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise TurnLost(f"Another reconciliation began while {reconciliation_id} made no sign; it goes on by itself.")
    steps = row.steps if step is None else row.steps | {step: {"at": now.isoformat(), **counts}}
    mine = table.update().where(table.c.id == reconciliation_id)
    connection.execute(mine.values(steps=steps, lease_expires_at=now + LEASE))


def was_done(connection: sa.Connection, step: str, *, since: datetime) -> bool:
    """Whether any reconciliation that began since then came past this step."""
    table = tables.reconciliations.c
    return any(step in steps for steps in connection.scalars(sa.select(table.steps).where(table.started_at >= since)))


def keep(connection: sa.Connection, reconciliation_id: str, differences: Sequence[Difference]) -> None:
    """Keep what differed, instead of what this reconciliation kept before."""
    table = tables.reconciliation_differences
    connection.execute(table.delete().where(table.c.reconciliation_id == reconciliation_id))
    if differences:
        rows = [
            asdict(one) | {"day": one.day.isoformat(), "reconciliation_id": reconciliation_id} for one in differences
        ]
        connection.execute(table.insert(), rows)


def finish(connection: sa.Connection, reconciliation_id: str, *, whole: bool, now: datetime) -> None:
    """Give the turn back. `whole`: it came to its end, with or without an alarm."""
    table = tables.reconciliations
    mine = table.update().where(table.c.id == reconciliation_id)
    connection.execute(mine.values(turn=None, finished_at=now if whole else None))


def differences(connection: sa.Connection, reconciliation_id: str) -> list[Difference]:
    """What one reconciliation found."""
    table = tables.reconciliation_differences
    query = sa.select(table).where(table.c.reconciliation_id == reconciliation_id).order_by(table.c.id)
    return [_difference(row) for row in connection.execute(query)]


def _difference(row: Any) -> Difference:
    facts = {name: value for name, value in row._mapping.items() if name not in {"id", "reconciliation_id"}}
    converted = {
        "kind": Kind(row.kind),
        "explanation": Explanation(row.explanation),
        "day": date.fromisoformat(row.day),
    }
    return Difference(**(facts | converted))


def nights(connection: sa.Connection, *, limit: int) -> list[Night]:
    """The last reconciliations, newest first, those that died among them."""
    table, found = tables.reconciliations, tables.reconciliation_differences
    rows = connection.execute(sa.select(table).order_by(table.c.started_at.desc(), table.c.id).limit(limit)).all()
    sums = sa.select(
        found.c.reconciliation_id,
        found.c.kind,
        found.c.explanation,
        sa.func.sum(found.c.count).label("count"),
        sa.func.sum(found.c.repaired).label("repaired"),
    ).group_by(found.c.reconciliation_id, found.c.kind, found.c.explanation)
    by_night: dict[str, list[Any]] = {row.id: [] for row in rows}
    for one in connection.execute(sums.where(found.c.reconciliation_id.in_(list(by_night)))):
        by_night[one.reconciliation_id].append(one)
    return [_night(row, by_night[row.id]) for row in rows]


def _night(row: Any, sums: Sequence[Any]) -> Night:
    counts: dict[Kind, int] = {}
    for one in sums:
        counts[Kind(one.kind)] = counts.get(Kind(one.kind), 0) + int(one.count)
    return Night(
        id=row.id,
        started_at=row.started_at,
        finished_at=row.finished_at,
        worker=row.worker,
        first_day=date.fromisoformat(row.first_day),
        last_day=date.fromisoformat(row.last_day),
        account_id=row.account_id,
        dry_run=row.dry_run,
        steps=row.steps,
        counts=counts,
        repaired=sum(int(one.repaired) for one in sums),
        unexplained=sum(
            int(one.count) - int(one.repaired) for one in sums if one.explanation == Explanation.UNEXPLAINED
        ),
    )
