"""On how many orders a batch is judged: on its own where it is large enough, else with what came before it."""

from collections.abc import Callable

from data.intake.history import Counts
from data.intake.thresholds import Thresholds
from domain.validation import Validation


def judged(batch: Counts, window: Counts, thresholds: Thresholds) -> Counts | None:
    """What the batch is judged on; None when there are too few orders to say anything.

    A large batch stands alone: a thousand sound orders of this morning are no excuse for it.
    """
    if not batch.orders:
        return None
    if batch.orders < thresholds.of_at_least:
        batch = batch.plus(window)
    return batch if batch.orders >= thresholds.of_at_least else None


def verdict(
    batch: Counts, window: Counts, thresholds: Thresholds, judge: Callable[..., Validation]
) -> Validation | None:
    """Judge the batch by `judge` (data.expectations.gate.check_intake); None when there are too few orders to judge."""
    counts = judged(batch, window, thresholds)
    if counts is None:
        return None
    return judge(orders=counts.orders, refused=counts.refused, fired=counts.fired, thresholds=thresholds)
