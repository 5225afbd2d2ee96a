"""Unknown batches: what an ESP can be asked by, and what becomes of a batch when it answers.

A batch leaves `unknown` by an answer only together with the proof, only if it still is unknown, and only by an answer
about the attempt that is its current one. An event outweighs every answer: it is the mail itself that speaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from data import database, tables
from domain import ledger
from domain.ledger import BatchState, OutcomeKind
from domain.ports import PUT_OFF, Answer, Finding, UnknownAttempt


@dataclass(frozen=True, slots=True)
class Question:
    """An unknown batch, and whom to ask what."""

    batch_id: int
    provider: str
    attempt: UnknownAttempt


def unresolved(connection: sa.Connection, *, now: datetime) -> list[Question]:
    """The unknown batches that are to be asked about now: first those that can be called back, soonest first."""
    batch, attempt, route = tables.batches, tables.batch_attempts, tables.attempt_routes
    provider = sa.func.coalesce(route.c.provider, attempt.c.provider)
    query = (
        sa.select(
            batch.c.id,
            batch.c.run_id,
            attempt.c.id.label("attempt_id"),
            attempt.c.claimed_at,
            provider.label("provider"),
            route.c.schedule_id,
            route.c.send_at,
            _known(provider).label("known"),
        )
        .select_from(
            batch.join(attempt, attempt.c.id == batch.c.attempt_id).outerjoin(route, route.c.attempt_id == attempt.c.id)
        )
        .where(
            batch.c.state == BatchState.UNKNOWN,
            # Of an unknown batch `not_before` says when it is asked about again; the claim left it empty.
            batch.c.not_before.is_(None) | (batch.c.not_before <= now),
        )
        .order_by(route.c.send_at.is_(None), route.c.send_at, batch.c.finished_at, batch.c.id)
    )
    return [
        Question(
            row.id,
            row.provider,
            UnknownAttempt(row.attempt_id, row.run_id, row.claimed_at, row.schedule_id, row.send_at, row.known),
        )
        for row in connection.execute(query)
    ]


def _known(provider: sa.ColumnElement[str]) -> sa.ScalarSelect[str]:
    """The first attempt of the run through this ESP that went out after the outer one began, as the ESP said."""
    unknown, own_route = tables.batch_attempts, tables.attempt_routes
    batch, other, route = tables.batches.alias(), unknown.alias(), own_route.alias()
    went_at = sa.func.coalesce(route.c.send_at, other.c.finished_at)
    return (
        sa.select(other.c.id)
        .select_from(
            other.join(batch, batch.c.id == other.c.batch_id).outerjoin(route, route.c.attempt_id == other.c.id)
        )
        .where(
            batch.c.run_id == tables.batches.c.run_id,
            other.c.outcome == OutcomeKind.ACCEPTED,
            sa.func.coalesce(route.c.provider, other.c.provider) == provider,
            went_at >= sa.func.coalesce(own_route.c.send_at, unknown.c.claimed_at),
        )
        .order_by(went_at, other.c.id)
        .limit(1)
        .correlate(tables.batches, unknown, own_route)
        .scalar_subquery()
    )


def providers(questions: Sequence[Question]) -> list[str]:
    """The ESPs that are to be asked."""
    return sorted({question.provider for question in questions})


def apply(
    connection: sa.Connection, batch_id: int, attempt_id: str, answer: Answer, now: datetime
) -> BatchState | None:
    """Do what the answer allows; the batch's new state, or None where it stays as it is.

    An answer that comes too late (an event, a deadline or another answer was faster) changes nothing.
    """
    if answer.finding is Finding.CANNOT_TELL:
        _ask_later(connection, batch_id, attempt_id, now, put_off=answer.kind == PUT_OFF)
        return None
    proves = ledger.CONFIRMING if answer.finding is Finding.ACCEPTED else ledger.RELEASING
    if answer.kind not in proves:
        raise ValueError(f"an answer of the kind {answer.kind!r} does not prove {answer.finding}; nothing was changed")
    batch, proof = tables.batches, tables.batch_proofs
    which = _still_unknown(batch_id, attempt_id)
    if answer.finding is Finding.ACCEPTED:
        state, facts = BatchState.ACCEPTED, {"finished_at": now}
    else:
        state, facts = BatchState.PLANNED, {"not_before": now}
        spoken = sa.exists().where(proof.c.attempt_id == attempt_id, proof.c.kind.in_(ledger.CONFIRMING))
        which &= ~spoken
    if connection.execute(batch.update().where(which).values(state=state, **facts)).rowcount != 1:
        return None
    connection.execute(
        database.insert(connection, proof)
        .values(batch_id=batch_id, attempt_id=attempt_id, kind=answer.kind, detail=answer.raw, created_at=now)
        .on_conflict_do_nothing()
    )
    return state


def _still_unknown(batch_id: int, attempt_id: str) -> sa.ColumnElement[bool]:
    batch = tables.batches.c
    return (batch.id == batch_id) & (batch.attempt_id == attempt_id) & (batch.state == BatchState.UNKNOWN)


def _ask_later(connection: sa.Connection, batch_id: int, attempt_id: str, now: datetime, *, put_off: bool) -> None:
    """Note when this batch is asked about again. One that was put off was not asked about: it goes first next time."""
    if put_off:
        return
    batch, route = tables.batches, tables.attempt_routes
    row = connection.execute(
        sa.select(batch.c.finished_at, route.c.send_at)
        .select_from(batch.outerjoin(route, route.c.attempt_id == batch.c.attempt_id))
        .where(_still_unknown(batch_id, attempt_id))
    ).one_or_none()
    if row is not None:
        at = ledger.ask_again_at(now, unknown_since=row.finished_at, send_at=row.send_at)
        connection.execute(batch.update().where(_still_unknown(batch_id, attempt_id)).values(not_before=at))
