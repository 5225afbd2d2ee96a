"""A full refresh: read all orders of an account, compute, and put the result in place of what was there."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from data import accounts, arrow, bulk, database, tables
from data.features import compute, counting
from domain import money
from domain.features import FEATURES, Feature, FeatureType


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """How many customers got a row, over how many counted orders, as of when."""

    customers: int
    orders: int
    as_of: datetime


def refresh(engine: sa.Engine, *, account_id: str, as_of: datetime, now: datetime) -> RefreshReport:
    """Compute the account's features as of an instant and replace its rows in one transaction.

    The same orders give the same rows, however often it runs. A reader sees the old rows or the new ones, never a mix.
    """
    frame = compute.features(*read(engine, account_id), as_of=as_of)
    report = RefreshReport(customers=len(frame), orders=int(frame["orders"].sum()), as_of=as_of)
    with database.write(engine) as connection:
        _replace(connection, account_id, frame)
        connection.execute(
            tables.feature_refreshes.insert().values(
                account_id=account_id,
                as_of=as_of,
                customers=report.customers,
                orders=report.orders,
                finished_at=now,
            )
        )
    return report


def read(engine: sa.Engine, account_id: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Orders, lines and customers of an account, as compute.features takes them: of persons, not of parties."""
    order, line, party = tables.orders.c, tables.order_lines.c, tables.parties.c
    with database.read(engine) as connection:
        currency = accounts.get(connection, account_id).currency
    orders = sa.select(
        order.id.label("order_id"),
        order.party_id,
        counting.reckoned("total", currency).label("total"),
        counting.reckoned("refunded", currency).label("refunded"),
        order.placed_at,
        counting.is_void().label("cancelled"),
        counting.is_no_sale().label("is_test"),
        counting.is_credit().label("is_credit"),
    ).where(order.account_id == account_id)
    lines = (
        sa.select(line.order_id, line.category, line.quantity)
        .join_from(tables.order_lines, tables.orders, order.id == line.order_id)
        .where(order.account_id == account_id, line.category.is_not(None))
    )
    customers = sa.select(party.id.label("party_id"), party.country).where(
        party.account_id == account_id, party.country.is_not(None), party.person_id.is_(None)
    )
    # Few beside all others. Where he who stands for the person tells no country, another of his numbers may.
    others = (
        sa.select(party.person_id.label("party_id"), party.country)
        .where(party.account_id == account_id, party.country.is_not(None), party.person_id.is_not(None))
        .order_by(party.numbering, party.external_id)
    )
    joined = sa.select(party.id, party.person_id).where(party.account_id == account_id, party.person_id.is_not(None))
    bought = arrow.read_table(engine, orders).to_pandas()
    bought["party_id"] = _persons(
        bought["party_id"].to_numpy("int64"), arrow.read_table(engine, joined.order_by(party.id))
    )
    return (
        bought,
        arrow.read_table(engine, lines).to_pandas(),
        _first_told(arrow.read_table(engine, customers), arrow.read_table(engine, others)),
    )


def _first_told(customers: pa.Table, others: pa.Table) -> pd.DataFrame:
    known = customers.to_pandas()
    if not others.num_rows:
        return known
    return pd.concat([known, others.to_pandas()], ignore_index=True).drop_duplicates("party_id")


def _persons(party_ids: npt.NDArray[np.int64], joined: pa.Table) -> npt.NDArray[np.int64]:
    """Each party's person. `joined`: id and person_id of those who are somebody else, by id; few beside all others."""
    ids, persons = (joined[name].to_numpy() for name in ("id", "person_id"))
    if not len(ids):
        return party_ids
    place = np.searchsorted(ids, party_ids).clip(max=len(ids) - 1)
    return np.where(ids[place] == party_ids, persons[place], party_ids)


def _replace(connection: sa.Connection, account_id: str, frame: pd.DataFrame) -> None:
    table = tables.customer_features
    connection.execute(table.delete().where(table.c.account_id == account_id))
    names = ["party_id", "account_id", *(feature.name for feature in FEATURES)]
    bulk.insert_rows(connection, table, names, _rows(frame, account_id))


def _rows(frame: pd.DataFrame, account_id: str) -> Iterator[tuple[Any, ...]]:
    columns = [_values(frame[feature.name], feature) for feature in FEATURES]
    return (
        (party_id, account_id, *values) for party_id, *values in zip(frame["party_id"].tolist(), *columns, strict=True)
    )


def _values(column: pd.Series, feature: Feature) -> list[Any]:
    """A column as the values that the tables take: Decimal, aware datetime, None for what is not known."""
    if feature.type is FeatureType.MONEY:
        return [money.from_units(units) for units in np.rint(column.to_numpy() * money.UNIT).astype("int64").tolist()]
    if feature.type is FeatureType.INSTANT:
        return list(column.dt.to_pydatetime())
    if feature.nullable:
        return column.astype(object).where(column.notna(), None).tolist()
    return column.tolist()
