"""Faults as SQL: all are counted in one pass over the rows, and only what failed is looked at row by row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

SAMPLE = 20  # failing rows shown: enough to see the pattern, few enough to read


@dataclass(frozen=True, slots=True)
class Condition:
    """A fault that no row may have. `sentence` says what should hold; `faulty` is true of the rows where it does not."""

    name: str
    sentence: str
    faulty: sa.ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Facts:
    """One aggregate row (`rows`, and the number of faulty ones by condition); what should hold; ids of faults met."""

    row: dict[str, Any]
    sentences: dict[str, str]
    samples: dict[str, tuple[str, ...]]


def measure(
    connection: sa.Connection,
    rows: sa.Select[Any],
    conditions: Sequence[Condition],
    *,
    row_id: sa.ColumnElement[Any],
    figures: Sequence[sa.ColumnElement[Any]] = (),
) -> Facts:
    """Count in one statement. `rows` is a select whose FROM and WHERE name the rows; `figures` are further aggregates."""
    counts = (
        sa.func.coalesce(sa.func.sum(sa.case((condition.faulty, 1), else_=0)), 0).label(condition.name)
        for condition in conditions
    )
    aggregate = rows.with_only_columns(sa.func.count().label("rows"), *counts, *figures, maintain_column_froms=True)
    row = dict(connection.execute(aggregate).mappings().one())
    samples = {
        condition.name: _sample(connection, rows, condition, row_id) for condition in conditions if row[condition.name]
    }
    return Facts(row, {condition.name: condition.sentence for condition in conditions}, samples)


def _sample(
    connection: sa.Connection, rows: sa.Select[Any], condition: Condition, row_id: sa.ColumnElement[Any]
) -> tuple[str, ...]:
    found = rows.with_only_columns(row_id, maintain_column_froms=True).where(condition.faulty).limit(SAMPLE)
    return tuple(str(value) for value in connection.scalars(found.order_by(row_id)))
