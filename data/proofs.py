"""Evidence: one event of a batch proves that the ESP took the batch, whatever its answer was.

A proof is kept from the moment the event is read, also while the worker still waits for the answer: should it die
there, the batch becomes `unknown` after its event came, and no second event need ever come. An event may even come
after a look-up found nothing and released the batch: what is planned but proved is not sent again. And what a worker knows who
comes too late to write its result is kept as a proof.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa

from data import batches, correlation, database, tables
from data.correlation import Placed
from domain import campaigns, ledger
from domain.ledger import BatchState, Outcome, OutcomeKind, ProofKind
from domain.ports import Batch


def record(connection: sa.Connection, attempts: Mapping[str, int], *, now: datetime) -> None:
    """Keep a proof for every batch that waits for an answer or has none, and whose current attempt is named here.

    `attempts`: the body of the inbox in which each is named. Also where it was released since. Of an attempt that the
    ESP, or its own worker, said was not sent, an event releases or confirms nothing: the audit tells of it. The batches
    stay locked until the transaction ends, so that none is claimed or released beside its proof.
    """
    batch, attempt, proof = tables.batches, tables.batch_attempts, tables.batch_proofs
    released = (batch.c.state == BatchState.PLANNED) & (attempt.c.outcome == OutcomeKind.UNKNOWN)
    # executemany knows no IN
    waits = (batch.c.state == BatchState.INFLIGHT) | (batch.c.state == BatchState.UNKNOWN) | released
    waiting = (
        sa.select(
            attempt.c.batch_id,
            attempt.c.id,
            sa.literal(ProofKind.EVENT.value),
            sa.bindparam("told", type_=sa.Text),
            sa.literal(now, proof.c.created_at.type),
        )
        .join_from(attempt, batch, batch.c.attempt_id == attempt.c.id)  # after a cut, of several parts
        .where(attempt.c.id == sa.bindparam("attempt"), waits)
    )
    # Nearly all events tell of batches that were accepted long ago.
    if named := [{"attempt": one, "told": f"inbox {attempts[one]}"} for one in _open(connection, attempts)]:
        _lock(connection, attempt_ids=[one["attempt"] for one in named])
        columns = ["batch_id", "attempt_id", "kind", "detail", "created_at"]
        kept = database.insert(connection, proof).from_select(columns, waiting).on_conflict_do_nothing()
        connection.execute(kept, named)


def parts_named(connection: sa.Connection, placed: Collection[Placed]) -> dict[str, int]:
    """The same for unknown messages that have an attempt of their own: by the message, and the attempt it was a part of.

    Of ESPs whose mail bears the whole attempt's name. By its own name it is found without this.
    """
    runs = {one.run_id for one in placed if one.run_id is not None and one.event.attempt_id is not None}
    batch = tables.batches.c
    waiting = {
        (row.run_id, row.first_ordinal + place): row.attempt_id
        for some in correlation.chunks(sorted(runs))
        for row in connection.execute(
            sa.select(batch.run_id, batch.first_ordinal, batch.last_ordinal, batch.attempt_id).where(
                batch.run_id.in_(some), batch.state == BatchState.UNKNOWN
            )
        )
        if ledger.is_part(row.attempt_id)
        for place in range(row.last_ordinal - row.first_ordinal + 1)
    }
    return {
        own: one.element.inbox_id
        for one in placed
        if waiting
        and one.run_id is not None
        and one.ordinal is not None
        and (own := waiting.get((one.run_id, one.ordinal))) is not None
        and one.event.attempt_id is not None
        and own == ledger.own_attempt(one.event.attempt_id, campaigns.message_id(one.run_id, one.ordinal))
    }


def keep_heard(connection: sa.Connection, sent: Batch, batch_id: int, own: str, ordinal: int, now: datetime) -> None:
    """Keep a proof of one message whose event came before its worker wrote that nobody knows what became of it."""
    event = tables.delivery_events.c
    heard = connection.scalar(
        sa.select(event.inbox_id)
        .where(event.run_id == sent.run_id, event.ordinal == ordinal, event.attempt_id.in_((sent.attempt_id, own)))
        .limit(1)
    )
    if heard is not None:
        row = {"batch_id": batch_id, "attempt_id": own, "kind": ProofKind.EVENT, "detail": f"inbox {heard}"}
        kept = database.insert(connection, tables.batch_proofs).values({**row, "created_at": now})
        connection.execute(kept.on_conflict_do_nothing())


def _open(connection: sa.Connection, attempt_ids: Collection[str]) -> list[str]:
    """Which of these are current attempts of open batches. What is not open now never is again by the same attempt."""
    batch = tables.batches.c
    query = sa.select(batch.attempt_id).where(batch.state.in_(sorted(ledger.OPEN)))
    found = {
        attempt_id
        for some in correlation.chunks(sorted(attempt_ids))
        for attempt_id in connection.scalars(query.where(batch.attempt_id.in_(some)))
    }
    return sorted(found)


def _lock(connection: sa.Connection, *, attempt_ids: Collection[str]) -> None:
    """The open batches whose current attempts these are, in one order: so no two who lock wait for each other."""
    batch = tables.batches.c
    which = batch.attempt_id.in_(attempt_ids) & batch.state.in_(sorted(ledger.OPEN))
    connection.execute(sa.select(batch.id).where(which).order_by(batch.id).with_for_update()).all()


def confirm(connection: sa.Connection, *, now: datetime, batch_id: int | None = None) -> int:
    """Accept the unknown and planned batches whose current attempt is proved, or this one; how many they were."""
    batch = tables.batches
    waits = batch.c.state.in_((BatchState.UNKNOWN, BatchState.PLANNED))
    which = waits & _confirmed()
    if batch_id is not None:
        which &= batch.c.id == batch_id
    accepted = batch.update().where(which).values(state=BatchState.ACCEPTED, finished_at=now, lease_expires_at=None)
    return connection.execute(accepted).rowcount


def told_late(connection: sa.Connection, batch: Batch, outcome: Outcome, *, now: datetime) -> bool:
    """Take in the result of a worker whose lease is over; whether it settled the batch.

    A worker that slept between claim and request knows for certain that nothing was sent, whatever the sweep made of
    the batch meanwhile: as long as no other attempt has begun and no proof says otherwise, the batch is planned again.
    An acceptance is kept as a proof, whatever became of the batch: `confirm` takes it in, or the audit complains.
    """
    if outcome.kind is OutcomeKind.ACCEPTED:
        _lock(connection, attempt_ids=[batch.attempt_id])
        _keep(connection, batch, ProofKind.ANSWER, f"HTTP {outcome.status}, {outcome.provider_reference}", now)
    return outcome.local and _never_begun(connection, batch, outcome, now)


def _never_begun(connection: sa.Connection, sent: Batch, outcome: Outcome, now: datetime) -> bool:
    batch = tables.batches
    waits = batch.c.state.in_((BatchState.INFLIGHT, BatchState.UNKNOWN))
    planned = (
        batch.update()
        .where(batch.c.id == sent.batch_id, batch.c.attempt_id == sent.attempt_id, waits, ~_confirmed())
        .values(state=BatchState.PLANNED, finished_at=now, lease_expires_at=None)
    )
    row = connection.execute(planned.returning(batch)).one_or_none()
    if row is None:
        return False
    batches.put_off(connection, row.id, ledger.retry_at(now, row.attempts, outcome.retry_after))
    batches.finish_attempt(connection, sent.attempt_id, outcome, now)
    _keep(connection, sent, ProofKind.NEVER_BEGUN, outcome.detail, now)
    return True


def _confirmed() -> sa.ColumnElement[bool]:
    """Is there a proof that the ESP took the current attempt of this batch?"""
    proof = tables.batch_proofs.c
    return sa.exists().where(proof.attempt_id == tables.batches.c.attempt_id, proof.kind.in_(ledger.CONFIRMING))


def _keep(connection: sa.Connection, sent: Batch, kind: ProofKind, detail: str, now: datetime) -> None:
    row = {"batch_id": sent.batch_id, "attempt_id": sent.attempt_id, "kind": kind, "detail": detail, "created_at": now}
    connection.execute(database.insert(connection, tables.batch_proofs).values(row).on_conflict_do_nothing())
