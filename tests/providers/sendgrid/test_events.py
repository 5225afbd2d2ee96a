"""From the vendor's words to ours, and a body of which nothing is lost but what is broken."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault, UnreadableEvent
from providers.sendgrid import events

AT = 1_732_266_000
PEPPER = "pepper"


def element(word: str = "delivered", **fields: Any) -> dict[str, Any]:
    common = {
        "email": "ann@customers.example.com",
        "timestamp": AT,
        "event": word,
        "sg_event_id": "ev1",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
        "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
        "category": ["Spring sale"],
        "message_id": "run1.0",
        "attempt_id": "attempt-1",
    }
    return common | fields


def parsed(*elements: Any) -> list[DeliveryEvent | UnreadableEvent]:
    return list(events.parse(orjson.dumps(list(elements))))


def one(word: str = "delivered", **fields: Any) -> DeliveryEvent:
    (event,) = parsed(element(word, **fields))
    assert isinstance(event, DeliveryEvent)
    return event


@pytest.mark.parametrize(
    ("word", "kind", "suppresses"),
    [
        ("processed", EventKind.PROCESSED, None),
        ("dropped", EventKind.DROPPED, None),
        ("delivered", EventKind.DELIVERED, None),
        ("deferred", EventKind.DEFERRED, None),
        ("bounce", EventKind.BOUNCED, None),
        ("open", EventKind.OPENED, None),
        ("click", EventKind.CLICKED, None),
        ("spamreport", EventKind.COMPLAINED, "complaint"),
        ("unsubscribe", EventKind.UNSUBSCRIBED, "unsubscribe"),
        ("group_unsubscribe", EventKind.UNSUBSCRIBED, "unsubscribe"),
        ("group_resubscribe", EventKind.UNKNOWN, None),
        ("account_status_change", EventKind.UNKNOWN, None),
        ("teleported", EventKind.UNKNOWN, None),
    ],
)
def test_each_word(word, kind, suppresses):
    event = one(word)
    assert (event.kind, event.suppresses) == (kind, suppresses)
    assert event.occurred_at == datetime.fromtimestamp(AT, UTC)
    assert event.occurred_at.tzinfo is UTC
    assert (event.provider, event.message_id, event.attempt_id) == ("sendgrid", "run1.0", "attempt-1")
    assert event.provider_event_id == "ev1"


def test_a_word_of_which_we_know_nothing_is_kept_by_name():
    assert one("teleported").detail == "teleported"
    assert one("account_status_change", type="compliance_suspend").detail == "account_status_change compliance_suspend"


def test_a_hard_bounce_suppresses_and_its_detail_holds_no_address():
    event = one(
        "bounce",
        type="bounce",
        bounce_classification="Invalid Address",
        status="5.1.1",
        reason="550 5.1.1 <ann@customers.example.com>: user unknown",
    )
    assert (event.bounce_class, event.fault, event.suppresses) == (BounceClass.HARD, Fault.RECIPIENT, "hard_bounce")
    assert event.detail == "550 5.1.1 <[address]>: user unknown"


def test_a_block_suppresses_nobody_though_its_code_begins_with_five():
    event = one("bounce", type="blocked", bounce_classification="Reputation", status="5.7.1", reason="550 5.7.1 spam")
    assert (event.bounce_class, event.fault, event.suppresses) == (BounceClass.BLOCK, Fault.SENDER, None)


@pytest.mark.parametrize(
    ("reason", "suppresses"),
    [
        ("Bounced Address", None),
        ("Spam Reporting Address", "complaint"),
        ("Unsubscribed Address", "unsubscribe"),
        ("Invalid", "invalid"),
        ("Spam Content", None),
    ],
)
def test_a_drop_tells_what_is_on_the_vendors_lists(reason, suppresses):
    assert one("dropped", reason=reason).suppresses == suppresses


def test_a_deferral_is_told_in_the_servers_words():
    event = one("deferred", response="450 4.2.2 ann@customers.example.com is full", attempt="5")
    assert (event.detail, event.bounce_class) == ("450 4.2.2 [address] is full", None)


def test_two_opens_of_one_second_differ_and_a_repetition_does_not():
    phone = one("open", useragent="Phone", ip="192.0.2.1", sg_machine_open=False)
    tablet = one("open", useragent="Tablet", ip="192.0.2.1", sg_machine_open=False)
    again = one("open", useragent="Phone", ip="192.0.2.1", sg_event_id="another id")
    assert phone.client == "Phone|192.0.2.1"
    assert phone.dedupe_key(PEPPER) != tablet.dedupe_key(PEPPER)
    assert phone.dedupe_key(PEPPER) == again.dedupe_key(PEPPER)


@pytest.mark.parametrize(
    ("value", "machine"), [(True, True), (False, False), (1, False), ("true", False), (None, False)]
)
def test_only_a_true_machine_open_is_one(value, machine):
    assert one("open", sg_machine_open=value).machine is machine


def test_a_click_has_its_url():
    assert one("click", url="https://shop.example.com/a", url_offset={"index": 0, "type": "html"}).url is not None
    assert one("delivered", url="https://shop.example.com/a").url is None


@pytest.mark.parametrize("category", ["Spring sale", ["Spring sale"], [], None, 5, {}])
def test_a_category_of_any_shape_disturbs_nothing(category):
    assert one(category=category).kind is EventKind.DELIVERED


def test_an_asynchronous_bounce_without_any_id_is_still_an_event():
    (event,) = parsed({"email": "ann@example.com", "timestamp": AT, "event": "bounce", "reason": "550 user unknown"})
    assert isinstance(event, DeliveryEvent)
    assert (event.address, event.message_id, event.suppresses) == ("ann@example.com", None, "hard_bounce")


BROKEN = [
    (5, "not an object"),
    (None, "not an object"),
    ([], "not an object"),
    ({}, "which event"),
    (element(event=None), "which event"),
    (element(event=""), "which event"),
    (element(event=5), "event is not a string"),
    (element(timestamp=None), "whole number"),
    (element(timestamp=True), "whole number"),
    (element(timestamp=float(AT)), "whole number"),
    (element(timestamp=str(AT)), "whole number"),
    (element(timestamp=AT * 1000), "of this century"),
    (element(timestamp=0), "of this century"),
    (element(timestamp=-1), "of this century"),
    (element(email=["ann@example.com"]), "email is not a string"),
    (element(message_id=7), "message_id is not a string"),
    (element(attempt_id={}), "attempt_id is not a string"),
    (element(sg_event_id=7), "sg_event_id is not a string"),
    (element(sg_message_id=7), "sg_message_id is not a string"),
]


@pytest.mark.parametrize(("broken", "reason"), BROKEN)
def test_a_bad_element_costs_only_itself(broken, reason):
    before, bad, after = parsed(element(message_id="run1.1"), broken, element(message_id="run1.2"))
    assert isinstance(bad, UnreadableEvent)
    assert bad.position == 1
    assert reason in bad.reason
    assert "@" not in bad.reason
    assert [event.message_id for event in (before, after) if isinstance(event, DeliveryEvent)] == ["run1.1", "run1.2"]


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'"x"', b"[", b"[{]", b"\xff\xfe", b"[" * 5000, b"1" * 5000])
def test_a_body_that_is_no_array_is_one_unreadable_event(body):
    assert list(events.parse(body)) == [UnreadableEvent(0, "the body is not a JSON array")]


def test_an_empty_array_holds_nothing():
    assert list(events.parse(b"[]\r\n")) == []


def test_a_character_cut_in_half_does_not_cost_the_neighbours():
    body = orjson.dumps([element("open", useragent="cut HERE"), element(message_id="run1.2")])
    for cut in (rb"\ud83d", b"\xf0\x9f"):
        first, second = events.parse(body.replace(b"HERE", cut))
        assert isinstance(first, DeliveryEvent)
        assert isinstance(second, DeliveryEvent)
        assert first.client is not None
        first.client.encode()  # storable


def test_no_text_carries_what_postgresql_refuses():
    event = one("bounce", reason="a\0b", message_id="run1.\0000", useragent="x\0")
    assert "\0" not in f"{event.detail}{event.message_id}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from([*element(), "type", "reason", "status", "bounce_classification", "useragent", "ip", "url"])


@given(st.lists(st.dictionaries(FIELDS, JSON, max_size=6).map(lambda odd: element(**odd)) | JSON, max_size=4))
def test_any_json_gives_one_result_an_element(elements):
    try:
        body = orjson.dumps(elements)
    except orjson.JSONEncodeError:  # 2**63 and half characters
        return
    results = list(events.parse(body))
    assert len(results) == len(elements)
    for position, result in enumerate(results):
        if isinstance(result, UnreadableEvent):
            assert result.position == position
        else:
            assert result.dedupe_key(PEPPER)


@given(st.binary(max_size=200))
def test_any_bytes_give_an_answer(body):
    assert all(isinstance(result, DeliveryEvent | UnreadableEvent) for result in events.parse(body))
