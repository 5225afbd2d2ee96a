"""The page of one order: each message about it and what became of it, as plain text for a template.

Nothing here is HTML; of an address only a mask is shown, and of a message no value.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from data.order_lookup import FoundOrder
from domain import message_history
from domain.accounts import Account
from domain.delivery import Seen
from domain.ledger import BatchState
from domain.message_history import MessageHistory, Say
from domain.transactional import Urgency

_BADGE = {
    BatchState.PLANNED: ("Waits", "busy"),
    BatchState.INFLIGHT: ("Being sent", "busy"),
    BatchState.UNKNOWN: ("Possibly sent", "warn"),
    BatchState.HELD: ("Possibly sent", "warn"),
    BatchState.REJECTED: ("Not sent", "bad"),
    BatchState.SUPPRESSED: ("Not sent", "bad"),
    BatchState.EXPIRED: ("Not sent", "bad"),
    BatchState.CANCELLED: ("Cancelled", "idle"),
}
_CLASS = {
    Urgency.SECURITY: "goes first: the customer sits before a form",
    Urgency.CONFIRMATION: "order or payment",
    Urgency.SHIPPING: "parcel, delivery or refund",
    Urgency.OTHER: "other",
}
_WELL = Seen.DELIVERED | Seen.OPENED | Seen.CLICKED
_RESENDABLE = frozenset({"order", "resend"})
_OPEN = frozenset({BatchState.PLANNED, BatchState.INFLIGHT, BatchState.UNKNOWN})


def path(order: FoundOrder) -> str:
    """Where the page of an order is, its channel named: numbers of two channels may be alike."""
    where = f"{quote(order.account_id, safe='')}/{quote(order.external_id, safe='')}"
    return f"/support/{where}?channel={quote(order.channel, safe='')}"


def page(
    order: FoundOrder,
    account: Account,
    found: Sequence[MessageHistory],
    *,
    stuck: str | None,
    silence: str | None,
) -> dict[str, Any]:
    """Everything on the page. `stuck`: why nothing goes now; `silence`: why there is no message."""
    say = message_history.in_zone(ZoneInfo(account.timezone))
    return {
        "number": order.number,
        "shop": account.name,
        "account": account.id,
        "facts": [
            ("Channel", order.channel),
            ("Its id there", order.external_id),
            ("State", order.status),
            ("Placed", say(order.placed_at)),
            *([("Came to us", say(order.recorded_at))] if order.recorded_at else []),
        ],
        "headline": _headline(found),
        "silence": _sentence(silence) if silence else None,
        "messages": [_message(one, say, stuck) for one in reversed(found)],
        "zone": account.timezone,
    }


def _headline(found: Sequence[MessageHistory]) -> str:
    if not found:
        return "No message about this order was asked for."
    went = sum(one.state is BatchState.ACCEPTED for one in found)
    arrived = sum(one.delivery is not None and one.delivery.delivered_at is not None for one in found)
    many = "One message" if len(found) == 1 else f"{len(found)} messages"
    return f"{many} about this order: {went} accepted by a sending service, {arrived} delivered."


def _message(one: MessageHistory, say: Say, stuck: str | None) -> dict[str, Any]:
    badge, tone = _badge(one)
    return {
        "id": one.id,
        "template": one.template,
        "urgency": one.urgency.name.lower(),
        "meaning": _CLASS[one.urgency],
        "step": " ".join(filter(None, (one.step, one.reference))),
        "to": one.to,
        "badge": badge,
        "tone": tone,
        "twice": one.resent,
        "sentence": _sentence(message_history.sentence(one, say, stuck=stuck)),
        "story": [{"at": _told(at, say), "what": _sentence(what)} for at, what in message_history.story(one)],
        "again_of": one.again_of,
        "again": list(one.again),
        "resend": f'campaigns messages resend {one.id} --why "…"' if _may_go_again(one) else None,
    }


def _may_go_again(one: MessageHistory) -> bool:
    return one.asked_by in _RESENDABLE and one.state not in _OPEN and one.order_id is not None


def _badge(one: MessageHistory) -> tuple[str, str]:
    if one.state is not BatchState.ACCEPTED:
        return _BADGE[one.state]
    seen = one.delivery.seen if one.delivery is not None else Seen.NOTHING
    if seen & (Seen.BOUNCED | Seen.DROPPED):
        return "Bounced", "bad"
    if seen & Seen.COMPLAINED:
        return "Reported as spam", "warn"
    return ("Delivered", "good") if seen & _WELL else ("Accepted", "busy")


def _told(at: datetime | None, say: Say) -> str:
    return say(at) if at is not None else ""


def _sentence(text: str) -> str:
    """With a capital letter and a full stop; backticks are for the command line."""
    plain = text.replace("`", "")
    return f"{plain[:1].upper()}{plain[1:]}{'' if plain.endswith('.') else '.'}"
