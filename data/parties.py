"""Parties: the people who order, one row a customer number; and what their orders say of their consent.

A guest has no number: he is known by his address in any case of letters (as a keyed hash), and without an address by
his one order. Numbers of two channels never mean the same customer by themselves: `persons` finds by the mailbox that
a guest, a web shop's customer and a till's are one person.

What is known of a party does not depend on the order in which its orders arrive: of each group of details the newest
word holds, and of two words at one time the larger.
"""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from data import addresses_of, bulk, database, mail_domains, persons, suppressions, tables
from data.features import marks
from data.suppressions import NewSuppression
from domain import addresses
from domain.consent import SEEN, Consent, ConsentStatus
from domain.mailbox_groups import OTHER
from domain.orders import Customer, Order
from domain.suppression import Reason

GUESTS = "~guest"  # no connection's numbering begins so
_ADDRESS = ("email", "address_hash", "mailbox_provider", "address_placed_at", "address_at")
_DETAILS = ("first_name", "last_name", "country", "locale", "relay", "placed_at", "updated_at")
_STATE = (*_ADDRESS, *_DETAILS)
_COLUMNS = ("account_id", "numbering", "external_id", "created_at", *_STATE)
_OF_CONSENT = ("party_id", "occurred_at", "source", "status", "wording", "level", "basis")
_NEVER = datetime.min.replace(tzinfo=UTC)


class Key(NamedTuple):
    """Which party: whose numbers, and the number among them."""

    numbering: str
    external_id: str


class Told(NamedTuple):
    """What one order says of its customer, and when.

    The order placed last decides: its address is what the customer gave last, however late an old order changes.
    """

    customer: Customer
    placed_at: datetime
    updated_at: datetime


def key(order: Order, channel: str, numbering: str, pepper: str) -> Key:
    """The party who placed the order."""
    customer = order.customer
    if customer.external_id:
        return Key(numbering, customer.external_id)
    if spelling := (mailbox(customer) or "").strip().casefold():
        return Key(GUESTS, f"guest:{hmac.digest(pepper.encode(), spelling.encode(), hashlib.sha256).hex()}")
    return Key(GUESTS, f"guest-order:{channel}:{order.external_id}")


def mailbox(customer: Customer) -> str | None:
    """The address by which the customer can be known and written to: none where a marketplace stands between."""
    email = customer.email
    return None if customer.relay or not email or addresses.is_relay(email) else email


def take_in(
    connection: sa.Connection, account_id: str, told: Mapping[Key, Sequence[Told]], *, pepper: str, now: datetime
) -> dict[Key, int]:
    """Add or update those who ordered; return their ids.

    Only newer orders change names and country, and nothing fills the row of a person who was erased. An order without
    an address that can be mailed leaves a known one: a till that asks for none, or a typing error, is no word of the
    customer's.
    """
    known = _rows(connection, account_id, told)
    groups = _groups(connection, told)
    added = [
        (account_id, *key, now, *_joined(None, told[key], pepper, groups).values())
        for key in sorted(told.keys() - known)
    ]
    changed = [
        {"party_id": row.id} | state
        for key, row in known.items()
        if row.erased_at is None and (state := _joined(row, told[key], pepper, groups)) != _held(row)
    ]
    bulk.insert_rows(connection, tables.parties, _COLUMNS, added)
    if changed:
        table = tables.parties
        connection.execute(sa.update(table).where(table.c.id == sa.bindparam("party_id")), changed)
        # Country and language may be other ones now: of the person too that the party is one of.
        marks.mark(connection, account_id, marks.with_persons(connection, [state["party_id"] for state in changed]))
    new = _rows(connection, account_id, [Key(row[1], row[2]) for row in added])
    moved = _moved(known, changed)
    mailboxes = {row.address_hash for row in new.values()}.union(*moved.values()) - {None}
    persons.regroup(connection, account_id, mailboxes, [*(row.id for row in new.values()), *moved])
    found = {key: row.id for key, row in (*known.items(), *new.items())}
    _erase(connection, account_id, {found[key] for key in told if any(one.customer.redacted for one in told[key])}, now)
    return found


def _erase(connection: sa.Connection, account_id: str, ids: Collection[int], now: datetime) -> None:
    """The channel erased these customers: nothing that tells who they were is left, and nothing fills them again."""
    party = tables.parties.c
    theirs = (party.id.in_(ids), party.erased_at.is_(None))
    if not ids:
        return
    mailboxes = set(connection.scalars(sa.select(party.address_hash).where(*theirs))) - {None}
    # All of it, also what is no secret: else it would depend on which order came first what is left.
    blank = dict.fromkeys((*_STATE, "person_id")) | {"relay": False, "updated_at": now, "erased_at": now}
    marks.mark(connection, account_id, marks.with_persons(connection, ids))
    # The block outlives the person, by the keyed hash alone: whoever asks for mail to her is told so.
    suppressions.add_many(connection, [_erased(account_id, mailbox, now) for mailbox in sorted(mailboxes)])
    connection.execute(sa.update(tables.parties).where(*theirs).values(**blank))
    if mailboxes:
        connection.execute(
            sa.update(tables.parties)
            .where(party.account_id == account_id, party.person_id.in_(ids))
            .values(person_id=None)
        )
        persons.regroup(connection, account_id, mailboxes, ())


def _erased(account_id: str, mailbox: str, now: datetime) -> NewSuppression:
    return NewSuppression(
        account_id=account_id,
        address_hash=mailbox,
        reason=Reason.ERASED,
        source="channel",
        evidence="its channel erased the customer",
        created_at=now,
        recorded_at=now,
    )


def _groups(connection: sa.Connection, told: Mapping[Key, Sequence[Told]]) -> dict[str, str]:
    """The mailbox groups of all their domains of which one is known; the flow group-mailboxes finds out the rest."""
    emails = (mailbox(one.customer) for some in told.values() for one in some)
    return mail_domains.groups_of(connection, {addresses.domain_of(email) for email in emails if email})


def _rows(connection: sa.Connection, account_id: str, keys: Iterable[Key]) -> dict[Key, sa.Row[Any]]:
    parties = tables.parties.c
    by_numbering: dict[str, list[str]] = {}
    for one in keys:
        by_numbering.setdefault(one.numbering, []).append(one.external_id)
    query = sa.select(
        parties.id, parties.numbering, parties.external_id, parties.erased_at, *(parties[name] for name in _STATE)
    )
    found: dict[Key, sa.Row[Any]] = {}
    for numbering, numbers in by_numbering.items():
        theirs = query.where(
            parties.account_id == account_id, parties.numbering == numbering, parties.external_id.in_(numbers)
        )
        found |= {Key(row.numbering, row.external_id): row for row in connection.execute(theirs)}
    return found


def _held(row: sa.Row[Any]) -> dict[str, Any]:
    return {name: row._mapping[name] for name in _STATE}


def _moved(known: Mapping[Key, sa.Row[Any]], changed: Sequence[Mapping[str, Any]]) -> dict[int, set[str]]:
    """Who came from one mailbox to another, and which: party id → address hashes."""
    before = {row.id: row.address_hash for row in known.values()}
    return {
        state["party_id"]: {state["address_hash"], before[state["party_id"]]}
        for state in changed
        if state["address_hash"] != before[state["party_id"]]
    }


def _joined(row: sa.Row[Any] | None, told: Sequence[Told], pepper: str, groups: Mapping[str, str]) -> dict[str, Any]:
    """The values of _STATE, of what is held and what was told: the same whichever came first."""
    held = _held(row) if row is not None else None
    address = _address(told, pepper, groups)
    if held is not None:
        address = max(held, address, key=_weight_of_address)
    newest = max((_details(one) for one in told), key=_weight_of_details)
    if held is not None:
        newest = max(held, newest, key=_weight_of_details)
    return {name: address[name] for name in _ADDRESS} | {name: newest[name] for name in _DETAILS}


def _address(told: Sequence[Told], pepper: str, groups: Mapping[str, str]) -> dict[str, Any]:
    """The newest address that can exist; where there is none, what was given, without a hash to find it by."""
    states = []
    for one in told:
        email = mailbox(one.customer)
        hashed = addresses_of.hashed(email, pepper)
        provider = groups.get(addresses.domain_of(email), OTHER) if hashed is not None and email else None
        values = (email, hashed, provider, one.placed_at, one.updated_at)
        states.append(dict(zip(_ADDRESS, values, strict=True)))
    return max(states, key=_weight_of_address)


def _details(one: Told) -> dict[str, Any]:
    customer = one.customer
    relay = customer.relay or bool(customer.email and addresses.is_relay(customer.email))
    names = (customer.first_name, customer.last_name, customer.country, customer.locale)
    values = (*names, relay, one.placed_at, one.updated_at)
    return dict(zip(_DETAILS, values, strict=True))


def _weight_of_address(state: Mapping[str, Any]) -> tuple[Any, ...]:
    told_at = (state["address_placed_at"] or _NEVER, state["address_at"] or _NEVER)
    return state["address_hash"] is not None, *told_at, state["email"] or ""


def _weight_of_details(state: Mapping[str, Any]) -> tuple[Any, ...]:
    told_at = (state["placed_at"] or _NEVER, state["updated_at"])
    return *told_at, *(str(state[name] or "") for name in _DETAILS[:-2])


def record_consents(
    connection: sa.Connection, account_id: str, channel: str, said: Iterable[tuple[int, Consent]], *, now: datetime
) -> None:
    """Add what was said (party id, statement) to the history; a statement that is on record already changes nothing.

    "Not subscribed", as seen in a customer's account, is a withdrawal only where a grant is on record: else it says of
    all who were never asked that they refused, and no later yes of theirs would count.
    """
    said = set(said)
    seen = {party_id for party_id, consent in said if _is_undated_refusal(consent)}
    granted = _granted(connection, account_id, seen)
    granted |= {party_id for party_id, consent in said if consent.status is ConsentStatus.GRANTED}
    said = {one for one in said if not _is_undated_refusal(one[1]) or one[0] in granted}
    values = [
        {
            "account_id": account_id,
            "party_id": party_id,
            "channel": channel,
            "status": consent.status.value,
            "basis": consent.basis,
            "source": consent.source,
            "wording": consent.wording,
            "level": consent.level,
            "occurred_at": consent.occurred_at,
            "recorded_at": now,
        }
        for party_id, consent in said
    ]
    if values:
        # One order of rows for all writers, so that two never wait for each other; and of one statement in two
        # wordings always the same is kept.
        values.sort(key=lambda value: [value[name] for name in _OF_CONSENT])
        connection.execute(database.insert(connection, tables.consents).on_conflict_do_nothing(), values)


def _is_undated_refusal(consent: Consent) -> bool:
    return consent.status is ConsentStatus.WITHDRAWN and consent.basis == SEEN


def _granted(connection: sa.Connection, account_id: str, ids: Collection[int]) -> set[int]:
    """Those of them of whose mailbox, or of whom, a grant is on record."""
    if not ids:
        return set()
    consent, party, twin = tables.consents.c, tables.parties.c, tables.parties.alias("twin")
    same = (twin.c.account_id == account_id) & (twin.c.address_hash == party.address_hash)
    said = sa.exists().where(
        consent.status == ConsentStatus.GRANTED,
        (consent.party_id == party.id)
        | consent.party_id.in_(sa.select(twin.c.id).where(same).correlate(tables.parties)),
    )
    return set(connection.scalars(sa.select(party.id).where(party.id.in_(ids), said)))
