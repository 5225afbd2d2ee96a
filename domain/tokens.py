"""Signed tokens for links: HMAC-SHA256 over purpose, key id and subject. They never expire."""

import base64
import hashlib
import hmac

# 15 bytes (120 bits, 20 characters): out of reach of guessing, short enough for a mail's text part.
_TAG_BYTES = 15


def sign(subject: str, *, purpose: str, key: str, key_id: str = "1") -> str:
    """Return `subject.key_id.tag`, fit for a URL path."""
    return f"{subject}.{key_id}.{_tag(subject, purpose, key, key_id)}"


def verify(token: str, *, purpose: str, keys: dict[str, str]) -> str | None:
    """Return the subject, or None where the token was not made by us for this purpose. `keys`: key id → key."""
    subject, _, rest = token.rpartition(".")
    subject, _, key_id = subject.rpartition(".")
    key = keys.get(key_id)
    if key is None or not subject or not token.isascii():
        return None
    return subject if hmac.compare_digest(rest, _tag(subject, purpose, key, key_id)) else None


def _tag(subject: str, purpose: str, key: str, key_id: str) -> str:
    digest = hmac.digest(key.encode(), f"{purpose}\0{key_id}\0{subject}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest[:_TAG_BYTES]).decode()
