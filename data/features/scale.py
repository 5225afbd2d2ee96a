"""What is true of the shop as a whole: the bounds of the RFM scores and the usual gap between orders.

Kept with each refresh, so that a score can be recomputed later from the stored columns alone. A score is one more than
the number of bounds below the value: equal values have equal scores, however many there are (the widely copied
`qcut(rank(method="first"))` gives a third of one-time buyers another score than the rest).
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.features.grouped import instants
from domain import money

_FIFTHS = (0.2, 0.4, 0.6, 0.8)
# With few gaps a personal mean says less than the shop's median; five gaps weigh as much as it (facts/segments.md
# section 5: shrunk gaps beat personal ones on three of three shops).
_WEIGHT_OF_THE_SHOP = 5
NEEDS = ("last_order_at", "orders", "net_revenue", "mean_days_between_orders")


@dataclass(frozen=True, slots=True)
class Scale:
    """Bounds of the fifths: `recency` of last_order_at in microseconds, `money` of net revenue in ten-thousandths."""

    recency: tuple[int, ...]
    frequency: tuple[int, ...]
    money: tuple[int, ...]
    median_gap_days: float | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def from_json(kept: dict[str, Any]) -> Scale:
    """The scale that a refresh stored."""
    bounds = {name: tuple(kept[name]) for name in ("recency", "frequency", "money")}
    return Scale(**bounds, median_gap_days=kept["median_gap_days"])


def measure(frame: pd.DataFrame) -> Scale:
    """The scale of a shop's customers. `frame` has the columns of NEEDS, money as it is in a frame of features."""
    gaps = frame["mean_days_between_orders"].to_numpy("float64")
    known = gaps[~np.isnan(gaps)]
    return Scale(
        recency=_bounds(instants(frame["last_order_at"])),
        frequency=_bounds(frame["orders"].to_numpy("int64")),
        money=_bounds(units(frame["net_revenue"])),
        median_gap_days=float(np.quantile(known, 0.5, method="inverted_cdf")) if len(known) else None,
    )


def _bounds(values: npt.NDArray[np.int64]) -> tuple[int, ...]:
    """Values at 20, 40, 60 and 80 % of all in order, each one that somebody has."""
    if not len(values):
        return ()
    return tuple(int(one) for one in np.quantile(values, _FIFTHS, method="inverted_cdf"))


def score(values: npt.NDArray[np.int64], bounds: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """1 to 5 for each value."""
    below = np.searchsorted(np.array(bounds, dtype=np.int64), values, side="left")
    scores: npt.NDArray[np.int64] = (below + 1).astype(np.int64)
    return scores


def usual_gap(orders: npt.NDArray[np.int64], mean: npt.NDArray[np.float64], scale: Scale) -> npt.NDArray[np.float64]:
    """Days: the customer's own mean gap, drawn to the shop's median; that alone where there is no gap."""
    if scale.median_gap_days is None:
        return np.full(len(orders), np.nan)
    gaps = orders - 1
    own = np.where(gaps > 0, np.nan_to_num(mean), 0.0)
    return (gaps * own + _WEIGHT_OF_THE_SHOP * scale.median_gap_days) / (gaps + _WEIGHT_OF_THE_SHOP)


def units(column: "pd.Series[Any]") -> npt.NDArray[np.int64]:
    """Money of a frame as the whole ten-thousandths that it came from."""
    return np.asarray(np.rint(column.to_numpy("float64") * money.UNIT), dtype=np.int64)
