"""The variables that a template may use for each recipient: where each comes from and how it is written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from data import tables
from data.columns import days_between
from domain import template_fields

# Given with each message by the ledger, not read from a column.
UNSUBSCRIBE_URL = "unsubscribe_url"
# The same link with a word added, so that a recipient costs the ESP one link and not two (gateway/preferences.py).
PREFERENCES_URL = "preferences_url"
PREFERENCES_PATH = "/preferences"
LINKS = (UNSUBSCRIBE_URL, PREFERENCES_URL)


@dataclass(frozen=True, slots=True)
class Variable:
    """`column` belongs to parties, customer_features or accounts; `write` turns a value that is there into text."""

    column: sa.ColumnElement[Any]
    write: Callable[[Any], str]
    meaning: str


# Written out: strftime takes 3 µs a date, and speaks the language of the process's locale.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def _date(value: datetime) -> str:
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def _amount(value: Decimal) -> str:
    return f"{value:,.2f}"


_features = tables.customer_features.c
_refresh = tables.feature_refreshes.c
_watermark = (
    sa.select(_refresh.as_of)
    .where(_refresh.account_id == _features.account_id)
    .order_by(_refresh.id.desc())
    .limit(1)
    .correlate(tables.customer_features)
    .scalar_subquery()
)


def _variable(name: str, column: sa.ColumnElement[Any], write: Callable[[Any], str]) -> tuple[str, Variable]:
    return name, Variable(column, write, template_fields.FIELDS[name].meaning)


# What each is, its type and its fallback: domain/template_fields.py. Here is where a campaign reads it.
VARIABLES: Mapping[str, Variable] = dict(
    [
        _variable("first_name", tables.parties.c.first_name, str),
        _variable("last_name", tables.parties.c.last_name, str),
        _variable("order_count", _features.orders, str),
        _variable("net_revenue", _features.net_revenue, _amount),
        _variable("average_order_value", _features.average_order_value, _amount),
        _variable("first_order_on", _features.first_order_at, _date),
        _variable("last_order_on", _features.last_order_at, _date),
        _variable("days_since_last_order", days_between(_features.last_order_at, _watermark), str),
        _variable("favourite_category", _features.favourite_category, str),
    ]
)


def columns(names: tuple[str, ...]) -> dict[str, sa.ColumnElement[Any]]:
    """The columns behind these variables."""
    return {name: VARIABLES[name].column for name in names if name not in LINKS}


def written(name: str, values: Sequence[Any], fallback: str | None) -> list[str]:
    """Write a whole column; `fallback` stands where there is no value, and without one a gap is an error."""
    write = VARIABLES[name].write
    if None not in values:
        return list(map(write, values))
    if fallback is None:
        raise ValueError(f"the variable {name!r} has no value for a recipient and its template gives no fallback")
    return [fallback if value is None else write(value) for value in values]
