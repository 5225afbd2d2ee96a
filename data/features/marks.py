"""Marks: whose features are out of date, noted in the transaction that changes what they are made of.

Only whoever holds the account's lock (data.accounts.lock) marks, so the marks of an account are committed in the order
of their ids: what was seen up to an id is all that there is up to it.
"""

from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from data import bulk, tables


def mark(connection: sa.Connection, account_id: str, party_ids: Iterable[int]) -> None:
    """Note these parties. Needs the account's lock."""
    bulk.insert_rows(
        connection,
        tables.feature_marks,
        ("account_id", "party_id"),
        [(account_id, one) for one in sorted(set(party_ids))],
    )


def with_persons(connection: sa.Connection, party_ids: Collection[int]) -> set[int]:
    """These parties, those who stand for them now, and those for whom they stand."""
    if not party_ids:
        return set()
    party = tables.parties.c
    near = sa.select(party.id, party.person_id).where(
        party.id.in_(party_ids) | party.person_id.in_(party_ids), party.person_id.is_not(None)
    )
    return {*party_ids, *(one for row in connection.execute(near) for one in row)}


def last(connection: sa.Connection, account_id: str) -> int:
    """The id of the account's newest mark, 0 where there is none."""
    mark_ = tables.feature_marks.c
    return connection.scalar(sa.select(sa.func.max(mark_.id)).where(mark_.account_id == account_id)) or 0


def marked(connection: sa.Connection, account_id: str, until: int) -> npt.NDArray[np.int64]:
    """The parties marked up to this id, and those who stand for them now: sorted, each once."""
    mark_, party = tables.feature_marks, tables.parties
    query = (
        sa.select(mark_.c.party_id, party.c.person_id)
        .join_from(mark_, party, party.c.id == mark_.c.party_id)
        .where(mark_.c.account_id == account_id, mark_.c.id <= until)
    )
    found = {one for row in connection.execute(query) for one in row if one is not None}
    return np.array(sorted(found), dtype=np.int64)


def take(connection: sa.Connection, account_id: str, until: int) -> None:
    """Remove the marks up to this id: they are worked in."""
    mark_ = tables.feature_marks
    connection.execute(mark_.delete().where(mark_.c.account_id == account_id, mark_.c.id <= until))
