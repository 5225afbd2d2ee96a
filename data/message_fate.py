"""What the store knows of one customer in one run: planned or not, her batch, her message, what was heard of it."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from data import audience, tables
from domain.audience import SkipReason
from domain.delivery import DeliveryState, Fault, Seen, Severity
from domain.ledger import BatchState, MessageState


@dataclass(frozen=True, slots=True)
class Fate:
    """`ordinal` is that of a planned message; a dry run has no batch, a message without events no delivery."""

    in_segment: bool
    skip_reason: SkipReason | None = None
    ordinal: int | None = None
    batch: BatchState | None = None
    batch_at: datetime | None = None
    exception: MessageState | None = None
    exception_reason: str | None = None
    delivery: DeliveryState | None = None


def persons(connection: sa.Connection, account_id: str, number: str) -> dict[str, int]:
    """The customers with this number, by whose number it is: a channel's own, or the shop's (an empty name).

    Of parties who are one person, the one who stands for it. `channel/number` asks for one channel's: those of this
    numbering, and where there are none, such as of files, those who ordered through a channel of this name.
    """
    party = tables.parties.c
    name, slash, rest = number.partition("/")
    whole = party.external_id == number
    if not slash:
        return _persons(connection, account_id, whole)
    ordered = sa.exists().where(tables.orders.c.party_id == party.id, tables.orders.c.channel == name)
    numbered = _persons(connection, account_id, whole | ((party.numbering == name) & (party.external_id == rest)))
    return numbered or _persons(connection, account_id, (party.external_id == rest) & ordered)


def _persons(connection: sa.Connection, account_id: str, which: sa.ColumnElement[bool]) -> dict[str, int]:
    party = tables.parties.c
    query = sa.select(party.numbering, sa.func.coalesce(party.person_id, party.id).label("person"))
    found = connection.execute(query.where(party.account_id == account_id, which))
    return {row.numbering: row.person for row in found}


def fate(connection: sa.Connection, run_id: str, party: int) -> Fate:
    """What became of this customer in this run."""
    try:
        reason = audience.explain(connection, run_id, party)
    except LookupError:
        return Fate(in_segment=False)
    if reason is not None:
        return Fate(in_segment=True, skip_reason=SkipReason(reason))
    member = tables.audience.c
    ordinal: int = connection.execute(
        sa.select(member.ordinal).where(member.run_id == run_id, member.party_id == party)
    ).scalar_one()
    return _of_message(connection, run_id, ordinal)


def _of_message(connection: sa.Connection, run_id: str, ordinal: int) -> Fate:
    batch, exception = tables.batches.c, tables.message_exceptions.c
    sent = connection.execute(
        sa.select(batch.state, batch.finished_at).where(
            batch.run_id == run_id,
            batch.first_ordinal <= ordinal,
            batch.last_ordinal >= ordinal,
            batch.state != BatchState.SPLIT,
        )
    ).one_or_none()
    left_out = connection.execute(
        sa.select(exception.state, exception.reason).where(exception.run_id == run_id, exception.ordinal == ordinal)
    ).one_or_none()
    return Fate(
        in_segment=True,
        ordinal=ordinal,
        batch=BatchState(sent.state) if sent else None,
        batch_at=sent.finished_at if sent else None,
        exception=MessageState(left_out.state) if left_out else None,
        exception_reason=left_out.reason if left_out else None,
        delivery=_delivery(connection, run_id, ordinal),
    )


def _delivery(connection: sa.Connection, run_id: str, ordinal: int) -> DeliveryState | None:
    message = tables.message_delivery
    row = connection.execute(
        sa.select(message).where(message.c.run_id == run_id, message.c.ordinal == ordinal)
    ).one_or_none()
    if row is None:
        return None
    return DeliveryState(
        seen=Seen(row.seen),
        severity=Severity(row.severity),
        fault=Fault(row.fault) if row.fault else None,
        delivered_at=row.delivered_at,
        bounced_at=row.bounced_at,
        opened_at=row.opened_at,
        human_opened_at=row.human_opened_at,
        clicked_at=row.clicked_at,
        complained_at=row.complained_at,
        unsubscribed_at=row.unsubscribed_at,
    )
