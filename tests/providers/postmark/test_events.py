"""Postmark's webhooks in our words, and who may post them. Shapes: the vendor's pages of each webhook."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from domain.delivery import BounceClass, DeliveryEvent, EventKind, UnreadableEvent
from domain.suppression import Reason
from providers.postmark.config import PostmarkConfig
from providers.postmark.webhook import PostmarkEvents

ADDRESS = "secret.person@example.com"
OURS = "oms:0123456789abcdefghij"


def event(record: str, **changes: Any) -> DeliveryEvent:
    facts = {
        "RecordType": record,
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Recipient": ADDRESS,
        "DeliveredAt": "2026-11-22T04:00:00.2735393-05:00",
        "Metadata": {"message_id": "r1.0", "attempt_id": "a1"},
    }
    (found,) = PostmarkEvents().parse(json.dumps({**facts, **changes}).encode())
    assert isinstance(found, DeliveryEvent)
    return found


def bounce(sort: str, text: str = "") -> DeliveryEvent:
    return event(
        "Bounce", Type=sort, Details=text, Email=ADDRESS, Recipient=None, DeliveredAt=None, BouncedAt="2026-11-22"
    )


def test_a_delivery_is_about_our_message():
    found = event("Delivery")
    assert (found.kind, found.message_id, found.attempt_id, found.address) == (
        EventKind.DELIVERED,
        "r1.0",
        "a1",
        ADDRESS,
    )
    assert found.occurred_at == datetime(2026, 11, 22, 9, 0, 0, 273539, tzinfo=UTC)
    assert found.provider_message_id == "883953f4-6105-42a2-a16a-77a8eac79483"


@pytest.mark.parametrize(
    ("sort", "text", "kind", "bounce_class"),
    [
        ("HardBounce", "550 5.1.1 user unknown", EventKind.BOUNCED, BounceClass.HARD),
        ("BadEmailAddress", "", EventKind.BOUNCED, BounceClass.HARD),
        ("SoftBounce", "452 4.2.2 mailbox full", EventKind.BOUNCED, BounceClass.SOFT),
        ("Blocked", "550 5.7.1 blocked by policy", EventKind.BOUNCED, BounceClass.BLOCK),
        ("Novelty", "", EventKind.BOUNCED, BounceClass.SOFT),
        ("Transient", "451 try later", EventKind.DEFERRED, None),
        ("AutoResponder", "away", EventKind.UNKNOWN, None),
    ],
)
def test_a_bounce_is_judged_by_all_that_is_said(sort, text, kind, bounce_class):
    found = bounce(sort, text)
    assert (found.kind, found.bounce_class) == (kind, bounce_class)


def test_what_postmark_does_not_call_hard_is_not_hard():
    assert bounce("SoftBounce", "550 5.1.1 user unknown").bounce_class is not BounceClass.HARD


@pytest.mark.parametrize(
    ("record", "changes", "kind", "reason"),
    [
        ("SpamComplaint", {}, EventKind.COMPLAINED, Reason.COMPLAINT),
        ("SubscriptionChange", {"SuppressSending": True, "SuppressionReason": "ManualSuppression"}, "left", None),
        ("SubscriptionChange", {"SuppressSending": True, "SuppressionReason": "HardBounce"}, EventKind.UNKNOWN, None),
        ("SubscriptionChange", {"SuppressSending": False, "SuppressionReason": None}, EventKind.UNKNOWN, None),
        ("Open", {}, EventKind.OPENED, None),
        ("Novelty", {}, EventKind.UNKNOWN, None),
    ],
)
def test_each_word_has_one_meaning(record, changes, kind, reason):
    found = event(record, **changes)
    wanted = (EventKind.UNSUBSCRIBED, Reason.UNSUBSCRIBE) if kind == "left" else (kind, reason)
    assert (found.kind, found.suppresses) == wanted


def test_a_click_tells_where_and_by_what():
    found = event("Click", OriginalLink="https://shop.example.com/", UserAgent="Firefox")
    assert (found.kind, found.url, found.client) == (EventKind.CLICKED, "https://shop.example.com/", "Firefox")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"RecordType": 5}', b'{"RecordType": "Open"}', b"[" * 99_999])
def test_what_is_no_event_says_why(body):
    (found,) = PostmarkEvents().parse(body)
    assert isinstance(found, UnreadableEvent)


def test_only_our_password_is_believed():
    def basic(text: str) -> dict[str, str]:
        return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}

    reader = PostmarkEvents(["old:99999999999999999999", OURS])
    assert reader.verify(basic(OURS), b"")
    for headers in (
        basic(OURS + "x"),
        basic(""),
        {},
        {"Authorization": "Basic ***"},
        {"Authorization": f"Bearer {OURS}"},
    ):
        assert not reader.verify(headers, b"")
    assert not PostmarkEvents().verify(basic(""), b"")
    assert PostmarkConfig(webhook_credentials=[SecretStr(OURS)])
    for weak in ("oms:short", "nocolon0123456789abcdefghij", ":0123456789abcdefghij"):
        with pytest.raises(ValidationError):
            PostmarkConfig(webhook_credentials=[SecretStr(weak)])
