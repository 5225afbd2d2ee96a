"""The variables that a template may use for each recipient: where each comes from and how it is written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from data import tables
from data.columns import days_between

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
VARIABLES: Mapping[str, Variable] = {
    "first_name": Variable(tables.parties.c.first_name, str, "the customer's first name"),
    "last_name": Variable(tables.parties.c.last_name, str, "the customer's last name"),
    "order_count": Variable(_features.orders, str, "how many orders they made"),
    "net_revenue": Variable(_features.net_revenue, _amount, "what they spent in all, less refunds"),
    "average_order_value": Variable(_features.average_order_value, _amount, "what they spend on one order"),
    "first_order_on": Variable(_features.first_order_at, _date, "the day of their first order"),
    "last_order_on": Variable(_features.last_order_at, _date, "the day of their latest order"),
    "days_since_last_order": Variable(
        days_between(_features.last_order_at, _watermark), str, "days since their latest order, as of the last refresh"
    ),
    "favourite_category": Variable(_features.favourite_category, str, "the category they buy most of"),
}


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
