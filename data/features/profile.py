"""What the features of a shop look like as a whole, small enough to keep with each refresh, and how far two differ.

The measure is the population stability index (PSI) of credit scoring: the sum over bins of (after - before) *
ln(after / before), where the bins are the deciles of before. Its rule of thumb: below 0.1 little changed, to 0.25 a
moderate amount, above much. Of n and m customers who did not change at all, chance makes about (1/n + 1/m) times a
chi-square of bins - 1 degrees of freedom, on average 0.04 of 500 each: hence a least number of customers. Both by
Yurdakul and Naranjo, Statistical properties of the population stability index (Journal of Risk Model Validation, 2020).
"""

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from domain.features import MAIL_WINDOWS, STORED, FeatureType

_TOP = 20
_TENTHS = np.arange(11)
_FLOOR = 1e-4  # the usual stand-in for an empty bin, of which there is no logarithm
_NUMERIC = {FeatureType.COUNT, FeatureType.NUMBER, FeatureType.MONEY}
# Made by our own campaigns: one to everybody changes them for everybody.
_OURS = {*(f"mails_{days}d" for days in MAIL_WINDOWS), "last_opened_at", "last_clicked_at"}
Profile = Mapping[str, Any]


class Kind(StrEnum):
    """What of a column, or of the whole, changed."""

    DISTRIBUTION = "distribution"  # amount: the population stability index
    UNKNOWN = "unknown"  # amount: by how much the share of customers without a value differs
    CUSTOMERS = "customers"  # amount: by how much their number differs, as a share of what it was


@dataclass(frozen=True, slots=True)
class Change:
    """How far one thing is from what it was. `column` is empty for the number of customers.

    `before`, `after`: share unknown, or number of customers; of a distribution the median, or share of its commonest
    value. `known`: of how many customers the smaller side was reckoned; for their number, the number before.
    """

    column: str
    kind: Kind
    amount: float
    before: float
    after: float
    known: int
    middle: str = ""  # what `before` and `after` of a distribution are


def profile(frame: pd.DataFrame) -> dict[str, Any]:
    """Null rate and deciles, or the commonest values with their shares, of each stored column that the frame has.

    Plain JSON without a customer in it, a few kilobytes whatever the number of customers. `unknown` is a share of all
    customers; `deciles` are eleven values that occur, `below` and `at_most` the exact shares of the known values below
    and at most each; `top` are shares of the known values. `frame` may
    be a sample: whoever keeps the profile then says the number of customers in the place of `customers`.
    """
    present = (feature for feature in STORED if feature.name in frame.columns)
    return {
        "customers": len(frame),
        "profiled": len(frame),
        "columns": {feature.name: _column(frame[feature.name], feature.type) for feature in present},
    }


def _column(values: "pd.Series[Any]", kind: FeatureType) -> dict[str, Any]:
    if kind in _NUMERIC:
        return _numbers(values.to_numpy(dtype="float64", na_value=np.nan))
    unknown = float(values.isna().mean()) if len(values) else 0.0
    if kind is not FeatureType.TEXT:  # instants move on by themselves: their ages are in the windows' counts
        return {"unknown": unknown}
    shares = values.value_counts(normalize=True)
    # Of equal shares the first by alphabet: the same customers give the same profile.
    ranked = sorted(zip(shares.index.tolist(), shares.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
    return {"unknown": unknown, "values": len(ranked), "top": {str(name): share for name, share in ranked[:_TOP]}}


def _numbers(values: npt.NDArray[np.float64]) -> dict[str, Any]:
    known = np.sort(values[np.isfinite(values)])
    unknown = 1 - len(known) / len(values) if len(values) else 0.0
    if not len(known):
        return {"unknown": unknown, "deciles": [], "below": [], "at_most": []}
    places = np.maximum(-(-_TENTHS * len(known) // 10) - 1, 0)
    deciles = known[places]
    return {
        "unknown": unknown,
        "deciles": deciles.tolist(),
        "below": (np.searchsorted(known, deciles, "left") / len(known)).tolist(),
        "at_most": (np.searchsorted(known, deciles, "right") / len(known)).tolist(),
    }


def drift(before: Profile, after: Profile) -> list[Change]:
    """Every change between two profiles, great and small, of the columns that both have; judging is the gate's.

    Left out is what our own campaigns make: how many mails, opened and clicked when.
    """
    was, now = before["customers"], after["customers"]
    profiled = (before["profiled"], after["profiled"])
    changes = [Change("", Kind.CUSTOMERS, abs(now - was) / was if was else 0.0, was, now, was)]
    for column, old in before["columns"].items():
        new = after["columns"].get(column)
        if new is not None and column not in _OURS:
            changes += _of_column(column, old, new, profiled)
    return changes


def _of_column(column: str, old: Profile, new: Profile, profiled: tuple[int, int]) -> Iterator[Change]:
    yield Change(
        column, Kind.UNKNOWN, abs(new["unknown"] - old["unknown"]), old["unknown"], new["unknown"], min(profiled)
    )
    known = min(round(number * (1 - one["unknown"])) for number, one in zip(profiled, (old, new), strict=True))
    if not known:
        return
    if old.get("deciles") and new.get("deciles"):
        middle = len(_TENTHS) // 2
        amount = _index(_binned(old, old), _binned(new, old))
        yield Change(column, Kind.DISTRIBUTION, amount, old["deciles"][middle], new["deciles"][middle], known, "median")
    elif old.get("top") and new.get("top"):
        names = sorted({*old["top"], *new["top"]})
        parts = [[_share(one, other, name) for name in names] for one, other in ((old, new), (new, old))]
        commonest = max(old["top"], key=lambda name: (old["top"][name], name))
        was, now = (part[names.index(commonest)] for part in parts)
        amount = _index(*([*part, max(0.0, 1 - sum(part))] for part in parts))
        yield Change(column, Kind.DISTRIBUTION, amount, was, now, known, f"the share of {commonest} is")


def _binned(one: Profile, bins: Profile) -> list[float]:
    """The shares of one profile between the inner deciles of another: of values that are equal, one bin."""
    edges = sorted(set(bins["deciles"][1:-1]))
    reached = [0.0, *(_at_most(one, edge) for edge in edges), 1.0]
    return [upper - lower for lower, upper in itertools.pairwise(reached)]


def _at_most(one: Profile, value: float) -> float:
    """The share of values at most this one: exact at a decile, else on the straight line between two."""
    deciles, at_most = one["deciles"], one["at_most"]
    place = bisect_right(deciles, value)
    if not place:
        return 0.0
    lower, share = deciles[place - 1], float(at_most[place - 1])
    if place == len(deciles) or lower == value:
        return share
    along = (value - lower) / (deciles[place] - lower)
    return share + float(along * (one["below"][place] - share))


def _share(one: Profile, other: Profile, name: str) -> float:
    """The share of a value. One that is not among the commonest has at most the share of the last of these."""
    top = one["top"]
    if name in top:
        return float(top[name])
    return 0.0 if one["values"] <= len(top) else float(min(*top.values(), other["top"][name]))


def _index(before: Sequence[float], after: Sequence[float]) -> float:
    pairs = ((max(was, _FLOOR), max(now, _FLOOR)) for was, now in zip(before, after, strict=True))
    return sum((now - was) * math.log(now / was) for was, now in pairs)


def against(trailing: Sequence[Profile], newest: Profile) -> list[Change]:
    """The newest profile against the usual: of each change the median over the trailing profiles.

    One odd refresh among them makes no alarm, neither when it comes in nor when it is past. Nothing of no profiles.
    """
    found: dict[tuple[str, Kind], list[Change]] = {}
    for before in trailing:
        for change in drift(before, newest):
            found.setdefault((change.column, change.kind), []).append(change)
    return [_middle(changes) for changes in found.values()]


def _middle(changes: Sequence[Change]) -> Change:
    """The change of the median amount; of an even number of them the smaller one."""
    ordered = sorted(changes, key=lambda one: one.amount)
    return replace(ordered[(len(ordered) - 1) // 2], known=min(one.known for one in changes))
