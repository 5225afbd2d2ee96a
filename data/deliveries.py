"""What is known of each message's delivery, a campaign's or a transactional one: one row a message, which only ever grows.

Suppressions are written before this, wherever both are: two writers that lock rows in one order never deadlock.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from data import kpi_marks, staging, tables
from domain import transactional
from domain.delivery import DeliveryState

_TIMES = tuple(field.name for field in fields(DeliveryState) if field.name.endswith("_at"))
_times = attrgetter(*_TIMES)


def join(connection: sa.Connection, states: Mapping[tuple[str, int], DeliveryState]) -> None:
    """Join the state of each message (run, ordinal) with the one on record: `delivery.join`, said in SQL."""
    ours = {one: state for one, state in states.items() if transactional.is_id(one[0])}
    theirs = {one: state for one, state in states.items() if one not in ours} if ours else states
    if theirs:
        kpi_marks.note(connection, theirs)
        rows = ((*one, *_facts(state)) for one, state in theirs.items())
        _merge(connection, tables.message_delivery, rows, _of_campaigns)
    if ours:
        rows = ((one[0], *_facts(state)) for one, state in ours.items())
        _merge(connection, tables.transactional_delivery, rows, _of_transactional)


def _facts(state: DeliveryState) -> tuple[Any, ...]:
    return int(state.seen), int(state.severity), state.fault, *_times(state)


def _merge(connection: sa.Connection, table: sa.Table, rows: Iterator[tuple[Any, ...]], resolve: Any) -> None:
    columns, key = [column.name for column in table.c], [column.name for column in table.primary_key]
    staging.merge(connection, table, columns, rows, key=key, resolve=resolve)


def _of_campaigns(insert: Any) -> Any:
    return _joined(tables.message_delivery, insert)


def _of_transactional(insert: Any) -> Any:
    return _joined(tables.transactional_delivery, insert)


def _joined(table: sa.Table, insert: Any) -> Any:
    old, new = table.c, insert.excluded
    no_fault: sa.ColumnElement[str] = sa.literal_column("''")
    new_fault, old_fault = sa.func.coalesce(new.fault, no_fault), sa.func.coalesce(old.fault, no_fault)
    worse = (new.severity > old.severity) | ((new.severity == old.severity) & (new_fault > old_fault))
    joined = {
        "seen": old.seen.bitwise_or(new.seen),
        "severity": sa.case((worse, new.severity), else_=old.severity),
        "fault": sa.case((worse, new.fault), else_=old.fault),
        **{name: _first(old[name], new[name]) for name in _TIMES},
    }
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=joined)


def _first(old: sa.ColumnElement[Any], new: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.case((old.is_(None), new), (new < old, new), else_=old)
