"""The judge of our requests bites: each of these is as the vendor wrote but for one thing."""

from typing import Any

import orjson
import pytest
from openapi_core.exceptions import OpenAPIError

from tests.providers import loopback
from tests.providers.vendor_api import mailchimp_marketing, mailchimp_transactional

MAIL = {"key": "k", "message": {"to": [{"email": "ann@example.com"}], "metadata": {"ours": "1"}, "headers": {"X": "1"}}}
MEMBERS = {"members": [{"email_address": "ann@example.com", "status": "subscribed", "merge_fields": {"OURS": "1"}}]}


def received(target: str, body: Any, **headers: str) -> loopback.Received:
    return loopback.Received("POST", target, {"Content-Type": "application/json", **headers}, orjson.dumps(body))


def mail(**changes: Any) -> dict[str, Any]:
    return {**MAIL, "message": {**MAIL["message"], **changes}}


@pytest.mark.parametrize("target", ["/messages/send.json", "/api/1.0/messages/send.json"])
def test_a_good_request_passes(target):
    mailchimp_transactional().judge(received(target, MAIL))
    mailchimp_marketing().judge(received("/3.0/lists/abc", MEMBERS, Authorization="Basic YTpi"))


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/messages/send.json", {"message": {}}),  # no key
        ("/messages/send.json", {"key": "k"}),
        ("/messages/send.json", mail(to=[{"email": "no address"}])),
        ("/messages/send.json", mail(to=[{"email": "ann@example.com", "type": "all"}])),
        ("/messages/send.json", mail(subject=5)),
        ("/messages/send.json", mail(recipient_metdata=[])),  # a name that the vendor does not know
        ("/messages/send.json", mail(merge_vars=[{"vars": []}])),
        ("/messages/send.json", mail(merge_language="jinja")),
        ("/messages/send-template.json", {**MAIL, "template_name": "spring"}),  # no template_content
        ("/messages/send.xml", MAIL),
    ],
)
def test_a_bad_request_to_transactional_does_not(target, body):
    with pytest.raises(OpenAPIError):
        mailchimp_transactional().judge(received(target, body))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"members": [{"email_adress": "ann@example.com"}]}, {"Authorization": "Basic YTpi"}),
        ({"members": {}}, {"Authorization": "Basic YTpi"}),
        (MEMBERS, {}),
    ],
)
def test_a_bad_request_to_marketing_does_not(body, headers):
    with pytest.raises(OpenAPIError):
        mailchimp_marketing().judge(received("/3.0/lists/abc", body, **headers))
