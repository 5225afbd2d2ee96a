"""The names by which a mail of ours is known when it comes back: its Message-ID and its return path.

Whoever got one mail of a batch can guess the ids of his neighbours' mails, and anybody can send us a bounce. So both
names are signed, and only a bounce that carries such a name can be held against an address. They are in lower case,
and are read in any: relays change the case. A return path's local part has 64 octets at most (RFC 5321 section
4.5.3.1.1): it carries no attempt.
"""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice

from domain import tokens

_MESSAGE_ID = "message-id"
_RETURN_PATH = "return-path"
# Run, ordinal, perhaps an attempt (a UUID), the key's id, and the tag of domain/tokens.
_SIGNED = re.compile(
    r"(?<![a-z0-9])([a-z][a-z0-9-]{0,40}\.\d{1,9})(?:\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))?"
    r"\.(\d{1,3})\.([a-z0-9_-]{20})(?![a-z0-9_-])",
    re.IGNORECASE,
)
# A mail that names more than this is no report of one of ours.
_MOST_NAMES = 50


@dataclass(frozen=True, slots=True)
class Named:
    """The message that a signed name stands for; `by_link`: it is the link to unsubscribe, which people pass on."""

    message_id: str
    attempt_id: str | None = None
    by_link: bool = False


def mail_id(message_id: str, attempt_id: str, *, domain: str, key: str, key_id: str = "1") -> str:
    """The Message-ID of the mail that carries a message, with its angle brackets."""
    subject = f"{message_id}.{attempt_id}".lower()
    return f"<{tokens.sign(subject, purpose=_MESSAGE_ID, key=key, key_id=key_id).lower()}@{domain}>"


def return_path(message_id: str, *, mailbox: str, key: str, key_id: str = "1") -> str:
    """Where bounces of this message go: the mailbox with the signed id as its extension (`returns+…@`)."""
    local, _, domain = mailbox.rpartition("@")
    signed = tokens.sign(message_id.lower(), purpose=_RETURN_PATH, key=key, key_id=key_id).lower()
    return f"{local}+{signed}@{domain}"


def mailbox_of(address: str) -> str:
    """The mailbox to which an address with an extension belongs, in lower case."""
    local, _, domain = address.strip().lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def named_in(texts: Iterable[str], *, keys: dict[str, str], link_purpose: str) -> Named | None:
    """The first message that one of the texts names by a signature of ours; a link only where nothing else does.

    A return path lacks the attempt, so what follows it is asked for that.
    """
    named = by_link = None
    for found in islice(chain.from_iterable(map(_SIGNED.finditer, texts)), _MOST_NAMES):
        proper = _proper(found, keys)
        named = named or proper
        if proper is not None and named is not None and proper.message_id == named.message_id and proper.attempt_id:
            return proper
        if by_link is None and (subject := tokens.verify(found[0], purpose=link_purpose, keys=keys)) is not None:
            by_link = Named(subject, by_link=True)
    return named or by_link


def _proper(found: re.Match[str], keys: dict[str, str]) -> Named | None:
    message_id, attempt_id, key_id = found[1].lower(), (found[2] or "").lower(), found[3]
    key = keys.get(key_id)
    if key is None:
        return None
    subject, purpose = (f"{message_id}.{attempt_id}", _MESSAGE_ID) if attempt_id else (message_id, _RETURN_PATH)
    expected = tokens.sign(subject, purpose=purpose, key=key, key_id=key_id).lower()
    return Named(message_id, attempt_id or None) if hmac.compare_digest(expected, found[0].lower()) else None
