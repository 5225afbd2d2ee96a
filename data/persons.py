"""Persons: which parties are one and the same customer, though each channel has a number of its own for him.

One mailbox is one person: a guest and the customer who registered, the web shop's customer and the marketplace's. But
where one numbering itself tells two customers with one mailbox apart (a couple, a till's dummy address), it is believed,
and nobody of that mailbox is joined. So the answer depends on who has which mailbox now, and not on who came first.

Parties are never merged: the one who stands for the person has person_id NULL, the others point to him. He is a
registered customer where there is one; of several the first by numbering and number, whoever came first. A relay's
address is nobody's and never joins (parties keep none).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from data import tables
from data.features import marks

# A mailbox of more parties than this is no person's: a till's dummy has thousands, and reading them for each of its
# orders would never end.
_MOST = 50
_GUEST = "~"
_AT_ONCE = 1000


def who(connection: sa.Connection, party_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The person whom each of these parties is part of now, in their order."""
    party = tables.parties.c
    found = party_ids.copy()
    for start in range(0, len(party_ids), _AT_ONCE):
        part = party_ids[start : start + _AT_ONCE]
        joined = sa.select(party.id, party.person_id).where(party.id.in_(part.tolist()), party.person_id.is_not(None))
        for party_id, person_id in connection.execute(joined):
            found[start : start + _AT_ONCE][part == party_id] = person_id
    return found


def regroup(connection: sa.Connection, account_id: str, mailboxes: Iterable[str], came: Collection[int]) -> None:
    """Bring person_id in line with who has these mailboxes (address hashes) now.

    `came`: the parties that are new there, or anywhere. Needs the account's lock.
    """
    touched = sorted(mailboxes)
    crowded = _crowded(connection, account_id, touched)
    _join(connection, account_id, [one for one in touched if one not in crowded])
    if not crowded:
        return
    # Where it was crowded without them already, nobody is joined but they.
    long_since = _crowded(connection, account_id, sorted(crowded), besides=came)
    party = tables.parties.c
    _part(connection, account_id, party.id.in_(came), party.address_hash.in_(sorted(long_since)))
    if fresh := sorted(crowded - long_since):
        _part(connection, account_id, party.account_id == account_id, party.address_hash.in_(fresh))


def _part(connection: sa.Connection, account_id: str, *whom: sa.ColumnElement[bool]) -> None:
    party = tables.parties.c
    theirs = (*whom, party.person_id.is_not(None))
    joined = connection.execute(sa.select(party.id, party.person_id).where(*theirs)).all()
    marks.mark(connection, account_id, {one for row in joined for one in row})
    connection.execute(sa.update(tables.parties).where(*theirs).values(person_id=None))


def _crowded(
    connection: sa.Connection, account_id: str, mailboxes: Sequence[str], besides: Collection[int] = ()
) -> frozenset[str]:
    """Which of these have more parties than a person can be. Each is counted up to there and no further."""
    if not mailboxes:
        return frozenset()
    wanted = sa.values(sa.column("address_hash", sa.Text), name="wanted").data([(one,) for one in mailboxes]).cte()
    party = tables.parties.c
    one_too_many = (
        sa.select(party.id)
        .where(party.account_id == account_id, party.address_hash == wanted.c.address_hash)
        .where(party.id.not_in(besides) if besides else sa.true())
        .offset(_MOST)
        .limit(1)
        .correlate(wanted)
        .scalar_subquery()
    )
    return frozenset(connection.scalars(sa.select(wanted.c.address_hash).where(one_too_many.is_not(None))))


def _join(connection: sa.Connection, account_id: str, mailboxes: Sequence[str]) -> None:
    party = tables.parties.c
    out_of_date: set[int] = set()
    members = connection.execute(
        sa.select(party.id, party.numbering, party.external_id, party.address_hash, party.person_id)
        .where(party.account_id == account_id, party.address_hash.in_(mailboxes), party.erased_at.is_(None))
        .order_by(party.address_hash)
    ).all()
    changed = []
    for _, group in groupby(members, key=lambda row: row.address_hash):
        for member, person in _persons(list(group)):
            if member.person_id != person:
                changed.append({"party": member.id, "person": person})
                out_of_date.update(one for one in (member.id, member.person_id, person) if one is not None)
    if changed:
        marks.mark(connection, account_id, out_of_date)
        update = sa.update(tables.parties).where(party.id == sa.bindparam("party"))
        connection.execute(update.values(person_id=sa.bindparam("person")), changed)


def _persons(members: Sequence[sa.Row[Any]]) -> list[tuple[sa.Row[Any], int | None]]:
    """Each party of one mailbox with the party who stands for it, None for itself."""
    numberings = Counter(member.numbering for member in members if not member.numbering.startswith(_GUEST))
    if any(count > 1 for count in numberings.values()):
        return [(member, None) for member in members]
    first = min(members, key=lambda one: (one.numbering.startswith(_GUEST), one.numbering, one.external_id))
    return [(member, None if member.id == first.id else first.id) for member in members]
