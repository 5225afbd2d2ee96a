"""Whose mail an event tells of: from ids and address hashes to runs, accounts and customers."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypeVar

import sqlalchemy as sa

from data import tables
from domain import campaigns
from domain.delivery import DeliveryEvent

_Item = TypeVar("_Item")
# Well below SQLite's limit of 32,766 parameters in a statement.
_AT_ONCE = 1000


class Placed(NamedTuple):
    """An event, which element of its body it was, and whose message it tells of, if that is known."""

    position: int
    event: DeliveryEvent
    run_id: str | None
    ordinal: int | None
    account_id: str | None


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as far as an event concerns him."""

    account_id: str
    party_id: int
    address_hash: str | None


@dataclass(frozen=True, slots=True)
class Recipient(Customer):
    """The customer to whom a message went, by the hash that was mailed: his address may have changed since."""

    mailed_hash: str | None
    erased: bool


def place(connection: sa.Connection, numbered: Iterable[tuple[int, DeliveryEvent]]) -> list[Placed]:
    """Name the message of each event by the id that the ESP gave back; none where the id or its run is not ours."""
    parsed = [
        (position, event, campaigns.parse_message_id(event.message_id) if event.message_id else None)
        for position, event in numbered
    ]
    accounts = accounts_of(connection, {named[0] for _, _, named in parsed if named is not None})
    return [
        Placed(position, event, *named, accounts[named[0]])
        if named is not None and named[0] in accounts
        else Placed(position, event, None, None, None)
        for position, event, named in parsed
    ]


def accounts_of(connection: sa.Connection, run_ids: Collection[str]) -> dict[str, str]:
    """The account of each run that exists."""
    run = tables.campaign_runs
    query = sa.select(run.c.id, run.c.account_id)
    return {
        run_id: account_id
        for some in _chunks(run_ids)
        for run_id, account_id in connection.execute(query.where(run.c.id.in_(some)))
    }


def recipients_of(connection: sa.Connection, run_id: str, ordinals: Collection[int]) -> dict[int, Recipient]:
    """Whom these messages of a run went to."""
    member, party = tables.audience, tables.parties
    erased = party.c.erased_at.is_not(None)
    query = (
        sa.select(member.c.ordinal, party.c.account_id, party.c.id, party.c.address_hash, member.c.address_hash, erased)
        .join_from(member, party, party.c.id == member.c.party_id)
        .where(member.c.run_id == run_id)
    )
    return {
        ordinal: Recipient(*rest)
        for some in _chunks(ordinals)
        for ordinal, *rest in connection.execute(query.where(member.c.ordinal.in_(some)))
    }


def customers_at(connection: sa.Connection, address_hashes: Collection[str]) -> list[Customer]:
    """Everybody, in every account, who has one of these addresses."""
    party = tables.parties
    query = sa.select(party.c.account_id, party.c.id, party.c.address_hash).where(
        # The index begins with the account.
        party.c.account_id.in_(sa.select(tables.accounts.c.id))
    )
    return [
        Customer(*row)
        for some in _chunks(address_hashes)
        for row in connection.execute(query.where(party.c.address_hash.in_(some)))
    ]


def _chunks(items: Collection[_Item]) -> Iterator[list[_Item]]:
    rest = iter(items)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
