"""Reading what features are reckoned from, of persons, not of parties: of all of an account, or of some by index."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from data import accounts, arrow, database, tables
from data.features import conversion, counting, engagement
from data.features.facts import Facts
from data.features.grouped import Integers

# Ids in one statement: each read on PostgreSQL opens a connection, and a statement of a million ids is no statement.
_AT_ONCE = 4000
_LETTERS = (2, 3)  # of a language's code
_order, _line, _party = tables.orders.c, tables.order_lines.c, tables.parties.c
_Chunks = Sequence[Sequence[int]]


def read(engine: sa.Engine, account_id: str, *, as_of: datetime, persons: Collection[int] | None = None) -> Facts:
    """Orders, lines, customers and mails of these persons, or of everybody of the account.

    `persons`: ids of parties; of such as stand for nobody but belong to another person, and of other accounts, nothing
    is read. A person's rows are the same either way. Raises UnknownAccount.
    """
    with database.read(engine) as connection:
        currency = accounts.get(connection, account_id).currency
    parties = _parties(engine, account_id, persons)
    chunks = None if persons is None else _chunks(_ids(parties))
    joined = parties.filter(pc.is_valid(parties["person_id"])).sort_by("id")
    person_of = partial(_person_of, *(joined[name].to_numpy() for name in ("id", "person_id")))
    which = counting.of_account(engine, account_id) if persons is None else sa.true()
    orders = _orders(engine, which, chunks, currency, person_of)
    told = conversion.reckon(engine, orders, currency=currency)
    return Facts(
        orders=orders.drop(columns="foreign"),
        lines=_lines(engine, which, chunks),
        customers=_customers(parties),
        engagement=engagement.read(engine, account_id, chunks, as_of=as_of, person_of=person_of),
        conversion=told,
    )


def _chunks(ids: Sequence[int]) -> _Chunks:
    return [ids[begin : begin + _AT_ONCE] for begin in range(0, max(len(ids), 1), _AT_ONCE)]


def _ids(parties: pa.Table) -> list[int]:
    return [int(one) for one in parties["id"].to_numpy()]


def _read(engine: sa.Engine, select: sa.Select[Any], column: sa.ColumnElement[Any], chunks: _Chunks) -> pa.Table:
    return pa.concat_tables([arrow.read_table(engine, select.where(column.in_(chunk))) for chunk in chunks])


def _parties(engine: sa.Engine, account_id: str, persons: Collection[int] | None) -> pa.Table:
    """id, person_id, account_id, country, locale, numbering, external_id of all parties that are these persons.

    Of everybody only of those who tell something or are somebody else: the others need no row.
    """
    select = sa.select(
        _party.id,
        _party.person_id,
        _party.account_id,
        _party.country,
        _party.locale,
        _party.numbering,
        _party.external_id,
    )
    if persons is None:
        tells = _party.country.is_not(None) | _party.locale.is_not(None) | _party.person_id.is_not(None)
        return arrow.read_table(engine, select.where(_party.account_id == account_id, tells))
    asked = _chunks(sorted(set(persons)))
    # By their ids alone: told the account too, SQLite reads all of the account's parties.
    own = _read(engine, select.where(_party.person_id.is_(None)), _party.id, asked)
    own = own.filter(pc.equal(own["account_id"], pa.scalar(account_id)))
    return pa.concat_tables([own, _read(engine, select, _party.person_id, _chunks(_ids(own)))])


def _person_of(ids: Integers, persons: Integers, party_ids: Integers) -> Integers:
    """Each party's person. `ids`: those who are somebody else, sorted; few beside all others."""
    if not len(ids):
        return party_ids
    place = np.searchsorted(ids, party_ids).clip(max=len(ids) - 1)
    return np.where(ids[place] == party_ids, persons[place], party_ids)


def _orders(
    engine: sa.Engine,
    which: sa.ColumnElement[bool],
    chunks: _Chunks | None,
    currency: str,
    person_of: Callable[[Integers], Integers],
) -> pd.DataFrame:
    select = sa.select(
        _order.id.label("order_id"),
        _order.party_id,
        counting.reckoned("total", currency).label("total"),
        counting.reckoned("refunded", currency).label("refunded"),
        _order.placed_at,
        counting.is_cancelled().label("cancelled"),
        counting.is_no_sale().label("is_test"),
        counting.is_credit().label("is_credit"),
        counting.is_discounted().label("discounted"),
        counting.has_coupon().label("coupon"),
        _order.channel,
        sa.case((counting.is_foreign(currency), _order.currency)).label("foreign"),
    ).where(_order.deleted_at.is_(None))
    if chunks is None:
        table = arrow.read_table(engine, select.where(which))
    else:
        table = _read(engine, select, _order.party_id, chunks)
    frame = _frame(table, ("channel", "foreign"))
    frame["party_id"] = person_of(frame["party_id"].to_numpy("int64"))
    return frame


def _lines(engine: sa.Engine, which: sa.ColumnElement[bool], chunks: _Chunks | None) -> pd.DataFrame:
    select = (
        sa.select(_line.order_id, _line.category, _line.brand, _line.quantity)
        .join_from(tables.order_lines, tables.orders, _order.id == _line.order_id)
        .where(_line.category.is_not(None) | _line.brand.is_not(None))
    )
    if chunks is None:
        table = arrow.read_table(engine, select.where(which))
    else:
        table = _read(engine, select, _order.party_id, chunks)
    return _frame(table, ("category", "brand"))


def _frame(table: pa.Table, few: Sequence[str]) -> pd.DataFrame:
    """As pandas, each of the texts of which there are `few` kept once."""
    for name in few:
        column = table[name].dictionary_encode().unify_dictionaries()
        table = table.set_column(table.column_names.index(name), name, column)
    return table.to_pandas()


def _customers(parties: pa.Table) -> pd.DataFrame:
    """Country and language of each person. Where he who stands for the person does not tell, another of his may.

    Of those the first by numbering and number, each by code point, as Python and Arrow sort and a database may not.
    """
    frame = parties.select(["id", "person_id", "numbering", "external_id", "country", "locale"]).to_pandas()
    frame["language"] = _languages(frame.pop("locale"))
    own = frame[frame["person_id"].isna()].rename(columns={"id": "party_id"})
    others = frame[frame["person_id"].notna()].drop(columns="id").rename(columns={"person_id": "party_id"})
    names = ["country", "language"]
    if len(others):
        first = others.sort_values(["numbering", "external_id"], kind="stable").groupby("party_id")[names].first()
        own = own.set_index("party_id")[names]
        told = own.reindex(own.index.union(first.index.astype("int64")))
        own = told.fillna(first).reset_index()
    own = own.dropna(subset=names, how="all")
    return own[["party_id", *names]].astype({"party_id": "int64", "country": "str", "language": "str"})


def _languages(locales: "pd.Series[Any]") -> "pd.Series[Any]":
    """The language of each locale: de of de-DE and of de_AT.UTF-8."""
    column = locales.astype("category").cat
    known = np.array([*(_language(str(locale)) for locale in column.categories), None], dtype=object)
    return pd.Series(known[column.codes], index=locales.index, dtype="str")  # -1, no locale, is the last


def _language(locale: str) -> str | None:
    code = locale.strip().replace("_", "-").partition("-")[0].lower()
    return code if len(code) in _LETTERS and code.isascii() and code.isalpha() else None
