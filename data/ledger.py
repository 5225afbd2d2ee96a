"""The ledger on SQL: claims and results.

Safe with many workers: a claim is one guarded UPDATE … RETURNING (with SKIP LOCKED on PostgreSQL, where the
same statement without it was measured to claim 3,370 of 4,000 rows twice), and a result is written only by the
attempt that holds the lease.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa

from data import database, eligibility, tables, variables
from domain import campaigns, ledger, tokens
from domain.audience import SkipReason
from domain.campaigns import Run, RunStatus
from domain.ledger import BatchState, MessageState, Outcome
from domain.policy import SendingPolicy
from domain.ports import Batch
from domain.templates import Content

UNSUBSCRIBE_PURPOSE = "unsubscribe"
_RECORD_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Links:
    """How unsubscribe links are made."""

    public_url: str
    key: str

    def unsubscribe(self, message_id: str) -> str:
        token = tokens.sign(message_id, purpose=UNSUBSCRIBE_PURPOSE, key=self.key)
        return f"{self.public_url}/unsubscribe/{token}"


@dataclass(frozen=True, slots=True)
class SqlLedger:
    """One run's ledger (domain.ports.Ledger). Holds no state of its own: any number may work beside each other."""

    engine: sa.Engine
    run: Run
    content: Content
    fallbacks: dict[str, str]
    links: Links
    policy: SendingPolicy
    clock: Callable[[], datetime]

    def claim(self, run_id: str, *, worker: str, provider: str) -> Batch | None:
        """Take the next batch and commit, before any byte leaves; None when nothing can be taken now."""
        while True:
            with database.write(self.engine) as connection:
                now = self.clock()
                row = _take(connection, run_id, worker, now, timedelta(seconds=self.policy.lease_seconds))
                if row is None:
                    return None
                messages = self._messages(connection, row, now)
                if not messages:
                    _close(connection, row.id, BatchState.SUPPRESSED, now)
                    continue
                batch = self._batch(row, messages)
                _write_attempt(connection, row, batch, worker, provider, now)
            # Signing a thousand links takes as long as a tenth of the claim: not while others wait for SQLite's one
            # write lock.
            return replace(batch, unsubscribe_urls=[self.links.unsubscribe(one) for one in batch.message_ids])

    def may_send(self, batch: Batch) -> bool:
        """Half of the lease must be left: a request takes less (tasks/wiring checks that of the settings)."""
        return batch.lease_expires_at - self.clock() >= timedelta(seconds=self.policy.lease_seconds / 2)

    def record(self, batch: Batch, outcome: Outcome) -> None:
        """Write the result, trying for as long as the lease holds: what is known must not be lost to a hiccup.

        Raises LeaseLost where the lease ran out or another attempt owns the batch, and AllRefused once it is written.
        """
        while True:
            try:
                return self._record(batch, outcome)
            except (sa.exc.OperationalError, sa.exc.TimeoutError):
                if self.clock() >= batch.lease_expires_at:
                    raise
                time.sleep(_RECORD_PAUSE_SECONDS)

    def _record(self, batch: Batch, outcome: Outcome) -> None:
        with database.write(self.engine) as connection:
            now = self.clock()
            state = ledger.state_after(outcome.kind, len(batch))
            blameless = state is BatchState.REJECTED and not _ever_accepted(connection, batch.run_id)
            state = BatchState.PLANNED if blameless else state
            row = _close(connection, batch.batch_id, state, now, attempt_id=batch.attempt_id)
            if row is None:
                raise ledger.LeaseLost(f"batch {batch.batch_id}: the lease of this attempt is over")
            _finish_attempt(connection, batch.attempt_id, outcome, now)
            if state is BatchState.PLANNED:
                at = ledger.retry_at(now, row.attempts, outcome.retry_after)
                connection.execute(tables.batches.update().where(tables.batches.c.id == row.id).values(not_before=at))
            elif state is BatchState.SPLIT:
                _split(connection, row, now)
            elif state is BatchState.REJECTED:
                _reject(connection, batch, outcome, now)
        if blameless and row.attempts >= ledger.REFUSALS_BEFORE_PAUSE:
            raise ledger.AllRefused(f"the ESP took nothing of this campaign yet and says: {outcome.detail}")

    def _messages(self, connection: sa.Connection, row: Any, now: datetime) -> list[sa.Row[Any]]:
        """The second reading: whoever may not be mailed any more becomes an exception, in the claim's transaction."""
        judged = eligibility.select(
            connection,
            self.run.plan.account_id,
            run_id=row.run_id,
            among=self._unsent(row),
            policy=self.policy,
            now=now,
        ).subquery("judged")
        values = (judged.c[name] for name in variables.columns(self.content.variables))
        # The freeze planned each mailbox once. Where an address is another one since, that may hold no more.
        moved = sa.case((judged.c.address_hash.is_distinct_from(judged.c.frozen_hash), SkipReason.ADDRESS_CHANGED))
        reason = sa.func.coalesce(judged.c.reason, moved).label("reason")
        query = sa.select(judged.c.ordinal, judged.c.address, reason, *values).order_by(judged.c.ordinal)
        found = connection.execute(query).all()
        refused = [(message.ordinal, why) for message in found if (why := self._against(message)) is not None]
        _leave_out(connection, row, refused, now)
        without = {ordinal for ordinal, _ in refused}
        return [message for message in found if message.ordinal not in without]

    def _against(self, message: sa.Row[Any]) -> str | None:
        """Why this one gets no mail now, if anything: the gate saw to all values, but features may be newer."""
        if message.reason is not None:
            return str(message.reason)
        gaps = (n for n in self.content.variables if n not in self.fallbacks and message._mapping[n] is None)
        return next((f"no value for {name}" for name in gaps), None)

    def _unsent(self, row: Any) -> sa.FromClause:
        """The batch's people with all that a mail needs of them, less those suppressed or rejected before."""
        member, exception = tables.audience, tables.message_exceptions
        party, features = tables.parties, tables.customer_features
        excepted = sa.exists().where(exception.c.run_id == member.c.run_id, exception.c.ordinal == member.c.ordinal)
        values = (column.label(name) for name, column in variables.columns(self.content.variables).items())
        return (
            sa.select(
                member.c.party_id,
                member.c.ordinal,
                member.c.address_hash.label("frozen_hash"),
                party.c.email.label("address"),
                *values,
            )
            .select_from(
                member.join(party, party.c.id == member.c.party_id).outerjoin(
                    features, features.c.party_id == member.c.party_id
                )
            )
            .where(
                member.c.run_id == row.run_id,
                member.c.ordinal.between(row.first_ordinal, row.last_ordinal),
                ~excepted,
            )
            .subquery("unsent")
        )

    def _batch(self, row: Any, messages: Sequence[sa.Row[Any]]) -> Batch:
        """All of the batch but its links."""
        ordinals, addresses, _, *values = zip(*messages, strict=True)
        return Batch(
            run_id=row.run_id,
            batch_id=row.id,
            attempt_id=row.attempt_id,
            lease_expires_at=row.lease_expires_at,
            campaign=self.run.plan.campaign,
            content=self.content,
            sender=self.run.plan.sender,
            message_ids=[campaigns.message_id(row.run_id, ordinal) for ordinal in ordinals],
            addresses=addresses,
            variables={
                name: variables.written(name, list(column), self.fallbacks.get(name))
                for name, column in zip(self.content.variables, values, strict=True)
            },
            unsubscribe_urls=(),
        )


def _ever_accepted(connection: sa.Connection, run_id: str) -> bool:
    batch = tables.batches
    found = sa.exists().where(batch.c.run_id == run_id, batch.c.state == BatchState.ACCEPTED)
    return bool(connection.scalar(sa.select(found)))


def _leave_out(connection: sa.Connection, row: Any, refused: Sequence[tuple[int, str]], now: datetime) -> None:
    if not refused:
        return
    exception = {"run_id": row.run_id, "state": MessageState.SUPPRESSED, "created_at": now}
    connection.execute(
        tables.message_exceptions.insert(),
        [{**exception, "ordinal": ordinal, "reason": reason} for ordinal, reason in refused],
    )


def _take(connection: sa.Connection, run_id: str, worker: str, now: datetime, lease: timedelta) -> Any | None:
    batch, run = tables.batches, tables.campaign_runs
    runnable = sa.exists().where(
        run.c.id == run_id, run.c.status == RunStatus.DISPATCHING, run.c.live, run.c.expires_at > now
    )
    due = batch.c.not_before.is_(None) | (batch.c.not_before <= now)
    candidate = (
        sa.select(batch.c.id)
        .where(batch.c.run_id == run_id, batch.c.state == BatchState.PLANNED, due, runnable)
        .order_by(batch.c.first_ordinal)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    claimed = (
        batch.update()
        .where(batch.c.id == candidate, batch.c.state == BatchState.PLANNED)
        .values(
            state=BatchState.INFLIGHT,
            worker=worker,
            attempt_id=str(uuid.uuid4()),
            attempts=batch.c.attempts + 1,
            lease_expires_at=now + lease,
        )
        .returning(batch)
    )
    return connection.execute(claimed).one_or_none()


def _close(
    connection: sa.Connection, batch_id: int, state: BatchState, now: datetime, *, attempt_id: str | None = None
) -> Any | None:
    """Move an inflight batch on. With `attempt_id`: only if that attempt still holds the lease (fencing)."""
    batch = tables.batches
    where = (batch.c.id == batch_id) & (batch.c.state == BatchState.INFLIGHT)
    if attempt_id is not None:
        where &= (batch.c.attempt_id == attempt_id) & (batch.c.lease_expires_at > now)
    changed = batch.update().where(where).values(state=state, finished_at=now, lease_expires_at=None)
    return connection.execute(changed.returning(batch)).one_or_none()


def _write_attempt(
    connection: sa.Connection, row: Any, batch: Batch, worker: str, provider: str, now: datetime
) -> None:
    connection.execute(
        tables.batch_attempts.insert().values(
            id=batch.attempt_id,
            batch_id=row.id,
            number=row.attempts,
            worker=worker,
            provider=provider,
            content_hash=content_hash(batch),
            messages=len(batch),
            claimed_at=now,
        )
    )


def content_hash(batch: Batch) -> str:
    """SHA-256 over all that this request says to whom: two attempts of equal hash said the same."""
    digest = hashlib.sha256(batch.content.hash.encode())
    digest.update(orjson.dumps([list(batch.message_ids), list(batch.addresses), dict(batch.variables)]))
    return digest.hexdigest()


def _finish_attempt(connection: sa.Connection, attempt_id: str, outcome: Outcome, now: datetime) -> None:
    attempt = tables.batch_attempts
    connection.execute(
        attempt.update()
        .where(attempt.c.id == attempt_id)
        .values(
            finished_at=now,
            outcome=outcome.kind,
            status_code=outcome.status,
            provider_reference=outcome.provider_reference,
            detail=outcome.detail,
        )
    )


def _split(connection: sa.Connection, row: Any, now: datetime) -> None:
    """The ESP refused the request as a whole: two halves, down to the message that it cannot take."""
    connection.execute(
        tables.batches.insert(),
        [
            {
                "run_id": row.run_id,
                "first_ordinal": first,
                "last_ordinal": last,
                "state": BatchState.PLANNED,
                "attempts": 0,
                "not_before": now,
            }
            for first, last in ledger.halves(row.first_ordinal, row.last_ordinal)
        ],
    )


def _reject(connection: sa.Connection, batch: Batch, outcome: Outcome, now: datetime) -> None:
    (only,) = batch.message_ids
    parsed = campaigns.parse_message_id(only)
    assert parsed is not None, "the ledger made this id"
    connection.execute(
        tables.message_exceptions.insert().values(
            run_id=batch.run_id,
            ordinal=parsed[1],
            state=MessageState.REJECTED,
            reason=outcome.detail,
            created_at=now,
        )
    )
