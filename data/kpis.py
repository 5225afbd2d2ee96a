"""The figures of a run as of this moment, and whether they still change much.

What is counted is said in data.kpi_batches, what it means in domain.kpis.
"""

from collections import defaultdict
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import kpi_batches, kpi_counts, tables
from domain.delivery import Seen
from domain.kpis import Figures

_FINAL = Seen.DELIVERED | Seen.BOUNCED | Seen.DROPPED


def figures(connection: sa.Connection, run_id: str) -> tuple[Figures, dict[str, Figures]]:
    """The run's figures, and the same by mailbox provider, the largest first."""
    groups: dict[str, Figures] = defaultdict(Figures)
    for part in kpi_counts.of_run(connection, run_id).parts:
        if part.figures.accepted:
            groups[part.mailbox_group] += part.figures
    ordered = dict(sorted(groups.items(), key=lambda one: (-one[1].accepted, one[0])))
    return sum(ordered.values(), Figures()), ordered


def is_settled(connection: sa.Connection, run_id: str, *, now: datetime, settle_after_hours: int) -> bool:
    """Every accepted message has its final fate, or the ESP gave up trying by now (it retries for three days)."""
    run = tables.campaign_runs
    dispatched_at = connection.scalar(sa.select(run.c.dispatched_at).where(run.c.id == run_id))
    if dispatched_at is None:
        return False
    if now >= dispatched_at + timedelta(hours=settle_after_hours):
        return True
    messages = kpi_batches.accepted(connection, tables.batches.c.run_id == run_id)
    seen = sa.func.coalesce(tables.message_delivery.c.seen, 0)
    on_its_way = messages.select(sa.literal(1)).where(seen.bitwise_and(int(_FINAL)) == 0)
    return connection.execute(on_its_way.limit(1)).first() is None
