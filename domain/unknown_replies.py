"""Words of a refusal that nobody knows yet: without what differs from mail to mail, so that one text is one row."""

import re

from domain import bounces
from domain.delivery import DeliveryEvent, EventKind, Fault
from domain.masking import masked

# A table of texts is read by people: what came once long ago makes room.
MOST_KEPT = 1000

# The codes at the beginning say what was meant, so they stay.
_CODES = re.compile(r"^\W*(?:smtp;)?\s*(?:[245]\d\d)?[\s\-#(]*(?:[245]\.\d{1,3}\.\d{1,3}\b)?", re.IGNORECASE)
_PLACEHOLDERS = (
    (re.compile(r"https?://\S+", re.IGNORECASE), "<url>"),
    (re.compile(r"\[address\]"), "<address>"),
    (re.compile(r"\b\d{1,3}(?:[.-]\d{1,3}){3}\b"), "<ip>"),
    (re.compile(r"\b(?:[0-9a-f]{1,4}:){2,7}[0-9a-f:]*[0-9a-f]{1,4}\b", re.IGNORECASE), "<ip>"),
    (re.compile(r"\b(?:[a-z0-9-]+\.)+[a-z]{2,}\b", re.IGNORECASE), "<host>"),
    (re.compile(r"\b(?=[\w.+=-]*\d)(?=[\w.+=-]*[a-z])[\w.+=-]{6,}", re.IGNORECASE), "<id>"),
    (re.compile(r"\d+"), "<n>"),
)
# Where there is no text, Mailchimp's `bounce_description` stands for it: "bad_mailbox".
_CLASS = re.compile(r"[a-z]+(?:[_-][a-z]+)*")


def is_unknown(event: DeliveryEvent) -> bool:
    """Whether an event refuses or puts off in words that the table of bounces does not know.

    Whatever an ESP calls it: a class of its own tells whom it blames, and not what the server said.
    """
    if event.kind not in {EventKind.BOUNCED, EventKind.DEFERRED} or not event.detail:
        return False
    if _CLASS.fullmatch(event.detail):
        return False
    return bounces.judge(status="", text=event.detail).fault is Fault.UNKNOWN


def normalised(text: str) -> str:
    """The text with placeholders for addresses, links, hosts, IP addresses, ids and numbers; its codes are kept."""
    plain = masked(text)
    codes = _CODES.match(plain)
    head = codes[0] if codes else ""
    rest = plain[len(head) :]
    for pattern, placeholder in _PLACEHOLDERS:
        rest = pattern.sub(placeholder, rest)
    return " ".join(f"{head} {rest}".split())
