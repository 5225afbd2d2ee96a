"""Wrong ledgers: each a product's function with one mistake in it, of the kind that is easily made.

Some are what well-known systems do: requeueing by time is how job queues rescue orphans, and what made 440 duplicates in
27 runs of a prototype.
"""

import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from data import batches, database, ledger_sweep, proofs, tables
from data.ledger import SqlLedger
from domain import ledger
from domain.ledger import BatchState, Outcome, OutcomeKind
from domain.routes import MIXED
from providers import http
from providers.sendgrid import mailer

Mutant = Callable[[pytest.MonkeyPatch], None]
_BATCH = tables.batches


def _moving_first(condition: Callable[[datetime], sa.ColumnElement[bool]], state: BatchState) -> Mutant:
    """A sweep that begins with a wrong move."""

    def inject(patch: pytest.MonkeyPatch) -> None:
        sweep = ledger_sweep.sweep

        def wrong(connection: sa.Connection, **named: Any) -> Any:
            moved = _BATCH.update().where(condition(named["now"])).values(state=state, lease_expires_at=None)
            connection.execute(moved)
            return sweep(connection, **named)

        patch.setattr(ledger_sweep, "sweep", wrong)

    return inject


def _is(state: BatchState) -> sa.ColumnElement[bool]:
    return _BATCH.c.state == state


def _long_unknown(now: datetime) -> sa.ColumnElement[bool]:
    return _is(BatchState.UNKNOWN) & (_BATCH.c.finished_at <= now - timedelta(minutes=30))


def _reading(status: int, kind: OutcomeKind) -> Mutant:
    def inject(patch: pytest.MonkeyPatch) -> None:
        patch.setitem(mailer._VERDICTS, status, http.Verdict(kind))

    return inject


def _reading_timeouts(kind: OutcomeKind) -> Mutant:
    return lambda patch: patch.setitem(http.KIND_OF_EXCEPTION, httpx.ReadTimeout, kind)


def _claiming(*states: BatchState) -> Mutant:
    """A turn and a claim that do not ask whether the batch is planned."""

    def inject(patch: pytest.MonkeyPatch) -> None:
        def wrong_turn(
            connection: sa.Connection, run_id: str, now: datetime, *, groups: Collection[str], **_: Any
        ) -> Any | None:
            due = _BATCH.c.not_before.is_(None) | (_BATCH.c.not_before <= now)
            passed_over = sa.func.coalesce(_BATCH.c.mailbox_group, MIXED).in_(sorted(groups))
            found = sa.select(_BATCH).where(_BATCH.c.run_id == run_id, _BATCH.c.state.in_(states), due, ~passed_over)
            return connection.execute(found.limit(1)).one_or_none()

        def wrong_take(
            connection: sa.Connection, batch_id: int, worker: str, now: datetime, lease: timedelta
        ) -> Any | None:
            values = {
                "state": BatchState.INFLIGHT,
                "worker": worker,
                "attempt_id": str(uuid.uuid4()),
                "attempts": _BATCH.c.attempts + 1,
                "lease_expires_at": now + lease,
            }
            claimed = _BATCH.update().where(_BATCH.c.id == batch_id, _BATCH.c.state.in_(states)).values(**values)
            return connection.execute(claimed.returning(_BATCH)).one_or_none()

        patch.setattr(batches, "next_due", wrong_turn)
        patch.setattr(batches, "take", wrong_take)

    return inject


def _no_fencing(patch: pytest.MonkeyPatch) -> None:
    close = batches.close

    def wrong(connection: sa.Connection, batch_id: int, state: BatchState, now: datetime, **_: Any) -> Any | None:
        return close(connection, batch_id, state, now)

    patch.setattr(batches, "close", wrong)


def _split_loses_a_half(patch: pytest.MonkeyPatch) -> None:
    halves = ledger.halves
    patch.setattr(ledger, "halves", lambda first, last: halves(first, last)[:1])


def _retry_of_rejected(patch: pytest.MonkeyPatch) -> None:
    after = ledger.state_after

    def wrong(outcome: OutcomeKind, size: int) -> BatchState:
        state = after(outcome, size)
        return BatchState.PLANNED if state is BatchState.REJECTED else state

    patch.setattr(ledger, "state_after", wrong)


def _suppression_read_once(patch: pytest.MonkeyPatch) -> None:
    refused = SqlLedger._refused

    def wrong(self: SqlLedger, found: Any) -> dict[int, str]:
        return {one: why for one, why in refused(self, found).items() if not why.startswith("suppressed")}

    patch.setattr(SqlLedger, "_refused", wrong)


def _claim_after_the_send(patch: pytest.MonkeyPatch) -> None:
    """The claim is written with the result, in one transaction less."""
    claim, record = SqlLedger.claim, SqlLedger.record

    def move(book: SqlLedger, batch: Any, **values: Any) -> None:
        with database.write(book.engine) as connection:
            connection.execute(_BATCH.update().where(_BATCH.c.id == batch.batch_id).values(**values))

    def claim_nothing(self: SqlLedger, *given: Any, **named: Any) -> Any:
        batch = claim(self, *given, **named)
        if batch is not None:
            move(self, batch, state=BatchState.PLANNED)
        return batch

    def claim_now(self: SqlLedger, batch: Any, outcome: Outcome, **named: Any) -> None:
        move(self, batch, state=BatchState.INFLIGHT, attempt_id=batch.attempt_id)
        record(self, batch, outcome, **named)

    patch.setattr(SqlLedger, "claim", claim_nothing)
    patch.setattr(SqlLedger, "record", claim_now)


def _checkpoint_before_send(patch: pytest.MonkeyPatch) -> None:
    claim, record = SqlLedger.claim, SqlLedger.record

    def wrong(self: SqlLedger, *given: Any, **named: Any) -> Any:
        batch = claim(self, *given, **named)
        if batch is not None:
            record(self, batch, Outcome(OutcomeKind.ACCEPTED), seconds=0.0)
        return batch

    patch.setattr(SqlLedger, "claim", wrong)
    patch.setattr(SqlLedger, "record", lambda *_, **__: None)


def _unknown_counts_as_not_sent(patch: pytest.MonkeyPatch) -> None:
    record = SqlLedger.record

    def wrong(self: SqlLedger, batch: Any, outcome: Outcome, **named: Any) -> None:
        kind = OutcomeKind.NOT_SENT if outcome.kind is OutcomeKind.UNKNOWN else outcome.kind
        record(self, batch, replace(outcome, kind=kind), **named)

    patch.setattr(SqlLedger, "record", wrong)


def _may_always_send(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SqlLedger, "may_send", lambda *_: True)


def _events_of_another_attempt_confirm(patch: pytest.MonkeyPatch) -> None:
    """The event's attempt is looked up to find the batch, and forgotten."""
    record = proofs.record

    def wrong(connection: sa.Connection, attempt_ids: Iterable[str], **named: Any) -> None:
        attempt = tables.batch_attempts.c
        current = sa.select(_BATCH.c.attempt_id).where(
            _BATCH.c.id == attempt.batch_id, attempt.id.in_(list(attempt_ids)), _BATCH.c.attempt_id.is_not(None)
        )
        record(connection, connection.scalars(current).all(), **named)

    patch.setattr(proofs, "record", wrong)


def _any_proof_confirms_all(patch: pytest.MonkeyPatch) -> None:
    """The statement that confirms has lost its attempt."""

    def wrong(connection: sa.Connection, *, now: datetime) -> int:
        proved = sa.exists(sa.select(tables.batch_proofs.c.id))
        accepted = _BATCH.update().where(_is(BatchState.UNKNOWN), proved).values(state=BatchState.ACCEPTED)
        return connection.execute(accepted).rowcount

    patch.setattr(proofs, "confirm", wrong)


def _proof_kept_for_unknown_only(patch: pytest.MonkeyPatch) -> None:
    """An event that comes while the worker still waits for its answer is thrown away."""
    record = proofs.record

    def wrong(connection: sa.Connection, attempt_ids: Iterable[str], **named: Any) -> None:
        unknown = sa.select(_BATCH.c.attempt_id).where(_is(BatchState.UNKNOWN))
        record(connection, set(attempt_ids) & set(connection.scalars(unknown)), **named)

    patch.setattr(proofs, "record", wrong)


MUTANTS: dict[str, Mutant] = {
    "the sweep plans a batch again when its lease is over": _moving_first(
        lambda now: _is(BatchState.INFLIGHT) & (_BATCH.c.lease_expires_at <= now), BatchState.PLANNED
    ),
    "an unknown batch is released when its events stay silent": _moving_first(_long_unknown, BatchState.PLANNED),
    "the sweep holds before it confirms": _moving_first(_long_unknown, BatchState.HELD),
    "an unknown batch past the window expires": _moving_first(lambda _: _is(BatchState.UNKNOWN), BatchState.EXPIRED),
    "an unknown batch counts as accepted in the end": _moving_first(_long_unknown, BatchState.ACCEPTED),
    "503 is a failure": _reading(503, OutcomeKind.NOT_SENT),
    "503 is a refusal": _reading(503, OutcomeKind.REJECTED),
    "a time-out is a failure": _reading_timeouts(OutcomeKind.NOT_SENT),
    "a time-out is a success": _reading_timeouts(OutcomeKind.ACCEPTED),
    "429 is a success": _reading(429, OutcomeKind.ACCEPTED),
    "whatever is unknown goes again": _unknown_counts_as_not_sent,
    "the claim has no guard": _claiming(BatchState.PLANNED, BatchState.INFLIGHT),
    "an unknown batch can be claimed": _claiming(BatchState.PLANNED, BatchState.UNKNOWN),
    "the claim is written after the send": _claim_after_the_send,
    "a batch is accepted when it is claimed": _checkpoint_before_send,
    "no fencing": _no_fencing,
    "nobody asks whether the lease will do": _may_always_send,
    "the split loses a half": _split_loses_a_half,
    "a refused message is tried again": _retry_of_rejected,
    "suppressions are read at the freeze alone": _suppression_read_once,
    "events of another attempt confirm": _events_of_another_attempt_confirm,
    "one proof confirms every batch": _any_proof_confirms_all,
    "an event before the answer is thrown away": _proof_kept_for_unknown_only,
}
