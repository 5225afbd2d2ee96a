"""The rows of customer_features: written in bulk, in place of those that were there."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from pyarrow import csv

from data import tables
from data.features import scale
from domain.features import STORED, Feature, FeatureType

_AT_ONCE = 100_000
_NAMES = ("party_id", "account_id", *(feature.name for feature in STORED))


def replace(
    connection: sa.Connection, account_id: str, frame: pd.DataFrame, whose: npt.NDArray[np.int64] | None
) -> None:
    """Put `frame` (party_id and the stored columns) in place of the rows of these parties; None: of the whole account."""
    table = tables.customer_features
    mine = table.c.account_id == account_id
    if whose is None:
        connection.execute(table.delete().where(mine))
    else:
        statement = table.delete().where(mine, table.c.party_id == sa.bindparam("whose"))
        for part in _parts(len(whose), 10_000):
            connection.execute(statement, [{"whose": one} for one in whose[part].tolist()])
    for part in _parts(len(frame), _AT_ONCE):
        write = _copy if connection.dialect.name == "postgresql" else _insert
        write(connection, account_id, frame.iloc[part])


def _parts(size: int, most: int) -> Iterator[slice]:
    return (slice(start, start + most) for start in range(0, size, most))


def _columns(frame: pd.DataFrame) -> "list[pa.Array[Any]]":
    """The stored columns as Arrow arrays of what the tables keep: money in ten-thousandths."""
    return [_array(frame[feature.name], feature) for feature in STORED]


def _array(column: "pd.Series[Any]", feature: Feature) -> "pa.Array[Any]":
    if feature.type is FeatureType.MONEY:
        return pa.array(scale.units(column))
    return pa.Array.from_pandas(column)


def _insert(connection: sa.Connection, account_id: str, frame: pd.DataFrame) -> None:
    """SQLite, past SQLAlchemy's conversions: what Instant and Money keep there are the very integers of the arrays."""
    columns = [_plain(array).to_pylist() for array in _columns(frame)]
    places = ", ".join("?" * len(_NAMES))
    rows = zip(frame["party_id"].tolist(), [account_id] * len(frame), *columns, strict=True)
    cursor: Any = connection.connection.cursor()
    try:
        sql = f"INSERT INTO customer_features ({', '.join(_NAMES)}) VALUES ({places})"  # noqa: S608 - our own names
        cursor.executemany(sql, rows)
    finally:
        cursor.close()


def _plain(array: "pa.Array[Any]") -> "pa.Array[Any]":
    return array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array


def _copy(connection: sa.Connection, account_id: str, frame: pd.DataFrame) -> None:
    """PostgreSQL: CSV made of whole columns by Arrow, a tenth of the client's time of COPY row by row."""
    arrays: Sequence[pa.Array[Any]] = [
        pa.array(frame["party_id"].to_numpy("int64")),
        pa.array([account_id] * len(frame)),
        *_columns(frame),
    ]
    text = io.BytesIO()
    csv.write_csv(pa.table(dict(zip(_NAMES, arrays, strict=True))), text, csv.WriteOptions(include_header=False))
    cursor: Any = connection.connection.cursor()
    with cursor, cursor.copy(f"COPY customer_features ({', '.join(_NAMES)}) FROM STDIN (FORMAT csv)") as copy:
        copy.write(text.getvalue())
