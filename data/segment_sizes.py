"""How many customers a selection had, each time it was looked at: its trend, and what is usual."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from data import database, tables


@dataclass(frozen=True, slots=True)
class Size:
    """Members of a selection among all customers as of an instant; `net_revenue` is theirs, in the account currency."""

    as_of: datetime
    members: int
    customers: int
    net_revenue: Decimal


def note(
    connection: sa.Connection,
    *,
    account_id: str,
    segment: str,
    definition_hash: str,
    as_of: datetime,
    members: int,
    customers: int,
    net_revenue: Decimal,
) -> None:
    """Keep a size. The same definition as of the same instant is kept once, as it was last seen."""
    found = {"segment": segment, "members": members, "customers": customers, "net_revenue": net_revenue}
    key = {"account_id": account_id, "definition_hash": definition_hash, "as_of": as_of}
    connection.execute(
        database.insert(connection, tables.segment_sizes)
        .values(**key, **found)
        .on_conflict_do_update(index_elements=list(key), set_=found)
    )


def trailing(
    connection: sa.Connection,
    *,
    account_id: str,
    segment: str,
    definition_hash: str,
    limit: int,
    before: datetime | None = None,
) -> Sequence[Size]:
    """The latest sizes of one definition, newest first; `before`: only those as of earlier instants."""
    size = tables.segment_sizes.c
    query = sa.select(size.as_of, size.members, size.customers, size.net_revenue).where(
        size.account_id == account_id, size.segment == segment, size.definition_hash == definition_hash
    )
    if before is not None:
        query = query.where(size.as_of < before)
    rows = connection.execute(query.order_by(size.as_of.desc()).limit(limit))
    return [Size(row.as_of, row.members, row.customers, row.net_revenue) for row in rows]
