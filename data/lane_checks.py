"""Mails to our own mailbox through the queue itself, by each transactional way: they prove the whole lane.

They are asked for as customers' messages are, claimed and sent by the same dispatchers, and counted in no figure of theirs.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import tables, transactional
from data.transactional import AskedBy, Wanted
from domain import addresses
from domain.lane_alarms import ACCEPTED_WITHIN, CONFIRMED_WITHIN, CheckState
from domain.ledger import BatchState
from domain.routes import Route
from domain.transactional import Timing, Urgency, id_of

TEMPLATE = "lane-check"
EVERY = timedelta(minutes=5)
_TIMING = Timing(Urgency.SECURITY, timedelta(minutes=10))  # it goes first, as who waits for a code does
_LATELY = timedelta(hours=1)
_KEPT = timedelta(days=7)
_message = tables.transactional_messages


def ask(
    connection: sa.Connection, ways: Sequence[Route], mailboxes: Sequence[str], *, pepper: str, now: datetime
) -> int:
    """Ask for one by each of these ways, once in EVERY whoever asks how often; how many are new."""
    turn = int(now.timestamp() // EVERY.total_seconds())
    wanted = []
    for place, way in enumerate(sorted(ways, key=lambda one: (one.account_id, one.name))):
        address = mailboxes[(turn + place) % len(mailboxes)]
        wanted.append(
            Wanted(
                id=id_of("lane-check", way.account_id, way.name, str(turn)),
                account_id=way.account_id,
                template=TEMPLATE,
                timing=_TIMING,
                asked_by=AskedBy.SYNTHETIC,
                email=address,
                address_hash=addresses.address_hash(address, pepper),
                mailbox_group=addresses.mailbox_provider(address),
                only_route=way.name,
            )
        )
    return len(transactional.ask(connection, wanted, now=now))


def states(connection: sa.Connection, ways: Sequence[Route], *, now: datetime) -> list[CheckState]:
    """How each way fares by those of the last hour; nothing of a way that none went by yet."""
    delivery = tables.transactional_delivery
    query = (
        sa.select(
            *(_message.c[name] for name in ("account_id", "only_route", "state", "why", "asked_at", "accepted_at")),
            delivery.c.message_id.label("told"),
        )
        .outerjoin(delivery, delivery.c.message_id == _message.c.id)
        .where(
            _message.c.account_id.in_(sorted({one.account_id for one in ways})),
            _message.c.asked_at.between(now - _LATELY, now - ACCEPTED_WITHIN),
            _message.c.asked_by == AskedBy.SYNTHETIC,
        )
        .order_by(_message.c.asked_at.desc())
    )
    rows: dict[tuple[str, str], list[Any]] = {}
    for row in connection.execute(query):
        rows.setdefault((row.account_id, row.only_route), []).append(row)
    return [_state(one, found, now) for one in ways if (found := rows.get((one.account_id, one.name)))]


def _state(way: Route, rows: Sequence[Any], now: datetime) -> CheckState:
    newest, silent_since = rows[0], None
    for row in rows:
        if row.told is not None:
            break
        if row.accepted_at is not None and row.accepted_at <= now - CONFIRMED_WITHIN:
            silent_since = row.asked_at
    # Accepted later than within a minute is accepted: the alarm ends with its cause.
    accepted = newest.state == BatchState.ACCEPTED
    told = (newest.asked_at, newest.state, newest.why or "")
    return CheckState(way.account_id, way.name, way.provider, accepted, *told, silent_since)


def purge(connection: sa.Connection, *, now: datetime) -> int:
    """Remove those of more than a week ago, and all that is known of them; how many."""
    old = sa.select(_message.c.id).where(
        _message.c.asked_by == AskedBy.SYNTHETIC,
        _message.c.asked_at < now - _KEPT,
        _message.c.account_id.in_(sa.select(tables.accounts.c.id)),
    )
    ids = list(connection.scalars(old.limit(5000)))
    parts = (tables.transactional_proofs, tables.transactional_delivery, tables.transactional_attempts)
    for table in parts:
        connection.execute(table.delete().where(table.c.message_id.in_(ids)))
    connection.execute(_message.delete().where(_message.c.id.in_(ids)))
    return len(ids)
