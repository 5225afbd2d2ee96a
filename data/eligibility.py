"""Who may be mailed now: one SQL expression, read when the audience is frozen and again inside each claim.

Each part is a correlated look-up by index, so a claim of 1000 costs 1000 probes whatever else the tables hold.
"""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import tables
from domain import suppression
from domain.audience import SkipReason
from domain.consent import ConsentStatus
from domain.ledger import BatchState
from domain.policy import SendingPolicy
from domain.suppression import Stream

_MAILED = (BatchState.INFLIGHT, BatchState.ACCEPTED, BatchState.UNKNOWN, BatchState.HELD)


def select(
    account_id: str, *, run_id: str, among: sa.FromClause, policy: SendingPolicy, now: datetime
) -> sa.Select[Any]:
    """Rows (party_id, address_hash, reason) for the parties in `among`; reason is NULL for those who may be mailed.

    `among` has a column party_id. The order of the cases is the order of SkipReason.
    """
    party = tables.parties
    facts = (
        sa.select(
            party.c.id.label("party_id"),
            party.c.address_hash,
            party.c.email,
            party.c.erased_at,
            suppressed_by(account_id, party.c.address_hash, Stream.MARKETING, now).label("suppressed_by"),
            consent_status(party.c.id).label("consent"),
            recent_mails(party.c.id, run_id=run_id, since=now - timedelta(days=policy.cap_days)).label("recent"),
        )
        .select_from(among.join(party, party.c.id == among.c.party_id))
        .subquery("facts")
    )
    reason = sa.case(
        (facts.c.erased_at.is_not(None), SkipReason.SUPPRESSED_ERASED),
        (facts.c.email.is_(None), SkipReason.NO_ADDRESS),
        (facts.c.address_hash.is_(None), SkipReason.INVALID_ADDRESS),
        (facts.c.suppressed_by.is_not(None), sa.literal("suppressed_") + facts.c.suppressed_by),
        (facts.c.consent.is_(None), SkipReason.NO_CONSENT),
        (facts.c.consent == ConsentStatus.WITHDRAWN, SkipReason.CONSENT_WITHDRAWN),
        (facts.c.recent >= policy.cap_mails, SkipReason.FREQUENCY_CAP),
        else_=None,
    )
    return sa.select(facts.c.party_id, facts.c.address_hash, reason.label("reason"))


def suppressed_by(
    account_id: str, address_hash: sa.ColumnElement[Any], stream: Stream, now: datetime
) -> sa.ScalarSelect[Any]:
    """The strongest reason in force that stops this stream for the address, or NULL."""
    table = tables.suppressions
    strength = sa.case({reason.value: place for place, reason in enumerate(suppression.STRENGTH)}, value=table.c.reason)
    return (
        sa.select(table.c.reason)
        .where(
            table.c.account_id == account_id,
            table.c.address_hash == address_hash,
            table.c.scope.in_(suppression.scopes_blocking(stream)),
            table.c.lifted_at.is_(None),
            table.c.expires_at.is_(None) | (table.c.expires_at > now),
        )
        .order_by(strength)
        .limit(1)
        .scalar_subquery()
    )


def consent_status(party_id: sa.ColumnElement[Any]) -> sa.ScalarSelect[Any]:
    """What the customer said last, or NULL; of two statements at one instant the withdrawal (domain.consent)."""
    table = tables.consents
    return (
        sa.select(table.c.status)
        .where(table.c.party_id == party_id)
        .order_by(table.c.occurred_at.desc(), (table.c.status == ConsentStatus.WITHDRAWN).desc())
        .limit(1)
        .scalar_subquery()
    )


def recent_mails(party_id: sa.ColumnElement[Any], *, run_id: str, since: datetime) -> sa.ScalarSelect[Any]:
    """How many marketing mails of other runs went to the customer since then, or may have."""
    run, batch, member = tables.campaign_runs, tables.batches, tables.audience
    return (
        sa.select(sa.func.count())
        .select_from(
            member.join(run, run.c.id == member.c.run_id).join(
                batch,
                (batch.c.run_id == member.c.run_id)
                & (batch.c.first_ordinal <= member.c.ordinal)
                & (batch.c.last_ordinal >= member.c.ordinal),
            )
        )
        .where(
            member.c.party_id == party_id,
            run.c.id != run_id,
            run.c.dispatch_started_at >= since,
            batch.c.state.in_(_MAILED),
        )
        .scalar_subquery()
    )
