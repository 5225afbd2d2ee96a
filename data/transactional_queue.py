"""The queue of transactional messages: whose turn it is, the claim, and what came of it.

The same order as everywhere (shared/DESIGN.md section 4): claim, commit, send, record. A claim and a result are each one
guarded UPDATE; whoever lost the lease writes nothing, but what it knows for certain is kept as a proof.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import eligibility, tables, transactional_proofs
from data.transactional_mail import Letter
from domain import addresses, transactional
from domain.ledger import BatchState, Outcome
from domain.routes import Grant
from domain.suppression import Stream
from domain.transactional import OPEN, OVER, Urgency

_message = tables.transactional_messages
# What may hold an address or a secret is emptied with the end of the message.
_EMPTIED = {"variables": sa.null(), "email": sa.null()}
# Why it went no further, of one that nobody decided about.
WHY_OVER = {
    BatchState.HELD: "possibly sent: the ESP's answer never came",
    BatchState.EXPIRED: "it outlived its use before it could go",
}


@dataclass(frozen=True, slots=True)
class Resting:
    """What is passed over now: accounts whose ways take nothing, and messages that this process has in hand."""

    accounts: Collection[str] = ()
    messages: Collection[str] = ()


def next_due(connection: sa.Connection, now: datetime, *, after: str, resting: Resting) -> sa.Row[Any] | None:
    """The message whose turn it is: the most urgent; within one urgency each account's oldest, one account after the other.

    `after`: the account that was served last. It is neither locked nor claimed: two who find the same meet at the claim.
    """
    account, each = tables.accounts.c, _message.alias()
    levels = sa.values(sa.column("urgency", sa.Integer), name="levels").data([(int(one),) for one in Urgency]).cte()
    oldest = (
        sa.select(each.c.id)
        .where(
            each.c.state == sa.literal_column("'planned'"),  # as the index says it
            each.c.urgency == levels.c.urgency,
            each.c.account_id == account.id,
            each.c.not_before <= now,
            each.c.id.not_in(sorted(resting.messages)),
        )
        .order_by(each.c.not_before)
        .limit(1)
        .correlate(tables.accounts, levels)
        .scalar_subquery()
    )
    heads = (
        sa.select(levels.c.urgency, account.id.label("account_id"), oldest.label("message_id"))
        .select_from(tables.accounts.join(levels, sa.true()))
        .where(account.id.not_in(sorted(resting.accounts)))
        .subquery()
    )
    turn = sa.case((heads.c.account_id > after, 0), else_=1)
    first = (
        sa.select(heads.c.message_id)
        .where(heads.c.message_id.is_not(None))
        .order_by(heads.c.urgency, turn, heads.c.account_id)
        .limit(1)
    )
    # Not by a join: PostgreSQL reads all messages for it, of which it cannot know that one is wanted.
    return connection.execute(sa.select(_message).where(_message.c.id == first.scalar_subquery())).one_or_none()


def refusal(connection: sa.Connection, account_id: str, address_hash: str, now: datetime) -> str | None:
    """The strongest reason for which this address gets no transactional mail of the account; None: it may."""
    moment = sa.literal(now, tables.suppressions.c.expires_at.type)
    asked = eligibility.suppressed_by(account_id, sa.literal(address_hash), Stream.TRANSACTIONAL, moment)
    found: str | None = connection.scalar(sa.select(asked))
    return found


def claim(
    connection: sa.Connection,
    seen: Any,
    grant: Grant,
    *,
    worker: str,
    letter: Letter,
    now: datetime,
    lease: timedelta,
) -> sa.Row[Any] | None:
    """Take this message, as it was `seen`, by this way; None where somebody else was faster, or it is over."""
    attempt_id = str(uuid.uuid4())
    claimed = (
        _message.update()
        .where(
            _message.c.id == seen.id,
            _message.c.state == BatchState.PLANNED,
            _message.c.expires_at > now,
            _message.c.not_before <= now,
            _message.c.attempts == seen.attempts,  # else somebody else tried it since, and its way is chosen by that
        )
        .values(
            state=BatchState.INFLIGHT,
            worker=worker,
            attempt_id=attempt_id,
            attempts=_message.c.attempts + 1,
            lease_expires_at=now + lease,
            last_provider=grant.route.provider,
            address_hash=letter.address_hash,
            sent_to=addresses.masked(letter.address),
            mailbox_group=letter.mailbox_group,
        )
        .returning(_message)
    )
    row = connection.execute(claimed).one_or_none()
    if row is not None:
        connection.execute(
            tables.transactional_attempts.insert().values(
                id=attempt_id,
                message_id=row.id,
                number=row.attempts,
                worker=worker,
                account_id=grant.route.account_id,
                provider=grant.route.provider,
                route=grant.route.name,
                pool=grant.route.pool,
                stream=grant.route.stream,
                domain=grant.route.domain,
                decision=grant.decision,
                content_hash=letter.content.hash,
                claimed_at=now,
            )
        )
    return row


def record(connection: sa.Connection, message_id: str, attempt_id: str, outcome: Outcome, now: datetime) -> bool:
    """Write what came of an attempt; False where its lease was lost, and then only what is certain is kept.

    The message is locked before its attempt, as everywhere: so no two wait for each other.
    """
    state = transactional.state_after(outcome)
    row = connection.execute(
        _message.update()
        .where(
            _message.c.id == message_id,
            _message.c.attempt_id == attempt_id,
            _message.c.state == BatchState.INFLIGHT,
            _message.c.lease_expires_at > now,
        )
        .values(
            **moved(state, now, outcome.detail if state is BatchState.REJECTED else None) | {"state": _ended(state)}
        )
        .returning(_message.c.attempts)
    ).one_or_none()
    if row is None:
        transactional_proofs.told_late(connection, message_id, attempt_id, outcome, now)
        finish_attempt(connection, attempt_id, outcome, now)
        return False
    finish_attempt(connection, attempt_id, outcome, now)
    if state is BatchState.PLANNED:
        put_off(connection, message_id, transactional.retry_at(now, row.attempts))
    if state in OPEN:  # an event may have been quicker, of this attempt or of one that nobody knew the end of
        transactional_proofs.confirm(connection, now=now, among=[message_id])
    return True


def finish_attempt(connection: sa.Connection, attempt_id: str, outcome: Outcome, now: datetime) -> None:
    """Write what the ESP said to an attempt."""
    attempt = tables.transactional_attempts
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


def put_off(connection: sa.Connection, message_id: str, until: datetime) -> None:
    """Nobody may claim it before then."""
    connection.execute(
        _message.update()
        .where(_message.c.id == message_id, _message.c.state == BatchState.PLANNED)
        .values(not_before=until)
    )


def end(connection: sa.Connection, message_id: str, state: BatchState, why: str, now: datetime) -> bool:
    """A planned message goes no further: suppressed, rejected, expired or cancelled; whether it still was planned.

    One that may have gone before is held as possibly sent, for that reason.
    """
    changed = (
        _message.update()
        .where(_message.c.id == message_id, _message.c.state == BatchState.PLANNED)
        .values(**moved(state, now, why) | {"state": _ended(state)})
    )
    return connection.execute(changed).rowcount == 1


def _ended(state: BatchState) -> sa.ColumnElement[str]:
    return sa.case((_message.c.resent, str(transactional.ended(state, resent=True))), else_=str(state))


def out_of_use(connection: sa.Connection, message_id: str, *, resent: bool, now: datetime) -> None:
    """A planned message outlived its use before it could go."""
    state = transactional.ended(BatchState.EXPIRED, resent=resent)
    end(connection, message_id, state, WHY_OVER[state], now)


def moved(state: BatchState, now: datetime, why: str | None) -> dict[str, Any]:
    """What a row becomes that is in this state from now on."""
    values: dict[str, Any] = {"state": state, "finished_at": now, "lease_expires_at": None}
    if why is not None:
        values["why"] = why
    if state is BatchState.ACCEPTED:
        values["accepted_at"] = now
    return values | (_EMPTIED if state in OVER else {})
