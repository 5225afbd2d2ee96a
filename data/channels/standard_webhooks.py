"""Pushes signed by the Standard Webhooks scheme, for channels that do not sign order pushes themselves.

Adobe Commerce, Medusa and Amazon have no HMAC of their own on orders: a relay in the shop signs. The specification
(github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md, 1.0.0): HMAC-SHA256 over
`id.timestamp.body`, sent as `webhook-signature: v1,<base64>`, several of them separated by spaces while a secret is
changed; the secret is base64, usually behind `whsec_`. The optional header `webhook-topic` is ours.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from data.channels import documents, fields
from data.channels.channel import Push, PushMeta, Unfit, Unreadable

# The specification asks for "some allowable tolerance"; five minutes is that of its reference libraries.
TOLERANCE = timedelta(minutes=5)
_PREFIX = "whsec_"
_LONGEST_TIMESTAMP = 12  # digits of seconds


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> bool:
    """Is one of the signatures ours, and the time of the attempt near? Never raises."""
    message, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    key = _key(secret)
    # With a full stop in it the id could be moved into the body, and the signature would still fit.
    if not key or not message or "." in message or not _is_near(stamp, now):
        return False
    signed = b".".join((message.encode("utf-8", "replace"), stamp.encode(), body))
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    fits = False
    for one in headers.get("webhook-signature", "").split(" "):
        version, _, signature = one.partition(",")
        fits |= version == "v1" and hmac.compare_digest(signature.encode("utf-8", "replace"), expected)
    return fits


def _key(secret: str) -> bytes:
    text = secret.strip().removeprefix(_PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_near(stamp: str, now: datetime) -> bool:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _LONGEST_TIMESTAMP):
        return False
    return abs(now.timestamp() - int(stamp)) <= TOLERANCE.total_seconds()


def meta(headers: Mapping[str, str], body: bytes, _now: datetime) -> PushMeta:
    """The topic, and when the state was seen where the body is the specification's envelope.

    The header's time will not do: it is that of the attempt, and an old state that is sent again would seem new.
    """
    return PushMeta(
        topic=headers.get("webhook-topic", ""), observed_at=_seen_at(body), delivery_id=headers.get("webhook-id", "")
    )


def _seen_at(body: bytes) -> datetime | None:
    try:
        document = documents.parse(body)
        return fields.optional_instant(document, "timestamp") if _is_envelope(document) else None
    except (Unreadable, Unfit):
        return None


def _is_envelope(document: Any) -> bool:
    return (
        isinstance(document, Mapping)
        and isinstance(document.get("type"), str)
        and isinstance(document.get("data"), Mapping | list)
    )


def content(document: Any) -> Any:
    """What the specification's envelope `{type, timestamp, data}` holds; anything else as it is."""
    return document["data"] if _is_envelope(document) else document


PUSH = Push(verify=verify, meta=meta)
