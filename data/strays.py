"""Whom an event concerns that names no message of ours: no shop may act on what another shop's customer did.

That a mailbox is not there is true of it, whoever writes to it, and so concerns every account. A complaint and leaving
are between a person and a shop: they concern the accounts that use the ESP which tells of it, and no others.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from data import correlation, mail_counts, tables
from data.correlation import Customer
from domain.address_marks import MarkKind
from domain.suppression import Reason

# What is true of the mailbox.
_OF_THE_MAILBOX = frozenset({Reason.HARD_BOUNCE, Reason.INVALID})


@dataclass(frozen=True, slots=True)
class Origins:
    """What is known of where events come from.

    `vendors`: provider → by whose webhook its events come, where that is another name. `accounts`: by whose webhook they
    come → the accounts whose it is, as far as settings and routes say so. Who sent by it is known here.
    """

    vendors: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stray:
    """What an event without a message says, and of whose address; `provider`: by whose webhook it came."""

    provider: str
    what: Reason | MarkKind
    address_hash: str


def concerned(connection: sa.Connection, strays: Collection[Stray], origins: Origins) -> dict[Stray, list[Customer]]:
    """Everybody whom each of them concerns."""
    at_address = defaultdict(list)
    for customer in correlation.customers_at(connection, {one.address_hash for one in strays}):
        at_address[customer.address_hash].append(customer)
    found = {stray: at_address.get(stray.address_hash, []) for stray in strays}
    private = [stray for stray, customers in found.items() if customers and not _of_the_mailbox(stray)]
    if not private or _only_one_account(connection):
        return found
    users = {provider: _users(connection, provider, origins) for provider in {one.provider for one in private}}
    mailed = _mailed(connection, {one.address_hash for one in private if not users[one.provider]})
    for stray in private:
        theirs = users[stray.provider] or mailed.get(stray.address_hash, frozenset())
        found[stray] = [customer for customer in found[stray] if customer.account_id in theirs]
    return found


def _of_the_mailbox(stray: Stray) -> bool:
    return isinstance(stray.what, MarkKind) or stray.what in _OF_THE_MAILBOX


def _only_one_account(connection: sa.Connection) -> bool:
    return len(connection.execute(sa.select(tables.accounts.c.id).limit(2)).all()) == 1


def _users(connection: sa.Connection, provider: str, origins: Origins) -> frozenset[str]:
    """The accounts that use this ESP: whose it is said to be, and whose mail was handed to it."""
    names = {provider} | {name for name, vendor in origins.vendors.items() if vendor == provider}
    account, run = tables.accounts.c, tables.campaign_runs.c
    batch, attempt = tables.batches.c, tables.batch_attempts.c
    # Ends at the first attempt of each account; a distinct over all attempts would read them all for one complaint.
    sent = (
        sa.exists()
        .where(run.account_id == account.id, batch.run_id == run.id, attempt.batch_id == batch.id)
        .where(attempt.provider.in_(sorted(names)))
        .correlate(tables.accounts)
    )
    return frozenset(connection.scalars(sa.select(account.id).where(sent))) | frozenset(
        origins.accounts.get(provider, ())
    )


def _mailed(connection: sa.Connection, address_hashes: Iterable[str]) -> Mapping[str, Collection[str]]:
    """The accounts whose mail went to each address, or may have.

    So it is told whose customer wrote to the mailbox that returned mail and wishes to unsubscribe come to: all accounts
    share it, and none sends by it.
    """
    party, member = tables.parties.c, tables.audience.c
    query = (
        sa.select(party.address_hash, party.account_id)
        .join_from(
            tables.parties,
            tables.audience,
            (member.party_id == party.id) & (member.address_hash == party.address_hash),
        )
        # The index begins with the account.
        .where(party.account_id.in_(sa.select(tables.accounts.c.id)))
        .where(mail_counts.of_batch(tables.batches.c.state).in_(correlation.MAY_BE_OUT))
        .distinct()
    )
    found: dict[str, set[str]] = defaultdict(set)
    for some in correlation.chunks(list(address_hashes)):
        for address_hash, account_id in connection.execute(query.where(party.address_hash.in_(some))):
            found[address_hash].add(account_id)
    return found
