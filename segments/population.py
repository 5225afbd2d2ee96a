"""What a segment is asked about: the customers of one account as of one instant. The data room gives one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

PartyIds = npt.NDArray[np.int64]


class Shop(Protocol):
    """The same customers as tables for a select: one account's, of persons, counted orders up to the instant only.

    `customers`: party_id and the stored columns of domain/features.py.
    `orders`: party_id, order_id, channel, external_id, placed_at, total, refunded (both Money in the order's own
    currency), currency, net (Money in the account's currency, total less refunds; NULL where only a dated rate could
    tell it), discounted (true or false), coupons (codes joined by commas, or NULL).
    `lines`: party_id, order_id, channel, placed_at, sku, title, category, brand, quantity, total (Money), currency.
    """

    @property
    def customers(self) -> sa.FromClause:
        """A row a customer."""
        ...

    @property
    def orders(self) -> sa.FromClause:
        """A row an order."""
        ...

    @property
    def lines(self) -> sa.FromClause:
        """A row an order line."""
        ...


class Population(Protocol):
    """Whoever evaluates a segment has one of these."""

    @property
    def as_of(self) -> datetime:
        """The instant of the features."""
        ...

    @property
    def shop(self) -> Shop:
        """For selects."""
        ...

    def frame(self, columns: Sequence[str]) -> pd.DataFrame:
        """party_id and these columns of all customers with a counted order, sorted by party_id, rows numbered from 0.

        Asked twice, it gives the same rows. Raises UnknownFeature.
        """
        ...

    def chosen(self, select: sa.Select[tuple[int]]) -> PartyIds:
        """The party ids that a select of one column gives, sorted, each once; read-only and within a time limit."""
        ...
