"""Pushes as each channel signs and sends them."""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.conftest import NOW

PAYLOADS = Path(__file__).parents[2] / "payloads" / "orders"
SHOPIFY_SECRET, WOO_SECRET, OLD_WOO_SECRET = "shpss_5ecret", "woo & secret", "the one before"
MEDUSA_KEY = b"0123456789abcdef01234567"
MEDUSA_SECRET = "whsec_" + base64.b64encode(MEDUSA_KEY).decode()
Headers = dict[str, str]


def _mac(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def shopify(body: bytes, *, topic: str = "orders/updated", secret: str = SHOPIFY_SECRET) -> Headers:
    """Each delivery has an id of its own; a second try of one has the same time of the event."""
    return {
        "Content-Type": "application/json",
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-Sha256": _mac(secret.encode(), body),
        "X-Shopify-Shop-Domain": "my-shop.myshopify.com",
        "X-Shopify-Webhook-Id": str(uuid.uuid4()),
        "X-Shopify-Event-Id": "98880550-7158-44d4-b7cd-2c97c8a091b5",
        "X-Shopify-Triggered-At": "2026-11-22T08:59:30.123456789Z",
        "X-Shopify-API-Version": "2026-07",
    }


def woocommerce(body: bytes, *, topic: str = "order.updated", secret: str = WOO_SECRET) -> Headers:
    return {
        "Content-Type": "application/json",
        "User-Agent": "WooCommerce/9.4.0 Hookshot (WordPress/6.7)",
        "X-WC-Webhook-Source": "https://shop.example.com/",
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Resource": "order",
        "X-WC-Webhook-Event": topic.partition(".")[2],
        "X-WC-Webhook-Signature": _mac(secret.encode(), body),
        "X-WC-Webhook-ID": "7",
        "X-WC-Webhook-Delivery-ID": uuid.uuid4().hex,
    }


def medusa(body: bytes, *, secret: str = MEDUSA_SECRET, at: datetime = NOW) -> Headers:
    """Standard Webhooks."""
    message, stamp = f"msg_{uuid.uuid4().hex}", str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return {
        "Content-Type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{_mac(key, f'{message}.{stamp}.'.encode() + body)}",
    }


@dataclass(frozen=True)
class Sender:
    """A channel that pushes: what it signs with, and an order of its own. `signature`: the header that holds it."""

    channel: str
    sign: Callable[..., Headers]
    signature: str
    body: bytes
    external_id: str


def _first_of(path: str) -> bytes:
    return json.dumps(json.loads((PAYLOADS / path).read_text("utf-8"))["orders"][0]).encode()


SHOPIFY = Sender(
    "shopify",
    shopify,
    "X-Shopify-Hmac-Sha256",
    (PAYLOADS / "shopify/partially_refunded.json").read_bytes(),
    str(json.loads((PAYLOADS / "shopify/partially_refunded.json").read_text("utf-8"))["id"]),
)
WOOCOMMERCE = Sender(
    "woocommerce",
    woocommerce,
    "X-WC-Webhook-Signature",
    (PAYLOADS / "woocommerce/completed.json").read_bytes(),
    "3727",
)
MEDUSA = Sender(
    "medusa", medusa, "webhook-signature", _first_of("medusa/page.json"), "order_01TESTAAAAAAAAAAAAAAAAAAAA"
)
SENDERS = (SHOPIFY, WOOCOMMERCE, MEDUSA)


def connections(account_id: str = "shop") -> list[dict[str, Any]]:
    """The connections of all senders, as in channels.yaml; WooCommerce's secret is being rotated."""
    return [
        {"account": account_id, "channel": "shopify", "webhook_secrets": [SHOPIFY_SECRET]},
        {"account": account_id, "channel": "woocommerce", "webhook_secrets": [WOO_SECRET, OLD_WOO_SECRET]},
        {"account": account_id, "channel": "medusa", "webhook_secrets": [MEDUSA_SECRET]},
    ]
