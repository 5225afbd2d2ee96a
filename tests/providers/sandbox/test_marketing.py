"""Mailchimp Marketing as the sandbox plays it, asked directly: what it refuses, and in which words."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from providers.sandbox.marketing.schema import LIST_ID
from tests.providers.sandbox.conftest import KEY, Esp, eventually

BASE = "/mailchimp/3.0"
LIST = f"/lists/{LIST_ID}"


@pytest.fixture
def ask(esp: Esp) -> Callable[..., httpx.Response]:
    auth = httpx.BasicAuth("anybody", KEY)

    def call(method: str, path: str, body: Any = None, **params: Any) -> httpx.Response:
        return esp.client.request(method, BASE + path, json=body, params=params, auth=auth)

    return call


def quarter(hours: float = 1) -> str:
    at = datetime.now(UTC) + timedelta(hours=hours)
    return at.replace(minute=15, second=0, microsecond=0).isoformat()


@pytest.fixture
def campaign(ask: Callable[..., httpx.Response]) -> str:
    """One that is ready to go to two people."""
    people = [{"email_address": one, "status": "subscribed"} for one in ("a@delivered.test", "b@hard.test")]
    assert ask("POST", LIST, {"members": people}).json()["total_created"] == 2
    emails = [one["email_address"] for one in people]
    segment = ask("POST", f"{LIST}/segments", {"name": "run-1", "static_segment": [*emails, "nobody@x.test"]}).json()
    assert segment["member_count"] == 2, "unknown addresses are ignored in silence"
    settings = {"subject_line": "Hi", "title": "t", "from_name": "Shop", "reply_to": "news@shop.example.com"}
    recipients = {"list_id": LIST_ID, "segment_opts": {"saved_segment_id": segment["id"]}}
    made = ask("POST", "/campaigns", {"type": "regular", "settings": settings, "recipients": recipients}).json()
    ask("PUT", f"/campaigns/{made['id']}/content", {"html": '<a href="*|UNSUB|*">x</a>'})
    return str(made["id"])


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic wrong"}])
def test_who_does_not_know_the_key_gets_a_problem(esp, headers):
    with httpx.Client(base_url=esp.url, trust_env=False) as client:
        answer = client.get(f"{BASE}/campaigns", headers=headers)
    assert (answer.status_code, answer.json()["title"]) == (401, "API Key Invalid")
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_a_token_serves_as_well(esp):
    assert esp.client.get(f"{BASE}/campaigns").status_code == 200


def test_another_list_is_not_there(ask):
    assert ask("GET", "/lists/other/segments").status_code == 404


def test_the_answer_is_200_even_where_nobody_was_taken(ask):
    wrong = {"email_address": "no address", "status": "subscribed"}
    answer = ask("POST", LIST, {"members": [wrong, {"email_address": "x@fake.test", "status": "subscribed"}]})
    assert (answer.status_code, answer.json()["error_count"]) == (200, 2)
    assert {one["error_code"] for one in answer.json()["errors"]} == {"ERROR_GENERIC"}


def test_501_members_are_too_many(ask):
    many = [{"email_address": f"p{n}@delivered.test", "status": "subscribed"} for n in range(501)]
    assert ask("POST", LIST, {"members": many}).status_code == 400


@pytest.mark.parametrize(
    "at",
    [
        "2000-01-01T00:15:00+00:00",
        quarter().replace(":15:", ":16:"),
        quarter().replace(":15:00", ":15:01"),
        "tomorrow",
    ],
)
def test_only_a_quarter_of_an_hour_to_come_is_taken(ask, campaign, at):
    answer = ask("POST", f"/campaigns/{campaign}/actions/schedule", {"schedule_time": at})
    assert (answer.status_code, answer.json()["title"]) == (400, "Invalid Resource")
    assert ask("GET", f"/campaigns/{campaign}").json()["status"] == "save"


def test_it_goes_once(ask, campaign, esp):
    assert ask("POST", f"/campaigns/{campaign}/actions/send").status_code == 204
    for action, body in (("send", None), ("schedule", {"schedule_time": quarter()}), ("unschedule", None)):
        assert ask("POST", f"/campaigns/{campaign}/actions/{action}", body).status_code == 400
    assert ask("PATCH", f"/campaigns/{campaign}", {"settings": {}}).status_code == 400
    assert ask("GET", f"/campaigns/{campaign}").json()["emails_sent"] == 2
    assert list(esp.client.get("/sandbox/accepted", params={"run": campaign}).json().values()) == [1, 1]


def test_what_is_scheduled_goes_by_itself_when_its_time_comes(ask, campaign, esp):
    ask("POST", f"/campaigns/{campaign}/actions/schedule", {"schedule_time": quarter(48)})
    assert ask("GET", f"/campaigns/{campaign}").json()["status"] == "schedule"
    esp.client.put("/sandbox/faults", json={"campaigns_go_at_once": True}).raise_for_status()
    eventually(lambda: esp.client.get("/sandbox/accepted", params={"run": campaign}).json())


def test_an_empty_campaign_is_not_ready(ask):
    made = ask("POST", "/campaigns", {"type": "regular"}).json()["id"]
    assert ask("GET", f"/campaigns/{made}/send-checklist").json()["is_ready"] is False
    assert ask("POST", f"/campaigns/{made}/actions/send").status_code == 400


def test_who_bounced_is_cleaned_and_no_call_brings_her_back(ask, campaign):
    ask("POST", f"/campaigns/{campaign}/actions/send")
    (cleaned,) = ask("GET", f"{LIST}/members", status="cleaned").json()["members"]
    assert cleaned["email_address"] == "b@hard.test"
    again = {"members": [{"email_address": "b@hard.test", "status": "subscribed"}], "update_existing": True}
    (error,) = ask("POST", LIST, again).json()["errors"]
    assert "compliance state" in error["error"]
    path = f"{LIST}/members/{cleaned['id']}"
    answer = ask("PUT", path, {"email_address": "b@hard.test", "status": "subscribed", "status_if_new": "subscribed"})
    assert (answer.status_code, answer.json()["title"]) == (400, "Member In Compliance State")


def test_its_mail_is_not_told_by_sendgrids_webhook(start, receiver, mail, personalization):
    esp = start(webhook_url=receiver.url)
    auth = httpx.BasicAuth("x", KEY)
    one = {"members": [{"email_address": "b@hard.test", "status": "subscribed"}]}
    esp.client.post(BASE + LIST, json=one, auth=auth).raise_for_status()
    segment = esp.client.post(
        f"{BASE}{LIST}/segments", json={"name": "s", "static_segment": ["b@hard.test"]}, auth=auth
    )
    settings = {"subject_line": "Hi", "title": "t", "from_name": "Shop", "reply_to": "news@shop.example.com"}
    recipients = {"segment_opts": {"saved_segment_id": segment.json()["id"]}}
    body = {"type": "regular", "settings": settings, "recipients": recipients}
    made = esp.client.post(f"{BASE}/campaigns", json=body, auth=auth).json()["id"]
    esp.client.put(f"{BASE}/campaigns/{made}/content", json={"html": "*|UNSUB|*"}, auth=auth).raise_for_status()
    esp.client.post(f"{BASE}/campaigns/{made}/actions/send", auth=auth).raise_for_status()
    esp.send(mail(personalization("b@hard.test", "run.0")))
    taken = eventually(lambda: [event for event in receiver.taken if event["event"] == "bounce"])
    assert [event["message_id"] for event in taken] == ["run.0"], "and SendGrid does not know Mailchimp's bounce"
