"""The one function from orders to features. What each column means is said in domain/features.py.

Everything is integer arithmetic on numpy arrays (microseconds, ten-thousandths), so that the order of rows, the
database and the number of customers at once never change a digit.
"""

from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.features import compute_favourites, compute_rhythm
from data.features.facts import Facts
from data.features.grouped import (
    DAY,
    INSTANT,
    Counted,
    Customers,
    Flags,
    Integers,
    by_customer_and_time,
    customers_of,
    instants,
    microseconds,
    quotient,
    reduced,
)
from domain import money
from domain.features import MAIL_WINDOWS, STORED, WINDOWS


def features(facts: Facts, *, as_of: datetime, zone: str) -> pd.DataFrame:
    """One row for each customer with a counted order: party_id and the stored columns, sorted by party_id.

    `zone`: the account's, for customers whose country does not say another. A credit is no order: what it gives back
    is refunded to the customer on all their orders together. Raises ValueError for a naive instant.
    """
    instant = microseconds(as_of)
    placed = instants(facts.orders["placed_at"])
    sound = _flag(facts.orders, "is_test", negated=True) & (placed <= instant)
    standing = sound & _flag(facts.orders, "cancelled", negated=True)
    counted = _counted(facts.orders, placed, standing & _flag(facts.orders, "is_credit", negated=True))
    groups = customers_of(counted.party_ids)
    given_back = _Credits(facts.orders, placed, standing & _flag(facts.orders, "is_credit"), groups)
    told = _told(facts.customers, groups)
    columns: dict[str, Any] = {
        **_frequency(counted, groups, instant),
        **_money(counted, groups, given_back, instant),
        **_shares(counted, groups),
        "cancellation_rate": _cancellations(facts.orders, sound & ~standing, groups),
        **compute_rhythm.gaps(counted, groups),
        **compute_rhythm.habits(counted, groups, told["country"], zone),
        **compute_favourites.favourites(facts.lines, counted, groups),
        "channels": compute_favourites.channels(counted, groups),
        **told,
        **_engagement(facts.engagement, groups),
    }
    return pd.DataFrame({"party_id": groups.ids, **{feature.name: columns[feature.name] for feature in STORED}})


def _flag(orders: pd.DataFrame, name: str, *, negated: bool = False) -> Flags:
    flags = orders[name].to_numpy(bool)
    return np.asarray(~flags if negated else flags)


def _counted(orders: pd.DataFrame, placed: Integers, counts: Flags) -> Counted:
    rows = np.flatnonzero(counts)
    party_ids = orders["party_id"].to_numpy("int64")[rows]
    sequence = by_customer_and_time(party_ids, placed[rows])
    rows = rows[sequence]
    totals = np.maximum(orders["total"].to_numpy("int64")[rows], 0)
    return Counted(
        order_ids=orders["order_id"].to_numpy("int64")[rows],
        party_ids=party_ids[sequence],
        totals=totals,
        # More than was paid cannot have been given back; the validation gate reports such orders.
        refunds=np.clip(orders["refunded"].to_numpy("int64")[rows], 0, totals),
        placed=placed[rows],
        discounted=_flag(orders, "discounted")[rows],
        coupon=_flag(orders, "coupon")[rows],
        channel=orders["channel"].take(rows),
    )


class _Credits:
    """What credit notes gave back to the customers who have a counted order: few beside the orders."""

    def __init__(self, orders: pd.DataFrame, placed: Integers, which: Flags, groups: Customers) -> None:
        rows = np.flatnonzero(which)
        place, known = groups.places(orders["party_id"].to_numpy("int64")[rows])
        self._customers = len(groups.ids)
        self._place = place[known]
        self._placed = placed[rows][known]
        self._amounts = orders["refunded"].to_numpy("int64")[rows][known]

    def given(self, since: int | None = None) -> Integers:
        """To each customer, by credits dated after that instant."""
        given = np.zeros(self._customers, np.int64)
        within = slice(None) if since is None else self._placed > since
        np.add.at(given, self._place[within], self._amounts[within])
        return given


def _frequency(counted: Counted, groups: Customers, instant: int) -> dict[str, Integers]:
    windows = {
        # Half open, as whole days are: an order exactly 30 days old is 30 days ago and no longer "in the last 30 days".
        f"orders_{days}d": reduced(np.add, counted.placed > instant - days * DAY, groups.starts)
        for days in WINDOWS
    }
    return {"orders": groups.orders, **windows, "coupon_orders": reduced(np.add, counted.coupon, groups.starts)}


def _money(
    counted: Counted, groups: Customers, given_back: _Credits, instant: int
) -> dict[str, npt.NDArray[np.float64]]:
    totals = reduced(np.add, counted.totals, groups.starts)
    kept = counted.totals - counted.refunds
    net = reduced(np.add, kept, groups.starts) - given_back.given()
    windows = {}
    for days in WINDOWS:
        since = instant - days * DAY
        within = reduced(np.add, np.where(counted.placed > since, kept, 0), groups.starts)
        windows[f"revenue_{days}d"] = (within - given_back.given(since)) / money.UNIT
    return {
        "net_revenue": net / money.UNIT,
        **windows,
        # Rounded half up to a ten-thousandth here, because that is what the table can keep.
        "average_order_value": (2 * net + groups.orders) // (2 * groups.orders) / money.UNIT,
        # A credit may give back more than was bought since the first order that we know of.
        "refund_rate": np.nan_to_num(quotient(totals - net, totals)).clip(max=1.0),
    }


def _shares(counted: Counted, groups: Customers) -> dict[str, npt.NDArray[np.float64]]:
    cheaper = reduced(np.add, counted.discounted | counted.coupon, groups.starts)
    return {"discounted_share": cheaper / groups.orders}


def _cancellations(orders: pd.DataFrame, cancelled: Flags, groups: Customers) -> npt.NDArray[np.float64]:
    rows = np.flatnonzero(cancelled & _flag(orders, "is_credit", negated=True))
    place, known = groups.places(orders["party_id"].to_numpy("int64")[rows])
    number = np.bincount(place[known], minlength=len(groups.ids))
    return np.asarray(number / (number + groups.orders))


def _told(customers: pd.DataFrame, groups: Customers) -> dict[str, "pd.Series[str]"]:
    party_ids = pd.Index(customers["party_id"].to_numpy("int64"))
    place = party_ids.get_indexer(pd.Index(groups.ids))
    return {name: _at(customers[name].astype("str"), place) for name in ("country", "language")}


def _at(column: "pd.Series[str]", place: Integers) -> "pd.Series[str]":
    """The values at these places, and none at -1."""
    return pd.Series(column.array.take(place, allow_fill=True), dtype="str")


def _engagement(engagement: pd.DataFrame, groups: Customers) -> dict[str, Any]:
    place, known = groups.places(engagement["party_id"].to_numpy("int64"))
    columns: dict[str, Any] = {}
    for name in ("last_opened_at", "last_clicked_at"):
        latest = np.full(len(groups.ids), np.iinfo(np.int64).min)  # which is how numpy says NaT
        latest[place[known]] = instants(engagement[name])[known]
        columns[name] = pd.Series(latest.view("datetime64[us]")).dt.tz_localize("UTC").astype(INSTANT)
    for days in MAIL_WINDOWS:
        mails = np.zeros(len(groups.ids), np.int64)
        mails[place[known]] = engagement[f"mails_{days}d"].to_numpy("int64")[known]
        columns[f"mails_{days}d"] = mails
    return columns
