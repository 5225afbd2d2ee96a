"""Parties: the people who order, one row a customer number of the shop; and what their orders say of their consent.

A guest has no number: he is known by his address in any case of letters (as a keyed hash), and without an address by
his one order. Two customer numbers that share a mailbox stay two parties: they are matched by `address_hash` where
mail is concerned, and never merged.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import bulk, database, tables
from domain import addresses
from domain.consent import Consent
from domain.orders import Order

_DETAILS = ("email", "address_hash", "mailbox_provider", "first_name", "last_name", "country", "updated_at")
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
    fills the row of a person who was erased.
    """
    newest = _newest(orders, pepper)
    known = {row.external_id: row for row in _rows(connection, account_id, newest)}
    added = [
        (account_id, identity, now, *_details(order, pepper))
        for identity, order in newest.items()
        if identity not in known
    ]
    bulk.insert_rows(connection, tables.parties, _COLUMNS, added)
    changed = [
        {"party_id": row.id} | dict(zip(_DETAILS, _details(newest[identity], pepper), strict=True))
        for identity, row in known.items()
        if row.erased_at is None and newest[identity].updated_at > row.updated_at
    ]
    if changed:
        table = tables.parties
        connection.execute(sa.update(table).where(table.c.id == sa.bindparam("party_id")), changed)
    new = _rows(connection, account_id, [row[1] for row in added])
    return {row.external_id: row.id for row in (*known.values(), *new)}


def _newest(orders: Iterable[Order], pepper: str) -> dict[str, Order]:
    """Each customer's newest order by identity; of two at one time the first."""
    newest: dict[str, Order] = {}
    for order in orders:
        held = newest.setdefault(identity(order, pepper), order)
        if order.updated_at > held.updated_at:
            newest[identity(order, pepper)] = order
    return newest


def _rows(connection: sa.Connection, account_id: str, identities: Iterable[str]) -> list[sa.Row[Any]]:
    parties = tables.parties.c
    query = sa.select(parties.id, parties.external_id, parties.updated_at, parties.erased_at)
    return list(
        connection.execute(query.where(parties.account_id == account_id, parties.external_id.in_(list(identities))))
    )


def _details(order: Order, pepper: str) -> tuple[Any, ...]:
    """The values of _DETAILS. An address that cannot exist is kept as given, without a hash to find it by."""
    customer = order.customer
    address_hash = provider = None
    if customer.email and addresses.is_valid(customer.email):
        address_hash = addresses.address_hash(customer.email, pepper)
        provider = addresses.mailbox_provider(customer.email)
    names = (customer.first_name, customer.last_name)
    return (customer.email, address_hash, provider, *names, customer.country, order.updated_at)


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
