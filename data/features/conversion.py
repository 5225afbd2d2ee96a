"""Orders of other currencies in the account's own, by the rate of the day on which they were placed.

Exact: rates are fractions, amounts whole ten-thousandths, and only the result is rounded, half up, to one.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from data import database, rates, tables
from data.features.grouped import DAY, Integers, instants
from data.rates_file import UnusableRates

_EPOCH = np.datetime64("1970-01-01", "D")
_AMOUNTS = ("total", "refunded")
# In ten-thousandths. No order comes to so much (domain.money.parse), and the sum of hundreds would not fit a column.
_MOST = 10**16


def reckon(engine: sa.Engine, orders: pd.DataFrame, *, currency: str) -> dict[str, Any]:
    """Reckon the foreign orders of the frame in this currency, in place, and say what was done.

    `orders`: total and refunded (ten-thousandths), placed_at, and `foreign`: the order's currency, null where the
    amounts are in the account's already. Orders without a rate stay as they are: the gate stops the account for them. Raises
    UnusableRates where an order would come to more than any order may.
    """
    rows = np.flatnonzero(orders["foreign"].notna())
    codes, currencies = pd.factorize(orders["foreign"].iloc[rows])
    with database.read(engine) as connection:
        known = rates.between(connection, {currency, *currencies}) if len(rows) else rates.Rates(())
    days = instants(orders["placed_at"].iloc[rows]) // DAY
    pairs, which = np.unique(np.stack([codes, days]), axis=1, return_inverse=True)
    found = [
        known.conversion(str(currencies[code]), currency, (_EPOCH + int(day)).item()) for code, day in pairs.T.tolist()
    ]
    has_rate = np.array([one is not None for one in found], dtype=bool)[which]
    numerator = np.array([one.factor.numerator if one else 0 for one in found], dtype=object)[which[has_rate]]
    denominator = np.array([one.factor.denominator if one else 1 for one in found], dtype=object)[which[has_rate]]
    for name in _AMOUNTS:
        amounts = orders[name].to_numpy("int64").copy()
        amounts[rows[has_rate]] = _times(amounts[rows[has_rate]], numerator, denominator)
        orders[name] = amounts
    return {
        "orders_converted": int(has_rate.sum()),
        "orders_without_rate": int((~has_rate).sum()),
        "sources": sorted(set().union(*(one.sources for one in found if one is not None))),
    }


def _times(units: Integers, numerator: npt.NDArray[Any], denominator: npt.NDArray[Any]) -> Integers:
    """Python's own integers: a large amount times a rate of ten digits is more than an int64 holds."""
    found = (2 * units.astype(object) * numerator + denominator) // (2 * denominator)
    if len(found) and max(abs(found)) >= _MOST:
        raise UnusableRates(
            "an order in another currency comes to a trillion or more by the rate of its day: one of both is wrong. "
            "No features were changed. `campaigns rates list` shows the rates; load the right one"
        )
    return np.asarray(found, dtype=np.int64)


def has_rate(connection: sa.Connection, account_id: str, currency: str) -> sa.ColumnElement[bool]:
    """True of an order in another currency for whose day there is a rate: a few comparisons, and no look-up an order."""
    order = tables.orders.c
    known = rates.spans(connection, account_id, currency)
    return sa.or_(
        sa.false(),
        *(
            (order.currency == foreign) & (order.placed_at >= begin) & (order.placed_at < end)
            for foreign, spans in known.items()
            for begin, end in spans
        ),
    )
