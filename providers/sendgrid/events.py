"""SendGrid's webhook body in our words. Pure: the raw body is journalled before anybody parses it.

Source: facts/esp-contracts.md section 4.2. Posts repeat and overtake each other, custom args arrive flattened into
each event, asynchronous bounces lack them, and `category` is a string or a list (we do not read it).
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from domain.bounces import Verdict
from domain.delivery import DeliveryEvent, EventKind, UnreadableEvent
from domain.masking import masked
from domain.suppression import Reason
from providers.event_fields import Unreadable, identity, instant, prose, valid_unicode
from providers.sendgrid import bounces

PROVIDER = "sendgrid"

# The vendor's word → ours. A word that is not here has the kind `unknown` and is kept like any other.
KINDS = {
    "processed": EventKind.PROCESSED,
    "dropped": EventKind.DROPPED,
    "delivered": EventKind.DELIVERED,
    "deferred": EventKind.DEFERRED,
    "bounce": EventKind.BOUNCED,
    "open": EventKind.OPENED,
    "click": EventKind.CLICKED,
    "spamreport": EventKind.COMPLAINED,
    "unsubscribe": EventKind.UNSUBSCRIBED,
    # Leaving SendGrid's group ends marketing, of which the group is all we send; joining it again is no consent.
    "group_unsubscribe": EventKind.UNSUBSCRIBED,
    "group_resubscribe": EventKind.UNKNOWN,
    "account_status_change": EventKind.UNKNOWN,  # about the account, with no address
}
_PLAIN_MEANING = {
    EventKind.COMPLAINED: Verdict(suppresses=Reason.COMPLAINT),
    EventKind.UNSUBSCRIBED: Verdict(suppresses=Reason.UNSUBSCRIBE),
}
_NO_MEANING = Verdict()
_ENGAGEMENT = frozenset({EventKind.OPENED, EventKind.CLICKED})
_TROUBLE = frozenset({EventKind.BOUNCED, EventKind.DROPPED, EventKind.DEFERRED})
_SERVER = re.compile(r"\.(?:filter|recv)")


def parse(body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]:
    """Yield one event, or one reason, for each element of the body; a bad element costs only itself."""
    elements = _load(body)
    if not isinstance(elements, list):
        yield UnreadableEvent(0, "the body is not a JSON array")
        return
    for position, element in enumerate(elements):
        try:
            yield _event(element)
        except Unreadable as reason:
            yield UnreadableEvent(position, str(reason))


def _load(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # User agents cut in the middle of a character come as half a surrogate pair, which the strict parser refuses
        # for the whole body. The neighbours must not suffer.
        try:
            return json.loads(body.decode(errors="replace"), object_hook=valid_unicode)
        except (ValueError, RecursionError):
            return None


def _event(element: Any) -> DeliveryEvent:
    if not isinstance(element, dict):
        raise Unreadable("the element is not an object")
    word = identity(element, "event")
    if word is None:
        raise Unreadable("the element does not say which event it is")
    kind = KINDS.get(word, EventKind.UNKNOWN)
    meaning = _meaning(kind, element)
    return DeliveryEvent(
        provider=PROVIDER,
        kind=kind,
        occurred_at=instant(element, "timestamp"),
        message_id=identity(element, "message_id"),
        attempt_id=identity(element, "attempt_id"),
        address=identity(element, "email"),
        provider_event_id=identity(element, "sg_event_id"),
        provider_message_id=_request(element),
        bounce_class=meaning.bounce_class,
        fault=meaning.fault,
        detail=_detail(kind, word, element),
        machine=element.get("sg_machine_open") is True,
        url=prose(element, "url") or None if kind is EventKind.CLICKED else None,
        client=_client(element) if kind in _ENGAGEMENT else None,
        suppresses=meaning.suppresses,
        cause=meaning.cause,
    )


def _meaning(kind: EventKind, element: dict[str, Any]) -> Verdict:
    if kind is EventKind.BOUNCED:
        return bounces.classify(
            event_type=prose(element, "type"),
            classification=prose(element, "bounce_classification"),
            status=prose(element, "status"),
            text=prose(element, "reason"),
        )
    if kind is EventKind.DROPPED:
        return bounces.dropped(prose(element, "reason"))
    return _PLAIN_MEANING.get(kind, _NO_MEANING)


def _detail(kind: EventKind, word: str, element: dict[str, Any]) -> str | None:
    """The vendor's own words where there is trouble, and the word itself where we have none for it."""
    if kind is EventKind.UNKNOWN:
        return masked(f"{word} {prose(element, 'type')}")
    if kind not in _TROUBLE:
        return None
    return masked(prose(element, "reason") or prose(element, "response")) or None


def _client(element: dict[str, Any]) -> str | None:
    return f"{prose(element, 'useragent')}|{prose(element, 'ip')}".strip("|") or None


def _request(element: dict[str, Any]) -> str | None:
    """The X-Message-Id of the request: `sg_message_id` begins with it, the rest is a server's name and numbers.

    Ids of today hold no dot, those of years ago did: `14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0`.
    """
    whole = identity(element, "sg_message_id")
    if whole is None:
        return None
    server = _SERVER.search(whole)
    return (whole[: server.start()] if server else whole.partition(".")[0]) or None
