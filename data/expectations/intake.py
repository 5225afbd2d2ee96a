"""What must hold of a batch of orders of one channel and account, as one aggregate row of shares.

The limits are those of intake.yaml; which rules there are and what they mean, data/intake/rules.py tells.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from data.intake import rules
from data.intake.thresholds import Thresholds

REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Limit:
    """`column` of the row, a share of the orders, may be `most`. `count`: how many orders there were of that kind."""

    column: str
    sentence: str
    most: float
    count: int


def limits(refused: int, fired: Mapping[str, int], thresholds: Thresholds) -> Iterator[Limit]:
    """The limit of refused orders, and those of rules that fired at all: of the others there is nothing to judge."""
    most = thresholds.refuse_share
    yield Limit(REFUSED, f"At most {_percent(most)} of the orders are refused", most, refused)
    for name, share in thresholds.shares().items():
        if count := fired.get(name, 0):
            meaning = rules.MEANINGS.get(name, "orders that cannot be read")
            sentence = f"{name} fires on at most {_percent(share)} of the orders ({meaning})"
            yield Limit(f"rule {name}", sentence, share, count)


def observed(count: int, orders: int) -> str:
    """The figure behind a share."""
    return f"{count:,} of {orders:,} orders, {_percent(count / orders)}"


def _percent(share: float) -> str:
    return f"{round(share * 100, 2):g} %"
