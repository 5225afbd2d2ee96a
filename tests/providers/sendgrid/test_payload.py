"""The body of a send, and all that must never leave in one."""

import dataclasses
import html
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.campaigns import Sender
from domain.templates import Content, html_tag, plain_tag
from providers import batch_checks
from providers.sendgrid import payload
from providers.sendgrid.config import SendGridConfig
from tests.providers.contract import a_batch

CONFIG = SendGridConfig()
INJECTIONS = ["a\r\nBcc: b@example.com", "a\nb", "a\rb", "a\0b", "a\x0bb", "a\x85b", "a\u2028b", "a\x7fb"]


def built(batch: Any, config: SendGridConfig = CONFIG) -> dict[str, Any]:
    return orjson.loads(payload.build(batch, config))


def content(**changes: Any) -> Content:
    return dataclasses.replace(a_batch().content, **changes)


def test_the_whole_body_of_a_small_batch():
    body = built(a_batch(1, variables={"first_name": ["Ann & Bob"]}))
    assert body == {
        "personalizations": [
            {
                "to": [{"email": "person0@customers.example.com"}],
                "custom_args": {"message_id": "run1.0", "attempt_id": "attempt-1"},
                "headers": {
                    "List-Unsubscribe": "<https://shop.example.com/unsubscribe/0.1.tag>",
                    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                },
                "substitutions": {
                    "[%first_name%]": "Ann & Bob",
                    "[%first_name|html%]": "Ann &amp; Bob",
                    "[%unsubscribe_url%]": "https://shop.example.com/unsubscribe/0.1.tag",
                    "[%unsubscribe_url|html%]": "https://shop.example.com/unsubscribe/0.1.tag",
                },
            }
        ],
        "from": {"email": "news@shop.example.com", "name": "The Shop"},
        "reply_to": {"email": "help@shop.example.com"},
        "subject": "Spring for [%first_name%]",
        "content": [
            {"type": "text/plain", "value": "Hello [%first_name%]\n[%unsubscribe_url%]"},
            {
                "type": "text/html",
                "value": "<p>Hello [%first_name|html%]</p><a href='[%unsubscribe_url|html%]'>no more</a>",
            },
        ],
        "categories": ["Spring sale"],
        "tracking_settings": {
            "click_tracking": {"enable": True, "enable_text": False},
            "open_tracking": {"enable": True},
            "subscription_tracking": {"enable": False},
        },
    }


def test_each_recipient_gets_her_own_values_and_nobody_sees_another():
    batch = a_batch(1000)
    personalizations = built(batch)["personalizations"]
    assert [p["to"] for p in personalizations] == [[{"email": address}] for address in batch.addresses]
    assert [p["custom_args"]["message_id"] for p in personalizations] == list(batch.message_ids)
    assert [p["substitutions"]["[%first_name%]"] for p in personalizations] == list(batch.variables["first_name"])
    assert all(set(p) == {"to", "custom_args", "headers", "substitutions"} for p in personalizations)


def test_each_value_is_escaped_for_html_and_only_there():
    names = ["Ann", "Tom & Jo", "<b>", "Ann", "O'Brien"]
    people = built(a_batch(5, variables={"first_name": names}))["personalizations"]
    assert [p["substitutions"]["[%first_name%]"] for p in people] == names
    assert [p["substitutions"]["[%first_name|html%]"] for p in people] == [
        "Ann",
        "Tom &amp; Jo",
        "&lt;b&gt;",
        "Ann",
        "O&#x27;Brien",
    ]


def test_only_placeholders_that_occur_are_sent():
    text_only = content(subject="Hello", html="", text="Hello", variables=())
    body = built(a_batch(2, content=text_only))
    assert [p["substitutions"] for p in body["personalizations"]] == [{}, {}]
    assert [part["type"] for part in body["content"]] == ["text/plain"]


def test_a_dynamic_template_gets_plain_values_and_none_of_our_parts():
    dynamic = content(esp_template_id="d-4ad23ad40a0e47d0a0232b85f24ca5c2", subject="Spring")
    body = built(a_batch(1, content=dynamic, variables={"first_name": ["Ann & Bob"]}))
    person = body["personalizations"][0]
    assert body["template_id"] == "d-4ad23ad40a0e47d0a0232b85f24ca5c2"
    assert person["dynamic_template_data"] == {
        "first_name": "Ann & Bob",
        "unsubscribe_url": "https://shop.example.com/unsubscribe/0.1.tag",
    }
    assert "substitutions" not in person
    assert "[%" not in orjson.dumps(body).decode()


def test_settings_switch_the_group_and_the_vendors_sandbox_on():
    body = built(a_batch(), SendGridConfig(asm_group_id=15, validate_only=True))
    assert body["asm"] == {"group_id": 15}
    assert body["mail_settings"] == {"sandbox_mode": {"enable": True}}
    assert not {"asm", "mail_settings"} & set(built(a_batch()))


def test_absent_name_and_reply_address_are_left_out():
    body = built(a_batch(sender=Sender("news@shop.example.com", "")))
    assert body["from"] == {"email": "news@shop.example.com"}
    assert "reply_to" not in body


@pytest.mark.parametrize(
    ("campaign", "category"),
    [
        ("Frühling für Élise", "Fruhling fur Elise"),
        ("春の特売", "campaign"),
        ("a\r\nb", "ab"),
        ("x" * 300, "x" * 255),
        ("  ", "campaign"),
    ],
)
def test_the_category_is_the_campaign_in_ascii(campaign, category):
    assert built(a_batch(campaign=campaign))["categories"] == [category]


@pytest.mark.parametrize("value", INJECTIONS)
def test_no_header_takes_a_line_break_from_anywhere(value):
    dynamic = content(esp_template_id="d-1", subject="Spring")
    for changes in (
        {"content": content(subject=value)},
        {"sender": Sender("news@shop.example.com", value)},
        {"sender": Sender(value, "The Shop")},
        {"sender": Sender("news@shop.example.com", "The Shop", value)},
        {"addresses": ["a@example.com", value, "c@example.com"]},
        {"unsubscribe_urls": ["https://a", value, "https://c"]},
        {"variables": {"first_name": ["Ann", value, "Cid"]}},
        {"content": dynamic, "variables": {"first_name": ["Ann", value, "Cid"]}},
    ):
        with pytest.raises(batch_checks.PayloadError) as caught:
            payload.build(a_batch(**changes), CONFIG)
        assert value not in str(caught.value)


def test_a_variable_of_the_body_may_have_lines():
    body_only = content(subject="Hello")
    body = built(a_batch(1, content=body_only, variables={"first_name": ["two\nlines"]}))
    assert body["personalizations"][0]["substitutions"]["[%first_name%]"] == "two\nlines"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"addresses": ["a@example.com", "b@example.com", "A@Example.com"]}, "twice"),
        ({"addresses": ["a@example.com", "", "c@example.com"]}, "no address"),
        ({"unsubscribe_urls": ["https://a", "", "https://c"]}, "unsubscribe URL"),
        ({"unsubscribe_urls": ["https://a", "https://b>,<mailto:x", "https://c"]}, "unsubscribe URL"),
        ({"variables": {"first_name": ["Ann", "B" * 10_000, "Cid"]}}, "10000 bytes"),
        ({"variables": {"first_name": ["Ann", "\ud83d", "Cid"]}}, "Unicode"),
    ],
)
def test_what_lies_in_one_recipient_says_so(changes, words):
    with pytest.raises(batch_checks.RecipientRefused, match=words):
        payload.build(a_batch(**changes), CONFIG)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"message_ids": []}, "this batch has 0"),
        ({"addresses": ["a@example.com"]}, "1 values of addresses"),
        ({"variables": {"first_name": ["Ann", "Bob"]}}, "2 values of first_name"),
        ({"variables": {"first_name": ["Ann", 5, "Cid"]}}, "must be a string"),
        ({"variables": {"first_name": ["Ann", None, "Cid"]}}, "must be a string"),
        ({"message_ids": ["a", 2, "c"]}, "must be strings"),
        ({"message_ids": ["a", "", "c"]}, "not empty"),
        ({"attempt_id": ""}, "not empty"),
        ({"attempt_id": "x" * 10_000}, "10000 bytes"),
        ({"variables": {}}, "uses first_name"),
        ({"sender": Sender("news@bücher.example", "Bücher")}, "ASCII"),
        ({"content": content(subject=" ")}, "no subject"),
        ({"content": content(html="", text="")}, "neither"),
        ({"content": content(html=f"<p>{plain_tag('first_name')}</p>")}, "without escaping"),
        ({"content": content(esp_template_id="13b8f94f-bcae-4ec6-b752-70d6cb59f932")}, "no dynamic one"),
        ({"content": content(esp_template_id="d-1")}, "subject of spring uses first_name"),
    ],
)
def test_what_lies_in_the_batch_says_so(changes, words):
    with pytest.raises(batch_checks.PayloadError, match=words) as caught:
        payload.build(a_batch(**changes), CONFIG)
    assert not isinstance(caught.value, batch_checks.RecipientRefused)


SEND_AT = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)


def test_pool_and_schedule_travel_only_when_they_are_given():
    assert not {"ip_pool_name", "send_at", "batch_id"} & built(a_batch()).keys()
    body = built(a_batch(pool="marketing", send_at=SEND_AT, schedule_id="YmF0Y2g_-1"))
    assert (body["ip_pool_name"], body["send_at"], body["batch_id"]) == ("marketing", 1_795_338_900, "YmF0Y2g_-1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pool": "p"}, "1 characters"),
        ({"pool": "p" * 65}, "65 characters"),
        ({"pool": "a\nb"}, "line break"),
        ({"send_at": SEND_AT.replace(tzinfo=None)}, "time zone"),
        ({"schedule_id": "x"}, "needs a send_at"),
        ({"schedule_id": "", "send_at": SEND_AT}, "schedule id"),
        ({"schedule_id": "a/b", "send_at": SEND_AT}, "schedule id"),
    ],
)
def test_a_pool_or_schedule_that_cannot_be_is_a_fault_of_the_batch(changes, words):
    with pytest.raises(batch_checks.PayloadError, match=words) as caught:
        payload.build(a_batch(**changes), CONFIG)
    assert not isinstance(caught.value, batch_checks.RecipientRefused)


def test_a_thousand_recipients_are_the_most():
    assert len(built(a_batch(1000))["personalizations"]) == 1000
    with pytest.raises(batch_checks.PayloadError, match="1001"):
        payload.build(a_batch(1001), CONFIG)


def test_a_hundred_and_fifty_placeholders_are_the_most():
    names = [f"v{number}" for number in range(151)]
    for count, fails in ((150, False), (151, True)):
        many = content(subject="Hello", html="", text="".join(map(plain_tag, names[:count])), variables=())
        batch = a_batch(1, content=many, variables={name: [""] for name in names[:count]})
        if fails:
            with pytest.raises(batch_checks.PayloadError, match="151 placeholders"):
                payload.build(batch, CONFIG)
        else:
            assert len(built(batch)["personalizations"][0]["substitutions"]) == 150


@given(value=st.text(max_size=40))
def test_escaped_values_come_back_as_they_were_and_never_open_a_tag(value):
    body_only = content(subject="Hello", text="", html=html_tag("first_name"))
    try:
        body = built(a_batch(1, content=body_only, variables={"first_name": [value]}))
    except batch_checks.RecipientRefused:
        assert any("\ud800" <= character <= "\udfff" for character in value)
        return
    sent = body["personalizations"][0]["substitutions"][html_tag("first_name")]
    assert html.unescape(sent) == html.unescape(html.escape(value))
    assert not set("<>\"'") & set(sent)


awkward = st.text(st.one_of(st.sampled_from('",\\\n []{}:<&'), st.characters(codec="utf-8")), max_size=12)
rows = st.lists(st.tuples(awkward, awkward, st.integers(0, 9**9)), min_size=1, max_size=6)


@example(rows=[('a",', "b\n", 1), ('",\n  "', "", 2)], attempt='",\n  "', dynamic=False)
@given(rows=rows, attempt=st.one_of(st.just("attempt-1"), awkward.filter(bool)), dynamic=st.booleans())
def test_the_body_is_byte_for_byte_that_of_a_dict_for_each_recipient(rows, attempt, dynamic):
    first, second, numbers = map(list, zip(*rows, strict=True))
    ids = [f"run1.{number}.{place}" for place, number in enumerate(numbers)]
    urls = [f'https://shop.example.com/{one}?a="b"' for one in ids]
    addresses = [f"person{place}@example.com" for place in range(len(rows))]
    parts = {"subject": "Hello", "text": plain_tag("one") + plain_tag("two"), "html": html_tag("two")}
    letter = content(**parts, variables=("one", "two"), esp_template_id="d-1" if dynamic else None)
    if dynamic:  # SendGrid's own template may use any of them in its subject
        first, second = ([value if value.isprintable() else "x" for value in column] for column in (first, second))
    batch = a_batch(
        content=letter,
        attempt_id=attempt,
        message_ids=ids,
        addresses=addresses,
        unsubscribe_urls=urls,
        variables={"one": first, "two": second},
    )
    body = payload.build(batch, CONFIG)
    people = [
        {
            "to": [{"email": address}],
            "custom_args": {"message_id": message_id, "attempt_id": attempt},
            "headers": {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        }
        | (
            {"dynamic_template_data": {"one": one, "two": two, "unsubscribe_url": url}}
            if dynamic
            else {
                "substitutions": {
                    plain_tag("one"): one,
                    plain_tag("two"): two,
                    html_tag("two"): html.escape(two),
                }
            }
        )
        for message_id, address, url, one, two in zip(ids, addresses, urls, first, second, strict=True)
    ]
    assert orjson.dumps(orjson.loads(body) | {"personalizations": people}) == body
