"""What is known of each message's delivery: one row a message, which only ever grows.

Suppressions are written before this, wherever both are: two writers that lock rows in one order never deadlock.
"""

from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from data import kpi_marks, staging, tables
from domain.delivery import DeliveryState

_TIMES = tuple(field.name for field in fields(DeliveryState) if field.name.endswith("_at"))
_times = attrgetter(*_TIMES)


def join(connection: sa.Connection, states: Mapping[tuple[str, int], DeliveryState]) -> None:
    """Join the state of each message (run, ordinal) with the one on record: `delivery.join`, said in SQL."""
    if not states:
        return
    kpi_marks.note(connection, states)
    table = tables.message_delivery
    columns = [column.name for column in table.c]
    rows = (
        (run_id, ordinal, int(state.seen), int(state.severity), state.fault, *_times(state))
        for (run_id, ordinal), state in states.items()
    )
    staging.merge(connection, table, columns, rows, key=["run_id", "ordinal"], resolve=_joined)


def _joined(insert: Any) -> Any:
    old, new = tables.message_delivery.c, insert.excluded
    no_fault: sa.ColumnElement[str] = sa.literal_column("''")
    new_fault, old_fault = sa.func.coalesce(new.fault, no_fault), sa.func.coalesce(old.fault, no_fault)
    worse = (new.severity > old.severity) | ((new.severity == old.severity) & (new_fault > old_fault))
    joined = {
        "seen": old.seen.bitwise_or(new.seen),
        "severity": sa.case((worse, new.severity), else_=old.severity),
        "fault": sa.case((worse, new.fault), else_=old.fault),
        **{name: _first(old[name], new[name]) for name in _TIMES},
    }
    return insert.on_conflict_do_update(index_elements=["run_id", "ordinal"], set_=joined)


def _first(old: sa.ColumnElement[Any], new: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.case((old.is_(None), new), (new < old, new), else_=old)
