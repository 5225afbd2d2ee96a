"""Evidence of what became of a transactional message's attempt, as data/proofs.py keeps it of a batch's.

An event, the ESP's own late answer or a look-up confirm it; a look-up that finds nothing, or the worker's own word that it
began nothing, release it. Silence proves nothing.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import database, tables
from domain import campaigns, ledger
from domain.ledger import CONFIRMING, BatchState, Outcome, OutcomeKind, ProofKind
from domain.transactional import ORDINAL

__all__ = ["CONFIRMING", "confirm", "confirmed", "keep", "record", "told_late"]

_message, _proof = tables.transactional_messages, tables.transactional_proofs
_WAITS = (BatchState.INFLIGHT, BatchState.UNKNOWN, BatchState.PLANNED)


def record(connection: sa.Connection, named: Mapping[tuple[str, str], int], *, now: datetime) -> None:
    """Keep a proof of each open message an attempt of which is named here: message and attempt → body of the inbox.

    The current attempt, or an earlier one that nobody knew the end of: she has the mail by that one. Of an attempt that
    was certainly not sent an event confirms nothing. Some ESPs' mail bears the name of its part.
    """
    if not named:
        return
    attempt = tables.transactional_attempts
    query = (
        sa.select(_message.c.id, attempt.c.id.label("attempt_id"))
        .join_from(_message, attempt, attempt.c.message_id == _message.c.id)
        .where(_message.c.id.in_(sorted({one[0] for one in named})), _message.c.state.in_(_WAITS), _perhaps_sent())
        .order_by(_message.c.id)
        .with_for_update(of=_message, key_share=True)
    )
    found = []
    for row in connection.execute(query).all():
        own = ledger.own_attempt(row.attempt_id, campaigns.message_id(row.id, ORDINAL))
        inbox = named.get((row.id, row.attempt_id)) or named.get((row.id, own))
        if inbox is not None:
            keep(connection, row.id, row.attempt_id, ProofKind.EVENT, f"inbox {inbox}", now)
            found.append(row.id)
    confirm(connection, now=now, among=found)


def confirm(connection: sa.Connection, *, now: datetime, among: Collection[str]) -> int:
    """Accept those of these messages that wait for an end, or for their turn, and are proved to be with the ESP."""
    if not among:
        return 0
    open_ = _message.c.state.in_((BatchState.UNKNOWN, BatchState.PLANNED))
    values: dict[str, Any] = {"state": BatchState.ACCEPTED, "finished_at": now, "accepted_at": now}
    emptied = {"variables": sa.null(), "email": sa.null(), "lease_expires_at": None}
    accepted = _message.update().where(_message.c.id.in_(among), open_, confirmed()).values(**values, **emptied)
    return connection.execute(accepted).rowcount


def confirmed() -> sa.ColumnElement[bool]:
    """Whether something proves of a message of the enclosing query that the ESP has it, by whichever attempt."""
    attempt = tables.transactional_attempts
    proved = sa.select(_proof.c.id).join(attempt, attempt.c.id == _proof.c.attempt_id)
    return sa.exists(
        proved.where(attempt.c.message_id == _message.c.id, _proof.c.kind.in_(CONFIRMING), _perhaps_sent()).correlate(
            _message
        )
    )


def _perhaps_sent() -> sa.ColumnElement[bool]:
    outcome = tables.transactional_attempts.c.outcome
    return outcome.is_(None) | outcome.in_((OutcomeKind.UNKNOWN, OutcomeKind.ACCEPTED))


def keep(
    connection: sa.Connection, message_id: str, attempt_id: str, kind: ProofKind, detail: str, now: datetime
) -> None:
    """Keep a proof once. `detail`: the words it rests on, without address."""
    row = {"message_id": message_id, "attempt_id": attempt_id, "kind": kind, "detail": detail, "created_at": now}
    connection.execute(database.insert(connection, _proof).values(row).on_conflict_do_nothing())


def told_late(connection: sa.Connection, message_id: str, attempt_id: str, outcome: Outcome, now: datetime) -> None:
    """Take in what a worker knows whose lease is over: an acceptance, or for certain that it began nothing."""
    if outcome.kind is OutcomeKind.ACCEPTED:
        keep(connection, message_id, attempt_id, ProofKind.ANSWER, f"HTTP {outcome.status}", now)
        confirm(connection, now=now, among=[message_id])
    elif outcome.local:
        waits = _message.c.state.in_((BatchState.INFLIGHT, BatchState.UNKNOWN))
        planned = (
            _message.update()
            .where(_message.c.id == message_id, _message.c.attempt_id == attempt_id, waits, ~confirmed())
            .values(state=BatchState.PLANNED, finished_at=now, lease_expires_at=None, not_before=now)
        )
        if connection.execute(planned).rowcount:
            keep(connection, message_id, attempt_id, ProofKind.NEVER_BEGUN, outcome.detail, now)
