"""Transactional messages: asked for once, and what is known of each.

Who asks writes the intent in the transaction of its reason (an order's change, the answer to a request): the id says what
it is for, so whatever is replayed asks for nothing new. What goes out, and how, is data/transactional_queue.py's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from data import database, tables
from domain.ledger import BatchState
from domain.transactional import Timing


class AskedBy(StrEnum):
    """Who asked for a message."""

    ORDER = "order"  # a change of an order
    API = "api"  # the shop's own software
    RESEND = "resend"  # a person, once more
    SYNTHETIC = "synthetic"  # ourselves, to see that the lane works


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A message to send. Of an order's the address is its customer's at the time of sending; else `email` says it."""

    id: str
    account_id: str
    template: str
    timing: Timing
    asked_by: AskedBy
    order_id: int | None = None
    step: str | None = None
    reference: str | None = None
    email: str | None = None
    address_hash: str | None = None
    mailbox_group: str | None = None
    variables: Mapping[str, Any] | None = None
    locale: str | None = None
    only_route: str | None = None
    again_of: str | None = None


class UnknownMessage(LookupError):
    """There is no such transactional message."""


def ask(connection: sa.Connection, wanted: Sequence[Wanted], *, now: datetime) -> list[str]:
    """Keep what is asked for; the ids of those that were not asked for before."""
    if not wanted:
        return []
    table = tables.transactional_messages
    rows = [_row(one, now) for one in sorted(wanted, key=lambda one: one.id)]  # in one order: two never deadlock
    insert = database.insert(connection, table).on_conflict_do_nothing(index_elements=["id"]).returning(table.c.id)
    return list(connection.scalars(insert, rows))


def _row(one: Wanted, now: datetime) -> dict[str, Any]:
    same = ("id", "account_id", "template", "order_id", "step", "reference", "email", "address_hash", "mailbox_group")
    return {
        **{name: getattr(one, name) for name in (*same, "locale", "only_route", "again_of")},
        "variables": dict(one.variables) if one.variables is not None else None,
        "urgency": int(one.timing.urgency),
        "asked_by": one.asked_by,
        "state": BatchState.PLANNED,
        "asked_at": now,
        "not_before": now,
        "expires_at": now + one.timing.useful,
    }


def get(connection: sa.Connection, message_id: str) -> sa.Row[Any]:
    """One message. Raises UnknownMessage."""
    table = tables.transactional_messages
    row = connection.execute(sa.select(table).where(table.c.id == message_id)).one_or_none()
    if row is None:
        raise UnknownMessage(f"there is no message {message_id[:40]!r}")
    return row
