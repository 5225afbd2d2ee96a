"""Where one customer stands with our mail now: the freeze's own verdict, and what is on record behind each part of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import accounts, eligibility, frequencies, mail_counts, tables, topics
from domain import suppression, zones
from domain.audience import SkipReason
from domain.policy import SendingPolicy
from domain.preferences import Frequency
from domain.suppression import Stream


@dataclass(frozen=True, slots=True)
class Statement:
    """The word on consent that counts. `other_number`: it was said under another customer number of the mailbox."""

    status: str
    basis: str
    source: str
    wording: str
    occurred_at: datetime
    other_number: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """The strongest suppression in force."""

    reason: str
    source: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """`reason`: why no mail would go out now, by the very expression that freezes audiences; None where one may.

    `mails`: of the last `cap_days`, of which `cap_mails` are allowed; `chosen`: where that is the customer's own choice,
    and not the shop's cap. `next_mail_at`: when the cap lets one more through. `refused`: topics.
    `goes_first`: campaigns whose mail the customer waits for. `sharing`: others with the same mailbox. `quiet_until`:
    until when a mail would be held back for the night.
    """

    reason: SkipReason | None
    consent: Statement | None
    refusal: Refusal | None
    mails: int
    cap_mails: int
    cap_days: int
    chosen: Frequency | None
    next_mail_at: datetime | None
    refused: tuple[str, ...]
    goes_first: tuple[str, ...]
    sharing: int
    quiet_until: datetime | None


def read(
    connection: sa.Connection,
    account_id: str,
    party_id: int,
    *,
    policy: SendingPolicy,
    now: datetime,
    topic: str | None = None,
) -> Standing:
    """Of one party who stands for a person. `policy` is the installation's. Raises UnknownAccount.

    `topic`: what the mail would be about.
    """
    asked = sa.select(sa.literal(party_id, sa.BigInteger).label("party_id")).subquery("asked")
    judged = eligibility.select(connection, account_id, run_id="", among=asked, policy=policy, now=now, topic=topic)
    row = connection.execute(judged).one()
    own = accounts.policy_of(connection, account_id, policy)
    cap = _cap(connection, account_id, party_id, row.address_hash, own, now)
    first = [
        run
        for run in eligibility.runs_that_go_first(connection, account_id, "", now)
        if connection.scalar(sa.select(mail_counts.waiting_mails(sa.literal(party_id), [run])))
    ]
    return Standing(
        reason=None if row.reason is None else SkipReason(row.reason),
        consent=_statement(connection, account_id, party_id, row.address_hash),
        refusal=_refusal(connection, account_id, row.address_hash, now),
        mails=len(cap.mails),
        cap_mails=cap.most,
        cap_days=cap.days,
        chosen=cap.chosen,
        next_mail_at=cap.next_mail_at,
        refused=tuple(sorted(topics.refused(connection, account_id, row.address_hash))),
        goes_first=_campaigns(connection, first),
        sharing=_sharing(connection, account_id, party_id, row.address_hash),
        quiet_until=_quiet_until(connection, account_id, party_id, own, now),
    )


@dataclass(frozen=True, slots=True)
class _Cap:
    """At most so many mails in so many days, and when those went out that count; the oldest leaves the window first."""

    most: int
    days: int
    mails: list[datetime]
    chosen: Frequency | None = None

    @property
    def next_mail_at(self) -> datetime | None:
        """None where one more may go now."""
        full = len(self.mails) >= self.most
        return self.mails[-self.most] + timedelta(days=self.days) if full else None


def _cap(
    connection: sa.Connection, account_id: str, party_id: int, mailbox: str | None, own: SendingPolicy, now: datetime
) -> _Cap:
    """The account's cap or the customer's own choice: whichever holds mail back for longer; in doubt the choice."""

    def mails(days: int) -> list[datetime]:
        since = now - timedelta(days=days)
        runs = eligibility.recent_runs(connection, account_id, "", since, own)
        found = connection.scalars(mail_counts.mailed_at(sa.literal(party_id, sa.BigInteger), runs, since))
        return sorted(at or now for at in found)

    shops = _Cap(own.cap_mails, own.cap_days, mails(own.cap_days))
    chosen = frequencies.chosen(connection, account_id, mailbox)
    if chosen is None:
        return shops
    hers = _Cap(chosen.mails, chosen.days, mails(chosen.days), chosen)
    return max(hers, shops, key=lambda cap: cap.next_mail_at or now)


def _campaigns(connection: sa.Connection, runs: Sequence[str]) -> tuple[str, ...]:
    run, campaign = tables.campaign_runs, tables.campaigns
    query = sa.select(campaign.c.name).join_from(run, campaign, campaign.c.id == run.c.campaign_id)
    return tuple(connection.scalars(query.where(run.c.id.in_(runs)).order_by(campaign.c.name).distinct()))


def _statement(connection: sa.Connection, account_id: str, party_id: int, mailbox: str | None) -> Statement | None:
    """The newest of the mailbox's, and of two at one time the withdrawal: as eligibility.mailbox_consent."""
    consent, party = tables.consents.c, tables.parties.c
    whose = party.id == party_id
    if mailbox is not None:
        whose |= (party.account_id == account_id) & (party.address_hash == mailbox)
    row = connection.execute(
        sa.select(consent.status, consent.basis, consent.source, consent.wording, consent.occurred_at, consent.party_id)
        .join_from(tables.parties, tables.consents, consent.party_id == party.id)
        .where(whose)
        .order_by(consent.occurred_at.desc(), consent.status.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return Statement(row.status, row.basis, row.source, row.wording, row.occurred_at, row.party_id != party_id)


def _refusal(connection: sa.Connection, account_id: str, mailbox: str | None, now: datetime) -> Refusal | None:
    strongest = connection.scalar(
        sa.select(eligibility.suppressed_by(account_id, sa.literal(mailbox, sa.Text), Stream.MARKETING, now))
    )
    if strongest is None:
        return None
    table = tables.suppressions.c
    row = connection.execute(
        sa.select(table.source, table.created_at, table.expires_at).where(
            table.account_id == account_id, table.address_hash == mailbox, table.reason == strongest
        )
    ).one()
    return Refusal(suppression.Reason(strongest), row.source, row.created_at, row.expires_at)


def _sharing(connection: sa.Connection, account_id: str, party_id: int, mailbox: str | None) -> int:
    """Other persons with this mailbox: of those in one audience only one gets the mail."""
    party = tables.parties.c
    others = sa.select(sa.func.count()).where(
        party.account_id == account_id,
        party.address_hash == mailbox,
        sa.func.coalesce(party.person_id, party.id) != party_id,
    )
    return (connection.scalar(others) or 0) if mailbox is not None else 0


def _quiet_until(
    connection: sa.Connection, account_id: str, party_id: int, policy: SendingPolicy, now: datetime
) -> datetime | None:
    hours = policy.quiet_hours
    if hours is None:
        return None
    country = connection.scalar(sa.select(tables.parties.c.country).where(tables.parties.c.id == party_id))
    return hours.until(now, zones.zone_of(country, accounts.get(connection, account_id).timezone))
