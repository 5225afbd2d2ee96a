"""Derived features: reckoned when a frame is read, from stored columns, the instant and the shop's scale.

Nothing of them is stored: each night they change for every customer, also for those who did nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.features import scale
from data.features.grouped import DAY, instants, microseconds
from data.features.scale import Scale
from domain.features import FEATURES, Origin


@dataclass(frozen=True, slots=True)
class _Derived:
    """`needs`: the stored columns that the function reads."""

    needs: tuple[str, ...]
    reckon: Callable[[pd.DataFrame, int, Scale], npt.NDArray[Any]]


def _days_since(name: str) -> _Derived:
    return _Derived((name,), lambda frame, instant, _scale: (instant - instants(frame[name])) // DAY)


def _engaged(frame: pd.DataFrame, instant: int, _scale: Scale) -> npt.NDArray[np.float64]:
    latest = frame[["last_opened_at", "last_clicked_at"]].max(axis=1)
    days = ((instant - instants(latest)) // DAY).astype("float64")
    return np.where(latest.isna(), np.nan, days)


def _usual(frame: pd.DataFrame, _instant: int, whole: Scale) -> npt.NDArray[np.float64]:
    own = frame["mean_days_between_orders"].to_numpy("float64")
    return scale.usual_gap(frame["orders"].to_numpy("int64"), own, whole)


def _overdue(frame: pd.DataFrame, instant: int, whole: Scale) -> npt.NDArray[np.float64]:
    usual = _usual(frame, instant, whole)
    since = (instant - instants(frame["last_order_at"])) // DAY
    # Who orders several times a day has a gap of less than a day, and is not "400 times overdue" the next morning.
    return since / np.maximum(usual, 1.0)


def _recency(frame: pd.DataFrame, _instant: int, whole: Scale) -> npt.NDArray[np.int64]:
    return scale.score(instants(frame["last_order_at"]), whole.recency)


def _frequency(frame: pd.DataFrame, _instant: int, whole: Scale) -> npt.NDArray[np.int64]:
    return scale.score(frame["orders"].to_numpy("int64"), whole.frequency)


def _monetary(frame: pd.DataFrame, _instant: int, whole: Scale) -> npt.NDArray[np.int64]:
    return scale.score(scale.units(frame["net_revenue"]), whole.money)


def _rfm(frame: pd.DataFrame, instant: int, whole: Scale) -> npt.NDArray[np.int64]:
    recency, frequency, monetary = (one(frame, instant, whole) for one in (_recency, _frequency, _monetary))
    return 100 * recency + 10 * frequency + monetary


_RHYTHM = ("orders", "mean_days_between_orders")
DERIVED = {
    "days_since_first_order": _days_since("first_order_at"),
    "days_since_last_order": _days_since("last_order_at"),
    "usual_days_between_orders": _Derived(_RHYTHM, _usual),
    "overdue": _Derived((*_RHYTHM, "last_order_at"), _overdue),
    "days_since_engaged": _Derived(("last_opened_at", "last_clicked_at"), _engaged),
    "r_score": _Derived(("last_order_at",), _recency),
    "f_score": _Derived(("orders",), _frequency),
    "m_score": _Derived(("net_revenue",), _monetary),
    "rfm": _Derived(("last_order_at", "orders", "net_revenue"), _rfm),
}
assert set(DERIVED) == {feature.name for feature in FEATURES if feature.origin is Origin.DERIVED}


def column(name: str, stored: pd.DataFrame, *, as_of: datetime, whole: Scale) -> npt.NDArray[Any]:
    """One derived column. `stored` has what it needs."""
    return DERIVED[name].reckon(stored, microseconds(as_of), whole)
