"""Pre-flights as they are kept: what was found of a way out, and when it was last right."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import tables
from domain.preflight import Light, Line, worst

_KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one way."""

    domain: str
    provider: str
    lines: tuple[Line, ...]
    worst: Light
    good: bool
    at: datetime


def keep(
    connection: sa.Connection,
    account_id: str,
    *,
    domain: str,
    provider: str,
    lines: Sequence[Line],
    good: bool,
    now: datetime,
) -> None:
    """Write what was found, and forget what is older than 90 days."""
    table = tables.preflights
    connection.execute(table.delete().where(table.c.account_id == account_id, table.c.at < now - _KEPT))
    connection.execute(
        table.insert().values(
            account_id=account_id,
            domain=domain,
            provider=provider,
            lines=[asdict(line) for line in lines],
            worst=worst(lines),
            good=good,
            at=now,
        )
    )


def latest(connection: sa.Connection, account_id: str, *, domain: str, provider: str) -> Look | None:
    """The newest look at this way."""
    table = tables.preflights
    query = sa.select(table).where(*_of(account_id, domain, provider)).order_by(table.c.at.desc(), table.c.id.desc())
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else _look(row)


def last_good(connection: sa.Connection, account_id: str, *, domain: str, provider: str) -> datetime | None:
    """When all that is required of this way was last right."""
    table = tables.preflights
    query = sa.select(sa.func.max(table.c.at)).where(*_of(account_id, domain, provider), table.c.good)
    found: datetime | None = connection.scalar(query)
    return found


def _of(account_id: str, domain: str, provider: str) -> tuple[sa.ColumnElement[bool], ...]:
    column = tables.preflights.c
    return column.account_id == account_id, column.domain == domain, column.provider == provider


def _look(row: Any) -> Look:
    lines = tuple(Line(**{**line, "light": Light(line["light"])}) for line in row.lines)
    return Look(row.domain, row.provider, lines, Light(row.worst), row.good, row.at)
