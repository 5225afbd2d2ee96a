"""Suppressions for tests: keep them, lift them, and see whom they stop."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from data import database, eligibility, suppressions, tables
from data.suppressions import NewSuppression
from domain.suppression import Reason, Stream
from tests.data.ledger_rows import NOW

HOUR = timedelta(hours=1)


def new(reason: Reason = Reason.COMPLAINT, address_hash: str = "h", at: datetime = NOW, **facts) -> NewSuppression:
    return NewSuppression("shop", address_hash, reason, "esp:sendgrid", "evidence", at, **facts)


def keep(engine: sa.Engine, *rows: NewSuppression) -> int:
    with database.write(engine) as connection:
        return suppressions.add_many(connection, rows)


def lift(
    engine: sa.Engine, address_hash: str = "h", at: datetime = NOW + HOUR, reason: str = "a mistake", **facts
) -> list[Reason]:
    """Of a complaint too: the person asked for it, unless `facts` say otherwise."""
    with database.write(engine) as connection:
        return suppressions.lift(
            connection,
            account_id="shop",
            address_hash=address_hash,
            actor="ben",
            reason=reason,
            now=at,
            **{"asked_for": True, **facts},
        )


def blocked(engine: sa.Engine, stream: Stream = Stream.MARKETING, now: datetime = NOW) -> dict[str, str]:
    """Of all addresses on record those that the shop may not mail, with the strongest reason."""
    known = sa.select(tables.suppressions.c.address_hash).distinct().subquery("known")
    reason = eligibility.suppressed_by("shop", known.c.address_hash, stream, now).label("reason")
    with database.read(engine) as connection:
        found = connection.execute(sa.select(known.c.address_hash, reason)).all()
    return {row.address_hash: row.reason for row in found if row.reason is not None}
