"""A run whose batches went out to mailbox groups, and what came back of it, written as rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import database, runs, tables
from domain.campaigns import Run, RunStatus
from domain.delivery import Seen, Severity
from domain.ledger import BatchState
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW

FATES = {
    "delivered": (Seen.PROCESSED | Seen.DELIVERED, Severity.NONE),
    "hard": (Seen.BOUNCED, Severity.HARD),
    "blocked": (Seen.BOUNCED | Seen.DEFERRED, Severity.BLOCK),
    "deferred": (Seen.PROCESSED | Seen.DEFERRED, Severity.NONE),
    "complained": (Seen.DELIVERED | Seen.COMPLAINED, Severity.NONE),
    "dropped": (Seen.DROPPED, Severity.HARD),  # of the ESP's own list: no mailbox provider ever saw it
    "processed": (Seen.PROCESSED, Severity.NONE),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A batch of a mailbox group: so many of each fate, of the rest nothing is known."""

    group: str | None
    size: int
    fates: dict[str, int]
    canary: bool = False
    at: datetime = NOW
    state: BatchState = BatchState.ACCEPTED


def run_of(engine: sa.Engine, parts: Sequence[Part], **facts: Any) -> Run:
    """A dispatching run of these batches. Ordinals need no people: nobody here looks at who they are."""
    values: dict[str, Any] = {"status": RunStatus.DISPATCHING, "dispatched_at": None, "run_id": "run1", **facts}
    with database.write(engine) as connection:
        run_id = ledger_rows.add_run(connection, "shop", [], [], **values)
        first = 0
        for part in parts:
            add(connection, run_id, first, part)
            first += part.size
        return runs.get(connection, run_id)


def add(connection: sa.Connection, run_id: str, first: int, part: Part) -> None:
    """Write one more batch, whose ordinals begin with `first`."""
    connection.execute(
        tables.batches.insert().values(
            run_id=run_id,
            first_ordinal=first,
            last_ordinal=first + part.size - 1,
            state=part.state,
            attempts=1,
            attempt_id=f"{run_id}-{first}",
            finished_at=part.at,
            mailbox_group=part.group,
            canary=part.canary,
        )
    )
    rows = []
    for fate, count in part.fates.items():
        seen, severity = FATES[fate]
        for _ in range(count):
            rows.append({"run_id": run_id, "ordinal": first + len(rows), "seen": int(seen), "severity": int(severity)})
    assert len(rows) <= part.size
    if rows:
        connection.execute(tables.message_delivery.insert(), rows)


def route(
    connection: sa.Connection, run_id: str, first: int, *, pool: str, group: str, send_at: datetime | None
) -> None:
    """Write by which pool the batch that begins with this ordinal went, and when it is to leave."""
    batch = tables.batches
    batch_id = connection.scalar(sa.select(batch.c.id).where(batch.c.run_id == run_id, batch.c.first_ordinal == first))
    connection.execute(
        tables.batch_attempts.insert().values(
            id=f"{run_id}-{first}",
            batch_id=batch_id,
            number=1,
            worker="w",
            provider="sendgrid",
            content_hash="h",
            messages=1,
            claimed_at=NOW,
        )
    )
    connection.execute(
        tables.attempt_routes.insert().values(
            attempt_id=f"{run_id}-{first}",
            account_id="shop",
            route="r",
            provider="sendgrid",
            pool=pool,
            stream="marketing",
            mailbox_group=group,
            decision={},
            send_at=send_at,
        )
    )
