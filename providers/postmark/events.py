"""Postmark's webhook body in our words: one event, a JSON object. Pure. Our ids travel in its Metadata.

Source: the vendor's pages of each webhook. A word that is not here has the kind `unknown` and is kept like any other.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from domain.bounces import Verdict
from domain.delivery import DeliveryEvent, EventKind, UnreadableEvent
from domain.masking import masked
from domain.suppression import Reason
from providers.event_fields import Unreadable, identity, prose, valid_unicode
from providers.postmark import bounces

PROVIDER = "postmark"
KINDS = {
    "Delivery": EventKind.DELIVERED,
    "Bounce": EventKind.BOUNCED,
    "SpamComplaint": EventKind.COMPLAINED,
    "Open": EventKind.OPENED,
    "Click": EventKind.CLICKED,
}
# Bounces that are none: somebody is away for a week, or it is tried again.
_TYPES = {
    "Transient": EventKind.DEFERRED,
    "DnsError": EventKind.DEFERRED,
    "AutoResponder": EventKind.UNKNOWN,
    "AddressChange": EventKind.UNKNOWN,
    "Subscribe": EventKind.UNKNOWN,
    "Unsubscribe": EventKind.UNSUBSCRIBED,
    "SpamComplaint": EventKind.COMPLAINED,
}
_PLAIN_MEANING = {
    EventKind.COMPLAINED: Verdict(suppresses=Reason.COMPLAINT),
    EventKind.UNSUBSCRIBED: Verdict(suppresses=Reason.UNSUBSCRIBE),
}
_FRACTION = re.compile(r"(\.\d{6})\d+")  # seven digits of a second, of which Python reads six
_TIMES = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")


def parse(body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]:
    """Yield the event, or the reason why it is none."""
    try:
        element = json.loads(body, object_hook=valid_unicode)
    except (ValueError, RecursionError):
        element = None
    if not isinstance(element, dict):
        yield UnreadableEvent(0, "the body is not a JSON object")
        return
    try:
        yield _event(element)
    except Unreadable as reason:
        yield UnreadableEvent(0, str(reason))


def _event(element: dict[str, Any]) -> DeliveryEvent:
    word, sort = identity(element, "RecordType"), prose(element, "Type")
    if word is None:
        raise Unreadable("the element does not say which event it is")
    kind = _kind(element, word, sort)
    text = prose(element, "Details") or prose(element, "Description")
    meaning = bounces.classify(sort, text) if kind is EventKind.BOUNCED else _PLAIN_MEANING.get(kind, Verdict())
    known = element.get("Metadata")
    metadata = known if isinstance(known, dict) else {}
    client = f"{prose(element, 'UserAgent')}|".strip("|")
    return DeliveryEvent(
        provider=PROVIDER,
        kind=kind,
        occurred_at=_instant(element),
        message_id=identity(metadata, "message_id"),
        attempt_id=identity(metadata, "attempt_id"),
        address=identity(element, "Recipient") or identity(element, "Email"),
        provider_message_id=identity(element, "MessageID"),
        bounce_class=meaning.bounce_class,
        fault=meaning.fault,
        detail=_detail(kind, word, sort, text),
        url=prose(element, "OriginalLink") or None if kind is EventKind.CLICKED else None,
        client=client or None if kind in {EventKind.OPENED, EventKind.CLICKED} else None,
        suppresses=meaning.suppresses,
    )


def _kind(element: dict[str, Any], word: str, sort: str) -> EventKind:
    if word == "SubscriptionChange":
        # Also after a bounce and a complaint, of which there are events of their own: only what a person did counts.
        left = element.get("SuppressSending") is True and prose(element, "SuppressionReason") == "ManualSuppression"
        return EventKind.UNSUBSCRIBED if left else EventKind.UNKNOWN
    return _TYPES.get(sort, EventKind.BOUNCED) if word == "Bounce" else KINDS.get(word, EventKind.UNKNOWN)


def _detail(kind: EventKind, word: str, sort: str, text: str) -> str | None:
    if kind in {EventKind.BOUNCED, EventKind.DEFERRED}:
        return masked(f"{sort}: {text}")
    return masked(f"{word} {sort}".strip()) if kind is EventKind.UNKNOWN else None


def _instant(element: dict[str, Any]) -> datetime:
    """ISO 8601 with a zone. Raises Unreadable."""
    found = next((element[one] for one in _TIMES if element.get(one)), None)
    try:
        at = datetime.fromisoformat(_FRACTION.sub(r"\1", str(found)))
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable("the event's time is missing or none") from None
