"""What is different between two frozen audiences, and what is on record of those people since the earlier one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from data import tables
from domain.ledger import BatchState

Integers = npt.NDArray[np.int64]
_AT_ONCE = 4000  # ids in one statement
_order, _party, _member = tables.orders.c, tables.parties.c, tables.audience.c


@dataclass(frozen=True, slots=True)
class Changed:
    """Party ids of those who are members of the one audience only; `before` and `after`: how many members each has."""

    entered: Integers
    left: Integers
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class OrderNews:
    """An order of a person that was placed, changed or heard of since. `number`: what the customer knows it by.

    `recorded_at`: when its present state came to us; `first_recorded_at`: when any of its states did.
    """

    person: int
    order_id: int
    channel: str
    number: str
    placed_at: datetime
    updated_at: datetime
    recorded_at: datetime | None
    first_recorded_at: datetime | None
    cancelled_at: datetime | None
    deleted_at: datetime | None
    refunded_at: datetime | None


@dataclass(frozen=True, slots=True)
class MailNews:
    """A person opened or clicked a mail, or was sent one."""

    person: int
    campaign: str
    what: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PermissionNews:
    """A statement of consent, or a suppression that came or was lifted."""

    person: int
    what: str
    source: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Number:
    """A customer number. `apart`: another person's number has the same mailbox."""

    party_id: int
    person: int
    numbering: str
    number: str
    updated_at: datetime
    apart: bool


def changed(connection: sa.Connection, before: str, after: str) -> Changed:
    """Who entered and who left between two runs, planned or left out."""

    def members(run_id: str) -> sa.Select[Any]:
        return sa.select(_member.party_id).where(_member.run_id == run_id)

    def only(one: str, other: str) -> Integers:
        found = connection.scalars(members(one).except_(members(other)))
        return np.sort(np.fromiter(found, dtype=np.int64))

    counts = [
        connection.scalar(sa.select(sa.func.count()).select_from(members(one).subquery())) for one in (before, after)
    ]
    return Changed(only(after, before), only(before, after), counts[0] or 0, counts[1] or 0)


def orders_since(connection: sa.Connection, persons: Integers, since: datetime) -> list[OrderNews]:
    """Orders that were placed, changed, cancelled, deleted or heard of after then, by time of placing."""
    event = tables.order_events.c
    refunded_at = (
        sa.select(sa.func.max(event.at, type_=event.at.type))
        .where(event.order_id == _order.id, event.step == "refunded", event.at > since)
        .scalar_subquery()
    )
    times = (_order.placed_at, _order.updated_at, _order.recorded_at, _order.cancelled_at, _order.deleted_at)
    query = (
        sa.select(
            _person().label("person"),
            _order.id.label("order_id"),
            _order.channel,
            sa.func.coalesce(_order.number, _order.external_id).label("number"),
            *times,
            _order.first_recorded_at,
            refunded_at.label("refunded_at"),
        )
        .join_from(tables.orders, tables.parties, _party.id == _order.party_id)
        .where(sa.or_(*(at > since for at in times)))
        .order_by(_order.placed_at, _order.id)
    )
    return [
        OrderNews(**{**row._mapping, "number": row.number.lstrip("#")})
        for part in _parts(persons)
        for row in connection.execute(query.where(_belongs_to(part)))
    ]


def mails_between(connection: sa.Connection, persons: Integers, since: datetime, until: datetime) -> list[MailNews]:
    """What people did with our mail after then and up to `until`; what they were sent, last."""
    found = [
        MailNews(row.person, row.name, what, at)
        for part in _parts(persons)
        for row in connection.execute(_heard().where(_belongs_to(part)))
        for what, at in (("opened", row.human_opened_at), ("clicked in", row.clicked_at))
        if at is not None and since < at <= until
    ]
    batch = tables.batches.c
    sent = _sent().where(batch.finished_at > since, batch.finished_at <= until)
    found += [
        MailNews(row.person, row.name, "was sent", row.finished_at)
        for part in _parts(persons)
        for row in connection.execute(sent.where(_belongs_to(part)))
    ]
    return found


def _heard() -> sa.Select[Any]:
    message = tables.message_delivery
    return (
        sa.select(_person().label("person"), tables.campaigns.c.name, message.c.human_opened_at, message.c.clicked_at)
        .select_from(_mailed())
        .join(message, (message.c.run_id == _member.run_id) & (message.c.ordinal == _member.ordinal))
        .where(message.c.human_opened_at.is_not(None) | message.c.clicked_at.is_not(None))
    )


def _sent() -> sa.Select[Any]:
    batch = tables.batches
    mine = _member.ordinal.between(batch.c.first_ordinal, batch.c.last_ordinal)
    return (
        sa.select(_person().label("person"), tables.campaigns.c.name, batch.c.finished_at)
        .select_from(_mailed())
        .join(batch, (batch.c.run_id == _member.run_id) & mine)
        .where(batch.c.state == BatchState.ACCEPTED)
    )


def _mailed() -> sa.Join:
    run = tables.campaign_runs
    return (
        tables.parties.join(tables.audience, _member.party_id == _party.id)
        .join(run, (run.c.id == _member.run_id) & run.c.live)
        .join(tables.campaigns, tables.campaigns.c.id == run.c.campaign_id)
    )


def permissions_between(
    connection: sa.Connection, account_id: str, persons: Integers, since: datetime, until: datetime
) -> list[PermissionNews]:
    """Consents and suppressions that came, or were lifted, after then and up to `until`."""
    consent, refusal = tables.consents.c, tables.suppressions.c
    said = sa.select(_person().label("person"), consent.status, consent.source, consent.recorded_at).join_from(
        tables.parties, tables.consents, consent.party_id == _party.id
    )
    refused = sa.select(
        _person().label("person"), refusal.reason, refusal.source, refusal.created_at, refusal.lifted_at
    ).join_from(
        tables.parties,
        tables.suppressions,
        (refusal.account_id == account_id) & (refusal.address_hash == _party.address_hash),
    )
    found: list[tuple[int, str, str, datetime | None]] = []
    for part in _parts(persons):
        mine = _belongs_to(part)
        for row in connection.execute(said.where(mine, consent.recorded_at > since)):
            found += [(row.person, f"consent was {row.status}", row.source, row.recorded_at)]
        for row in connection.execute(refused.where(mine)):
            reason = row.reason.replace("_", " ")
            found += [(row.person, f"the address was suppressed ({reason})", row.source, row.created_at)]
            found += [(row.person, f"the suppression ({reason}) was lifted", row.source, row.lifted_at)]
    return [
        PermissionNews(person, what, source, at)
        for person, what, source, at in found
        if at is not None and since < at <= until
    ]


def numbers(connection: sa.Connection, account_id: str, persons: Integers) -> list[Number]:
    """All customer numbers that are these parties, or that they stand for."""
    twin = tables.parties.alias("twin")
    apart = sa.exists().where(
        twin.c.account_id == account_id,
        twin.c.address_hash == _party.address_hash,
        sa.func.coalesce(twin.c.person_id, twin.c.id) != _person(),
    )
    query = sa.select(
        _party.id.label("party_id"),
        _person().label("person"),
        _party.numbering,
        _party.external_id.label("number"),
        _party.updated_at,
        apart.label("apart"),
    ).order_by(_party.numbering, _party.external_id)
    return [
        Number(**row._mapping) for part in _parts(persons) for row in connection.execute(query.where(_belongs_to(part)))
    ]


def newest_orders(connection: sa.Connection, party_ids: Integers) -> dict[int, str]:
    """Channel and number of each party's latest order: what a guest, who has no number, can be known by."""
    query = sa.select(
        _order.party_id, _order.channel, sa.func.coalesce(_order.number, _order.external_id).label("number")
    ).order_by(_order.placed_at, _order.id)
    return {
        row.party_id: f"{row.channel} {row.number.lstrip('#')}"
        for part in _parts(party_ids)
        for row in connection.execute(query.where(_order.party_id.in_(part)))
    }


def _person() -> sa.ColumnElement[int]:
    return sa.func.coalesce(_party.person_id, _party.id)


def _belongs_to(ids: list[int]) -> sa.ColumnElement[bool]:
    """Two look-ups by index, where the person as such would have none."""
    return _party.id.in_(ids) | _party.person_id.in_(ids)


def _parts(ids: Integers) -> Iterator[list[int]]:
    return (ids[first : first + _AT_ONCE].tolist() for first in range(0, len(ids), _AT_ONCE))
