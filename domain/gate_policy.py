"""The bounds of the validation gate that an operator may tune."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class GatePolicy:
    """When data has changed by so much that somebody should look before anything is sent."""

    drift_index: float = 0.25  # population stability index of a feature; 0.1 is a moderate change, 0.25 a great one
    unknown_points: float = 10  # percentage points by which the share of customers without a value may change
    customers_percent: float = 50  # the number of customers may differ by so much from the usual
    least_customers: int = 500  # of fewer, shares change by chance: nothing is compared
    least_members: int = 100  # a segment that was smaller and still is, is not compared with its own past
    trailing: int = 7  # so many earlier refreshes, or sizes of a segment: their median is the usual
    silent_hours: float = 24  # a channel may be silent so long whatever its rhythm

    @property
    def patience(self) -> timedelta:
        """How long any channel may be silent."""
        return timedelta(hours=self.silent_hours)
