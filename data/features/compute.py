"""The one function from orders to features. What each column means is said in domain/features.py.

Everything is integer arithmetic on numpy arrays (microseconds, ten-thousandths), so that the order of rows, the
database and the number of customers at once never change a digit.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from domain import money
from domain.features import FEATURES

_DAY = 86_400_000_000  # microseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT: Final = "datetime64[us, UTC]"

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Customers:
    """Each customer once: where the run of their orders starts, and how many there are."""

    ids: Integers
    starts: Integers
    orders: Integers


@dataclass(frozen=True, slots=True)
class _Counted:
    """Columns of the counted orders, sorted by customer."""

    order_ids: Integers
    party_ids: Integers
    totals: Integers
    refunds: Integers
    placed: Integers


def features(orders: pd.DataFrame, lines: pd.DataFrame, customers: pd.DataFrame, *, as_of: datetime) -> pd.DataFrame:
    """One row for each customer with a counted order: party_id and the contract's columns, sorted by party_id.

    `orders`: order_id, party_id, total and refunded (int, ten-thousandths), placed_at, cancelled, is_test, is_credit.
    A credit is no order: what it gives back is refunded to the customer on all their orders together.
    `lines`: order_id, category, quantity. `customers`: party_id, country.
    """
    instant = _microseconds(as_of)
    counted = _counted(orders, instant)
    groups = _by_customer(counted.party_ids)
    given_back = _credits(orders, groups, instant)
    columns = {
        **_frequency(counted.placed, groups, instant),
        **_money(counted, groups, given_back),
        **_rhythm(counted.placed, groups, instant),
        "favourite_category": _favourite_category(lines, counted, groups),
        "country": _country(customers, groups),
    }
    return pd.DataFrame({"party_id": groups.ids, **{feature.name: columns[feature.name] for feature in FEATURES}})


def _microseconds(instant: datetime) -> int:
    if instant.tzinfo is None:
        raise ValueError("features are computed as of an aware instant: say its zone")
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _counted(orders: pd.DataFrame, instant: int) -> _Counted:
    placed = _placed(orders)
    keep = _sound(orders, placed, instant) & ~orders["is_credit"].to_numpy(bool)
    party_ids = orders["party_id"].to_numpy("int64")[keep]
    sequence = np.argsort(party_ids, kind="stable")
    rows = np.flatnonzero(keep)[sequence]
    totals = np.maximum(orders["total"].to_numpy("int64")[rows], 0)
    return _Counted(
        order_ids=orders["order_id"].to_numpy("int64")[rows],
        party_ids=party_ids[sequence],
        totals=totals,
        # More than was paid cannot have been given back; the validation gate reports such orders.
        refunds=np.clip(orders["refunded"].to_numpy("int64")[rows], 0, totals),
        placed=placed[rows],
    )


def _placed(orders: pd.DataFrame) -> Integers:
    return np.asarray(orders["placed_at"].astype(_INSTANT).astype("int64"), dtype=np.int64)


def _sound(orders: pd.DataFrame, placed: Integers, instant: int) -> npt.NDArray[np.bool_]:
    void: npt.NDArray[np.bool_] = orders["cancelled"].to_numpy(bool) | orders["is_test"].to_numpy(bool)
    return ~void & (placed <= instant)


def _credits(orders: pd.DataFrame, groups: _Customers, instant: int) -> Integers:
    """What credit notes gave back to each customer who has a counted order."""
    rows = np.flatnonzero(_sound(orders, _placed(orders), instant) & orders["is_credit"].to_numpy(bool))
    given = np.zeros(len(groups.ids), np.int64)
    if len(rows) and len(groups.ids):
        party_ids = orders["party_id"].to_numpy("int64")[rows]
        place = np.searchsorted(groups.ids, party_ids).clip(max=len(groups.ids) - 1)
        known = groups.ids[place] == party_ids
        np.add.at(given, place[known], orders["refunded"].to_numpy("int64")[rows][known])
    return given


def _by_customer(party_ids: Integers) -> _Customers:
    starts = _run_starts(party_ids)
    return _Customers(ids=party_ids[starts], starts=starts, orders=np.diff(starts, append=len(party_ids)))


def _run_starts(keys: Integers) -> Integers:
    """Where each new value of the sorted keys begins."""
    new = np.ones(len(keys), bool)
    new[1:] = keys[1:] != keys[:-1]
    return np.flatnonzero(new)


def _reduced(how: np.ufunc, values: npt.NDArray[Any], starts: Integers) -> Integers:
    """Reduce each run, exactly; numpy's reduceat has no answer for no runs."""
    return how.reduceat(values, starts, dtype=np.int64) if len(starts) else np.empty(0, np.int64)


def _frequency(placed: Integers, groups: _Customers, instant: int) -> dict[str, Integers]:
    windows = {
        # Half open, as whole days are: an order exactly 30 days old is 30 days ago and no longer "in the last 30 days".
        f"orders_{days}d": _reduced(np.add, placed > instant - days * _DAY, groups.starts)
        for days in (30, 90, 365)
    }
    return {"orders": groups.orders, **windows}


def _money(counted: _Counted, groups: _Customers, given_back: Integers) -> dict[str, npt.NDArray[np.float64]]:
    totals = _reduced(np.add, counted.totals, groups.starts)
    refunds = _reduced(np.add, counted.refunds, groups.starts) + given_back
    net = totals - refunds
    return {
        "net_revenue": net / money.UNIT,
        # Rounded half up to a ten-thousandth here, because that is what the table can keep.
        "average_order_value": (2 * net + groups.orders) // (2 * groups.orders) / money.UNIT,
        # A credit may give back more than was bought since the first order that we know of.
        "refund_rate": np.divide(refunds, totals, out=np.zeros(len(totals)), where=totals > 0).clip(max=1.0),
    }


def _rhythm(placed: Integers, groups: _Customers, instant: int) -> dict[str, Any]:
    first = _reduced(np.minimum, placed, groups.starts)
    last = _reduced(np.maximum, placed, groups.starts)
    gaps = groups.orders - 1
    mean_gap = np.divide(last - first, gaps * _DAY, out=np.full(len(gaps), np.nan), where=gaps > 0)
    return {
        "first_order_at": pd.to_datetime(first, unit="us", utc=True).astype(_INSTANT),
        "last_order_at": pd.to_datetime(last, unit="us", utc=True).astype(_INSTANT),
        "days_since_first_order": (instant - first) // _DAY,
        "days_since_last_order": (instant - last) // _DAY,
        "mean_days_between_orders": mean_gap,
    }


def _favourite_category(lines: pd.DataFrame, counted: _Counted, groups: _Customers) -> "pd.Series[str]":
    """Most units; of equals the first by alphabet."""
    order = pd.Index(counted.order_ids).get_indexer(pd.Index(lines["order_id"]))
    category, names = pd.factorize(lines["category"].astype("str"), sort=True)
    known = (order >= 0) & (category >= 0)
    # Customer and category in one number: one sort of integers is several times as fast as one of pairs.
    width = max(len(names), 1)
    customer = np.repeat(np.arange(len(groups.ids)), groups.orders)[order[known]]
    pair = customer * width + category[known]
    sequence = np.argsort(pair)
    starts = _run_starts(pair[sequence])
    units = _reduced(np.add, lines["quantity"].to_numpy("int64")[known][sequence], starts)
    pair = pair[sequence][starts]
    winners = pair[_first_maximum(customer[sequence][starts], units)]
    chosen = pd.Series(pd.NA, index=range(len(groups.ids)), dtype="str")
    chosen.iloc[winners // width] = names[winners % width]
    return chosen


def _first_maximum(customer: Integers, units: Integers) -> Integers:
    """The place of each customer's first largest number of units, where that is above zero."""
    starts = _run_starts(customer)
    most = np.repeat(_reduced(np.maximum, units, starts), np.diff(starts, append=len(customer)))
    largest = np.flatnonzero((units == most) & (units > 0))
    return largest[_run_starts(customer[largest])]


def _country(customers: pd.DataFrame, groups: _Customers) -> "pd.Series[str]":
    country = pd.Series(customers["country"].to_numpy(), index=customers["party_id"].to_numpy("int64"), dtype="str")
    return country.reindex(groups.ids).reset_index(drop=True)
