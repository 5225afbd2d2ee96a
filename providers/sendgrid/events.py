"""SendGrid's webhook body in our words. Pure: the raw body is journalled before anybody parses it.

Source: facts/esp-contracts.md section 4.2. Posts repeat and overtake each other, custom args arrive flattened into
each event, asynchronous bounces lack them, and `category` is a string or a list (we do not read it).
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from domain.bounces import Verdict
from domain.delivery import DeliveryEvent, EventKind, UnreadableEvent
from domain.masking import masked
from domain.suppression import Reason
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
# Fields by which an event is known, `event` first; of another type they make the element unreadable.
_IDENTITIES = ("event", "message_id", "attempt_id", "email", "sg_event_id", "sg_message_id")
_TEXT_OR_NOTHING = frozenset({str, type(None)})
# PostgreSQL refuses it in a text, and with it the statement that holds all the neighbours.
_NUL, _NUL_IN_JSON = "\0", b"\\u0000"
_SERVER = re.compile(r"\.(?:filter|recv)")
# 2009, when SendGrid began, to 2100: outside is a mistake, such as milliseconds for seconds.
_EARLIEST = int(datetime(2009, 1, 1, tzinfo=UTC).timestamp())
_LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())


class _Unreadable(ValueError):
    """The reason why an element is no event."""


def parse(body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]:
    """Yield one event, or one reason, for each element of the body; a bad element costs only itself."""
    elements = _load(body)
    if not isinstance(elements, list):
        yield UnreadableEvent(0, "the body is not a JSON array")
        return
    for position, element in enumerate(elements):
        try:
            yield _event(element)
        except _Unreadable as reason:
            yield UnreadableEvent(position, str(reason))


def _load(body: bytes) -> Any:
    elements = _loaded(body)
    if b"\\" in body and _NUL_IN_JSON in body and isinstance(elements, list):
        return [_without_nul(element) if isinstance(element, dict) else element for element in elements]
    return elements


def _without_nul(element: dict[str, Any]) -> dict[str, Any]:
    return {key: value.replace(_NUL, "") if isinstance(value, str) else value for key, value in element.items()}


def _loaded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # User agents cut in the middle of a character come as half a surrogate pair, which the strict parser refuses
        # for the whole body. The neighbours must not suffer.
        try:
            return json.loads(body.decode(errors="replace"), object_hook=_valid_unicode)
        except (ValueError, RecursionError):
            return None


def _valid_unicode(element: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for key, value in element.items()
    }


def _event(element: Any) -> DeliveryEvent:
    """By position, and in few calls: here a million events are read."""
    if not isinstance(element, dict):
        raise _Unreadable("the element is not an object")
    known_by = list(map(element.get, _IDENTITIES))
    if not _TEXT_OR_NOTHING.issuperset(map(type, known_by)):
        wrong = next(
            name for name, value in zip(_IDENTITIES, known_by, strict=True) if type(value) not in _TEXT_OR_NOTHING
        )
        raise _Unreadable(f"{wrong} is not a string")
    word, message_id, attempt_id, address, event_id, sent_as = known_by
    if not word:
        raise _Unreadable("the element does not say which event it is")
    kind = KINDS.get(word, EventKind.UNKNOWN)
    meaning = _judged(kind, element) if kind in _TROUBLE else _MEANING.get(kind, _NO_MEANING)
    return DeliveryEvent(
        PROVIDER,
        kind,
        _instant(element.get("timestamp")),
        message_id or None,
        attempt_id or None,
        address or None,
        event_id or None,
        _request(sent_as) if sent_as else None,
        meaning.bounce_class,
        meaning.fault,
        _detail(kind, word, element) if kind in _TROUBLE or kind is EventKind.UNKNOWN else None,
        element.get("sg_machine_open") is True,
        (_prose(element, "url") or None) if kind is EventKind.CLICKED else None,
        _client(element) if kind in _ENGAGEMENT else None,
        meaning.suppresses,
        meaning.cause,
    )


def _judged(kind: EventKind, element: dict[str, Any]) -> Verdict:
    if kind is EventKind.BOUNCED:
        return bounces.classify(
            event_type=_prose(element, "type"),
            classification=_prose(element, "bounce_classification"),
            status=_prose(element, "status"),
            text=_prose(element, "reason"),
        )
    return bounces.dropped(_prose(element, "reason")) if kind is EventKind.DROPPED else _NO_MEANING


def _detail(kind: EventKind, word: str, element: dict[str, Any]) -> str | None:
    """The vendor's own words where there is trouble, and the word itself where we have none for it."""
    if kind is EventKind.UNKNOWN:
        return masked(f"{word} {_prose(element, 'type')}")
    return masked(_prose(element, "reason") or _prose(element, "response")) or None


def _client(element: dict[str, Any]) -> str | None:
    return f"{_prose(element, 'useragent')}|{_prose(element, 'ip')}".strip("|") or None


def _request(whole: str) -> str | None:
    """The X-Message-Id of the request: `sg_message_id` begins with it, the rest is a server's name and numbers.

    Ids of today hold no dot, those of years ago did: `14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0`.
    """
    first, _, rest = whole.partition(".")
    if rest.startswith(("recv", "filter")):
        return first or None
    server = _SERVER.search(whole)
    return (whole[: server.start()] if server else first) or None


def _instant(seconds: Any) -> datetime:
    if type(seconds) is not int:  # a bool is an int to isinstance
        raise _Unreadable("the timestamp is missing or not a whole number")
    if not _EARLIEST <= seconds <= _LATEST:
        raise _Unreadable("the timestamp is no time in seconds of this century")
    return _second(seconds)


@lru_cache(maxsize=16_384)  # some 300 events share each second of a campaign
def _second(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _prose(element: dict[str, Any], key: str) -> str:
    """A field that only informs; of another type it says nothing."""
    value = element.get(key)
    return value if isinstance(value, str) else ""
