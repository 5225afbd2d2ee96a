"""What follows from a delivery event for the person: suppressions, and a withdrawn consent for an unsubscribe."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from data import consents, correlation, suppressions
from data.consents import Withdrawal
from data.correlation import Placed, Recipient
from data.suppressions import NewSuppression
from domain import delivery
from domain.delivery import DeliveryEvent, EventKind
from domain.suppression import Reason


class _Refusal(NamedTuple):
    """Who does not want mail any more, as an event says."""

    placed: Placed
    reason: Reason
    account_id: str
    party_id: int | None
    address_hash: str | None


def suppress(connection: sa.Connection, new: Sequence[Placed], *, inbox_id: int, pepper: str, now: datetime) -> int:
    """Keep the refusals that new events state; how many addresses and reasons are suppressed now that were not."""
    stated = [(one, reason) for one in new if (reason := delivery.standing_refusal(one.event)) is not None]
    if not stated:
        return 0
    refusals = list(_refusals(connection, stated, pepper))
    consents.withdraw_many(connection, _withdrawals(refusals), now=now)
    return suppressions.add_many(connection, _suppressions(refusals, inbox_id))


def _suppressions(refusals: Sequence[_Refusal], inbox_id: int) -> list[NewSuppression]:
    return [
        NewSuppression(
            account_id=refusal.account_id,
            address_hash=refusal.address_hash,
            reason=refusal.reason,
            source=_source(refusal.placed.event),
            evidence=f"{refusal.placed.event.kind} event: inbox {inbox_id}, element {refusal.placed.position}",
            created_at=refusal.placed.event.occurred_at,
        )
        for refusal in refusals
        if refusal.address_hash is not None
    ]


def _withdrawals(refusals: Sequence[_Refusal]) -> list[Withdrawal]:
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


def _refusals(connection: sa.Connection, stated: Sequence[tuple[Placed, Reason]], pepper: str) -> Iterator[_Refusal]:
    """Whom each event concerns.

    The address is the event's own, or else the one that was mailed (the customer may have changed his since). An event
    that names no message of ours, as late bounces do, concerns everybody who has its address: the ESP refuses it for
    all.
    """
    hashes = [correlation.address_hash_of(one.event, pepper) for one, _ in stated]
    recipients = _recipients(connection, [one for one, _ in stated])
    strays = {own for (one, _), own in zip(stated, hashes, strict=True) if one.account_id is None and own is not None}
    at_address = defaultdict(list)
    for customer in correlation.customers_at(connection, strays):
        at_address[customer.address_hash].append(customer)
    for (one, reason), own in zip(stated, hashes, strict=True):
        if one.account_id is None:
            for customer in at_address.get(own, ()):
                yield _Refusal(one, reason, customer.account_id, customer.party_id, own)
        elif (known := recipients.get((one.run_id, one.ordinal))) is not None:
            yield _Refusal(one, reason, one.account_id, known.party_id, own or known.mailed_hash)
        else:
            yield _Refusal(one, reason, one.account_id, None, own)


def _recipients(connection: sa.Connection, placed: Sequence[Placed]) -> dict[tuple[str | None, int | None], Recipient]:
    ordinals: dict[str, set[int]] = defaultdict(set)
    for one in placed:
        if one.run_id is not None and one.ordinal is not None:
            ordinals[one.run_id].add(one.ordinal)
    return {
        (run_id, ordinal): recipient
        for run_id, some in ordinals.items()
        for ordinal, recipient in correlation.recipients_of(connection, run_id, some).items()
    }
