"""Features as a frame: the stored columns read back with the types of the contract."""

import difflib
from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from data import arrow, tables
from domain import money
from domain.features import BY_NAME, FeatureType


class UnknownFeature(LookupError):
    """A column was asked for that the contract does not have."""


def read_frame(engine: sa.Engine, *, account_id: str, columns: Sequence[str]) -> pd.DataFrame:
    """party_id and exactly these columns of all customers of the account, sorted by party_id.

    Raises UnknownFeature.
    """
    for name in columns:
        if name not in BY_NAME:
            near = difflib.get_close_matches(name, BY_NAME, 1)
            raise UnknownFeature(f"there is no feature {name!r}" + (f": did you mean {near[0]!r}?" if near else ""))
    table = tables.customer_features
    select = (
        sa.select(table.c.party_id, *(table.c[name] for name in columns))
        .where(table.c.account_id == account_id)
        .order_by(table.c.party_id)
    )
    frame = arrow.read_table(engine, select).to_pandas()
    for name in columns:
        if BY_NAME[name].type is FeatureType.MONEY:
            frame[name] = frame[name] / money.UNIT
    return frame.astype({name: BY_NAME[name].type.dtype for name in columns})


def watermark(connection: sa.Connection, account_id: str) -> datetime | None:
    """As of when the account's features are; None when they were never refreshed."""
    table = tables.feature_refreshes
    newest = sa.select(table.c.as_of).where(table.c.account_id == account_id).order_by(table.c.id.desc()).limit(1)
    return connection.execute(newest).scalar_one_or_none()
