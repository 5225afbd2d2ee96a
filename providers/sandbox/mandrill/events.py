"""Events in Transactional's shape, in a form whose one field is a JSON array; and its signature.

Shapes and signature: facts/esp-contracts.md section 4.4. An event has no id of its own: `_id` is the message's.
"""

import base64
import hashlib
import hmac
import sqlite3
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

import orjson

from providers.sandbox import events
from providers.sandbox.config import SandboxConfig
from providers.sandbox.fate import End, Kind
from providers.sandbox.poster import Outlet, webhook

VENDOR = "mandrill"
FIELD = "mandrill_events"
SIGNATURE_HEADER = "X-Mandrill-Signature"
_WORDS = {
    Kind.PROCESSED: "send",
    Kind.DEFERRED: "deferral",
    Kind.DELIVERED: "delivered",
    Kind.DROPPED: "reject",
    Kind.OPEN: "open",
    Kind.MACHINE_OPEN: "open",
    Kind.CLICK: "click",
    Kind.SPAM_REPORT: "spam",
    Kind.UNSUBSCRIBE: "unsub",
}
_STATES = {Kind.DROPPED: "rejected", Kind.DEFERRED: "deferred", Kind.SPAM_REPORT: "spam", Kind.UNSUBSCRIBE: "unsub"}
# What a bounce is called, and its description, by how the delivery ended.
_BOUNCES = {
    End.HARD: ("hard_bounce", "bad_mailbox", "bounced"),
    End.SOFT: ("soft_bounce", "mailbox_full", "soft-bounced"),
    End.BLOCK: ("soft_bounce", "policy", "soft-bounced"),
}
_ENGAGED = frozenset({Kind.OPEN, Kind.MACHINE_OPEN, Kind.CLICK})


def outlet(config: SandboxConfig) -> Outlet:
    """Where they go: the URL as it is registered, which is signed with them."""
    key, url = config.mandrill_webhook_key.get_secret_value(), config.mandrill_webhook_url

    def dress(rows: Sequence[sqlite3.Row], _now: float) -> tuple[bytes, dict[str, str]]:
        told = orjson.dumps([render(dict(row)) for row in rows]).decode()
        signed = hmac.new(key.encode(), f"{url}{FIELD}{told}".encode(), hashlib.sha1).digest()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return urlencode({FIELD: told}).encode(), headers | {SIGNATURE_HEADER: base64.b64encode(signed).decode()}

    return webhook(VENDOR, url, dress)


def message_id(reference: str, ours: str, address: str) -> str:
    """The `_id` of one recipient's message: 32 characters."""
    return blake2b(f"{reference}\0{ours}\0{address}".encode(), digest_size=16).hexdigest()


def render(row: Mapping[str, Any]) -> dict[str, Any]:
    """Make one element of a webhook post."""
    kind = Kind(row["kind"])
    message = shown(row, state(kind, End(row["fate"])))
    if kind is Kind.BOUNCE:
        no = events.refusal(End(row["fate"]), row["address"])
        word, description, _ = _BOUNCES[End(row["fate"])]
        message |= {"bounce_description": description, "bgtools_code": 10, "diag": f"smtp;{no.reason}"}
    else:
        word = _WORDS[kind]
    if kind is Kind.DROPPED:
        message["reject"] = {"reason": row["dropped_because"], "last_event_at": None}
    element = {"event": word, "_id": message["_id"], "ts": int(row["occurred_at"]), "msg": message}
    return element | (_engagement(kind, row) if kind in _ENGAGED else {})


def state(kind: Kind, end: End) -> str:
    """In which state a message is after an event."""
    return _BOUNCES[end][2] if kind is Kind.BOUNCE else _STATES.get(kind, "sent")


def shown(row: Mapping[str, Any], called: str) -> dict[str, Any]:
    """What Transactional shows of a message everywhere."""
    common = orjson.loads(row["common"])
    return {
        "ts": int(row["accepted_at"]),
        "_id": message_id(row["x_message_id"], row["message_id"], row["address"]),
        "_version": "sandbox",
        "email": row["address"],
        "sender": common.get("sender"),
        "subject": common.get("subject"),
        "template": common.get("template"),
        "tags": common.get("tags", []),
        "state": called,
        "metadata": orjson.loads(row["custom_args"]),
        "opens": [],
        "clicks": [],
        "smtp_events": [],
        "resends": [],
    }


def _engagement(kind: Kind, row: Mapping[str, Any]) -> dict[str, Any]:
    seen = events.engagement(kind, row)
    told = {"ip": seen["ip"], "user_agent": seen["useragent"], "user_agent_parsed": None, "location": None}
    return told | ({"url": seen["url"]} if kind is Kind.CLICK else {})
