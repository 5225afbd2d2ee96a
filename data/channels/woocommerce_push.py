"""WooCommerce's webhooks: signature, topic, and its unsigned test (woocommerce-rest-api-docs, _webhooks.md)."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime

from data.channels.channel import Push, PushMeta, Urgency

_DELETED = "order.deleted"
_PING = re.compile(rb"webhook_id=[0-9]+")


def _verify(headers: Mapping[str, str], body: bytes, secret: str, _now: datetime) -> bool:
    """Base64 of HMAC-SHA256 over the raw body."""
    signature = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256))
    return bool(secret) and hmac.compare_digest(
        signature, headers.get("x-wc-webhook-signature", "").encode(errors="replace")
    )


def _is_probe(_headers: Mapping[str, str], body: bytes) -> bool:
    """When a webhook is saved, WooCommerce posts an unsigned form to see whether somebody answers."""
    return _PING.fullmatch(body.strip()) is not None


def _meta(headers: Mapping[str, str], body: bytes, now: datetime) -> PushMeta:
    """A deletion's body is the id alone: by the time, a second one after a restoration is told from the first."""
    topic = headers.get("x-wc-webhook-topic", "")
    is_deletion = topic == _DELETED
    is_order = topic.startswith("order.") and not is_deletion
    return PushMeta(
        topic=topic,
        observed_at=now if is_deletion else None,
        delivery_id=headers.get("x-wc-webhook-delivery-id") or headers.get("x-wc-delivery-id", ""),
        urgency=Urgency.NOW if is_order else Urgency.USUAL,
        probe=_is_probe(headers, body),
    )


PUSH = Push(verify=_verify, meta=_meta, is_probe=_is_probe)
