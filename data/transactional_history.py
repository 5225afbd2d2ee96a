"""Reading what became of transactional messages: of an order, of a mailbox, of one id. Of addresses only a mask is read."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import tables, transactional
from data.order_lookup import FoundOrder
from domain import addresses
from domain.delivery import DeliveryState, Fault, Seen, Severity
from domain.ledger import BatchState, OutcomeKind
from domain.message_history import Attempt, MessageHistory, Proof
from domain.transactional import Urgency

_message = tables.transactional_messages
_MOST = 200


def of_order(connection: sa.Connection, order: FoundOrder) -> list[MessageHistory]:
    """All messages about an order, the oldest first."""
    return _read(connection, _message.c.order_id == order.id)


def of_address(connection: sa.Connection, account_id: str, address_hash: str) -> list[MessageHistory]:
    """The latest messages to a mailbox, the oldest first: those about its orders, too, which are not claimed yet."""
    order, party = tables.orders, tables.parties
    theirs = (
        sa.select(order.c.id)
        .join_from(order, party, party.c.id == order.c.party_id)
        .where(order.c.account_id == account_id, party.c.address_hash == address_hash)
    )
    not_yet = _message.c.address_hash.is_(None) & _message.c.order_id.in_(theirs)
    to = (_message.c.address_hash == address_hash) | not_yet
    return _read(connection, (_message.c.account_id == account_id) & to)


def of_message(connection: sa.Connection, message_id: str) -> MessageHistory:
    """One message. Raises UnknownMessage."""
    found = _read(connection, _message.c.id == message_id)
    if not found:
        raise transactional.UnknownMessage(f"there is no message {message_id[:40]!r}")
    return found[0]


def _read(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[MessageHistory]:
    order, party, delivery = tables.orders, tables.parties, tables.transactional_delivery
    query = (
        sa.select(
            _message,
            sa.func.coalesce(order.c.number, order.c.external_id).label("order_name"),
            sa.func.coalesce(_message.c.email, party.c.email).label("mailbox"),
            # Of one that was stopped before its claim it is read where the address is.
            sa.func.coalesce(_message.c.address_hash, party.c.address_hash).label("hashed"),
            *(delivery.c[one.name].label(f"d_{one.name}") for one in delivery.c if one.name != "message_id"),
        )
        .select_from(
            _message.outerjoin(order, order.c.id == _message.c.order_id)
            .outerjoin(party, party.c.id == order.c.party_id)
            .outerjoin(delivery, delivery.c.message_id == _message.c.id)
        )
        .where(which)
        .order_by(_message.c.asked_at.desc(), _message.c.id)
        .limit(_MOST)
    )
    rows = connection.execute(query).all()[::-1]
    ids = [row.id for row in rows]
    attempts, proofs, again = _attempts(connection, ids), _proofs(connection, ids), _again(connection, ids)
    since = _refused_since(connection, rows)
    return [_history(row, attempts[row.id], proofs[row.id], again[row.id], since.get(row.id)) for row in rows]


def _history(
    row: Any, attempts: Sequence[Attempt], proofs: Sequence[Proof], again: Sequence[str], since: datetime | None
) -> MessageHistory:
    same = ("id", "account_id", "template", "asked_by", "asked_at", "expires_at", "not_before", "order_id", "step")
    more = ("reference", "why", "resent", "again_of", "finished_at", "accepted_at")
    return MessageHistory(
        **{name: getattr(row, name) for name in (*same, *more)},
        urgency=Urgency(row.urgency),
        state=BatchState(row.state),
        order=row.order_name,
        address_hash=row.hashed,
        to=row.sent_to or (addresses.masked(row.mailbox) if row.mailbox else None),
        refused_since=since,
        again=tuple(again),
        attempts=tuple(attempts),
        proofs=tuple(proofs),
        delivery=_delivery(row),
    )


def _delivery(row: Any) -> DeliveryState | None:
    if row.d_seen is None:
        return None
    times = ("delivered", "bounced", "opened", "human_opened", "clicked", "complained", "unsubscribed")
    return DeliveryState(
        seen=Seen(row.d_seen),
        severity=Severity(row.d_severity),
        fault=Fault(row.d_fault) if row.d_fault else None,
        **{f"{name}_at": getattr(row, f"d_{name}_at") for name in times},
    )


def _attempts(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[Attempt]]:
    table, found = tables.transactional_attempts, defaultdict[str, list[Attempt]](list)
    for row in connection.execute(sa.select(table).where(table.c.message_id.in_(ids)).order_by(table.c.number)):
        outcome = OutcomeKind(row.outcome) if row.outcome else None
        told = (row.number, row.provider, row.route, row.claimed_at, row.finished_at, outcome, row.status_code)
        found[row.message_id].append(Attempt(*told, row.detail or ""))
    return found


def _proofs(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[Proof]]:
    table, found = tables.transactional_proofs, defaultdict[str, list[Proof]](list)
    for row in connection.execute(sa.select(table).where(table.c.message_id.in_(ids)).order_by(table.c.id)):
        found[row.message_id].append(Proof(row.kind, row.created_at))
    return found


def _again(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    found = defaultdict[str, list[str]](list)
    query = sa.select(_message.c.id, _message.c.again_of).where(_message.c.again_of.in_(ids))
    for row in connection.execute(query.order_by(_message.c.asked_at, _message.c.id)):
        found[row.again_of].append(row.id)
    return found


def _refused_since(connection: sa.Connection, rows: Iterable[Any]) -> dict[str, datetime]:
    """Since when the reason stands for which each was not sent."""
    refused = {row.id: row for row in rows if row.state == BatchState.SUPPRESSED and row.hashed}
    table = tables.suppressions
    query = sa.select(
        table.c.account_id, table.c.address_hash, table.c.reason, sa.func.min(table.c.created_at).label("at")
    )
    query = query.where(table.c.address_hash.in_({row.hashed for row in refused.values()}))
    found = connection.execute(query.group_by(table.c.account_id, table.c.address_hash, table.c.reason))
    since = {(one.account_id, one.address_hash, one.reason): one.at for one in found}
    named = {one: since.get((row.account_id, row.hashed, row.why)) for one, row in refused.items()}
    return {one: at for one, at in named.items() if at is not None}
