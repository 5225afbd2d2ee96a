"""Marks: of which messages the figures are out of date. Written by whoever changes a message, in the same transaction.

A number that grows, such as an event's id, would not do: PostgreSQL gives it before the transaction is committed, so
that a refresh that saw a larger one would never look for the smaller. A mark is there when its change is, and goes when
it was heeded.
"""

from collections import defaultdict
from collections.abc import Collection

import sqlalchemy as sa

from data import tables


def note(connection: sa.Connection, messages: Collection[tuple[str, int]]) -> None:
    """Mark messages by run and ordinal: one row a run, so that a body of a thousand events costs one."""
    ordinals: dict[str, list[int]] = defaultdict(list)
    for run_id, ordinal in messages:
        ordinals[run_id].append(ordinal)
    if ordinals:
        rows = [{"run_id": run_id, "ordinals": sorted(some)} for run_id, some in sorted(ordinals.items())]
        connection.execute(tables.kpi_marks.insert(), rows)
