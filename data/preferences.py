"""What one customer chose about marketing mail, as her preference page shows and changes it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from data import audit_log, consents, eligibility, frequencies, suppressions, tables, topics
from data.correlation import Recipient
from domain import suppression
from domain.consent import ConsentStatus
from domain.preferences import BAR_OF, Bar, Frequency, Topic
from domain.suppression import Reason, Stream

SOURCE = "preferences"
# Whoever presses the button has the mail before them, but nobody wrote to them to make sure: mail may be forwarded.
_LEVEL = "single_opt_in"


@dataclass(frozen=True, slots=True)
class Preferences:
    """`agreed`: she gets marketing mail, unless `bar` says why not. `refused`: she said no, and has not taken it back.

    `no_topics`: those of `offered` that she wants no mail about. `frequency`: None is as usual.
    """

    agreed: bool
    refused: bool
    bar: Bar | None
    offered: tuple[Topic, ...]
    no_topics: frozenset[str]
    frequency: Frequency | None


@dataclass(frozen=True, slots=True)
class Choice:
    """What she ticked. `shown`: the topics that she saw; of others she said nothing."""

    shown: frozenset[str]
    wanted: frozenset[str]
    frequency: Frequency | None


@dataclass(frozen=True, slots=True)
class Contact:
    """How a customer is known; both None after an erasure."""

    email: str | None
    locale: str | None


def contact(connection: sa.Connection, party_id: int) -> Contact:
    """Address and language, as the newest order tells them."""
    party = tables.parties.c
    return Contact(*connection.execute(sa.select(party.email, party.locale).where(party.id == party_id)).one())


def lock(connection: sa.Connection, party_id: int) -> None:
    """Let one transaction at a time change what this customer chose: two clicks at once are one after the other."""
    party = tables.parties.c
    connection.execute(sa.select(party.id).where(party.id == party_id).with_for_update(key_share=True))


def read(connection: sa.Connection, customer: Recipient, *, now: datetime) -> Preferences:
    """As it stands for the mailbox that was mailed."""
    mailbox = _mailbox(customer)
    standing = _standing(connection, customer.account_id, mailbox, now)
    own = eligibility.consent_status(sa.literal(customer.party_id))
    said = eligibility.mailbox_consent(customer.account_id, sa.literal(mailbox, sa.Text))
    consent = connection.scalar(sa.select(sa.func.coalesce(said, own)))
    refused = Reason.UNSUBSCRIBE in standing or consent == ConsentStatus.WITHDRAWN
    offered = topics.listing(connection, customer.account_id)
    no_topics = topics.refused(connection, customer.account_id, mailbox)
    return Preferences(
        agreed=consent == ConsentStatus.GRANTED and not refused,
        refused=refused,
        bar=_bar(customer, standing),
        offered=tuple(offered),
        no_topics=no_topics & {topic.name for topic in offered},
        frequency=frequencies.chosen(connection, customer.account_id, mailbox),
    )


def _mailbox(customer: Recipient) -> str | None:
    """Runs of old did not note the mailbox that they planned."""
    return customer.mailed_hash or customer.address_hash


def _standing(connection: sa.Connection, account_id: str, mailbox: str | None, now: datetime) -> set[Reason]:
    """All refusals in force that stop marketing mail to this mailbox."""
    table = tables.suppressions.c
    found = connection.scalars(
        sa.select(table.reason).where(
            table.account_id == account_id,
            table.address_hash == mailbox,
            table.scope.in_([scope.value for scope in suppression.scopes_blocking(Stream.MARKETING)]),
            table.lifted_at.is_(None),
            table.expires_at.is_(None) | (table.expires_at > now),
        )
    )
    return {Reason(one) for one in found}


def _bar(customer: Recipient, standing: Collection[Reason]) -> Bar | None:
    if customer.erased:
        return Bar.ERASED
    if customer.mailed_hash is not None and customer.mailed_hash != customer.address_hash:
        return Bar.MOVED
    return next((BAR_OF[reason] for reason in suppression.STRENGTH if reason in standing and reason in BAR_OF), None)


def choose(
    connection: sa.Connection, customer: Recipient, choice: Choice, *, message_id: str, now: datetime
) -> Preferences:
    """Keep topics and frequency of somebody who gets mail, and log what changed; else nothing. As it stands then."""
    before = read(connection, customer, now=now)
    mailbox = _mailbox(customer)
    if not before.agreed or before.bar is not None or mailbox is None:
        return before
    evidence = f"message {message_id}"
    asked = choice.shown & {topic.name for topic in before.offered}
    refuse, accept = asked - choice.wanted - before.no_topics, asked & choice.wanted & before.no_topics
    account_id = customer.account_id
    topics.refuse(connection, account_id, mailbox, refuse, source=SOURCE, evidence=evidence, now=now)
    topics.accept(connection, account_id, mailbox, accept, now=now)
    detail: dict[str, object] = {"refused": sorted(refuse), "wanted": sorted(accept)}
    if choice.frequency is not before.frequency:
        frequencies.choose(connection, account_id, mailbox, choice.frequency, source=SOURCE, evidence=evidence, now=now)
        detail["frequency"] = choice.frequency or "as usual"
    if refuse or accept or "frequency" in detail:
        _log(connection, customer, "preferences", message_id, detail, now)
    return read(connection, customer, now=now)


def agree(
    connection: sa.Connection, customer: Recipient, *, wording: str, message_id: str, now: datetime
) -> Preferences:
    """Take an explicit agreement of somebody who refused, and lift the refusal that was hers; as it stands then.

    Nothing happens where she gets mail already, or where something else than her own word stands against it.
    """
    before = read(connection, customer, now=now)
    mailbox = _mailbox(customer)
    if before.agreed or before.bar is not None or mailbox is None:
        return before
    suppressions.lift(
        connection,
        account_id=customer.account_id,
        address_hash=mailbox,
        actor=suppressions.HERSELF,
        reason=f"agreed again on the preference page ({wording})",
        now=now,
        only=[Reason.UNSUBSCRIBE],
    )
    consents.grant(
        connection,
        account_id=customer.account_id,
        party_id=customer.party_id,
        source=SOURCE,
        wording=wording,
        level=_LEVEL,
        now=now,
    )
    _log(connection, customer, "resubscribe", message_id, {"wording": wording}, now)
    return read(connection, customer, now=now)


def _log(
    connection: sa.Connection,
    customer: Recipient,
    action: str,
    message_id: str,
    detail: dict[str, object],
    now: datetime,
) -> None:
    audit_log.write(
        connection,
        account_id=customer.account_id,
        actor=suppressions.HERSELF,
        action=action,
        subject=message_id,
        detail=detail,
        now=now,
    )
