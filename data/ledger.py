"""The ledger on SQL: claims and results.

Safe with many workers, by the statements of data.batches: a batch is claimed once, and a result is written only by the
attempt that holds the lease.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa

from data import (
    batches,
    claim_reading,
    database,
    eligibility,
    partial_results,
    proofs,
    tables,
    told_at_once,
    traffic_rows,
    variables,
)
from data.desk import Outlook, no_outlook
from data.traffic import Traffic
from domain import campaigns, ledger, tokens
from domain.campaigns import Run, Sender
from domain.failover import Needs
from domain.ledger import BatchState, MessageState, Outcome, OutcomeKind
from domain.policy import SendingPolicy
from domain.ports import Batch, Scheduler, SchedulingFailed
from domain.routes import Grant, Route
from domain.templates import Content

UNSUBSCRIBE_PURPOSE = "unsubscribe"
_RECORD_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Links:
    """How unsubscribe links are made."""

    public_url: str
    key: str

    def unsubscribe(self, message_ids: Sequence[str]) -> list[str]:
        """One link for each message."""
        begin = f"{self.public_url}/unsubscribe/"
        return [begin + token for token in tokens.sign_all(message_ids, purpose=UNSUBSCRIBE_PURPOSE, key=self.key)]


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
    routes: Sequence[Route]
    needs: Needs
    outlook: Callable[[sa.Connection, datetime], Outlook] = no_outlook
    schedulers: Mapping[str, Scheduler] = field(default_factory=dict)  # by provider: for two-phase runs
    traffic: Traffic = field(init=False)

    def __post_init__(self) -> None:
        traffic = Traffic(
            engine=self.engine,
            routes=self.routes,
            needs=self.needs,
            policy=self.policy,
            clock=self.clock,
            run=self.run,
            outlook=self.outlook,
        )
        object.__setattr__(self, "traffic", traffic)  # the book itself stays as it was opened

    def claim(self, run_id: str, *, worker: str) -> Batch | None:
        """Choose the way of the next batch, take the batch, and commit both before any byte leaves."""
        assert run_id == self.run.id, "a book is of one run"
        while (grant := self.traffic.next()) is not None:
            try:
                batch = self._claimed(grant, worker)
            except SchedulingFailed as failure:
                self.traffic.told(grant, Outcome(OutcomeKind.NOT_SENT, detail=str(failure)), messages=0, seconds=0.0)
                continue
            except BaseException:
                # Where not even that can be written, its slot is free when the lease is over.
                with suppress(sa.exc.OperationalError, sa.exc.TimeoutError):
                    self.traffic.given_back(grant)
                raise
            if batch is not None:
                # Signing a thousand links takes as long as a tenth of the claim: not while others wait for SQLite's one
                # write lock.
                return replace(batch, unsubscribe_urls=self.links.unsubscribe(batch.message_ids))
            self.traffic.given_back(grant)
        return None

    def ask_again_seconds(self) -> float | None:
        """The soonest that anybody of this wave was told."""
        return None if self.traffic.stalled is None else self.traffic.stalled.seconds

    def _claimed(self, grant: Grant, worker: str) -> Batch | None:
        """The batch of this grant; None where somebody else has it, or nobody in it may be mailed any more."""
        scheduler = self.schedulers.get(grant.route.provider) if self.run.plan.two_phase else None
        schedule_id = scheduler.new_schedule() if scheduler is not None else None
        with database.write(self.engine) as connection:
            now = self.clock()
            lease = timedelta(seconds=self.policy.lease_seconds)
            found = batches.locked(connection, grant.batch_id)
            if found.attempt_id is not None and proofs.confirm(connection, now=now, batch_id=found.id):
                return None  # released by a look-up, and proved since: it went out
            batch_id = batches.carve(connection, found, grant.messages)
            row = batches.take(connection, batch_id, worker, now, lease)
            if row is None:
                return None
            messages = self._messages(connection, row, now)
            if not messages:
                batches.close(connection, row.id, BatchState.SUPPRESSED, now)
                return None
            batch = replace(
                self._batch(row, messages, grant),
                schedule_id=schedule_id,
                send_at=self._send_at(grant, now, called_back=schedule_id is not None),
            )
            _write_attempt(connection, row, batch, worker, now)
            return batch

    def _send_at(self, grant: Grant, now: datetime, *, called_back: bool) -> datetime | None:
        """When the ESP is to let it go; None: at once. Whole seconds, as ESPs count them."""
        wait = timedelta(seconds=grant.release_seconds)
        if called_back:
            wait = max(wait, timedelta(minutes=self.policy.call_back_minutes))
        return (now + wait).replace(microsecond=0) if wait else None

    def may_send(self, batch: Batch) -> bool:
        """Half of the lease must be left: a request takes less (tasks/wiring checks that of the settings)."""
        return batch.lease_expires_at - self.clock() >= timedelta(seconds=self.policy.lease_seconds / 2)

    def record(self, batch: Batch, outcome: Outcome, *, seconds: float) -> None:
        """Write the result, trying for as long as the lease holds: what is known must not be lost to a hiccup.

        Raises LeaseLost where the lease ran out or another attempt owns the batch, and AllRefused once it is written.
        """
        try:
            self._record_while_leased(batch, outcome)
        finally:
            # A hiccup here costs a slot and some tokens until the lease is over, and no mail.
            with suppress(sa.exc.OperationalError, sa.exc.TimeoutError):
                sent = ledger.handed_over(outcome, batch.message_ids)
                self.traffic.told(batch.grant, outcome, messages=sent, seconds=seconds)

    def _record_while_leased(self, batch: Batch, outcome: Outcome) -> None:
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
            blameless = _all_refused(connection, batch, outcome)
            told = ledger.simplified(outcome, batch.message_ids)
            if told.exceptions:
                row, settled = None, partial_results.record(connection, batch, told, blameless, now)
            else:
                row = self._close(connection, batch, told, now, blameless=blameless)
                settled = row is not None or proofs.told_late(connection, batch, told, now=now)
            if settled and not blameless:
                told_at_once.record(connection, batch, outcome, now=now)
        if not settled:  # outside of the transaction: what was told late is kept
            raise ledger.LeaseLost(f"batch {batch.batch_id}: the lease of this attempt is over")
        if blameless and (told.exceptions or (row is not None and row.attempts >= ledger.REFUSALS_BEFORE_PAUSE)):
            raise ledger.AllRefused(f"the ESP took nothing of this campaign yet and says: {_words(outcome)}")

    def _close(
        self, connection: sa.Connection, batch: Batch, outcome: Outcome, now: datetime, *, blameless: bool
    ) -> Any | None:
        """Write a result that is every message's; the batch's row then, None where the lease is over."""
        refused = outcome.kind is OutcomeKind.REJECTED and not outcome.local
        row = batches.close(
            connection,
            batch.batch_id,
            BatchState.PLANNED if blameless else ledger.state_after(outcome.kind, len(batch)),
            now,
            attempt_id=batch.attempt_id,
            refused_by=batch.grant.route.provider if refused else None,
        )
        if row is not None:
            batches.follow_up(connection, batch, row, outcome, now)
        return row

    def _messages(self, connection: sa.Connection, row: Any, now: datetime) -> list[sa.Row[Any]]:
        """The second reading: whoever may not be mailed any more becomes an exception, in the claim's transaction."""
        found, refused = self.second_reading(connection, row.first_ordinal, row.last_ordinal, now)
        leave_out(connection, row.run_id, refused, now)
        return [message for message in found if message.ordinal not in refused] if refused else list(found)

    def second_reading(
        self, connection: sa.Connection, first: int, last: int, now: datetime
    ) -> tuple[Sequence[sa.Row[Any]], dict[int, str]]:
        """These people as they stand now, but those left out before; and by ordinal who gets no mail now, and why."""
        plan = self.run.plan
        asked = eligibility.question(
            connection, plan.account_id, run_id=self.run.id, policy=self.policy, now=now, topic=plan.topic
        )
        found = connection.execute(
            claim_reading.of(asked, self.content.variables),
            {"run_id": self.run.id, "first_ordinal": first, "last_ordinal": last, **asked.moments(now)},
        ).all()
        return found, self._refused(found)

    def _refused(self, found: Sequence[sa.Row[Any]]) -> dict[int, str]:
        """Ordinals of those who get no mail now, and why: the gate saw to all values, but features may be newer."""
        if not found:
            return {}
        ordinals, _, reasons, *values = zip(*found, strict=True)
        refused = {ordinal: why for ordinal, why in zip(ordinals, reasons, strict=True) if why is not None}
        for name, column in zip(self.content.variables, values, strict=True):
            if name in self.fallbacks or None not in column:
                continue
            gaps = (ordinal for ordinal, value in zip(ordinals, column, strict=True) if value is None)
            refused = dict.fromkeys(gaps, f"no value for {name}") | refused
        return refused

    def _batch(self, row: Any, messages: Sequence[sa.Row[Any]], grant: Grant) -> Batch:
        """All of the batch but its links."""
        ordinals, addresses, _, *values = zip(*messages, strict=True)
        return Batch(
            run_id=row.run_id,
            batch_id=row.id,
            attempt_id=row.attempt_id,
            lease_expires_at=row.lease_expires_at,
            campaign=self.run.plan.campaign,
            content=self.content,
            sender=sender_at(self.run.plan.sender, grant.route.domain),
            pool=grant.route.ip_pool,
            message_ids=[campaigns.message_id(row.run_id, ordinal) for ordinal in ordinals],
            addresses=addresses,
            variables=self.written(values),
            unsubscribe_urls=(),
            grant=grant,
        )

    def written(self, columns: Sequence[Sequence[Any]]) -> dict[str, list[str]]:
        """The variables' values as the mail says them, from columns in the order of the content's variables."""
        return {
            name: variables.written(name, column, self.fallbacks.get(name))
            for name, column in zip(self.content.variables, columns, strict=True)
        }


def _all_refused(connection: sa.Connection, batch: Batch, outcome: Outcome) -> bool:
    """Are single messages refused of a run of which no ESP ever took one? Then the campaign is at fault, not they."""
    refused = ledger.refused_alone(outcome, batch.message_ids)
    return refused and not batches.ever_accepted(connection, batch.run_id)


def _words(outcome: Outcome) -> str:
    return next((one.detail for one in outcome.exceptions.values() if one.detail), outcome.detail)


def sender_at(sender: Sender, domain: str) -> Sender:
    """The mailbox of the run at the domain of the route, which its ESP signs for; answers come where they always do."""
    mailbox, _, own = sender.email.rpartition("@")
    if domain == own:
        return sender
    return Sender(f"{mailbox}@{domain}", sender.name, sender.reply_to or sender.email)


def leave_out(connection: sa.Connection, run_id: str, refused: Mapping[int, str], now: datetime) -> None:
    """These, by ordinal, get no mail of this run, for that reason."""
    if not refused:
        return
    exception = {"run_id": run_id, "state": MessageState.SUPPRESSED, "created_at": now}
    connection.execute(
        tables.message_exceptions.insert(),
        [{**exception, "ordinal": ordinal, "reason": reason} for ordinal, reason in refused.items()],
    )


def _write_attempt(connection: sa.Connection, row: Any, batch: Batch, worker: str, now: datetime) -> None:
    connection.execute(
        tables.batch_attempts.insert().values(
            id=batch.attempt_id,
            batch_id=row.id,
            number=row.attempts,
            worker=worker,
            provider=batch.grant.route.provider,
            content_hash=content_hash(batch),
            messages=len(batch),
            claimed_at=now,
        )
    )
    connection.execute(
        tables.attempt_routes.insert().values(
            **traffic_rows.way(batch.grant.route),
            attempt_id=batch.attempt_id,
            mailbox_group=batch.grant.mailbox_group,
            decision=batch.grant.decision,
            schedule_id=batch.schedule_id,
            send_at=batch.send_at,
        )
    )


def content_hash(batch: Batch) -> str:
    """SHA-256 over all that this request says to whom: two attempts of equal hash said the same."""
    digest = hashlib.sha256(batch.content.hash.encode())
    digest.update(orjson.dumps([list(batch.message_ids), list(batch.addresses), dict(batch.variables)]))
    return digest.hexdigest()
