"""Every kind of request that a host makes, against Mailchimp's published document; and beside the official SDK's own."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import mailchimp_marketing
import orjson
import pytest
from openapi_core.exceptions import OpenAPIError

from providers.mailchimp.calls import CallFailed, open_marketing
from providers.mailchimp.sdk import Marketing
from providers.mailchimp.webhooks import AudienceWebhooks
from tests.providers import loopback, vendor_api
from tests.providers.mailchimp import hosting
from tests.providers.mailchimp.hosting import LIST, at_once, campaign, members, ready
from tests.providers.sandbox.conftest import Esp, esp, start

__all__ = ["esp", "start"]
NOW = datetime(2026, 11, 23, 9, 1, tzinfo=UTC)
PEOPLE = ["a@delivered.test", "b@click.test", "c@hard.test", "d@unsubscribe.test", "zoë@bücher.example"]
PREFIX = "https://server.api.mailchimp.com/3.0"
KINDS = {
    ("POST", "/lists/{}"), ("GET", "/lists/{}/merge-fields"), ("POST", "/lists/{}/merge-fields"),
    ("DELETE", "/lists/{}/merge-fields/{}"), ("GET", "/lists/{}/segments"), ("POST", "/lists/{}/segments"),
    ("POST", "/lists/{}/segments/{}"), ("GET", "/lists/{}/segments/{}/members"), ("DELETE", "/lists/{}/segments/{}"),
    ("GET", "/campaigns"), ("POST", "/campaigns"), ("GET", "/campaigns/{}"), ("PATCH", "/campaigns/{}"),
    ("DELETE", "/campaigns/{}"), ("PUT", "/campaigns/{}/content"), ("GET", "/campaigns/{}/send-checklist"),
    ("POST", "/campaigns/{}/actions/test"), ("POST", "/campaigns/{}/actions/schedule"),
    ("POST", "/campaigns/{}/actions/unschedule"), ("GET", "/reports/{}/sent-to"), ("GET", "/reports/{}/email-activity"),
    ("GET", "/reports/{}/unsubscribed"), ("GET", "/reports/{}/abuse-reports"), ("GET", "/lists/{}/webhooks"),
    ("POST", "/lists/{}/webhooks"), ("GET", "/lists/{}/members/{}"), ("DELETE", "/lists/{}/webhooks/{}"),
}  # fmt: skip


def kind(one: loopback.Received) -> tuple[str, str]:
    """Its method and path, without what is an id."""
    words = one.target.partition("?")[0].removeprefix("/3.0").split("/")
    named = {"lists", "campaigns", "reports", "merge-fields", "segments", "webhooks", "members"}
    return one.method, "/".join(
        "{}" if before in named and word else word for before, word in zip(["", *words], words, strict=False)
    )


@pytest.fixture
def said(esp: Esp, receiver_url: str) -> list[loopback.Received]:
    """All that a campaign says to Mailchimp, from the first field to the last report, and webhooks."""
    heard: list[loopback.Received] = []
    with hosting.a_host(esp.url, on_request=lambda request: heard.append(hosting.received(request))) as (host, api):
        campaign_id = ready(host, PEOPLE)
        host.put_members("run-1", members(*PEOPLE, first_name="O'Brien <&> 🌷"))
        host.members("run-1")
        api.lists.batch_list_members(LIST, {"members": [{"email_address": "p@x.test", "status": "pending"}]})
        host.put_members("run-1", members("p@x.test"))
        host.leave_out("run-1", PEOPLE[:1])
        host.faults(campaign_id)
        host.test(campaign_id, ["me@shop.example.com"])
        made = api.campaigns.get(campaign_id)
        api.campaigns.create({"type": "regular", "settings": made["settings"]})
        host.campaign(campaign())
        host.schedule(campaign_id, NOW)
        host.unschedule(campaign_id)
        host.fill(campaign_id, campaign())
        at_once(esp.client)
        host.schedule(campaign_id, NOW)
        list(host.events(campaign_id, since=None))
        list(host.events(campaign_id, since=NOW))
        host.clear("run-1")
        hooks = AudienceWebhooks(api, LIST)
        made = hooks.register_webhook(receiver_url)
        hooks.webhooks()
        hooks.remove(made.id)
    return heard


@pytest.fixture
def receiver_url() -> Any:
    with loopback.answering(lambda _: loopback.Answer(200)) as server:
        yield server.url


def test_each_request_is_as_mailchimp_wrote(said):
    judge = vendor_api.mailchimp_marketing()
    for one in said:
        judge.judge(one)
    assert {kind(one) for one in said} == KINDS


def test_the_judge_bites(said):
    judge = vendor_api.mailchimp_marketing()
    made = next(one for one in said if kind(one) == ("POST", "/campaigns"))
    body = hosting.body(made) | {"type": "newsletter"}
    with pytest.raises(OpenAPIError):
        judge.judge(loopback.Received(made.method, made.target, made.headers, orjson.dumps(body)))


def test_what_the_document_does_not_say(said):
    """At most 500 members; one spelling of each field; the placeholder is gone (facts/esp-contracts.md section 7)."""
    for one in said:
        assert b"[%" not in one.body
        if kind(one) == ("POST", "/lists/{}"):
            assert len(hosting.body(one)["members"]) <= 500
        if kind(one)[1].endswith("email-activity"):
            assert "count=500" in one.target


CALLS: dict[str, Callable[[Any], Any]] = {
    "create": lambda api: api.campaigns.create({"type": "regular", "settings": {"title": "Zoë"}}),
    "list": lambda api: api.campaigns.list(
        count=1000, offset=5, sort_dir="DESC", fields=["campaigns.id", "total_items"]
    ),
    "content": lambda api: api.campaigns.set_content("c1", {"html": "<p>*|FNAME|*</p>"}),
    "schedule": lambda api: api.campaigns.schedule("c1", {"schedule_time": "2026-11-23T09:15:00+00:00"}),
    "unschedule": lambda api: api.campaigns.unschedule("c1"),
    "members": lambda api: api.lists.batch_list_members("l1", {"members": []}, skip_merge_validation="true"),
    "segment": lambda api: api.lists.get_segment_members_list("l1", 7, count=500, include_cleaned="true"),
    "remove": lambda api: api.campaigns.remove("c1"),
    "since": lambda api: api.reports.get_email_activity_for_campaign("c1", since="2026-11-23T09:00:00+00:00"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=[*CALLS])
def test_the_official_client_says_the_same(call):
    """Method, path, query and body are the SDK's, whose own transport is the witness."""
    with loopback.answering(lambda _: loopback.Answer(200, b"{}", {"Content-Type": "application/json"})) as server:
        theirs = mailchimp_marketing.Client({"api_key": "key", "server": ""})
        theirs.api_client.host = server.url + hosting.BASE
        call(theirs)
        client = open_marketing(hosting.config(server.url))
        call(Marketing(client))
        client.close()
    one, other = server.requests
    assert (one.method, httpx.URL(one.target)) == (other.method, httpx.URL(other.target))
    sent = orjson.loads(one.body) if one.body and one.body != b"null" else None
    assert sent == (orjson.loads(other.body) if other.body else None)


@pytest.mark.parametrize("status", [403, 429, 503])
def test_what_the_official_client_gives_back_as_an_answer_is_an_error_here(status):
    with loopback.answering(lambda _: loopback.Answer(status)) as server:
        theirs = mailchimp_marketing.Client({"api_key": "key", "server": ""})
        theirs.api_client.host = server.url
        assert theirs.campaigns.get("c1").status_code == status, "the fault that is cured"
        with hosting.a_host(server.url) as (_, api), pytest.raises(CallFailed) as raised:
            api.campaigns.get("c1")
    assert raised.value.status == status


def test_ids_are_left_as_they_are():
    """The SDK would write its data centre over the word `server`, and leave a slash."""
    empty = loopback.Answer(200, b"{}")
    with loopback.answering(lambda _: empty) as server, hosting.a_host(server.url) as (_, api):
        api.campaigns.get("server01/x")
    assert [one.target for one in server.requests] == [f"{hosting.BASE}/campaigns/server01%2Fx"]
