"""Every rule of mail/send, one request that breaks it, and where SendGrid points."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.sandbox import rules

NOW = 1_760_000_000.0
VALID = {
    "personalizations": [{"to": [{"email": "a@example.com", "name": "A"}], "custom_args": {"message_id": "r.0"}}],
    "from": {"email": "news@shop.example.com"},
    "subject": "News",
    "content": [{"type": "text/plain", "value": "x"}, {"type": "text/html", "value": "<p>x</p>"}],
    "categories": ["spring"],
    "headers": {"List-Unsubscribe": "<https://shop.example.com/u>"},
    "asm": {"group_id": 7, "groups_to_display": [7]},
    "send_at": int(NOW) + 72 * 3600,
    "reply_to": {"email": "help@shop.example.com"},
    "mail_settings": {"sandbox_mode": {"enable": False}},
}


def to(*emails, **more):
    return {"to": [{"email": email} for email in emails], **more}


def many(count):
    return [to(f"p{number}@example.com") for number in range(count)]


def fields(payload):
    return [violation.field for violation in rules.violations(payload, now=NOW)]


def test_a_valid_request_passes():
    assert fields(VALID) == []


ON, OFF = {"enable": True}, {"enable": False}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"personalizations": []}, "personalizations"),
        ({"personalizations": many(1001)}, "personalizations"),
        ({"personalizations": [{"to": [{"email": f"p{n}@a.test"} for n in range(1001)]}]}, "personalizations"),
        ({"personalizations": [to("a@a.test", "A@a.test")]}, "personalizations.0"),
        ({"personalizations": [to("a@a.test", cc=[{"email": "a@a.test"}])]}, "personalizations.0"),
        ({"personalizations": [to("a@a.test"), to("A@A.test")]}, "personalizations.1"),
        ({"personalizations": [{}]}, "personalizations.0.to"),
        ({"personalizations": [to()]}, "personalizations.0.to"),
        ({"personalizations": [to("nobody")]}, "personalizations.0.to.0.email"),
        ({"personalizations": [to("a b@a.test")]}, "personalizations.0.to.0.email"),
        ({"personalizations": [to("a@localhost")]}, "personalizations.0.to.0.email"),
        ({"personalizations": [{"to": [{"email": "a@a.test", "name": "B; C"}]}]}, "personalizations.0.to.0.name"),
        ({"personalizations": [{"to": [{"email": "a@a.test", "name": "B, C"}]}]}, "personalizations.0.to.0.name"),
        ({"personalizations": [to("a@a.test", custom_args={})]}, "personalizations.0.custom_args"),
        ({"personalizations": [to("a@a.test", custom_args={"n": 1})]}, "personalizations.0.custom_args"),
        ({"personalizations": [to("a@a.test", custom_args={"n": "x" * 10_000})]}, "personalizations.0.custom_args"),
        ({"custom_args": {"n": "x" * 10_000}}, "personalizations.0.custom_args"),
        ({"custom_args": "text"}, "custom_args"),
        ({"personalizations": [to("a@a.test", substitutions={"n": 1})]}, "personalizations.0.substitutions"),
        (
            {"personalizations": [to("a@a.test", substitutions={"n": "x" * 10_000})]},
            "personalizations.0.substitutions",
        ),
        (
            {"personalizations": [to("a@a.test", substitutions={str(n): "" for n in range(151)})]},
            "personalizations.0.substitutions",
        ),
        (
            {"template_id": "d-1", "personalizations": [to("a@a.test", substitutions={"n": "x"})]},
            "personalizations.0.substitutions",
        ),
        ({"personalizations": [to("a@a.test", headers={"To": "x"})]}, "personalizations.0.headers.To"),
        ({"personalizations": [to("a@a.test", send_at=int(NOW) + 260_000)]}, "personalizations.0.send_at"),
        ({"personalizations": [to("a@a.test", send_at="soon")]}, "personalizations.0.send_at"),
        ({"personalizations": ["a@a.test"]}, "personalizations.0"),
        ({"personalizations": [{"to": ["a@a.test"]}]}, "personalizations.0.to.0"),
        ({"personalizations": [{"to": [{"email": None}]}]}, "personalizations.0.to.0.email"),
        ({"from": None}, "from"),
        ({"from": {"name": "Shop"}}, "from.email"),
        ({"from": {"email": "nëws@shop.example.com"}}, "from.email"),
        ({"reply_to": {"name": "Help"}}, "reply_to.email"),
        ({"subject": ""}, "subject"),
        ({"content": []}, "content"),
        ({"content": [{"type": "", "value": "x"}]}, "content.0.type"),
        ({"content": [{"type": "text/plain", "value": ""}]}, "content.0.value"),
        ({"content": list(reversed(VALID["content"]))}, "content"),
        ({"categories": [str(n) for n in range(11)]}, "categories"),
        ({"categories": ["a", "a"]}, "categories"),
        ({"categories": ["x" * 256]}, "categories"),
        ({"categories": ["Frühling"]}, "categories"),
        ({"categories": [1]}, "categories"),
        ({"headers": {"X-SG-ID": "1"}}, "headers.X-SG-ID"),
        ({"headers": {"X-Number": 1}}, "headers.X-Number"),
        ({"headers": {"X Y": "1"}}, "headers"),
        ({"asm": {"groups_to_display": [1]}}, "asm.group_id"),
        ({"asm": {"group_id": 1, "groups_to_display": list(range(26))}}, "asm.groups_to_display"),
        ({"send_at": int(NOW) + 72 * 3600 + 1}, "send_at"),
        ({"send_at": True}, "send_at"),
        ({"mail_settings": {"sandbox_mode": {"enable": "yes"}}}, "mail_settings.sandbox_mode.enable"),
        (
            {"mail_settings": {"bypass_unsubscribe_management": {"enable": 1}}},
            "mail_settings.bypass_unsubscribe_management.enable",
        ),
        (
            {"mail_settings": {"bypass_list_management": ON, "bypass_spam_management": ON}},
            "mail_settings",
        ),
        (
            {"mail_settings": {"bypass_list_management": OFF, "bypass_unsubscribe_management": ON}},
            "mail_settings",
        ),
    ],
)
def test_a_broken_rule_names_its_field(changes, field):
    assert set(fields(VALID | changes)) == {field}


@pytest.mark.parametrize("absent", ["from", "subject", "content"])
def test_what_is_required(absent):
    payload = {name: value for name, value in VALID.items() if name != absent}
    assert fields(payload) == [{"from": "from.email"}.get(absent, absent)]


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": None, "content": None, "template_id": "d-12345"},
        {"subject": None, "personalizations": [to("a@a.test", subject="One"), to("b@a.test", subject="Two")]},
        {"personalizations": many(1000)},
        {"personalizations": [to("jürgen@bücher.example")]},
        {"content": [{"type": "text/html", "value": "x"}]},
        {"categories": ["x" * 255]},
        {"personalizations": [to("a@a.test", custom_args={"n": "x" * 9_990})]},
    ],
)
def test_what_is_just_allowed(changes):
    payload = VALID | changes
    assert fields({name: value for name, value in payload.items() if value is not None}) == []


def test_an_error_has_sendgrids_shape():
    payload = copy.deepcopy(VALID)
    payload["personalizations"][0]["to"][0]["email"] = "nobody"
    (violation,) = rules.violations(payload, now=NOW)
    assert violation.as_json() == {
        "message": "Does not contain a valid address.",
        "field": "personalizations.0.to.0.email",
        "help": "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message.personalizations.to.email",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)


@given(field=st.sampled_from(sorted(VALID)), value=JSON)
def test_no_json_makes_a_rule_stumble(field, value):
    rules.violations(VALID | {field: value}, now=NOW)


@given(field=st.sampled_from(["to", "cc", "headers", "substitutions", "custom_args", "send_at"]), value=JSON)
def test_no_personalization_makes_a_rule_stumble(field, value):
    rules.violations(VALID | {"personalizations": [to("a@a.test") | {field: value}]}, now=NOW)


@given(JSON)
def test_no_body_makes_a_rule_stumble(value):
    assert rules.violations(value, now=NOW)
