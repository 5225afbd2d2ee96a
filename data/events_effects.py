"""What follows from delivery events: suppressions, withdrawn consents, marks, and what is held against the sender.

All of it is written in the events' own transaction, of new events only. What takes more than one event to decide is only
noted here, and judged afterwards: data.soft_bounces, data.pair_guards.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

import sqlalchemy as sa

from data import (
    address_marks,
    consents,
    correlation,
    esp_listings,
    sender_refusals,
    strays,
    suppressions,
    transactional_events,
    unknown_replies,
)
from data.address_marks import NewMark
from data.consents import Withdrawal
from data.correlation import Placed
from data.esp_listings import Said
from data.strays import Origins, Stray
from data.suppressions import NewSuppression
from domain import delivery
from domain.address_marks import MarkKind, mark_of
from domain.delivery import DeliveryEvent, EventKind
from domain.suppression import Reason
from domain.transactional import ORDINAL, is_id

_What = TypeVar("_What", Reason, MarkKind)
# What an ESP makes of an entry that came by its API.
_AS_WE_PUT_IT = frozenset({Reason.MANUAL, Reason.UNSUBSCRIBE})
_ARRIVED = frozenset({EventKind.DELIVERED, EventKind.OPENED, EventKind.CLICKED})
_ORDINARY = _ARRIVED | {EventKind.PROCESSED}


class _Concerned(NamedTuple, Generic[_What]):
    """Whom an event concerns, and what it says of him."""

    placed: Placed
    what: _What
    account_id: str
    party_id: int | None
    address_hash: str | None


def suppress(
    connection: sa.Connection,
    new: Sequence[Placed],
    *,
    pepper: str,
    origins: Origins,
    now: datetime,
    late: bool = False,
) -> int:
    """Keep what new events state; how many addresses and reasons are suppressed now that were not.

    `late`: they were applied before their message was known, so what is counted up of them is counted already.
    Marks are written before suppressions, as whoever judges them does: two that lock rows in one order never deadlock.
    """
    new = [one for one in new if not _is_ordinary(one)]
    address_marks.record(connection, _marks(connection, new, pepper, origins))
    _hold_against_us(connection, new, late=late)
    stated = [(one, reason) for one in new if (reason := delivery.standing_refusal(one.event)) is not None]
    if not stated:
        return 0
    refusals = _said_by_others(connection, list(_concerned(connection, stated, pepper, origins)))
    refusals = _not_lifted(connection, refusals)
    consents.withdraw_many(connection, _withdrawals(refusals), now=now)
    return suppressions.add_many(connection, _suppressions(refusals, now))


def _is_ordinary(one: Placed) -> bool:
    """Nothing follows from it but the message's own state: so are 99 of 100, and they are passed over at once."""
    return one.event.kind in _ORDINARY and one.run_id is not None and one.event.suppresses is None


def _said_by_others(connection: sa.Connection, refusals: Sequence[_Concerned[Reason]]) -> Sequence[_Concerned[Reason]]:
    """Without our own word, come back: a webhook may tell what we put on the ESP's list. It names no mail then."""
    said = [
        Said(event.provider, it.address_hash, event.occurred_at)
        if it.what in _AS_WE_PUT_IT and event.message_id is None and event.provider_message_id is None
        else None
        for it in refusals
        for event in [it.placed.event]
    ]
    ours = esp_listings.came_back(connection, {one for one in said if one is not None})
    return [it for it, one in zip(refusals, said, strict=True) if one not in ours]


def _not_lifted(connection: sa.Connection, refusals: Sequence[_Concerned[Reason]]) -> Sequence[_Concerned[Reason]]:
    """Without drops for what was lifted here: an ESP drops for a list of its own, and that list says since when.

    The drop of today is no newer word than the entry there (data.suppressions_merge), so it undoes no lift.
    """
    dropped = {it.address_hash for it in refusals if it.placed.event.kind is EventKind.DROPPED and it.address_hash}
    lifted = suppressions.lifted(connection, dropped) if dropped else set()
    return [
        it
        for it in refusals
        if it.placed.event.kind is not EventKind.DROPPED or (it.account_id, it.address_hash, it.what) not in lifted
    ]


def _marks(connection: sa.Connection, new: Sequence[Placed], pepper: str, origins: Origins) -> list[NewMark]:
    """What one event alone does not decide.

    That mail of no run arrived is a mark only at an address that has one: a shop whose own mail goes through the same
    ESP has such an event for each of its mails. What became of a run's message says data.deliveries.
    """
    against = [(one, kind) for one in new if (kind := mark_of(one.event)) is not None]
    concerned = list(_concerned(connection, against, pepper, origins)) if against else []
    arrived = [
        (one, hashed)
        for one in new
        if one.run_id is None and one.event.kind in _ARRIVED
        if (hashed := correlation.address_hash_of(one.event, pepper)) is not None
    ]
    if arrived:
        troubled = address_marks.troubled(connection, {hashed for _, hashed in arrived})
        troubled |= {it.address_hash for it in concerned if it.address_hash is not None}
        heeded = [(one, MarkKind.ARRIVED) for one, hashed in arrived if hashed in troubled]
        concerned += _concerned(connection, heeded, pepper, origins) if heeded else ()
    return [
        NewMark(it.account_id, it.address_hash, it.what, it.placed.run_id, it.placed.event.occurred_at)
        for it in concerned
        if it.address_hash is not None
    ]


def _hold_against_us(connection: sa.Connection, new: Sequence[Placed], *, late: bool) -> None:
    at_fault = [one for one in new if sender_refusals.concerns(one)]
    strange = [] if late else [one for one in new if unknown_replies.concerns(one)]
    if at_fault or strange:
        went = sender_refusals.ways(connection, [*at_fault, *strange])
        sender_refusals.record(connection, at_fault, went)
        unknown_replies.record(connection, strange, went)


def _suppressions(refusals: Sequence[_Concerned[Reason]], now: datetime) -> list[NewSuppression]:
    return [
        NewSuppression(
            account_id=refusal.account_id,
            address_hash=refusal.address_hash,
            reason=refusal.what,
            source=_source(refusal.placed.event),
            evidence=_evidence(refusal.placed),
            created_at=refusal.placed.event.occurred_at,
            recorded_at=now,
        )
        for refusal in refusals
        if refusal.address_hash is not None
    ]


def _evidence(one: Placed) -> str:
    if one.element.inbox_id == correlation.NO_BODY:
        return f"{one.event.kind} at once: {one.event.message_id}"
    return f"{one.event.kind} event: inbox {one.element.inbox_id}, element {one.element.position}"


def _withdrawals(refusals: Sequence[_Concerned[Reason]]) -> list[Withdrawal]:
    return [
        Withdrawal(
            account_id=refusal.account_id,
            party_id=refusal.party_id,
            source=_source(refusal.placed.event),
            wording="unsubscribed by the ESP's own link or button",
            occurred_at=refusal.placed.event.occurred_at,
        )
        for refusal in refusals
        if refusal.placed.event.kind is EventKind.UNSUBSCRIBED and refusal.party_id is not None
    ]


def _source(event: DeliveryEvent) -> str:
    return f"esp:{event.provider}"


def _concerned(
    connection: sa.Connection, stated: Sequence[tuple[Placed, _What]], pepper: str, origins: Origins
) -> Iterator[_Concerned[_What]]:
    """Whom each event concerns.

    The address is the event's own, or else the one that was mailed (the customer may have changed his since). Of an
    event that names no message of ours, as late bounces do, says data.strays whom it concerns.
    """
    hashes = [correlation.address_hash_of(one.event, pepper) for one, _ in stated]
    recipients = _recipients(connection, [one for one, _ in stated])
    found = strays.concerned(
        connection,
        {
            Stray(one.event.provider, what, own)
            for (one, what), own in zip(stated, hashes, strict=True)
            if one.account_id is None and own is not None
        },
        origins,
    )
    for (one, what), own in zip(stated, hashes, strict=True):
        if one.account_id is None:
            for customer in found[Stray(one.event.provider, what, own)] if own is not None else ():
                yield _Concerned(one, what, customer.account_id, customer.party_id, own)
        elif (known := recipients.get((one.run_id, one.ordinal))) is not None:
            yield _Concerned(one, what, one.account_id, known.party_id, own or known.mailed_hash)
        else:
            yield _Concerned(one, what, one.account_id, None, own)


class _Mailed(NamedTuple):
    """To whom a message went, by the hash that was mailed: the address may have changed since."""

    party_id: int | None
    mailed_hash: str | None


def _recipients(connection: sa.Connection, placed: Sequence[Placed]) -> dict[tuple[str | None, int | None], _Mailed]:
    ordinals: dict[str, set[int]] = defaultdict(set)
    for one in placed:
        if one.run_id is not None and one.ordinal is not None:
            ordinals[one.run_id].add(one.ordinal)
    ours = {run_id for run_id in ordinals if is_id(run_id)}
    found: dict[tuple[str | None, int | None], _Mailed] = {
        (message_id, ORDINAL): _Mailed(row.party_id, row.address_hash)
        for message_id, row in transactional_events.mailed(connection, ours).items()
    }
    return found | {
        (run_id, ordinal): _Mailed(recipient.party_id, recipient.mailed_hash)
        for run_id, some in ordinals.items()
        if run_id not in ours
        for ordinal, recipient in correlation.recipients_of(connection, run_id, some).items()
    }
