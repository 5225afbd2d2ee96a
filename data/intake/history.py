"""What was drained lately: orders, how many of them were refused, and how often each rule fired."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from data import tables

# Batches of one minute are one row: a busy webhook is drained each second.
_TOGETHER = timedelta(minutes=1)
_MOST_TOGETHER = 1000  # orders


class Counts(NamedTuple):
    """`orders`: all that were judged, refused ones too; `fired`: rule → on how many of them."""

    orders: int = 0
    refused: int = 0
    fired: Mapping[str, int] = {}

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        fired = Counter(self.fired)
        fired.update(other.fired)
        return Counts(self.orders + other.orders, self.refused + other.refused, fired)


def recent(
    connection: sa.Connection, account_id: str, channel: str, since: datetime, *, at_least: int | None = None
) -> Counts:
    """What was drained of the records that were received after `since`.

    By receipt, as records that a quarantine's release waives are drained after it and must not be held against what
    comes then. `at_least`: only the newest batches that have so many orders together. A feed that drifts is then judged
    by its last orders, not by those of a day, and a busy webhook does not read a day of batches for each order.
    """
    batch = tables.intake_batches.c
    query = (
        sa.select(batch.orders, batch.refused, batch.fired)
        .where(
            batch.account_id == account_id,
            batch.channel == channel,
            batch.drained_at > since,  # follows from the next one, and has an index
            batch.last_received_at > since,
            batch.orders > 0,
        )
        .order_by(batch.drained_at.desc(), batch.id.desc())
        .limit(at_least)
    )
    total = Counts()
    for row in connection.execute(query):
        if at_least is not None and total.orders >= at_least:
            break
        total = total.plus(Counts(row.orders, row.refused, row.fired))
    return total


@dataclass(frozen=True, slots=True)
class Batch:
    """What was drained at once. `counts`: by the names of the table's columns."""

    first_received_at: datetime
    last_received_at: datetime
    counts: Mapping[str, int]
    fired: Mapping[str, int]


def note(connection: sa.Connection, account_id: str, channel: str, batch: Batch, *, now: datetime) -> None:
    """Add a batch to the history, in the transaction that applied it, which holds the account's lock."""
    table = tables.intake_batches
    last = connection.execute(
        sa.select(table)
        .where(table.c.account_id == account_id, table.c.channel == channel, table.c.drained_at > now - _TOGETHER)
        .order_by(table.c.drained_at.desc(), table.c.id.desc())
        .limit(1)
    ).one_or_none()
    if last is None or last.orders + batch.counts["orders"] > _MOST_TOGETHER:
        connection.execute(
            table.insert().values(
                account_id=account_id,
                channel=channel,
                drained_at=now,
                first_received_at=batch.first_received_at,
                last_received_at=batch.last_received_at,
                verdict="passed",
                fired=dict(batch.fired),
                **batch.counts,
            )
        )
        return
    connection.execute(
        sa.update(table)
        .where(table.c.id == last.id)
        .values(
            first_received_at=min(last.first_received_at, batch.first_received_at),
            last_received_at=max(last.last_received_at, batch.last_received_at),
            fired=dict(Counter(last.fired) + Counter(batch.fired)),
            **{name: table.c[name] + count for name, count in batch.counts.items()},
        )
    )
