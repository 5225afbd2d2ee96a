"""When somebody orders: the gaps between orders, and the weekday and hour in the customer's own zone."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.features import local_time
from data.features.grouped import DAY, INSTANT, Counted, Customers, Integers, quotient, reduced
from domain import zones

_HOUR = DAY // 24
_HOURS = 24
_WEEK = 7
_THURSDAY = 3  # what 1970-01-01 was, counted from Monday
_AT_ONCE = 200_000  # customers: a table of hours of a million would take 200 MB
_LIMB = 20  # bits: the products of such parts, summed over eight million orders of one customer, fit an int64
_LIMBS = 3


def gaps(counted: Counted, groups: Customers) -> dict[str, Any]:
    """First and latest order, and the mean, the spread and the last of the gaps between them."""
    ends = groups.starts + groups.orders - 1
    first, last = counted.placed[groups.starts], counted.placed[ends]
    number = groups.orders - 1
    before = counted.placed[np.maximum(ends - 1, groups.starts)]
    return {
        "first_order_at": pd.to_datetime(first, unit="us", utc=True).astype(INSTANT),
        "last_order_at": pd.to_datetime(last, unit="us", utc=True).astype(INSTANT),
        "mean_days_between_orders": quotient(last - first, number * DAY),
        "spread_days_between_orders": _spread(counted.placed, groups, last - first),
        "last_gap_days": np.where(number > 0, (last - before) / DAY, np.nan),
    }


def _spread(placed: Integers, groups: Customers, span: Integers) -> npt.NDArray[np.float64]:
    """The sample standard deviation of the gaps, in days; NaN for fewer than two gaps.

    Of n gaps with the whole mean q and the remainder r (their sum is nq + r) the squares of what each differs from q
    are summed as integers, so that no order of additions can change them; n times the variance is that sum less r²/n.
    """
    many = np.flatnonzero(groups.orders > 2)  # noqa: PLR2004 - two gaps
    number = groups.orders[many] - 1
    mean, rest = span[many] // number, span[many] % number
    starts = np.cumsum(number) - number
    place = np.arange(number.sum()) + np.repeat(groups.starts[many] - starts, number)
    apart = np.abs(placed[place + 1] - placed[place] - np.repeat(mean, number))
    squares = _sum_of_squares(apart, starts) - rest.astype(np.float64) ** 2 / number
    spread = np.full(len(groups.ids), np.nan)
    spread[many] = np.sqrt(np.maximum(squares, 0.0) / (number - 1)) / DAY
    return spread


def _sum_of_squares(values: Integers, starts: Integers) -> npt.NDArray[np.float64]:
    """Of each run of numbers below 2^60: the parts are summed exactly and put together in one fixed sequence."""
    limbs = [(values >> (_LIMB * place)) & ((1 << _LIMB) - 1) for place in range(_LIMBS)]
    total = np.zeros(len(starts))
    for high in reversed(range(_LIMBS)):
        for low in reversed(range(high + 1)):
            if not limbs[high].any():
                continue
            part = reduced(np.add, limbs[high] * limbs[low], starts)
            total += part * (2.0 ** (_LIMB * (high + low)) * (1 if high == low else 2))
    return total


def habits(counted: Counted, groups: Customers, country: "pd.Series[str]", zone: str) -> dict[str, Integers]:
    """The weekday and the hour at which the customer orders most often; of equals the first."""
    found = {"favourite_weekday": np.empty(0, np.int64), "favourite_hour": np.empty(0, np.int64)}
    local = _local(counted.placed, groups, country, zone)
    hours, days = local // _HOUR, local // DAY
    cycles = {
        "favourite_weekday": ((days + _THURSDAY) % _WEEK, _WEEK, 1),
        "favourite_hour": (hours % _HOURS, _HOURS, 0),
    }
    for name, (values, width, first) in cycles.items():
        found[name] = _most_frequent(values, groups, width) + first
    return found


def _local(placed: Integers, groups: Customers, country: "pd.Series[str]", zone: str) -> Integers:
    """The time on the customers' own clocks, as microseconds."""
    codes, countries = pd.factorize(country)
    names = np.array([*(zones.zone_of(str(one), zone) for one in countries), zones.zone_of(None, zone)])
    distinct, of_country = np.unique(names, return_inverse=True)
    of_customer = of_country[codes]  # -1, an unknown country, is the last name
    if len(distinct) == 1:
        return placed + local_time.offsets(placed, str(distinct[0]))
    of_order = np.repeat(of_customer, groups.orders)
    local = placed.copy()
    for number, name in enumerate(distinct):
        rows = np.flatnonzero(of_order == number)
        local[rows] += local_time.offsets(placed[rows], str(name))
    return local


def _most_frequent(values: Integers, groups: Customers, width: int) -> Integers:
    """Of each customer's values, which are 0 … width - 1."""
    found = np.empty(len(groups.ids), np.int64)
    for begin in range(0, len(groups.ids), _AT_ONCE):
        end = min(begin + _AT_ONCE, len(groups.ids))
        orders = groups.orders[begin:end]
        rows = slice(groups.starts[begin], groups.starts[end - 1] + groups.orders[end - 1])
        cells = np.repeat(np.arange(end - begin) * width, orders) + values[rows]
        table = np.bincount(cells, minlength=(end - begin) * width).reshape(-1, width)
        found[begin:end] = table.argmax(axis=1)
    return found
