"""Is this webhook body SendGrid's? ECDSA over timestamp + raw body, checked by the official SDK behind a wrapper.

What the wrapper cures: the SDK wants text where a webhook is bytes, raises on malformed base64 instead of saying no
and decodes loosely what is malformed otherwise, and takes any kind of key. A signature does not expire (SendGrid repeats
a post for 24 hours), so replays are made harmless by the dedupe key of an event, not by a time window here.
"""

import base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from sendgrid.helpers.eventwebhook import EventWebhook

from providers.sendgrid.config import SendGridNotConfigured

SIGNATURE_HEADER = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP_HEADER = "X-Twilio-Email-Event-Webhook-Timestamp"


def verify(headers: Mapping[str, str], body: bytes, public_keys: Sequence[str]) -> bool:
    """Say whether one of the keys signed this body. Raises SendGridNotConfigured without a usable key."""
    checkers = checkers_for(public_keys)
    given = {name.lower(): value for name, value in headers.items()}
    signature = given.get(SIGNATURE_HEADER.lower(), "")
    timestamp = given.get(TIMESTAMP_HEADER.lower(), "")
    # Timestamp and body are signed as one string: were the timestamp not digits, bytes could move between the two.
    if not _canonical(signature) or not (timestamp.isascii() and timestamp.isdigit()):
        return False
    try:
        text = body.decode()  # JSON is UTF-8; SendGrid signs nothing else
    except UnicodeDecodeError:
        return False
    return any(_signed(checker, text, signature, timestamp) for checker in checkers)


def checkers_for(public_keys: Sequence[str]) -> list[Any]:
    """One official verifier a key. Raises SendGridNotConfigured: without a key nothing is authentic, so refuse."""
    if not public_keys:
        raise SendGridNotConfigured(
            "there is no key to check SendGrid's webhooks with: switch the signed event webhook on at SendGrid "
            "and set OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS"
        )
    return [_checker(key) for key in public_keys]


@lru_cache(maxsize=16)
def _checker(public_key: str) -> Any:
    # Outside the try: a key of another kind is as unusable as none.
    problem = "a key in OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS is not the base64 text of a P-256 public key"
    try:
        checker = EventWebhook("".join(public_key.split()))
    except (ValueError, UnsupportedAlgorithm):
        raise SendGridNotConfigured(problem) from None
    key = checker.public_key
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SendGridNotConfigured(problem)
    return checker


def _canonical(signature: str) -> bool:
    """Is it base64 as its maker wrote it? The decoder passes over what is none, and the last letter has spare bits."""
    try:
        decoded = base64.b64decode(signature, validate=True)
    except ValueError:  # binascii.Error among them
        return False
    return bool(decoded) and base64.b64encode(decoded).decode() == signature


def _signed(checker: Any, text: str, signature: str, timestamp: str) -> bool:
    return bool(checker.verify_signature(text, signature, timestamp))
