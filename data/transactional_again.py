"""Sending a transactional message once more, because a person says so: never while the first may still go by itself."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from data import audit_log, tables, transactional, transactional_queue
from data.transactional import AskedBy, Wanted
from domain import transactional as messages
from domain.ledger import BatchState
from domain.masking import masked
from domain.transactional import OPEN, Timing, Urgency

_message = tables.transactional_messages
# She would see the mail twice: only who says so sends it again.
DELIVERED_LATELY = timedelta(days=7)
_TELLS_WITHIN = timedelta(minutes=15)


class CannotResend(ValueError):
    """Nothing was sent and nothing was changed; the message says why, and what to do."""


def once_more(
    connection: sa.Connection,
    message_id: str,
    *,
    actor: str,
    why: str,
    although_delivered: bool,
    now: datetime,
) -> str:
    """Ask for the message once more; the id of the new one. Raises UnknownMessage, CannotResend.

    Two who do it at once make one: the second finds the first's, which is open.
    """
    message_id = transactional.get(connection, message_id).again_of or message_id  # all that are the same mail
    lock = sa.select(_message.c.id).where(_message.c.id == message_id).with_for_update()
    connection.execute(lock)
    row = transactional.get(connection, message_id)
    _check_writable(row)
    before = connection.execute(
        sa.select(_message).where(_message.c.again_of == message_id).order_by(_message.c.asked_at, _message.c.id)
    ).all()
    for one in (*reversed(before), row):  # the newest speaks first
        _check_over(one)
        if not although_delivered:
            _check_not_delivered(connection, one, now)
    _check_address(connection, row, now)
    wanted = _wanted(row, len(before))
    transactional.ask(connection, [wanted], now=now)
    audit_log.write(
        connection,
        account_id=row.account_id,
        actor=actor,
        action="resend",
        subject=f"message:{message_id}",
        detail={"why": masked(why), "message": wanted.id, "although_delivered": although_delivered, "was": row.state},
        now=now,
    )
    return wanted.id


def _wanted(row: Any, number: int) -> Wanted:
    return Wanted(
        id=messages.id_of("again", row.id, str(number)),
        account_id=row.account_id,
        template=row.template,
        timing=Timing(Urgency(row.urgency), row.expires_at - row.asked_at),
        asked_by=AskedBy.RESEND,
        order_id=row.order_id,
        step=row.step,
        reference=row.reference,
        locale=row.locale,
        again_of=row.id,
    )


def _check_writable(row: Any) -> None:
    if row.asked_by == AskedBy.SYNTHETIC:
        raise CannotResend(f"{row.id} is no customer's: the lane is tried by itself every few minutes")
    if row.order_id is None or row.asked_by == AskedBy.API:
        raise CannotResend(
            f"{row.id} was asked for by the shop's own software, and the values that it was written with are removed as"
            " soon as a message is over, as they may be secret: let the software ask anew (POST /messages with a new"
            " Idempotency-Key), such as by the customer asking for a new password again"
        )


def _check_over(one: Any) -> None:
    if BatchState(one.state) in OPEN:
        waits = "nobody knows yet whether it went out" if one.state == BatchState.UNKNOWN else "it goes out by itself"
        raise CannotResend(f"{one.id} is still {one.state}: {waits}, and nothing is to be done")


def _check_not_delivered(connection: sa.Connection, one: Any, now: datetime) -> None:
    delivery = tables.transactional_delivery.c
    found = connection.execute(
        sa.select(delivery.delivered_at, delivery.bounced_at).where(delivery.message_id == one.id)
    ).one_or_none()
    insist = "; to send it once more all the same, add --although-delivered"
    if found is None and one.state == BatchState.ACCEPTED and one.accepted_at > now - _TELLS_WITHIN:
        raise CannotResend(f"{one.id} was accepted minutes ago, and the ESP has told nothing of it yet: wait{insist}")
    if found is None and one.state == BatchState.HELD:
        raise CannotResend(
            f"{one.id} was possibly sent, and nothing was heard of it: let the customer look first{insist}"
        )
    if found is None or found.bounced_at is not None or found.delivered_at is None:
        return
    if found.delivered_at > now - DELIVERED_LATELY:
        raise CannotResend(
            f"{one.id} was delivered on {found.delivered_at:%Y-%m-%d %H:%M} UTC: let the customer look into the spam"
            f" folder, too{insist}"
        )


def _check_address(connection: sa.Connection, row: Any, now: datetime) -> None:
    """The address that it would go to now: the customer may have another one since."""
    order, party = tables.orders, tables.parties
    query = sa.select(party.c.address_hash).join_from(order, party, party.c.id == order.c.party_id)
    hashed = connection.scalar(query.where(order.c.id == row.order_id))
    if hashed is None:
        raise CannotResend(f"the order of {row.id} has no address that mail could go to")
    if (reason := transactional_queue.refusal(connection, row.account_id, hashed, now)) is not None:
        raise CannotResend(
            f"the address of {row.id} gets no mail ({reason}): ask the customer for another one; `campaigns suppressions"
            " show` says since when and why"
        )
