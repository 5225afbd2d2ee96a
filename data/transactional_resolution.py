"""Unknown transactional messages: what an ESP can be asked by, and what becomes of one when it answers.

As data/resolution.py does for batches: an answer moves a message only together with its proof, only while it is unknown,
and only about its current attempt. An event outweighs every answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from data import tables, transactional_proofs
from domain import ledger, transactional
from domain.ledger import BatchState, OutcomeKind, ProofKind
from domain.ports import Answer, Finding, UnknownAttempt

_message, _attempt = tables.transactional_messages, tables.transactional_attempts
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Question:
    """An unknown message, and whom to ask what."""

    message_id: str
    provider: str
    attempt: UnknownAttempt


def unresolved(connection: sa.Connection) -> list[Question]:
    """The unknown messages to ask about: the most urgent first, of these the oldest."""
    query = (
        sa.select(
            _message.c.id,
            _attempt.c.id.label("attempt_id"),
            _attempt.c.provider,
            _attempt.c.claimed_at,
            _known().label("known"),
        )
        .join_from(_message, _attempt, _attempt.c.id == _message.c.attempt_id)
        .where(_message.c.state == sa.literal_column("'unknown'"))
        .order_by(_message.c.urgency, _message.c.finished_at, _message.c.id)
        .limit(_AT_ONCE)
    )
    return [
        Question(
            row.id,
            row.provider,
            UnknownAttempt(row.attempt_id, row.id, row.claimed_at, None, None, row.known, transactional.LOOK_UP_AFTER),
        )
        for row in connection.execute(query)
    ]


def _known() -> sa.ScalarSelect[str]:
    """An attempt by the same ESP that was accepted after the outer one began: an ESP that is behind lacks it, too.

    Of messages of the account that were asked for since: an index leads to them, however many there are.
    """
    later, other = _message.alias(), _attempt.alias()
    return (
        sa.select(other.c.id)
        .join_from(later, other, other.c.message_id == later.c.id)
        .where(
            later.c.account_id == _message.c.account_id,
            later.c.asked_at >= _attempt.c.claimed_at,
            other.c.provider == _attempt.c.provider,
            other.c.outcome == OutcomeKind.ACCEPTED,
        )
        .order_by(later.c.asked_at, other.c.id)
        .limit(1)
        .correlate(_message, _attempt)
        .scalar_subquery()
    )


def providers(questions: Sequence[Question]) -> list[str]:
    """The ESPs that are to be asked."""
    return sorted({question.provider for question in questions})


def apply(connection: sa.Connection, question: Question, answer: Answer, now: datetime) -> BatchState | None:
    """Do what the answer allows; the message's new state, or None where it stays as it is.

    Raises ValueError for an answer that is no proof of what it says.
    """
    if answer.finding is Finding.CANNOT_TELL:
        return None
    proves = ledger.CONFIRMING if answer.finding is Finding.ACCEPTED else ledger.RELEASING
    if answer.kind not in proves:
        raise ValueError(f"an answer of the kind {answer.kind!r} does not prove {answer.finding}; nothing was changed")
    attempt_id = question.attempt.attempt_id
    # Locked first: a proof is kept only of a message that it moves.
    still = sa.select(_message.c.id).where(
        _message.c.id == question.message_id,
        _message.c.attempt_id == attempt_id,
        _message.c.state == BatchState.UNKNOWN,
    )
    if connection.scalar(still.with_for_update()) is None:
        return None
    if answer.finding is Finding.ACCEPTED:
        transactional_proofs.keep(connection, question.message_id, attempt_id, ProofKind(answer.kind), answer.raw, now)
        confirmed = transactional_proofs.confirm(connection, now=now, among=[question.message_id])
        return BatchState.ACCEPTED if confirmed else None
    if not _release(connection, question.message_id, now):
        return None
    transactional_proofs.keep(connection, question.message_id, attempt_id, ProofKind(answer.kind), answer.raw, now)
    return BatchState.PLANNED


def _release(connection: sa.Connection, message_id: str, now: datetime) -> bool:
    """It may go again: nothing of it went out, unless an event says otherwise."""
    planned = (
        _message.update()
        .where(_message.c.id == message_id, _message.c.state == BatchState.UNKNOWN, ~transactional_proofs.confirmed())
        .values(state=BatchState.PLANNED, finished_at=now, lease_expires_at=None, not_before=now)
    )
    return connection.execute(planned).rowcount == 1
