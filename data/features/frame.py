"""Features as a frame: stored columns read back with the types of the contract, derived and live ones beside them."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from data import arrow, database, tables
from data.features import derived, live, scale
from data.features.scale import Scale
from domain import money
from domain.features import BY_NAME, FeatureType, Origin

MISSING = "account {!r} has no customer features yet: `campaigns features refresh` makes them"


class UnknownFeature(LookupError):
    """A column was asked for that the contract does not have."""


class NoFeatures(LookupError):
    """The account's features were never reckoned."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What the account's newest refresh left."""

    id: int
    as_of: datetime
    scale: Scale
    customers: int
    code: str


def newest(connection: sa.Connection, account_id: str) -> Refreshed | None:
    """The account's newest refresh; None when there was none."""
    table = tables.feature_refreshes
    row = connection.execute(
        sa.select(table).where(table.c.account_id == account_id).order_by(table.c.id.desc()).limit(1)
    ).one_or_none()
    if row is None:
        return None
    return Refreshed(row.id, row.as_of, scale.from_json(row.scale), row.customers, row.code)


def watermark(connection: sa.Connection, account_id: str) -> datetime | None:
    """As of when the account's features are; None when they were never refreshed."""
    found = newest(connection, account_id)
    return None if found is None else found.as_of


def read_frame(
    engine: sa.Engine, *, account_id: str, columns: Sequence[str], of: Refreshed | None = None
) -> pd.DataFrame:
    """party_id and exactly these columns of all customers of the account, sorted by party_id.

    `of`: the refresh that the caller looked up before. Raises UnknownFeature, NoFeatures.
    """
    check_names(columns)
    with database.read(engine) as connection:
        refreshed = of or newest(connection, account_id)
    if refreshed is None:
        raise NoFeatures(MISSING.format(account_id))
    frame = read_stored(engine, account_id=account_id, columns=_stored(columns))
    for name in columns:
        if BY_NAME[name].origin is Origin.DERIVED:
            frame[name] = derived.column(name, frame, as_of=refreshed.as_of, whole=refreshed.scale)
    if lively := [name for name in columns if BY_NAME[name].origin is Origin.LIVE]:
        looked_up = live.read(engine, account_id=account_id, now=refreshed.as_of)
        frame = frame.merge(looked_up[["party_id", *lively]], on="party_id", how="left")
    return frame[["party_id", *columns]].astype({name: BY_NAME[name].type.dtype for name in columns})


def check_names(columns: Iterable[str]) -> None:
    """Raise UnknownFeature for a name that is not in the contract."""
    for name in columns:
        if name not in BY_NAME:
            near = difflib.get_close_matches(name, BY_NAME, 1)
            raise UnknownFeature(f"there is no feature {name!r}" + (f": did you mean {near[0]!r}?" if near else ""))


def _stored(columns: Iterable[str]) -> list[str]:
    """The stored columns that these are, or are reckoned from; each once."""
    found: dict[str, None] = {}
    for name in columns:
        if BY_NAME[name].origin is Origin.STORED:
            found[name] = None
        elif name in derived.DERIVED:
            found |= dict.fromkeys(derived.DERIVED[name].needs)
    return list(found)


def read_stored(
    engine: sa.Engine, *, account_id: str, columns: Sequence[str], where: sa.ColumnElement[bool] | None = None
) -> pd.DataFrame:
    """party_id and these stored columns, sorted by party_id, of all the account's customers or of those `where`."""
    table = tables.customer_features
    select = (
        sa.select(table.c.party_id, *(table.c[name] for name in columns))
        .where(table.c.account_id == account_id, *([] if where is None else [where]))
        .order_by(table.c.party_id)
    )
    frame: pd.DataFrame = arrow.read_table(engine, select).to_pandas()
    for name in columns:
        if BY_NAME[name].type is FeatureType.MONEY:
            frame[name] = frame[name] / money.UNIT
    types: dict[str, Any] = {name: BY_NAME[name].type.dtype for name in columns}
    return frame.astype(types)
