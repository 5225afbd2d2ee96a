"""The sandbox's own lists: who joins, who is dropped, and SendGrid's endpoints over them."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from domain.suppression import Reason
from providers.sendgrid.config import SendGridConfig
from providers.sendgrid.management import Management
from providers.sendgrid.suppressions import SendGridSuppressions
from tests.providers.sandbox.conftest import KEY


def emails(esp, listing, **parameters):
    answer = esp.client.get(f"/v3/suppression/{listing}", params=parameters)
    return [row["email"] for row in answer.raise_for_status().json()]


@pytest.mark.parametrize(
    ("domain", "listing", "because"),
    [
        ("hard.test", "bounces", "Bounced Address"),
        ("complaint.test", "spam_reports", "Spam Reporting Address"),
        ("unsubscribe.test", "unsubscribes", "Unsubscribed Address"),
        ("invalid.test", "invalid_emails", "Invalid"),
    ],
)
def test_a_suppressed_address_is_dropped_next_time(start, receiver, eventually, campaign, domain, listing, because):
    esp = start(webhook_url=receiver.url)
    esp.send(campaign(1, domain=domain, run="first"))
    assert emails(esp, listing) == [f"p0@{domain}"]
    esp.send(campaign(1, domain=domain, run="second"))
    eventually(lambda: esp.summary()["events_due"] == 0)
    (dropped,) = {
        (event["event"], event["reason"], event["status"])
        for event in receiver.taken
        if event["message_id"] == "second.0"
    }
    assert dropped == ("dropped", because, "5.0.0")
    assert esp.summary("second")["dropped"] == 1


@pytest.mark.parametrize("domain", ["soft.test", "block.test"])
def test_a_block_is_remembered_and_suppresses_nothing(esp, campaign, domain):
    esp.send(campaign(1, domain=domain, run="first"))
    assert emails(esp, "blocks") == [f"p0@{domain}"]
    assert esp.send(campaign(1, domain=domain, run="second")).status_code == 202
    assert esp.summary("second")["dropped"] == 0


def test_an_address_joins_when_its_event_happens_not_before(start, campaign):
    esp = start(event_delay_seconds=600)
    esp.send(campaign(1, domain="hard.test", run="first"))
    esp.send(campaign(1, domain="hard.test", run="second"))
    assert emails(esp, "bounces") == []
    assert esp.summary("second")["bounced"]["hard"] == 1


@pytest.mark.parametrize(
    ("listing", "domain", "columns"),
    [
        ("bounces", "hard.test", {"created", "email", "reason", "status"}),
        ("blocks", "block.test", {"created", "email", "reason", "status"}),
        ("invalid_emails", "invalid.test", {"created", "email", "reason"}),
        ("spam_reports", "complaint.test", {"created", "email", "ip"}),
        ("unsubscribes", "unsubscribe.test", {"created", "email"}),
    ],
)
def test_each_list_has_sendgrids_columns(esp, campaign, listing, domain, columns):
    esp.send(campaign(1, domain=domain))
    (row,) = esp.client.get(f"/v3/suppression/{listing}").json()
    assert set(row) == columns
    assert type(row["created"]) is int


def test_pages_and_time_windows(esp, campaign):
    esp.send(campaign(5, domain="hard.test"))
    everyone = emails(esp, "bounces")
    assert len(everyone) == 5
    assert emails(esp, "bounces", limit=2) + emails(esp, "bounces", limit=3, offset=2) == everyone
    created = [row["created"] for row in esp.client.get("/v3/suppression/bounces").json()]
    assert emails(esp, "bounces", start_time=min(created), end_time=max(created)) == everyone
    assert emails(esp, "bounces", start_time=max(created) + 1) == []
    assert emails(esp, "bounces", end_time=min(created) - 1) == []


@pytest.mark.parametrize("parameters", [{"limit": 0}, {"limit": 501}, {"offset": -1}, {"start_time": "x"}])
def test_a_page_that_cannot_be(esp, parameters):
    answer = esp.client.get("/v3/suppression/bounces", params=parameters)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] in parameters


def test_taking_addresses_off(esp, campaign):
    esp.send(campaign(3, domain="hard.test"))
    path = "/v3/suppression/bounces"
    assert esp.client.request("DELETE", path, json={"emails": ["P0@hard.test"]}).status_code == 204
    assert sorted(emails(esp, "bounces")) == ["p1@hard.test", "p2@hard.test"]
    assert esp.client.request("DELETE", path, json={"delete_all": True}).status_code == 204
    assert emails(esp, "bounces") == []


@pytest.mark.parametrize("body", [{}, {"emails": ["a@a.test"], "delete_all": True}, {"delete_all": False}])
def test_taking_off_is_either_some_or_all(esp, body):
    assert esp.client.request("DELETE", "/v3/suppression/bounces", json=body).status_code == 400


def test_global_unsubscribes(esp, campaign):
    path = "/v3/asm/suppressions/global"
    answer = esp.client.post(path, json={"recipient_emails": ["P0@delivered.test"]})
    assert (answer.status_code, answer.json()) == (201, {"recipient_emails": ["P0@delivered.test"]})
    assert esp.client.get(f"{path}/p0@delivered.test").json() == {"recipient_email": "p0@delivered.test"}
    assert emails(esp, "unsubscribes") == ["p0@delivered.test"]
    esp.send(campaign(2, domain="delivered.test"))
    assert esp.summary("run")["dropped"] == 1
    assert esp.client.delete(f"{path}/p0@delivered.test").status_code == 204
    assert esp.client.get(f"{path}/p0@delivered.test").json() == {}


def test_an_unsubscribe_group_can_be_read_and_nobody_is_in_it(esp, campaign):
    esp.send(campaign(1, domain="unsubscribe.test"))
    config = SendGridConfig(api_key=SecretStr(KEY), base_url=esp.url, asm_group_id=42)
    listed = SendGridSuppressions(Management(config)).suppressions(
        datetime.fromtimestamp(0, UTC), datetime.now(UTC) + timedelta(minutes=1)
    )
    assert [(entry.address, entry.reason) for entry in listed] == [("p0@unsubscribe.test", Reason.UNSUBSCRIBE)]
