"""Brakes: what slows or stops a mailbox group, of one run or of a whole account; set by guards, lifted by people.

A brake that names a provider holds for that provider's routes alone: another one may carry the group meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import audit_log, tables
from domain.campaigns import RunStatus

# Who lifted what a guard took back; people are written by their names.
BY_ITSELF = ""
_OVER = (RunStatus.DISPATCHED, RunStatus.SETTLED, RunStatus.CANCELLED)


class UnknownBrake(LookupError):
    """No such brake is in force."""


@dataclass(frozen=True, slots=True)
class Brake:
    """One brake in force. `factor`: what is left of the pace, 0 for nothing. `until` None: until a person lifts it.

    `run_id` None: it holds for all runs of the account. `provider` None: whoever sends.
    """

    id: int
    account_id: str
    run_id: str | None
    mailbox_group: str
    factor: float
    reason: str
    figures: dict[str, Any]
    set_at: datetime
    until: datetime | None
    provider: str | None = None


def in_force(connection: sa.Connection, account_id: str, run_id: str, now: datetime) -> dict[str, Brake]:
    """By mailbox group, the strongest brake that holds for this run: its own, or one of the whole account."""
    brake = tables.brakes.c
    mine = brake.run_id.is_(None) | (brake.run_id == run_id)
    found = _read(connection, now, brake.account_id == account_id, brake.provider.is_(None), mine)
    return {one.mailbox_group: one for one in sorted(found, key=lambda one: one.factor, reverse=True)}


def of_providers(connection: sa.Connection, account_id: str, now: datetime) -> dict[tuple[str, str], Brake]:
    """By provider and mailbox group, the strongest brake that holds for that provider's routes alone."""
    brake = tables.brakes.c
    found = _read(connection, now, brake.account_id == account_id, brake.provider.is_not(None))
    strongest = sorted(found, key=lambda one: one.factor, reverse=True)
    return {(one.provider, one.mailbox_group): one for one in strongest if one.provider is not None}


def of_run(connection: sa.Connection, run_id: str, now: datetime) -> Sequence[Brake]:
    """The run's own brakes in force: one a mailbox group."""
    run = tables.campaign_runs
    account = sa.select(run.c.account_id).where(run.c.id == run_id).scalar_subquery()
    return _read(connection, now, tables.brakes.c.account_id == account, tables.brakes.c.run_id == run_id)


def of_account(connection: sa.Connection, account_id: str, now: datetime) -> Sequence[Brake]:
    """All brakes in force of an account, but those of runs that send no more."""
    brake, run = tables.brakes.c, tables.campaign_runs.c
    over = sa.select(run.id).where(run.account_id == account_id, run.status.in_(_OVER))
    held = brake.run_id.is_(None) | brake.run_id.not_in(over)
    return _read(connection, now, brake.account_id == account_id, held)


def _read(connection: sa.Connection, now: datetime, *where: sa.ColumnElement[bool]) -> list[Brake]:
    table = tables.brakes
    query = sa.select(table).where(*where, _holds(now)).order_by(table.c.id)
    return [
        Brake(
            id=row.id,
            account_id=row.account_id,
            run_id=row.run_id,
            mailbox_group=row.mailbox_group,
            factor=row.factor,
            reason=row.reason,
            figures=row.figures,
            set_at=row.set_at,
            until=row.until,
            provider=row.provider,
        )
        for row in connection.execute(query)
    ]


def _holds(now: datetime) -> sa.ColumnElement[bool]:
    brake = tables.brakes.c
    return brake.lifted_at.is_(None) & (brake.until.is_(None) | (brake.until > now))


def put(
    connection: sa.Connection,
    *,
    account_id: str,
    run_id: str | None,
    mailbox_group: str,
    factor: float,
    reason: str,
    figures: dict[str, Any],
    now: datetime,
    until: datetime | None,
    provider: str | None = None,
) -> int:
    """Set a brake; its id."""
    table = tables.brakes
    row = table.insert().values(
        account_id=account_id,
        run_id=run_id,
        mailbox_group=mailbox_group,
        factor=factor,
        reason=reason,
        figures=figures,
        set_at=now,
        until=until,
        provider=provider,
    )
    brake_id: int = connection.execute(row.returning(table.c.id)).scalar_one()
    return brake_id


def end(connection: sa.Connection, brake_id: int, by: str, now: datetime) -> bool:
    """Take a brake back; False where it did not hold any more."""
    table = tables.brakes
    mine = (table.c.id == brake_id) & _holds(now)
    return connection.execute(table.update().where(mine).values(lifted_at=now, lifted_by=by)).rowcount == 1


def lift(connection: sa.Connection, brake_id: int, *, account_id: str, by: str, why: str, now: datetime) -> Brake:
    """A person takes a brake back; it stands in the audit log. The guard judges by what goes out from now on.

    Raises UnknownBrake.
    """
    table = tables.brakes
    found = _read(connection, now, table.c.id == brake_id, table.c.account_id == account_id)
    if not found or not end(connection, brake_id, by, now):
        raise UnknownBrake(f"no brake {brake_id} is in force: `campaigns guards show` lists those that are")
    (brake,) = found
    audit_log.write(
        connection,
        account_id=account_id,
        actor=by,
        action="lift_brake",
        subject=f"brake:{brake_id}",
        detail={
            "why": why,
            "run": brake.run_id,
            "provider": brake.provider,
            "mailbox_group": brake.mailbox_group,
            "reason": brake.reason,
        },
        now=now,
    )
    return brake


def lifts(connection: sa.Connection, run_id: str) -> dict[str, datetime]:
    """By mailbox group, when a person lifted a brake of this run last: what went out before is no news to anybody."""
    table = tables.brakes
    run = tables.campaign_runs
    account = sa.select(run.c.account_id).where(run.c.id == run_id).scalar_subquery()
    query = (
        sa.select(table.c.mailbox_group, sa.func.max(table.c.lifted_at).label("at"))
        .where(table.c.account_id == account, table.c.run_id == run_id, table.c.lifted_by != BY_ITSELF)
        .group_by(table.c.mailbox_group)
    )
    return {row.mailbox_group: row.at for row in connection.execute(query)}


def lifts_of_providers(connection: sa.Connection, account_id: str) -> dict[tuple[str, str], datetime]:
    """By provider and mailbox group, when a person lifted a brake of that provider last."""
    brake = tables.brakes.c
    query = (
        sa.select(brake.provider, brake.mailbox_group, sa.func.max(brake.lifted_at))
        .where(brake.account_id == account_id, brake.provider.is_not(None), brake.lifted_by != BY_ITSELF)
        .group_by(brake.provider, brake.mailbox_group)
    )
    return {(provider, group): at for provider, group, at in connection.execute(query)}
