"""Whose mail an event tells of: from ids and address hashes to runs, accounts and customers."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple, TypeVar

import sqlalchemy as sa

from data import mail_counts, tables, transactional_events
from domain import addresses, campaigns
from domain.delivery import DeliveryEvent, EventKind
from domain.ledger import BatchState

_Item = TypeVar("_Item")
# Well below SQLite's limit of 32,766 parameters in a statement.
_AT_ONCE = 1000
# What a mail brought about, though the event does not say which. Leaving by a form, say, is not of them.
_FOLLOWS_A_MESSAGE = frozenset({EventKind.BOUNCED, EventKind.DROPPED, EventKind.DEFERRED, EventKind.COMPLAINED})
# An ESP tries for three days, a server behind a mailbox for five more (RFC 5321 section 4.5.4.1).
_BOUNCES_WITHIN = timedelta(days=8)
_CLOCKS_DIFFER = timedelta(minutes=1)
# Batches of which an ESP may tell something.
MAY_BE_OUT = (BatchState.INFLIGHT, BatchState.UNKNOWN, BatchState.ACCEPTED)


NO_BODY = 0  # what an ESP said at once, in its answer to a request, is in no body


class Element(NamedTuple):
    """Which element of which body an event was."""

    inbox_id: int
    position: int


class Placed(NamedTuple):
    """An event, which element it was, and whose message it tells of, if that is known."""

    element: Element
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


def place(
    connection: sa.Connection,
    numbered: Iterable[tuple[Element, DeliveryEvent]],
    *,
    pepper: str,
    vendors: Mapping[str, str],
) -> list[Placed]:
    """Name the message of each event: by our id, else by the ESP's id and the address, else by address and recency.

    `vendors`: provider → by whose webhook its events come, where that is another name. An event that names a message
    which is not ours is nobody's, whatever its address.
    """
    numbered = list(numbered)
    named = [campaigns.parse_message_id(event.message_id) if event.message_id else None for _, event in numbered]
    ids = {one[0] for one in named if one is not None}
    accounts = accounts_of(connection, ids) | transactional_events.accounts_of(connection, ids)
    hashes = {
        element: own
        for element, event in numbered
        if event.message_id is None and _by_address(event) and (own := address_hash_of(event, pepper)) is not None
    }
    sent = _candidates(connection, [(event, hashes[element]) for element, event in numbered if element in hashes])

    def candidates(element: Element, event: DeliveryEvent) -> Sequence[_Sent]:
        return sent[bool(event.provider_message_id)].get(hashes.get(element, ""), ())

    return [
        Placed(element, event, *message, accounts[message[0]])
        if message is not None and message[0] in accounts
        else _placed(element, event, candidates(element, event), vendors)
        for (element, event), message in zip(numbered, named, strict=True)
    ]


def may_come(event: DeliveryEvent) -> bool:
    """May the message of an event that cannot be placed now be known later?

    The event may have overtaken the result of its request, or the restoring of a database. What names nothing, or a
    message that is not ours, waits for nothing.
    """
    if event.message_id is not None:
        return campaigns.parse_message_id(event.message_id) is not None
    return event.address is not None and _by_address(event)


def _by_address(event: DeliveryEvent) -> bool:
    return event.provider_message_id is not None or event.kind in _FOLLOWS_A_MESSAGE


def _placed(element: Element, event: DeliveryEvent, sent: Sequence["_Sent"], vendors: Mapping[str, str]) -> Placed:
    found = _of_request(event, sent) if event.provider_message_id else _newest(event, sent, vendors)
    if found is not None:
        return Placed(element, event, found.run_id, found.ordinal, found.account_id)
    return Placed(element, event, None, None, None)


def _of_request(event: DeliveryEvent, sent: Sequence["_Sent"]) -> "_Sent | None":
    """The message to this address in the request (SendGrid) or campaign (Mailchimp) that the event names."""
    same = [one for one in sent if one.reference == event.provider_message_id]
    return max(same, key=_claimed_at, default=None)


def _newest(event: DeliveryEvent, sent: Sequence["_Sent"], vendors: Mapping[str, str]) -> "_Sent | None":
    """The last message to this address that went by this vendor before the event.

    Claims are committed before anything is sent, so all that come into question are known by the time of the event.
    While it is not known whether the last of them went out, none is named.
    """
    meant = [
        one
        for one in sent
        if vendors.get(one.provider, one.provider) == event.provider
        and event.occurred_at - _BOUNCES_WITHIN <= one.claimed_at <= event.occurred_at + _CLOCKS_DIFFER
    ]
    last = max(meant, key=_claimed_at, default=None)
    return last if last is not None and last.state == BatchState.ACCEPTED else None


def _claimed_at(one: "_Sent") -> tuple[datetime, str]:
    return one.claimed_at, one.run_id


class _Sent(NamedTuple):
    """A message that went to an address, or may have."""

    address_hash: str
    run_id: str
    ordinal: int
    account_id: str
    provider: str
    reference: str | None
    state: str
    claimed_at: datetime


def _candidates(
    connection: sa.Connection, asked: Sequence[tuple[DeliveryEvent, str]]
) -> dict[bool, dict[str, list[_Sent]]]:
    """What went, or may have gone, to the mailboxes of events, by address hash; True: of events with an ESP's id.

    Such an id names a message however old it is. Without one only the eight days before come into question.
    """
    named = {own for event, own in asked if event.provider_message_id}
    others = [(event.occurred_at, own) for event, own in asked if not event.provider_message_id]
    found = {True: _sent_to(connection, named), False: {}}
    if others:
        since = min(at for at, _ in others) - _BOUNCES_WITHIN
        late_enough = tables.batch_attempts.c.claimed_at >= since
        found[False] = _sent_to(connection, {own for _, own in others}, late_enough)
    return found


def _sent_to(
    connection: sa.Connection, address_hashes: Collection[str], *which: sa.ColumnElement[bool]
) -> dict[str, list[_Sent]]:
    """What went, or may have gone, to these mailboxes, of that which `which` is true of."""
    party, member, batch, attempt = tables.parties.c, tables.audience.c, tables.batches.c, tables.batch_attempts.c
    query = (
        sa.select(
            *(party.address_hash, member.run_id, member.ordinal, party.account_id),
            *(attempt.provider, attempt.provider_reference, batch.state, attempt.claimed_at),
        )
        .select_from(tables.parties)
        .join(tables.audience, (member.party_id == party.id) & (member.address_hash == party.address_hash))
        .join(tables.batches, batch.id == mail_counts.of_batch(tables.batches.c.id))
        .join(tables.batch_attempts, attempt.id == batch.attempt_id)
        # The index begins with the account.
        .where(party.account_id.in_(sa.select(tables.accounts.c.id)), batch.state.in_(MAY_BE_OUT), *which)
    )
    found: dict[str, list[_Sent]] = {}
    for some in chunks(address_hashes):
        for row in connection.execute(query.where(party.address_hash.in_(some))):
            found.setdefault(row.address_hash, []).append(_Sent(*row))
    return found


def address_hash_of(event: DeliveryEvent, pepper: str) -> str | None:
    """Of the event's own address; None where it has none, or one that is none."""
    try:
        return addresses.address_hash(event.address, pepper) if event.address else None
    except addresses.InvalidAddress:
        return None


def accounts_of(connection: sa.Connection, run_ids: Collection[str]) -> dict[str, str]:
    """The account of each run that exists."""
    run = tables.campaign_runs
    query = sa.select(run.c.id, run.c.account_id)
    return {
        run_id: account_id
        for some in chunks(run_ids)
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
        for some in chunks(ordinals)
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
        for some in chunks(address_hashes)
        for row in connection.execute(query.where(party.c.address_hash.in_(some)))
    ]


def chunks(items: Collection[_Item]) -> Iterator[list[_Item]]:
    """The items, so many at once as a statement bears."""
    rest = iter(items)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
