"""All that became of one transactional message, for who asked for it: no address, no variable."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data import tables, transactional
from data.transactional import UnknownMessage
from domain.masking import masked
from domain.transactional import OVER

_MOST_EVENTS = 200  # a mail that is forwarded to a list is opened thousands of times
_MESSAGE = (
    *("id", "template", "asked_by", "state", "why", "resent"),
    *("asked_at", "expires_at", "accepted_at", "finished_at"),
)
_ATTEMPT = ("number", "provider", "claimed_at", "finished_at", "outcome", "detail")
_DELIVERY = ("delivered_at", "bounced_at", "opened_at", "clicked_at", "complained_at", "unsubscribed_at")
_EVENT = ("kind", "occurred_at", "detail")

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """A message, what was tried, and what the ESP told of it."""

    message: Facts
    attempts: list[Facts]
    delivery: Facts | None
    events: list[Facts]


def read(connection: sa.Connection, account_id: str, message_id: str) -> History:
    """The history of one message of this account. Raises UnknownMessage, of another account's too."""
    row = transactional.get(connection, message_id)
    if row.account_id != account_id:
        raise UnknownMessage(f"there is no message {message_id[:40]!r}")
    attempt, event, delivery = tables.transactional_attempts, tables.delivery_events, tables.transactional_delivery
    attempts = connection.execute(
        sa.select(attempt).where(attempt.c.message_id == message_id).order_by(attempt.c.number)
    )
    delivered = connection.execute(sa.select(delivery).where(delivery.c.message_id == message_id)).one_or_none()
    events = connection.execute(
        sa.select(event)
        .where(event.c.run_id == message_id)
        .order_by(event.c.occurred_at, event.c.id)
        .limit(_MOST_EVENTS)
    )
    return History(
        _only(row._mapping, _MESSAGE) | ({} if row.state in OVER else {"finished_at": None}),
        [_only(one._mapping, _ATTEMPT) for one in attempts],
        None if delivered is None else _only(delivered._mapping, _DELIVERY),
        [_only(one._mapping, _EVENT) for one in events],
    )


def _only(row: Mapping[Any, Any], names: tuple[str, ...]) -> Facts:
    """These columns; what an ESP wrote in prose may repeat an address."""
    facts = {name: row[name] for name in names}
    return facts | {name: masked(facts[name]) for name in ("why", "detail") if facts.get(name)}
