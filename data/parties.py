"""Parties: the people who order, one row a customer number of the shop; and what their orders say of their consent.

A guest has no number: he is known by his address in any case of letters (as a keyed hash), and without an address by
his one order. Two customer numbers that share a mailbox stay two parties: they are matched by `address_hash` where
mail is concerned, and never merged.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import bulk, database, tables
from domain import addresses
from domain.consent import Consent
from domain.orders import Order

_ADDRESS = ("email", "address_hash", "mailbox_provider")
_DETAILS = (*_ADDRESS, "first_name", "last_name", "country", "updated_at")
_COLUMNS = ("account_id", "external_id", "created_at", *_DETAILS)


def identity(order: Order, pepper: str) -> str:
    """The external id of the party who placed the order."""
    customer = order.customer
    if customer.external_id:
        return customer.external_id
    if customer.email:
        spelling = customer.email.strip().casefold().encode()
        return f"guest:{hmac.digest(pepper.encode(), spelling, hashlib.sha256).hex()}"
    return f"guest-order:{order.external_id}"


def from_orders(
    connection: sa.Connection, account_id: str, orders: Iterable[Order], *, pepper: str, now: datetime
) -> dict[str, int]:
    """Add or update those who ordered; return their ids by identity.

    `updated_at` is the time of the order that told the customer's data: only a newer order changes them, and nothing
    fills the row of a person who was erased. An order without an address that can be mailed leaves a known one: a till
    that asks for none, or a typing error, is no word of the customer's.
    """
    by_customer = _by_customer(orders, pepper)
    known = {row.external_id: row for row in _rows(connection, account_id, by_customer)}
    added = [
        (account_id, identity, now, *_details(theirs, pepper).values())
        for identity, theirs in by_customer.items()
        if identity not in known
    ]
    bulk.insert_rows(connection, tables.parties, _COLUMNS, added)
    changed = [
        _change(row, newer, pepper)
        for identity, row in known.items()
        if row.erased_at is None
        and (newer := [order for order in by_customer[identity] if order.updated_at > row.updated_at])
    ]
    if changed:
        table = tables.parties
        connection.execute(sa.update(table).where(table.c.id == sa.bindparam("party_id")), changed)
    new = _rows(connection, account_id, [row[1] for row in added])
    return {row.external_id: row.id for row in (*known.values(), *new)}


def _by_customer(orders: Iterable[Order], pepper: str) -> dict[str, list[Order]]:
    """Each customer's orders by identity, the newest first; of two at one time the first."""
    found: dict[str, list[Order]] = {}
    for order in sorted(orders, key=lambda order: order.updated_at, reverse=True):
        found.setdefault(identity(order, pepper), []).append(order)
    return found


def _rows(connection: sa.Connection, account_id: str, identities: Iterable[str]) -> list[sa.Row[Any]]:
    parties = tables.parties.c
    address = (parties[name] for name in _ADDRESS)
    query = sa.select(parties.id, parties.external_id, parties.updated_at, parties.erased_at, *address)
    return list(
        connection.execute(query.where(parties.account_id == account_id, parties.external_id.in_(list(identities))))
    )


def _change(row: sa.Row[Any], newer: Sequence[Order], pepper: str) -> dict[str, Any]:
    details = _details(newer, pepper)
    if details["address_hash"] is None and row.address_hash is not None:
        details |= {name: row._mapping[name] for name in _ADDRESS}
    return {"party_id": row.id} | details


def _details(orders: Sequence[Order], pepper: str) -> dict[str, Any]:
    """The values of _DETAILS, of a customer's orders with the newest first.

    The address is the newest that can exist. Where there is none, what was given is kept, without a hash to find it by.
    """
    newest = orders[0].customer
    email = next((one.customer.email for one in orders if addresses.is_valid(one.customer.email)), None)
    values = (
        email or newest.email,
        addresses.address_hash(email, pepper) if email else None,
        addresses.mailbox_provider(email) if email else None,
        newest.first_name,
        newest.last_name,
        newest.country,
        orders[0].updated_at,
    )
    return dict(zip(_DETAILS, values, strict=True))


def record_consents(
    connection: sa.Connection, account_id: str, said: Iterable[tuple[int, Consent]], *, now: datetime
) -> None:
    """Add what was said (party id, statement) to the history; a statement that is on record already changes nothing."""
    values = [
        {
            "account_id": account_id,
            "party_id": party_id,
            "status": consent.status.value,
            "basis": consent.basis,
            "source": consent.source,
            "wording": consent.wording,
            "occurred_at": consent.occurred_at,
            "recorded_at": now,
        }
        for party_id, consent in said
    ]
    if values:
        # One order of rows for all writers, so that two never wait for each other.
        values.sort(key=lambda value: (value["party_id"], value["occurred_at"], value["source"]))
        connection.execute(database.insert(connection, tables.consents).on_conflict_do_nothing(), values)
