"""Consents: an append-only history of what customers said about marketing mail. `eligibility` reads the last word."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from data import database, tables
from domain.consent import ConsentStatus

_BASIS = "withdrawal"
_GRANTED = "consent"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Somebody wants no marketing mail any more. `wording`: what he was shown or how he said it."""

    account_id: str
    party_id: int
    source: str
    wording: str
    occurred_at: datetime


def withdraw(
    connection: sa.Connection, *, account_id: str, party_id: int, source: str, wording: str, now: datetime
) -> None:
    """Add one withdrawal, made now."""
    withdraw_many(connection, [Withdrawal(account_id, party_id, source, wording, now)], now=now)


def withdraw_many(connection: sa.Connection, rows: Sequence[Withdrawal], *, now: datetime) -> None:
    """Add withdrawals; one that is on record already is left as it is."""
    if not rows:
        return
    values = [
        {
            "account_id": row.account_id,
            "party_id": row.party_id,
            "status": ConsentStatus.WITHDRAWN.value,
            "basis": _BASIS,
            "source": row.source,
            "wording": row.wording,
            "occurred_at": row.occurred_at,
            "recorded_at": now,
        }
        for row in sorted(rows, key=lambda row: (row.party_id, row.occurred_at, row.source))
    ]
    connection.execute(database.insert(connection, tables.consents).on_conflict_do_nothing(), values)


def grant(
    connection: sa.Connection,
    *,
    account_id: str,
    party_id: int,
    source: str,
    wording: str,
    level: str,
    now: datetime,
) -> None:
    """Add an explicit agreement, made now. `wording`: the version of what was agreed to; `level`: see domain.consent."""
    connection.execute(
        database.insert(connection, tables.consents)
        .values(
            account_id=account_id,
            party_id=party_id,
            status=ConsentStatus.GRANTED.value,
            basis=_GRANTED,
            source=source,
            wording=wording,
            level=level,
            occurred_at=now,
            recorded_at=now,
        )
        .on_conflict_do_nothing()
    )
