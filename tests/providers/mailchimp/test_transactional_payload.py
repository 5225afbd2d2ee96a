"""What Transactional is handed: values that are never evaluated, ids that come back, and what is refused beforehand."""

import dataclasses
import html
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.campaigns import Sender
from domain.templates import Content, html_tag, plain_tag
from providers import batch_checks
from providers.mailchimp import transactional_payload as payload
from tests.providers.contract import a_batch
from tests.providers.mailchimp.transactional import config
from tests.providers.transactional_contract import a_transactional_batch

TAG = re.compile(r"\*\|(.*?)\|\*", re.DOTALL)


def built(batch: Any = None, **settings: Any) -> dict[str, Any]:
    return payload.build(a_batch() if batch is None else batch, config(**settings))


def content(**changes: Any) -> Content:
    return dataclasses.replace(a_batch().content, **changes)


def merged(body: dict[str, Any], part: str, recipient: int = 0) -> str:
    """A part as Mailchimp makes it: each tag replaced by its value, names in whichever case."""
    own = {one["name"].upper(): one["content"] for one in body["message"]["merge_vars"][recipient]["vars"]}
    return TAG.sub(lambda found: own[found[1].upper()], body["message"][part])


def test_each_recipient_gets_her_own_values_and_sees_no_other():
    body = built(a_batch(variables={"first_name": ["Zoë", "<b>&'\"", "李"]}))
    assert merged(body, "subject", 1) == "Spring for <b>&'\""
    assert merged(body, "text", 1) == "Hello <b>&'\"\nhttps://shop.example.com/unsubscribe/1.1.tag"
    assert merged(body, "html", 1).startswith("<p>Hello &lt;b&gt;&amp;&#x27;&quot;</p>")
    assert merged(body, "html", 2).endswith("<a href='https://shop.example.com/unsubscribe/2.1.tag'>no more</a>")
    message = body["message"]
    assert (message["preserve_recipients"], message["merge_language"]) == (False, "mailchimp")
    assert [one["rcpt"] for one in message["merge_vars"]] == [one["email"] for one in message["to"]]


def test_our_ids_come_back_and_nothing_that_names_a_person():
    message = built()["message"]
    assert message["metadata"] == {"attempt_id": "attempt-1", "run": "run1"}
    assert message["recipient_metadata"] == [
        {"rcpt": f"person{n}@customers.example.com", "values": {"message_id": f"run1.{n}"}} for n in range(3)
    ]


def test_only_alone_does_a_mail_carry_its_list_unsubscribe_header():
    alone = built(a_batch(1))["message"]["headers"]
    assert alone == {
        "Reply-To": "help@shop.example.com",
        "List-Unsubscribe": "<https://shop.example.com/unsubscribe/0.1.tag>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert built(a_batch(2))["message"]["headers"] == {"Reply-To": "help@shop.example.com"}


def test_mail_that_she_waits_for_goes_ahead_and_no_link_is_followed():
    body = built(a_transactional_batch())["message"]
    handling = ("important", "track_opens", "track_clicks", "merge", "view_content_link")
    assert {name: body[name] for name in handling} == {
        "important": True,
        "track_opens": False,
        "track_clicks": False,
        "merge": False,
        "view_content_link": False,
    }
    assert "merge_vars" not in body  # any would have Mailchimp look for tags
    assert "important" not in built()["message"]


@pytest.mark.parametrize("template", [None, "order-confirmation"])
def test_transactional_mail_with_variables_or_a_template_at_mailchimp_is_refused(template):
    changes = {"variables": {"first_name": ["Ann"]}} if template is None else {}
    content = dataclasses.replace(a_transactional_batch().content, esp_template_id=template)
    with pytest.raises(batch_checks.PayloadError, match="written whole"):
        built(a_transactional_batch(content=content, **changes))


def test_nothing_is_added_to_what_the_preview_showed():
    message = built()["message"]
    off = ("auto_text", "auto_html", "inline_css", "url_strip_qs", "view_content_link")
    assert {message[name] for name in off} == {False}
    assert (message["track_opens"], message["track_clicks"]) == (True, True)


def test_pool_subaccount_tag_and_sender():
    body = built(a_batch(pool="marketing", campaign="__Frühling 🌷" + "x" * 60), transactional_subaccount="shop")
    assert body["ip_pool"] == "marketing"
    assert body["message"]["subaccount"] == "shop"
    assert body["message"]["tags"] == [("Frühling 🌷" + "x" * 60)[:50]]
    nameless = built(a_batch(sender=Sender("news@shop.example.com", "", None)))
    assert "from_name" not in nameless["message"]
    assert {"ip_pool", "send_at"}.isdisjoint(nameless)
    assert built(a_batch(campaign=" _"))["message"]["tags"] == ["campaign"]


def test_a_template_at_mailchimp_gets_every_value_for_html_and_for_text():
    batch = a_batch(1, content=content(esp_template_id="spring", subject=""), variables={"first_name": ["<Ann>"]})
    body = built(batch)
    assert (body["template_name"], body["template_content"]) == ("spring", [])
    assert {one["name"]: one["content"] for one in body["message"]["merge_vars"][0]["vars"]} == {
        "FIRST_NAME": "&lt;Ann&gt;",
        "FIRST_NAME_TEXT": "<Ann>",
        "UNSUBSCRIBE_URL": "https://shop.example.com/unsubscribe/0.1.tag",
        "UNSUBSCRIBE_URL_TEXT": "https://shop.example.com/unsubscribe/0.1.tag",
    }
    assert {"subject", "html", "text"}.isdisjoint(body["message"])


EVIL = st.text(st.sampled_from("*|ab:<&"), max_size=8) | st.sampled_from(["*|UNSUB:http://x|*", "*|a|*", "**||a||**"])


@given(values=st.lists(EVIL, min_size=3, max_size=3), between=st.text(st.sampled_from("*| x"), max_size=3))
def test_no_value_is_ever_a_merge_tag_alone_or_with_what_stands_beside_it(values, between):
    """Even of a Mailchimp that looked at values once more. `between` is the template's own text, no tag by itself."""
    names = ["a", "b", "c"]
    if "*|" in between:
        return
    text = between.join(["x", *map(plain_tag, names), "x"])
    body_of = content(subject="s", text=text, html=between.join(["x", *map(html_tag, names), "x"]), variables=())
    body = built(a_batch(1, content=body_of, variables={n: [v] for n, v in zip(names, values, strict=True)}))
    for part in ("text", "html"):
        assert not TAG.search(merged(body, part))
    shown = html.unescape(merged(body, "html"))
    assert shown == between.join(["x", *values, "x"])  # and HTML shows what was written, to the last star


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"content": content(html="<p>*|MC:SUBJECT|*</p>")}, "merge tag"),
        ({"content": content(subject="*|X|*")}, "merge tag"),
        ({"content": content(subject=" ")}, "no subject"),
        ({"content": content(subject="a\nb")}, "line break"),
        ({"content": content(html=plain_tag("first_name"))}, "without escaping"),
        ({"content": content(variables=("colour",), text=plain_tag("colour"))}, "has no values"),
        ({"content": content(esp_template_id="x", subject=plain_tag("first_name"))}, "Mailchimp's own template"),
        ({"sender": Sender("", "x", None)}, "sender's address is empty"),
        ({"sender": Sender("a@b.de", "x\r\ny", None)}, "sender's name"),
        ({"variables": {"first_name": ["one"]}}, "1 values of first_name"),
        ({"variables": {"first_name": ["a", "b", 3]}}, "must be a string"),
        ({"variables": {"a": ["", "", ""], "A": ["", "", ""]}}, "one name in capitals"),
        ({"message_ids": ["m" * 200, "b", "c"]}, "200 bytes"),
        ({"message_ids": ["", "b", "c"]}, "not empty"),
        ({"schedule_id": "abc"}, "names no schedule"),
        ({"send_at": a_batch().lease_expires_at.replace(tzinfo=None)}, "no time zone"),
    ],
)
def test_a_faulty_batch_is_refused(changes, words):
    with pytest.raises(batch_checks.PayloadError, match=words) as caught:
        built(a_batch(**changes))
    assert not isinstance(caught.value, batch_checks.RecipientRefused)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"addresses": ["a@example.com", "A@Example.com", "c@example.com"]}, "occurs twice"),
        ({"addresses": ["", "b@example.com", "c@example.com"]}, "no address"),
        ({"addresses": ["a@example.com\n", "b@example.com", "c@example.com"]}, "line break"),
        ({"unsubscribe_urls": ["", "https://x", "https://y"]}, "unsubscribe URL"),
        ({"variables": {"first_name": ["a", "b\u2028", "c"]}}, "first_name"),
    ],
)
def test_one_recipients_fault_is_his_alone(changes, words):
    with pytest.raises(batch_checks.RecipientRefused, match=words) as caught:
        built(a_batch(**changes))
    assert "example.com" not in str(caught.value)


def test_the_empty_batch_is_none():
    with pytest.raises(batch_checks.PayloadError, match="has 0"):
        built(a_batch(0))


def test_ids_as_the_ledger_makes_them_fit_mailchimps_metadata():
    run, attempt = "0d4e3c6e-7a55-4f0e-9a3f-9a6f1c1a2b3c", "5b0c0f5e-1111-4222-8333-944445555666"
    batch = a_batch(1, run_id=run, attempt_id=attempt, message_ids=[f"{run}.9999999"])
    assert built(batch)["message"]["metadata"]["attempt_id"] == attempt
