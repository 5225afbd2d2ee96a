"""What POST /messages does not take: each is told by its field or as malformed, none is repeated, none is kept."""

import gzip
import json
from typing import Any

import pytest

from tests.gateway.message_api import CANARY, EMAIL, Program, body, new_key, problem


@pytest.fixture
def program(gateway, engine, account_id) -> Program:
    return Program(gateway, engine, new_key(engine))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"template": "newsletter"}, "template"),
    ({"template": "no-such"}, "template"),
    ({"template": 7}, "template"),
    ({"recipient": {"email": "ann"}}, "recipient.email"),
    ({"recipient": {"email": "ann@b@example.com"}}, "recipient.email"),
    ({"recipient": {"email": " ann@example.com"}}, "recipient.email"),
    ({"recipient": {"email": EMAIL, "locale": "xx-YY"}}, "recipient.locale"),
    ({"recipient": {"email": EMAIL, "name": "Ann"}}, "recipient.name"),
    ({"recipient": []}, "recipient"),
    ({"useful_seconds": True}, "useful_seconds"),
    ({"useful_seconds": 1801}, "useful_seconds"),
    ({"useful_seconds": 0}, "useful_seconds"),
    ({"useful_seconds": 60.0}, "useful_seconds"),
    ({"more": 1}, "more"),
    ({"variables": {"first_name": "Ann", "valid_minutes": 30}}, "variables.reset_url"),
    ({"variables": body()["variables"] | {"reset_url": None}}, "variables.reset_url"),
    ({"variables": body()["variables"] | {"reset_url": "javascript:alert(1)"}}, "variables.reset_url"),
    ({"variables": body()["variables"] | {"reset_url": "https://a b"}}, "variables.reset_url"),
    ({"variables": body()["variables"] | {"valid_minutes": True}}, "variables.valid_minutes"),
    ({"variables": body()["variables"] | {"valid_minutes": "30"}}, "variables.valid_minutes"),
    ({"variables": body()["variables"] | {"valid_minutes": 10**400}}, "variables.valid_minutes"),
    ({"variables": body()["variables"] | {"first_name": "a\0b"}}, "variables.first_name"),
    ({"variables": body()["variables"] | {"first_name": "\ud800"}}, "variables.first_name"),
    ({"variables": body()["variables"] | {"first_name": "x" * 2001}}, "variables.first_name"),
    ({"variables": body()["variables"] | {"coupon": "QUIET10"}}, "variables.coupon"),
    ({"variables": body()["variables"] | {"order_number": "7"}}, "variables.order_number"),
    ({"variables": body()["variables"] | {"C4n4ry secret": 1}}, "variables.(a name that is none of ours)"),
    (
        {"template": "shipped", "variables": {"line_items": [{"name": "a", "price": 7}]}},
        "variables.line_items[0].price",
    ),
    ({"template": "shipped", "variables": {"line_items": [{"quantity": 1}]}}, "variables.line_items[0].name"),
    (
        {"template": "order-confirmation", "variables": {"order_total": {"amount": 1.5, "currency": "EUR"}}},
        "variables.order_total.amount",
    ),
    (
        {"template": "order-confirmation", "variables": {"order_total": {"amount": "1", "currency": "XYZ"}}},
        "variables.order_total",
    ),
    ({"template": "order-confirmation", "variables": {"ordered_on": "2026-02-30"}}, "variables.ordered_on"),
]


@pytest.mark.parametrize(("changes", "field"), BAD, ids=lambda one: one if isinstance(one, str) else "")
def test_what_cannot_be_written_is_told_by_its_field(program, changes, field):
    answer = program.post(content=json.dumps(body(**changes)), headers={"content-type": "application/json"})
    assert problem(answer) == (422, "invalid")
    assert field in {one["field"] for one in answer.json()["errors"]}
    for value in (CANARY, "alert", EMAIL, "C4n4ry", "QUIET10", "xx-YY"):
        assert value not in answer.text
    assert program.messages() == []


def test_every_missing_field_is_named_at_once(program):
    answer = program.ask(template="order-confirmation", variables={})
    fields = {one["field"] for one in answer.json()["errors"]}
    assert {"variables.order_number", "variables.order_total", "variables.line_items"} <= fields


@pytest.mark.parametrize(
    ("content", "headers", "told"),
    [
        (b"{", {}, (400, "malformed-body")),
        (b"\xff", {}, (400, "malformed-body")),
        (b'{"a": 1, "a": 2}', {}, (400, "malformed-body")),
        (b'{"a": NaN}', {}, (400, "malformed-body")),
        (b"[" * 100_000, {}, (400, "malformed-body")),
        (b'{"a": ' + b"9" * 5000 + b"}", {}, (400, "malformed-body")),
        (b"[]", {}, (422, "invalid")),
        (b"null", {}, (422, "invalid")),
        (b"{}", {"content-type": "text/plain"}, (415, "media-type")),
        (b"{}", {"content-type": ""}, (415, "media-type")),
        (b"{}", {"content-type": "application/json; charset=latin-1"}, (415, "media-type")),
        (b"{}", {"content-encoding": "br"}, (415, "media-type")),
        (b"{}", {"content-encoding": "gzip"}, (400, "malformed-body")),
        (b" " * 300_000, {}, (413, "too-large")),
        (gzip.compress(b" " * 3_000_000, mtime=0), {"content-encoding": "gzip"}, (413, "too-large")),
    ],
    ids=lambda one: str(one[:20]) if isinstance(one, bytes) else "",
)
def test_a_body_that_cannot_be_read_is_a_problem(program, content, headers, told):
    assert problem(program.post(content=content, headers={"content-type": "application/json"} | headers)) == told
