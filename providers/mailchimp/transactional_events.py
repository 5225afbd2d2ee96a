"""Mailchimp Transactional's webhook body in our words: a form with one field, a JSON array of up to 1,000 events. Pure.

Source: facts/esp-contracts.md section 4.4. Our ids travel in the message's metadata. Events have no id of their own;
`_id` is the message's, one a recipient.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from domain.bounces import Verdict
from domain.delivery import BounceClass, DeliveryEvent, EventKind, UnreadableEvent
from domain.masking import masked
from domain.suppression import Reason
from providers.mailchimp import bounces, signature

PROVIDER = "mailchimp-transactional"
FIELD = "mandrill_events"

# The vendor's word → ours. A word that is not here has the kind `unknown` and is kept like any other.
KINDS = {
    "send": EventKind.PROCESSED,  # handed to the other side's server; `delivered` says what became of it
    "deferral": EventKind.DEFERRED,
    "delivered": EventKind.DELIVERED,
    "hard_bounce": EventKind.BOUNCED,
    "soft_bounce": EventKind.BOUNCED,
    "reject": EventKind.DROPPED,
    "spam": EventKind.COMPLAINED,
    "unsub": EventKind.UNSUBSCRIBED,
    "open": EventKind.OPENED,
    "click": EventKind.CLICKED,
    "inbound": EventKind.UNKNOWN,
}
_PLAIN_MEANING = {
    EventKind.COMPLAINED: Verdict(suppresses=Reason.COMPLAINT),
    EventKind.UNSUBSCRIBED: Verdict(suppresses=Reason.UNSUBSCRIBE),
}
_DENYLIST = frozenset({"blacklist", "denylist"})  # of a `sync`; the vendor renames it
_ENGAGEMENT = frozenset({EventKind.OPENED, EventKind.CLICKED})
_TROUBLE = frozenset({EventKind.BOUNCED, EventKind.DROPPED, EventKind.DEFERRED})
# 2009 to 2100: outside is a mistake, such as milliseconds for seconds.
_EARLIEST = int(datetime(2009, 1, 1, tzinfo=UTC).timestamp())
_LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())


class _Unreadable(ValueError):
    """The reason why an element is no event."""


def is_empty(body: bytes) -> bool:
    """Is it the post by which Transactional tries a new webhook's URL? It is signed with no key of ours, if at all."""
    fields = signature.form(body)
    return not body or (fields is not None and [(name, value.strip()) for name, value in fields] == [(FIELD, "[]")])


def parse(body: bytes) -> Iterator[DeliveryEvent | UnreadableEvent]:
    """Yield one event, or one reason, for each element of the array; a bad element costs only itself."""
    found = [value for name, value in signature.form(body) or () if name == FIELD]
    elements = _load(found[0]) if len(found) == 1 else None
    if not isinstance(elements, list):
        yield UnreadableEvent(0, f"the body has no field {FIELD} that is a JSON array")
        return
    for position, element in enumerate(elements):
        try:
            yield _event(element)
        except _Unreadable as reason:
            yield UnreadableEvent(position, str(reason))


def _load(text: str) -> Any:
    try:
        return json.loads(text, object_hook=_valid_unicode)
    except (ValueError, RecursionError):
        return None


def _valid_unicode(element: dict[str, Any]) -> dict[str, Any]:
    """JSON can say half a character, and no database can keep it."""
    return {
        key: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for key, value in element.items()
    }


def _event(element: Any) -> DeliveryEvent:
    if not isinstance(element, dict):
        raise _Unreadable("the element is not an object")
    word = _identity(element, "event")
    if word is None:
        return _sync(element)
    kind = KINDS.get(word, EventKind.UNKNOWN)
    message, reject = _part(element, "msg"), _part(_part(element, "msg"), "reject") or _part(element, "reject")
    metadata = _part(message, "metadata")
    meaning = _meaning(kind, word, message, reject)
    return DeliveryEvent(
        provider=PROVIDER,
        kind=kind,
        occurred_at=_instant(element),
        message_id=_identity(metadata, "message_id"),
        attempt_id=_identity(metadata, "attempt_id"),
        address=_identity(message, "email"),
        provider_message_id=_identity(element, "_id") or _identity(message, "_id"),
        bounce_class=meaning.bounce_class,
        fault=meaning.fault,
        detail=_detail(kind, word, message, reject),
        url=_prose(element, "url") or None if kind is EventKind.CLICKED else None,
        client=_client(element) if kind in _ENGAGEMENT else None,
        suppresses=meaning.suppresses,
    )


def _sync(element: dict[str, Any]) -> DeliveryEvent:
    """A change of Transactional's own lists. What it adds to the denylist we keep; that it removes one lifts nothing."""
    word, action = _identity(element, "type"), _prose(element, "action")
    if word is None:
        raise _Unreadable("the element does not say which event it is")
    entry = _part(element, "reject") or _part(element, "entry")
    reason, text = _prose(entry, "reason"), _prose(entry, "detail")
    added = word in _DENYLIST and action in {"add", "change"}
    meaning = bounces.told(reason, text) if added else Verdict()
    lasting = meaning.bounce_class in {None, BounceClass.HARD}
    return DeliveryEvent(
        provider=PROVIDER,
        kind=EventKind.UNKNOWN,
        occurred_at=_instant(element),
        address=_identity(entry, "email"),
        detail=masked(f"{word} {action} {reason} {text}"),
        suppresses=meaning.suppresses if lasting else None,
    )


def _meaning(kind: EventKind, word: str, message: dict[str, Any], reject: dict[str, Any]) -> Verdict:
    if kind is EventKind.BOUNCED:
        text, description = _prose(message, "diag"), _prose(message, "bounce_description")
        return bounces.classify(hard=word == "hard_bounce", description=description, text=text)
    if kind is EventKind.DROPPED:
        return bounces.told(_prose(reject, "reason"), _prose(reject, "detail") or _prose(message, "diag"))
    return _PLAIN_MEANING.get(kind, Verdict())


def _detail(kind: EventKind, word: str, message: dict[str, Any], reject: dict[str, Any]) -> str | None:
    if kind is EventKind.UNKNOWN:
        return masked(word)
    if kind not in _TROUBLE:
        return None
    told = _prose(reject, "reason") if kind is EventKind.DROPPED else _prose(message, "bounce_description")
    return masked(_prose(message, "diag") or _prose(reject, "detail") or told) or None


def _client(element: dict[str, Any]) -> str | None:
    return f"{_prose(element, 'user_agent')}|{_prose(element, 'ip')}".strip("|") or None


def _instant(element: dict[str, Any]) -> datetime:
    seconds = element.get("ts")
    if type(seconds) is not int:  # a bool is an int to isinstance
        raise _Unreadable("ts is missing or not a whole number")
    if not _EARLIEST <= seconds <= _LATEST:
        raise _Unreadable("ts is no time in seconds of this century")
    return datetime.fromtimestamp(seconds, UTC)


def _part(element: dict[str, Any], key: str) -> dict[str, Any]:
    """An object in it; PHP spells an empty one []."""
    found = element.get(key)
    return found if isinstance(found, dict) else {}


def _identity(element: dict[str, Any], key: str) -> str | None:
    """A field by which an event is known; of another type it makes the element unreadable."""
    value = element.get(key)
    if value is not None and not isinstance(value, str):
        raise _Unreadable(f"{key} is not a string")
    return _storable(value) or None if value else None


def _prose(element: dict[str, Any], key: str) -> str:
    """A field that only informs; of another type it says nothing."""
    value = element.get(key)
    return _storable(value) if isinstance(value, str) else ""


def _storable(text: str) -> str:
    """PostgreSQL refuses NUL in a text, and with it the statement that holds all the neighbours."""
    return text.replace("\0", "")
