"""What and where somebody buys: category and brand with their shares, and the channels."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.features.grouped import Counted, Customers, Integers, quotient, reduced, run_starts

_DENSE = 8  # a table of order ids may have so many places for each order


def favourites(lines: pd.DataFrame, counted: Counted, groups: Customers) -> dict[str, Any]:
    """Category and brand of most units, and their shares of the units that name one."""
    order = _order_of(lines["order_id"].to_numpy("int64"), counted.order_ids)
    bought = np.flatnonzero(order >= 0)
    customer = groups.of_orders()[order[bought]]
    units = lines["quantity"].to_numpy("int64")[bought]
    found: dict[str, Any] = {}
    for what in ("category", "brand"):
        chosen, share = _favourite(lines[what].iloc[bought], customer, units, len(groups.ids))
        found |= {f"favourite_{what}": chosen, f"favourite_{what}_share": share}
    return found


def _order_of(wanted: Integers, order_ids: Integers) -> Integers:
    """The place of each line's order, -1 where it is not counted."""
    if not len(order_ids) or not len(wanted):
        return np.full(len(wanted), -1)
    lowest, highest = int(order_ids.min()), int(order_ids.max())
    if highest - lowest > _DENSE * len(order_ids):
        return np.asarray(pd.Index(order_ids).get_indexer(pd.Index(wanted)), dtype=np.int64)
    # One shop's ids mostly lie close together: a table is eight times as fast as a hash.
    table = np.full(highest - lowest + 1, -1)
    table[order_ids - lowest] = np.arange(len(order_ids))
    within = (wanted >= lowest) & (wanted <= highest)
    return np.where(within, table[np.where(within, wanted - lowest, 0)], -1)


def _favourite(
    names: "pd.Series[Any]", customer: Integers, units: Integers, customers: int
) -> tuple["pd.Series[str]", npt.NDArray[np.float64]]:
    """Most units; of equals the first by alphabet. What was given back as a line of its own takes its units away."""
    code, alphabet = coded(names)
    known = code >= 0
    # Customer and name in one number: one sort of integers is several times as fast as one of pairs.
    width = max(len(alphabet), 1)
    pair = customer[known] * width + code[known]
    sequence = np.argsort(pair)
    starts = run_starts(pair[sequence])
    of_pair = reduced(np.add, units[known][sequence], starts)
    pair = pair[sequence][starts]
    winners = _first_maximum(pair // width, of_pair)
    chosen = pd.Series(pd.NA, index=range(customers), dtype="str")
    chosen.iloc[pair[winners] // width] = alphabet.to_numpy()[pair[winners] % width]
    bought = np.zeros(customers, np.int64)
    np.add.at(bought, pair // width, np.maximum(of_pair, 0))
    most = np.zeros(customers, np.int64)
    most[pair[winners] // width] = of_pair[winners]
    return chosen, quotient(most, bought)


def coded(names: "pd.Series[Any]") -> tuple[Integers, "pd.Index[Any]"]:
    """Each name's place in the alphabet (by code point), -1 for none, and the alphabet."""
    column = names.astype("category").cat
    categories = pd.Index(column.categories.astype("str"))
    sequence = np.asarray(sorted(range(len(categories)), key=categories.tolist().__getitem__), dtype=np.int64)
    place = np.full(len(categories) + 1, -1)  # the last is that of none
    place[sequence] = np.arange(len(sequence))
    return place[column.codes.to_numpy()], categories[sequence]


def _first_maximum(customer: Integers, units: Integers) -> Integers:
    """The place of each customer's first largest number of units, where that is above zero."""
    starts = run_starts(customer)
    most = np.repeat(reduced(np.maximum, units, starts), np.diff(starts, append=len(customer)))
    largest = np.flatnonzero((units == most) & (units > 0))
    return largest[run_starts(customer[largest])]


def channels(counted: Counted, groups: Customers) -> "pd.Series[str]":
    """The names of each customer's channels, by alphabet, joined by commas."""
    code, alphabet = coded(counted.channel)
    customer = groups.of_orders()
    pattern = np.zeros(len(groups.ids), np.int64)
    told = np.array([""], dtype=object)  # of each pattern met so far
    for number, name in enumerate(alphabet):
        uses = np.zeros(len(groups.ids), np.int64)
        uses[customer[code == number]] = 1
        pattern, met = pd.factorize(pattern * 2 + uses)
        told = np.array([_joined(told[one // 2], name if one % 2 else "") for one in met.tolist()], dtype=object)
    return pd.Series(told[pattern], dtype="str")


def _joined(names: str, name: str) -> str:
    return ",".join(filter(None, (names, name)))
