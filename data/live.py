"""What live counters show of a run: its figures a moment ago, and how far behind the events they are.

The figures are those of the store (data.kpi_counts). Whoever looks reckons what changed since the last refresh himself, as
far as that is a matter of a moment: twenty-five batches are up to 25,000 messages, and a page that is renewed every few
seconds must not cost more than it tells. What it leaves out it says.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from data import inbox, kpi_counts, runs, unplaced
from domain.campaigns import Run
from domain.kpis import Figures

_BATCHES_NOW = 25


@dataclass(frozen=True, slots=True)
class Live:
    """`last_event_at` by the ESP's clock. The inbox is that of the whole installation: its bodies are not told apart."""

    run: Run
    figures: Figures
    last_event_at: datetime | None
    batches_left: int  # accepted batches of which something is known that the figures do not tell yet
    bodies_waiting: int  # webhook bodies that were not read yet
    oldest_waiting_at: datetime | None
    events_waiting: int  # read, and their message is not known yet


def read(connection: sa.Connection, run_id: str, *, batches_now: int = _BATCHES_NOW) -> Live:
    """A run's counters as of this moment. Raises data.runs.UnknownRun."""
    run = runs.get(connection, run_id)
    counted = kpi_counts.of_run(connection, run_id, at_most=batches_now)
    waiting, oldest = inbox.behind(connection)
    return Live(
        run=run,
        figures=sum((part.figures for part in counted.parts), Figures()),
        last_event_at=max((part.last_event_at for part in counted.parts if part.last_event_at), default=None),
        batches_left=counted.left,
        bodies_waiting=waiting,
        oldest_waiting_at=oldest,
        events_waiting=unplaced.waiting(connection),
    )
