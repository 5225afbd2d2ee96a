"""Mailchimp Transactional's webhook body in our words: a form with one field, a JSON array of up to 1,000 events. Pure.

Source: facts/esp-contracts.md section 4.4. Our ids travel in the message's metadata. Events have no id of their own;
`_id` is the message's, one a recipient.
"""

import json
from collections.abc import Iterator
from typing import Any

from domain.bounces import Verdict
from domain.delivery import BounceClass, DeliveryEvent, EventKind, UnreadableEvent
from domain.masking import masked
from domain.suppression import Reason
from providers.event_fields import Unreadable, identity, instant, prose, valid_unicode
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
        except Unreadable as reason:
            yield UnreadableEvent(position, str(reason))


def _load(text: str) -> Any:
    try:
        return json.loads(text, object_hook=valid_unicode)
    except (ValueError, RecursionError):
        return None


def _event(element: Any) -> DeliveryEvent:
    if not isinstance(element, dict):
        raise Unreadable("the element is not an object")
    word = identity(element, "event")
    if word is None:
        return _sync(element)
    kind = KINDS.get(word, EventKind.UNKNOWN)
    message, reject = _part(element, "msg"), _part(_part(element, "msg"), "reject") or _part(element, "reject")
    metadata = _part(message, "metadata")
    meaning = _meaning(kind, word, message, reject)
    return DeliveryEvent(
        provider=PROVIDER,
        kind=kind,
        occurred_at=instant(element, "ts"),
        message_id=identity(metadata, "message_id"),
        attempt_id=identity(metadata, "attempt_id"),
        address=identity(message, "email"),
        provider_message_id=identity(element, "_id") or identity(message, "_id"),
        bounce_class=meaning.bounce_class,
        fault=meaning.fault,
        detail=_detail(kind, word, message, reject),
        url=prose(element, "url") or None if kind is EventKind.CLICKED else None,
        client=_client(element) if kind in _ENGAGEMENT else None,
        suppresses=meaning.suppresses,
    )


def _sync(element: dict[str, Any]) -> DeliveryEvent:
    """A change of Transactional's own lists. What it adds to the denylist we keep; what it removes lifts nothing."""
    word, action = identity(element, "type"), prose(element, "action")
    if word is None:
        raise Unreadable("the element does not say which event it is")
    entry = _part(element, "reject") or _part(element, "entry")
    reason, text = prose(entry, "reason"), prose(entry, "detail")
    added = word in _DENYLIST and action in {"add", "change"}
    meaning = bounces.told(reason, text) if added else Verdict()
    lasting = meaning.bounce_class in {None, BounceClass.HARD}
    return DeliveryEvent(
        provider=PROVIDER,
        kind=EventKind.UNKNOWN,
        occurred_at=instant(element, "ts"),
        address=identity(entry, "email"),
        detail=masked(f"{word} {action} {reason} {text}"),
        suppresses=meaning.suppresses if lasting else None,
    )


def _meaning(kind: EventKind, word: str, message: dict[str, Any], reject: dict[str, Any]) -> Verdict:
    if kind is EventKind.BOUNCED:
        text, description = prose(message, "diag"), prose(message, "bounce_description")
        return bounces.classify(hard=word == "hard_bounce", description=description, text=text)
    if kind is EventKind.DROPPED:
        return bounces.told(prose(reject, "reason"), prose(reject, "detail") or prose(message, "diag"))
    return _PLAIN_MEANING.get(kind, Verdict())


def _detail(kind: EventKind, word: str, message: dict[str, Any], reject: dict[str, Any]) -> str | None:
    if kind is EventKind.UNKNOWN:
        return masked(word)
    if kind not in _TROUBLE:
        return None
    told = prose(reject, "reason") if kind is EventKind.DROPPED else prose(message, "bounce_description")
    return masked(prose(message, "diag") or prose(reject, "detail") or told) or None


def _client(element: dict[str, Any]) -> str | None:
    return f"{prose(element, 'user_agent')}|{prose(element, 'ip')}".strip("|") or None


def _part(element: dict[str, Any], key: str) -> dict[str, Any]:
    """An object in it; PHP spells an empty one []."""
    found = element.get(key)
    return found if isinstance(found, dict) else {}
