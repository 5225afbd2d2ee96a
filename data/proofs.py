"""Positive evidence: one event of a batch proves that the ESP took the batch, whatever its answer was.

A proof is kept from the moment the event is read, also while the worker still waits for the answer: should it die
there, the batch becomes `unknown` after its event came, and no second event need ever come.
"""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from data import database, tables
from domain import ledger
from domain.ledger import BatchState, ProofKind


def record(connection: sa.Connection, attempt_ids: Iterable[str], *, inbox_id: int, now: datetime) -> None:
    """Keep a proof for every batch that waits for an answer or has none, and whose current attempt is named here."""
    batch, attempt, proof = tables.batches, tables.batch_attempts, tables.batch_proofs
    waiting = (
        sa.select(
            batch.c.id,
            attempt.c.id,
            sa.literal(ProofKind.EVENT.value),
            sa.literal(f"inbox {inbox_id}"),
            sa.literal(now, proof.c.created_at.type),
        )
        .join_from(attempt, batch, batch.c.id == attempt.c.batch_id)
        .where(
            attempt.c.id == sa.bindparam("attempt"),
            batch.c.attempt_id == attempt.c.id,
            (batch.c.state == BatchState.INFLIGHT) | (batch.c.state == BatchState.UNKNOWN),  # executemany knows no IN
        )
    )
    named = [{"attempt": attempt_id} for attempt_id in sorted(set(attempt_ids))]
    if named:
        columns = ["batch_id", "attempt_id", "kind", "detail", "created_at"]
        kept = database.insert(connection, proof).from_select(columns, waiting).on_conflict_do_nothing()
        connection.execute(kept, named)


def confirm(connection: sa.Connection, *, now: datetime) -> int:
    """Accept the unknown batches whose current attempt is proved; how many they were."""
    batch, proof = tables.batches, tables.batch_proofs
    proved = sa.select(proof.c.attempt_id).where(proof.c.kind.in_(ledger.CONFIRMING))
    accepted = (
        batch.update()
        .where(batch.c.state == BatchState.UNKNOWN, batch.c.attempt_id.in_(proved))
        .values(state=BatchState.ACCEPTED, finished_at=now, lease_expires_at=None)
    )
    return connection.execute(accepted).rowcount
