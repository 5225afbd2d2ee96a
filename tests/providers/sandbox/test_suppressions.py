"""The sandbox's own lists: who joins, who is dropped, and SendGrid's endpoints over them."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from domain.suppression import Reason, Scope
from providers.sendgrid.config import SendGridConfig
from providers.sendgrid.management import Management, ManagementError
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
    assert [(one.address, one.reason) for one in listed(esp, group=42)] == [("p0@unsubscribe.test", Reason.UNSUBSCRIBE)]


def ours(esp, group=None):
    return SendGridSuppressions(
        Management(SendGridConfig(api_key=SecretStr(KEY), base_url=esp.url, asm_group_id=group))
    )


def listed(esp, group=None):
    until = datetime.now(UTC) + timedelta(minutes=1)
    return list(ours(esp, group).suppressions(datetime.fromtimestamp(0, UTC), until))


def new_group(esp, name="News"):
    answer = esp.client.post("/v3/asm/groups", json={"name": name, "description": "What is new"})
    assert answer.status_code == 201
    return answer.json()["id"]


def dropped(esp, payload, run, **asm):
    esp.send(payload | ({"asm": asm} if asm else {}))
    return esp.summary(run)["dropped"]


def test_a_group_has_sendgrids_shape(esp):
    group = new_group(esp)
    shown = {
        "id": group,
        "name": "News",
        "description": "What is new",
        "is_default": False,
        "last_email_sent_at": None,
        "unsubscribes": 0,
    }
    assert esp.client.get(f"/v3/asm/groups/{group}").json() == shown
    assert esp.client.get("/v3/asm/groups").json() == [shown]
    assert esp.client.get(f"/v3/asm/groups/{group + 1}").status_code == 404
    assert esp.client.delete(f"/v3/asm/groups/{group}").status_code == 204
    assert esp.client.delete(f"/v3/asm/groups/{group}").status_code == 404
    assert new_group(esp) != group


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "n" * 31}, {"name": "n", "description": "d" * 101}])
def test_a_group_that_cannot_be(esp, body):
    assert esp.client.post("/v3/asm/groups", json=body).status_code == 400


def test_an_account_has_two_hundred_groups_and_no_more(esp):
    for number in range(200):
        new_group(esp, f"g{number}")
    assert esp.client.post("/v3/asm/groups", json={"name": "one more"}).status_code == 400


def test_who_left_a_group_is_dropped_from_its_mail_alone(esp, campaign):
    news, sales = new_group(esp, "News"), new_group(esp, "Sales")
    path = f"/v3/asm/groups/{news}/suppressions"
    answer = esp.client.post(path, json={"recipient_emails": ["P0@delivered.test"]})
    assert (answer.status_code, answer.json()) == (201, {"recipient_emails": ["P0@delivered.test"]})
    assert esp.client.get(path).json() == ["p0@delivered.test"]
    assert esp.client.get(f"/v3/asm/groups/{news}").json()["unsubscribes"] == 1
    assert emails(esp, "unsubscribes") == []
    assert dropped(esp, campaign(2, domain="delivered.test", run="news"), "news", group_id=news) == 1
    assert dropped(esp, campaign(2, domain="delivered.test", run="sales"), "sales", group_id=sales) == 0
    assert dropped(esp, campaign(2, domain="delivered.test", run="none"), "none") == 0
    assert esp.client.delete(f"{path}/P0@delivered.test").status_code == 204
    assert esp.client.get(path).json() == []


def test_leaving_a_group_that_was_deleted_is_leaving_all_mail(esp, campaign):
    group = new_group(esp)
    esp.client.delete(f"/v3/asm/groups/{group}")
    path = f"/v3/asm/groups/{group}/suppressions"
    assert esp.client.post(path, json={"recipient_emails": ["p0@delivered.test"]}).status_code == 201
    assert emails(esp, "unsubscribes") == ["p0@delivered.test"]
    assert esp.client.get(path).json() == []


def test_a_group_takes_its_list_with_it(esp, campaign):
    group = new_group(esp)
    ours(esp, group).put(f"groups/{group}", ["p0@delivered.test"])
    esp.client.delete(f"/v3/asm/groups/{group}")
    assert dropped(esp, campaign(1, domain="delivered.test"), "run", group_id=group) == 0


def test_what_we_put_on_its_lists_is_dropped_read_back_and_taken_off(esp, campaign):
    group = new_group(esp)
    sink = ours(esp, group)
    assert (sink.list_for(Scope.ALL), sink.list_for(Scope.MARKETING)) == ("unsubscribes", f"groups/{group}")
    for _ in range(2):  # again changes nothing
        assert sink.put("unsubscribes", ["p0@delivered.test"]) == []
        assert sink.put(f"groups/{group}", ["p1@delivered.test", "o'b+c@delivered.test"]) == []
    assert {(one.address, one.listing) for one in listed(esp, group)} == {
        ("p0@delivered.test", "unsubscribes"),
        ("p1@delivered.test", f"groups/{group}"),
        ("o'b+c@delivered.test", f"groups/{group}"),
    }
    assert dropped(esp, campaign(3, domain="delivered.test", run="one"), "one", group_id=group) == 2
    for listing, address in (
        ("unsubscribes", "p0@delivered.test"),
        (f"groups/{group}", "p1@delivered.test"),
        (f"groups/{group}", "o'b+c@delivered.test"),
        ("spam_reports", "p0@delivered.test"),  # where it is not
    ):
        assert sink.take_off(listing, address)
    assert listed(esp, group) == []
    assert dropped(esp, campaign(3, domain="delivered.test", run="two"), "two", group_id=group) == 0


@pytest.mark.parametrize("domain", ["hard.test", "complaint.test", "invalid.test", "unsubscribe.test"])
def test_what_it_listed_by_itself_is_taken_off(esp, campaign, domain):
    esp.send(campaign(2, domain=domain, run="first"))
    (one, other) = listed(esp)
    assert ours(esp).naming(one.reason) == [one.listing]
    ours(esp).take_off(one.listing, one.address)
    assert listed(esp) == [other]


def test_nobody_is_put_into_a_group_that_does_not_exist(esp):
    with pytest.raises(ManagementError, match="no unsubscribe group 42"):
        ours(esp, 42).put("groups/42", ["p0@delivered.test"])
    assert listed(esp, 42) == []
