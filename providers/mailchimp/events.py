"""Mailchimp Marketing's webhook body in our words: one event, form-encoded. Pure.

Source: facts/esp-contracts.md section 4.3. There is no id of ours in it and none of a message: campaign and address
name the message. Nothing tells of a delivery, an opening or a click; those are asked for.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from domain import bounces
from domain.bounces import GONE, Verdict
from domain.delivery import DeliveryEvent, EventKind, UnreadableEvent
from domain.masking import masked
from domain.suppression import Reason
from providers.mailchimp import signature

PROVIDER = "mailchimp"

_COMPLAINT = EventKind.COMPLAINED, Verdict(suppresses=Reason.COMPLAINT)
_NO_MEANING = EventKind.UNKNOWN, Verdict()
# (type, reason) first, then type alone. What is not here has the kind `unknown` and is kept like any other.
MEANINGS = {
    # Also with the action `delete`: that is how a list which forgets who leaves tells of it, and to mail somebody who
    # left is worse than not to mail somebody whom the shop took off the list.
    "unsubscribe": (EventKind.UNSUBSCRIBED, Verdict(suppresses=Reason.UNSUBSCRIBE)),
    ("unsubscribe", "abuse"): _COMPLAINT,
    ("cleaned", "abuse"): _COMPLAINT,
    # It comes without a code and a text: Mailchimp's class is the only one that speaks.
    ("cleaned", "hard"): (EventKind.BOUNCED, bounces.agreed([GONE]) or Verdict()),
    "cleaned": (EventKind.BOUNCED, bounces.UNKNOWN),
    "subscribe": _NO_MEANING,  # joining a list again is no consent that we could prove
    "profile": _NO_MEANING,
    "upemail": _NO_MEANING,
    "campaign": _NO_MEANING,
}
_OF_THE_LIST = frozenset({EventKind.UNSUBSCRIBED})


def parse(body: bytes, *, list_id: str = "") -> Iterator[DeliveryEvent | UnreadableEvent]:
    """Yield the event, or the reason why it is none. `list_id`: whoever leaves another list has not left ours."""
    fields = dict(signature.form(body) or ())
    kind_of_event = _text(fields, "type")
    at = _instant(_text(fields, "fired_at"))
    if not kind_of_event:
        yield UnreadableEvent(0, "the body does not say which event it is")
    elif at is None:
        yield UnreadableEvent(0, "fired_at is missing or no time")
    else:
        yield _event(fields, kind_of_event, at, list_id)


def _event(fields: dict[str, str], word: str, at: datetime, list_id: str) -> DeliveryEvent:
    reason = _text(fields, "data[reason]")
    kind, meaning = MEANINGS.get((word, reason)) or MEANINGS.get(word) or _NO_MEANING
    told_of = _text(fields, "data[list_id]")
    if kind in _OF_THE_LIST and list_id and told_of and told_of != list_id:
        kind, meaning, reason = EventKind.UNKNOWN, Verdict(), "of another list"
    return DeliveryEvent(
        provider=PROVIDER,
        kind=kind,
        occurred_at=at,
        address=_text(fields, "data[email]") or _text(fields, "data[old_email]") or None,
        provider_event_id=_text(fields, "data[id]") or None,
        provider_message_id=_text(fields, "data[campaign_id]") or None,
        bounce_class=meaning.bounce_class,
        fault=meaning.fault,
        detail=_detail(fields, kind, word, reason),
        suppresses=meaning.suppresses,
    )


def _detail(fields: dict[str, str], kind: EventKind, word: str, reason: str) -> str | None:
    """The vendor's own words where there is trouble or no word of ours."""
    if kind in {EventKind.UNKNOWN, EventKind.BOUNCED, EventKind.COMPLAINED}:
        return masked(f"{word} {reason} {_text(fields, 'data[status]')}")
    return None


def _instant(text: str) -> datetime | None:
    """Mailchimp's times are UTC and do not say so."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _text(fields: dict[str, str], name: str) -> str:
    return fields.get(name, "").replace("\0", "").strip()  # PostgreSQL refuses NUL in a text
