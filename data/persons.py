"""Persons: which parties are one and the same customer, though each channel has a number of its own for him.

One mailbox is one person: a guest and the customer who registered, the web shop's customer and the marketplace's. But
where one numbering itself tells two customers with one mailbox apart (a couple, a till's dummy address), it is believed,
and nobody of that mailbox is joined. So the answer depends on who has which mailbox now, and not on who came first.

Parties are never merged: the one who stands for the person has person_id NULL, the others point to him. He is the
registered customer who came first, or the first guest. A relay's address is nobody's and never joins (adapters keep none).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from data import tables

# A mailbox of more parties than this is no person's: a till's dummy has thousands, and reading them for each of its
# orders would never end.
_MOST = 50
_GUEST = "~"


def regroup(connection: sa.Connection, account_id: str, mailboxes: Iterable[str | None]) -> None:
    """Bring person_id of all parties with one of these address hashes in line with who has the mailbox now."""
    hashes = sorted(mailbox for mailbox in mailboxes if mailbox is not None)
    if not hashes:
        return
    party = tables.parties.c
    here = (party.account_id == account_id) & party.address_hash.in_(hashes)
    sizes = sa.select(party.address_hash).where(here).group_by(party.address_hash)
    shared = sizes.having(sa.func.count().between(2, _MOST))
    members = connection.execute(
        sa.select(party.id, party.numbering, party.address_hash, party.person_id)
        .where(party.account_id == account_id, party.address_hash.in_(shared), party.erased_at.is_(None))
        .order_by(party.address_hash, party.id)
    ).all()
    wanted = {
        member.id: person
        for _, group in groupby(members, key=lambda row: row.address_hash)
        for member, person in _persons(list(group))
    }
    alone = sizes.having(~sa.func.count().between(2, _MOST))
    connection.execute(
        sa.update(tables.parties)
        .where(party.account_id == account_id, party.address_hash.in_(alone), party.person_id.is_not(None))
        .values(person_id=None)
    )
    held = {member.id: member.person_id for member in members}
    changed = [{"party": one, "person": person} for one, person in wanted.items() if held[one] != person]
    if changed:
        update = sa.update(tables.parties).where(party.id == sa.bindparam("party"))
        connection.execute(update.values(person_id=sa.bindparam("person")), changed)


def _persons(members: Sequence[sa.Row[Any]]) -> list[tuple[sa.Row[Any], int | None]]:
    """Each party of one mailbox with the party who stands for it, None for itself."""
    numberings = Counter(member.numbering for member in members if not member.numbering.startswith(_GUEST))
    if any(count > 1 for count in numberings.values()):
        return [(member, None) for member in members]
    first = min(members, key=lambda member: (member.numbering.startswith(_GUEST), member.id))
    return [(member, None if member.id == first.id else first.id) for member in members]
