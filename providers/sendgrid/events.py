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
from providers.event_fields import Unreadable, identities, instant, prose, valid_unicode, without_nul
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
_MEANING = {
    EventKind.COMPLAINED: Verdict(suppresses=Reason.COMPLAINT),
    EventKind.UNSUBSCRIBED: Verdict(suppresses=Reason.UNSUBSCRIBE),
}
_NO_MEANING = Verdict()
_ENGAGEMENT = frozenset({EventKind.OPENED, EventKind.CLICKED})
_TROUBLE = frozenset({EventKind.BOUNCED, EventKind.DROPPED, EventKind.DEFERRED})
# Fields by which an event is known.
_IDENTITIES = ("event", "message_id", "attempt_id", "email", "sg_event_id", "sg_message_id")
# A NUL, which JSON can only say like this.
_NUL = b"\\u0000"
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
    elements = _loaded(body)
    # Looked for once a body, and first by one character: nearly none holds a backslash.
    return without_nul(elements) if b"\\" in body and _NUL in body else elements


def _loaded(body: bytes) -> Any:
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
    """By position, and in few calls: here a million events are read."""
    if not isinstance(element, dict):
        raise Unreadable("the element is not an object")
    word, message_id, attempt_id, address, event_id, sent_as = identities(element, _IDENTITIES)
    if not word:
        raise Unreadable("the element does not say which event it is")
    kind = KINDS.get(word, EventKind.UNKNOWN)
    meaning = _judged(kind, element) if kind in _TROUBLE else _MEANING.get(kind, _NO_MEANING)
    return DeliveryEvent(
        PROVIDER,
        kind,
        instant(element, "timestamp"),
        message_id or None,
        attempt_id or None,
        address or None,
        event_id or None,
        _request(sent_as) if sent_as else None,
        meaning.bounce_class,
        meaning.fault,
        _detail(kind, word, element) if kind in _TROUBLE or kind is EventKind.UNKNOWN else None,
        element.get("sg_machine_open") is True,
        (prose(element, "url") or None) if kind is EventKind.CLICKED else None,
        _client(element) if kind in _ENGAGEMENT else None,
        meaning.suppresses,
        meaning.cause,
    )


def _judged(kind: EventKind, element: dict[str, Any]) -> Verdict:
    if kind is EventKind.BOUNCED:
        return bounces.classify(
            event_type=prose(element, "type"),
            classification=prose(element, "bounce_classification"),
            status=prose(element, "status"),
            text=prose(element, "reason"),
        )
    return bounces.dropped(prose(element, "reason")) if kind is EventKind.DROPPED else _NO_MEANING


def _detail(kind: EventKind, word: str, element: dict[str, Any]) -> str | None:
    """The vendor's own words where there is trouble, and the word itself where we have none for it."""
    if kind is EventKind.UNKNOWN:
        return masked(f"{word} {prose(element, 'type')}")
    return masked(prose(element, "reason") or prose(element, "response")) or None


def _client(element: dict[str, Any]) -> str | None:
    return f"{prose(element, 'useragent')}|{prose(element, 'ip')}".strip("|") or None


def _request(whole: str) -> str | None:
    """The X-Message-Id of the request: `sg_message_id` begins with it, the rest is a server's name and numbers.

    Ids of today hold no dot, those of years ago did: `14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0`.
    """
    first, _, rest = whole.partition(".")
    if rest.startswith(("recv", "filter")):
        return first or None
    server = _SERVER.search(whole)
    return (whole[: server.start()] if server else first) or None
