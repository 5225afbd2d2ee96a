"""The transactional lane of one account: which message may go by which way, claimed in the same short transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from data import database, told_at_once, transactional_queue
from data.desk import Outlook
from data.lanes import Lane, Stall
from data.ledger import sender_at
from data.transactional_mail import Letter
from domain import campaigns
from domain.accounts import Account
from domain.campaigns import Sender
from domain.ledger import BatchState, Outcome, OutcomeKind
from domain.ports import Batch
from domain.routes import Grant, Route
from domain.transactional import ORDINAL

_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Over:
    """The message goes no further, or somebody else has it."""

    why: str


@dataclass(slots=True, kw_only=True)
class TransactionalLane(Lane):
    """The ways out of one account's transactional mail, its own pools and keys."""

    account: Account
    unwell: frozenset[str] = field(default=frozenset())  # ESPs whose seed messages fare badly

    def claim(self, row: Any, letter: Letter, *, worker: str) -> Batch | Stall | Over:
        """Take the message of this row and the way that it goes by. A Stall: nothing of it can go now."""
        self.prepare()
        with database.write(self.engine, urgent=True) as connection:
            now = self.clock()
            if row.expires_at <= now:
                transactional_queue.out_of_use(connection, row.id, resent=row.resent, now=now)
                return Over("expired")
            if (
                reason := transactional_queue.refusal(connection, row.account_id, letter.address_hash, now)
            ) is not None:
                transactional_queue.end(connection, row.id, BatchState.SUPPRESSED, reason, now)
                return Over(reason)
            grant = self._way(connection, row, letter)
            if isinstance(grant, Stall):
                return grant
            claimed = transactional_queue.claim(
                connection,
                row,
                grant,
                worker=worker,
                letter=letter,
                now=now,
                lease=timedelta(seconds=self.policy.lease_seconds),
            )
            if claimed is None:
                self._settle(connection, grant, 0, now)
                return Over("somebody else has it")
            return self._batch(claimed, letter, grant)

    def _way(self, connection: sa.Connection, row: Any, letter: Letter) -> Grant | Stall:
        """Another ESP first where the last one did not take it, one that stands by too: she waits.

        Only what was certainly not sent moves; what goes a second time goes by the same ESP. What stands by also goes
        where the others' ESPs say when to come again: marketing would wait for that.
        """
        ways = [one for one in self.routes if row.only_route in {None, one.name}]
        if row.only_route is not None and not ways:
            return Stall(f"there is no route {row.only_route} any more", None)
        others = [one for one in ways if one.provider != row.last_provider]
        if row.resent and len(others) < len(
            ways
        ):  # what may have gone moves to no other ESP: only this one may know it
            ways = [one for one in ways if one.provider == row.last_provider]
        elif row.attempts and others and len(others) < len(ways):
            found = self._by(connection, letter, others)
            if isinstance(found, Grant):
                return found
        usual = self._by(connection, letter, ways)
        if isinstance(usual, Stall) and usual.by_esp and (spare := [one for one in ways if one.share == 0]):
            found = self._by(connection, letter, spare)
            return found if isinstance(found, Grant) else usual
        return usual

    def _by(self, connection: sa.Connection, letter: Letter, ways: Sequence[Route]) -> Grant | Stall:
        outlook = Outlook(unwell=self.unwell)
        return self._grant(connection, 0, 1, letter.mailbox_group, outlook, self.clock(), among=ways)

    def _batch(self, row: Any, letter: Letter, grant: Grant) -> Batch:
        sender = Sender(self.account.sender_email, self.account.sender_name)
        return Batch(
            run_id=row.id,
            batch_id=0,
            attempt_id=row.attempt_id,
            lease_expires_at=row.lease_expires_at,
            campaign=row.template,
            content=letter.content,
            sender=sender_at(sender, grant.route.domain),
            message_ids=(campaigns.message_id(row.id, ORDINAL),),
            addresses=(letter.address,),
            variables={},
            unsubscribe_urls=(),
            grant=grant,
            pool=grant.route.ip_pool,
        )

    def record(self, batch: Batch, outcome: Outcome, *, seconds: float) -> bool:
        """Write what came of it; False where the lease was lost, and somebody else decides about the message."""
        own = outcome.exceptions.get(batch.message_ids[0], outcome)
        sent = int(own.kind is not OutcomeKind.NOT_SENT)
        with database.write(self.engine, urgent=True) as connection:
            now = self.clock()
            # The way's rows before the message's, as a claim locks them: so no two wait for each other.
            self.take_in(connection, batch.grant, _of_the_esp(own), messages=sent, seconds=seconds)
            kept = transactional_queue.record(connection, batch.run_id, batch.attempt_id, own, now)
            told_at_once.record(connection, batch, own, now=now)  # of the mailbox: it is so whoever has the lease
            return kept


def _of_the_esp(outcome: Outcome) -> Outcome:
    """What it says of more than its own mail: a relay that puts one recipient off (a greylist) takes the next one's."""
    return outcome if outcome.status == _TOO_MANY else replace(outcome, retry_after=None)
