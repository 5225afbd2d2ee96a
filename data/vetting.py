"""Vetting: an account's record as the ledger and the delivery events tell it, and what a person says instead."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import database, kpi_batches, tables
from domain import vetting
from domain.delivery import Seen, Severity
from domain.ledger import BatchState
from domain.vetting import Standing

_MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of an account's mail: the last three figures are of the last 30 days."""

    days_of_history: int
    accepted: int
    hard_bounces: int
    complaints: int


@dataclass(frozen=True, slots=True)
class Vetting:
    """The standing that counts, what the figures alone say, and who said otherwise and why."""

    standing: Standing
    judged: Standing
    reasons: tuple[str, ...]
    record: Record
    decided_by: str | None
    why: str | None


def standing(connection: sa.Connection, account_id: str) -> Standing:
    """The standing that counts; of an account that nobody has vetted: new."""
    table = tables.vettings
    found = connection.scalar(sa.select(table.c.standing).where(table.c.account_id == account_id))
    return Standing.NEW if found is None else Standing(found)


def vet(
    connection: sa.Connection,
    account_id: str,
    *,
    domain_authenticated: bool,
    rehearsals: Collection[str],
    now: datetime,
) -> Vetting:
    """Judge the account by its record, and keep what came of it. A person's word goes first until it is lifted.

    `rehearsals`: providers that deliver to nobody; what went by them proves nothing.
    """
    known = record(connection, account_id, rehearsals=rehearsals, now=now)
    found = vetting.judge(
        domain_authenticated=domain_authenticated,
        days_of_history=known.days_of_history,
        accepted_30d=known.accepted,
        hard_bounce_rate=known.hard_bounces / known.accepted if known.accepted else 0.0,
        complaint_rate=known.complaints / known.accepted if known.accepted else 0.0,
    )
    decided_by, decided, why = _word(connection, account_id)
    figures = {"judged": found.standing, "reasons": list(found.reasons), "record": asdict(known), "why": why}
    _keep(connection, account_id, standing=decided or found.standing, figures=figures, decided_by=decided_by, now=now)
    return Vetting(decided or found.standing, found.standing, found.reasons, known, decided_by, why)


def decide(connection: sa.Connection, account_id: str, decided: Standing, *, by: str, why: str, now: datetime) -> None:
    """Let a person's word count instead of the figures, until `lift`."""
    _keep(connection, account_id, standing=decided, figures={"why": why}, decided_by=by, now=now)


def lift(connection: sa.Connection, account_id: str) -> bool:
    """Let the figures count again, from the next `vet` on; until then the account is new. False: nobody had decided."""
    table = tables.vettings
    query = table.delete().where(table.c.account_id == account_id, table.c.decided_by.is_not(None))
    return connection.execute(query).rowcount == 1


def record(connection: sa.Connection, account_id: str, *, rehearsals: Collection[str], now: datetime) -> Record:
    """The account's figures, read from the ledger and the state of each message."""
    batch, run, attempt = tables.batches, tables.campaign_runs, tables.batch_attempts
    real = (run.c.account_id == account_id, attempt.c.provider.not_in(rehearsals))
    began = connection.scalar(
        sa.select(sa.func.min(attempt.c.claimed_at))
        .select_from(attempt.join(batch, batch.c.attempt_id == attempt.c.id).join(run, run.c.id == batch.c.run_id))
        .where(batch.c.state == BatchState.ACCEPTED, *real)
    )
    message = tables.message_delivery.c
    hard = message.seen.bitwise_and(int(Seen.BOUNCED)) != 0, message.severity == Severity.HARD
    complained = message.seen.bitwise_and(int(Seen.COMPLAINED)) != 0
    lately = sa.exists().where(
        run.c.id == batch.c.run_id, attempt.c.id == batch.c.attempt_id, attempt.c.claimed_at > now - _MONTH, *real
    )
    month = kpi_batches.accepted(connection, lately)
    counts = month.select(sa.func.count(), _count(sa.and_(*hard)), _count(complained))
    accepted, hard_bounces, complaints = connection.execute(counts).one()
    return Record((now - began).days if began else 0, accepted, hard_bounces, complaints)


def _count(where: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((where, 1), else_=0)), 0)


def _word(connection: sa.Connection, account_id: str) -> tuple[str | None, Standing | None, str | None]:
    """Who decided, what, and why; three times None where nobody did."""
    table = tables.vettings
    query = sa.select(table.c.decided_by, table.c.standing, table.c.figures).where(
        table.c.account_id == account_id, table.c.decided_by.is_not(None)
    )
    row = connection.execute(query).one_or_none()
    return (None, None, None) if row is None else (row.decided_by, Standing(row.standing), row.figures.get("why"))


def _keep(connection: sa.Connection, account_id: str, *, now: datetime, **facts: Any) -> None:
    statement = database.insert(connection, tables.vettings).values(account_id=account_id, judged_at=now, **facts)
    changed = {name: statement.excluded[name] for name in (*facts, "judged_at")}
    connection.execute(statement.on_conflict_do_update(index_elements=["account_id"], set_=changed))
