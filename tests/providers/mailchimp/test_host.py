"""A campaign hosted by Mailchimp Marketing, over the sandbox's server: each step, again, and after the fact."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from domain.campaign_host import HostRefuses, HostStatus, HostUnavailable
from domain.delivery import BounceClass, EventKind
from domain.ledger import OutcomeKind
from domain.suppression import Reason
from providers.mailchimp import fields, reports
from providers.mailchimp.host import MailchimpHost
from providers.mailchimp.sdk import Marketing
from providers.mailchimp.suppressions import MarketingSuppressions
from providers.sandbox.marketing.schema import LIST_ID
from tests.providers.mailchimp import hosting
from tests.providers.mailchimp.hosting import LIST, VARIABLES, a_host, at_once, campaign, config, members, ready
from tests.providers.sandbox.conftest import Esp, esp, start

__all__ = ["esp", "start"]  # fixtures of the sandbox's own tests
NOW = datetime(2026, 11, 23, 9, 1, tzinfo=UTC)
FATES = [f"{name}@{name}.test" for name in ("delivered", "hard", "soft", "click", "complaint", "unsubscribe")]


@pytest.fixture
def both(esp: Esp) -> Iterator[tuple[MailchimpHost, Marketing]]:
    with hosting.a_host(esp.url) as both:
        yield both


@pytest.fixture
def host(both: tuple[MailchimpHost, Marketing]) -> MailchimpHost:
    return both[0]


@pytest.fixture
def api(both: tuple[MailchimpHost, Marketing]) -> Marketing:
    return both[1]


def stored(api: Marketing, address: str) -> dict[str, Any]:
    answer = api.lists.get_list_members_info(LIST, count=1000)
    return next(row for row in answer["members"] if row["email_address"] == address)


def test_the_sandbox_has_the_list_that_these_tests_name():
    assert LIST == LIST_ID


def test_a_campaign_from_the_fields_to_the_report(host, api, esp):
    host.prepare("run-1", VARIABLES)
    assert host.put_members("run-1", members(*FATES)) == []
    assert host.members("run-1") == len(FATES)
    campaign_id = host.campaign(campaign())
    assert host.faults(campaign_id) == ["Your campaign is empty: Your campaign is empty.", UNSUB_FAULT]
    host.fill(campaign_id, campaign())
    assert host.faults(campaign_id) == []
    host.test(campaign_id, ["me@shop.example.com"])
    assert host.status(campaign_id) is HostStatus.DRAFT
    outcome = host.schedule(campaign_id, datetime.now(UTC))
    assert (outcome.kind, outcome.provider_reference) == (OutcomeKind.ACCEPTED, campaign_id)
    assert host.status(campaign_id) is HostStatus.SCHEDULED
    assert list(host.events(campaign_id, since=None)) == []
    at_once(esp.client)
    assert host.status(campaign_id) is HostStatus.SENT
    accepted = esp.client.get("/sandbox/accepted", params={"run": campaign_id}).json()
    assert accepted == {f"{campaign_id}.{hashlib.md5(one.encode()).hexdigest()}": 1 for one in FATES}


UNSUB_FAULT = "Your campaign needs an unsubscribe link: Your campaign needs an unsubscribe link."


def test_the_report_is_told_as_events(host, esp):
    campaign_id = ready(host, FATES)
    at_once(esp.client)
    host.schedule(campaign_id, NOW)
    events = list(host.events(campaign_id, since=None))
    told = {(event.kind, event.address.partition("@")[0]) for event in events}
    assert {(EventKind.PROCESSED, one.partition("@")[0]) for one in FATES} <= told
    assert {who for kind, who in told if kind is EventKind.DELIVERED} == {
        "delivered", "click", "complaint", "unsubscribe",
    }  # fmt: skip
    assert told >= {
        (EventKind.BOUNCED, "hard"), (EventKind.BOUNCED, "soft"), (EventKind.OPENED, "click"), (EventKind.CLICKED, "click"),
        (EventKind.UNSUBSCRIBED, "unsubscribe"), (EventKind.COMPLAINED, "complaint"),
    }  # fmt: skip
    assert {(event.provider, event.provider_message_id, event.message_id) for event in events} == {
        ("mailchimp", campaign_id, None)
    }
    bounces = {
        event.address: (event.bounce_class, event.suppresses) for event in events if event.kind is EventKind.BOUNCED
    }
    assert bounces == {
        "hard@hard.test": (BounceClass.HARD, Reason.HARD_BOUNCE),
        "soft@soft.test": (BounceClass.SOFT, None),
    }
    again = list(host.events(campaign_id, since=None))
    assert {event.dedupe_key("p") for event in again} == {event.dedupe_key("p") for event in events}
    later = datetime.now(UTC) + timedelta(days=30)
    assert list(host.events(campaign_id, since=later)) == []


def test_every_step_may_be_made_again(host, api):
    first = ready(host, FATES)
    assert ready(host, FATES) == first
    assert host.members("run-1") == len(FATES)
    assert len(hosting.titles(api)) == 1
    assert len(api.lists.get_list_merge_fields(LIST, count=100)["merge_fields"]) == len(VARIABLES)
    assert len(api.lists.list_segments(LIST, count=100)["segments"]) == 1, "no passing segment is left"


def test_another_process_finds_what_one_has_made(host, api, esp):
    campaign_id = ready(host, FATES)
    with hosting.a_host(esp.url) as (other, _):
        assert other.campaign(campaign()) == campaign_id
        assert other.members("run-1") == len(FATES)


def test_two_runs_at_once_do_not_touch_each_others_values(host, api):
    for key, name in (("run-1", "Ann"), ("run-2", "Ben")):
        host.prepare(key, VARIABLES)
        host.put_members(key, members("a@delivered.test", run=key, first_name=name))
    values = stored(api, "a@delivered.test")["merge_fields"]
    assert values[fields.tag("run-1", "first_name")] == "Ann"
    assert values[fields.tag("run-2", "first_name")] == "Ben"
    host.clear("run-1")
    tags = {field["tag"] for field in api.lists.get_list_merge_fields(LIST, count=100)["merge_fields"]}
    assert tags == {fields.tag("run-2", name) for name in VARIABLES}
    host.clear("run-1")  # again
    assert host.members("run-2") == 1


def test_who_left_is_not_subscribed_again_even_where_mailchimp_would(host, api, esp):
    """The API unsubscribed her: no compliance state stops `update_existing`, which is why it never names her."""
    host.prepare("run-1", VARIABLES)
    host.put_members("run-1", members("ann@delivered.test", "ben@delivered.test"))
    MarketingSuppressions(config(esp.url)).put("unsubscribed", ["ben@delivered.test"])
    host.prepare("run-2", VARIABLES)
    (refused,) = host.put_members("run-2", members("ann@delivered.test", "ben@delivered.test", run="run-2"))
    assert (refused.message_id, refused.standing) == ("run-2.1", Reason.UNSUBSCRIBE)
    assert stored(api, "ben@delivered.test")["status"] == "unsubscribed"
    assert stored(api, "ann@delivered.test")["status"] == "subscribed"
    assert host.members("run-2") == 1


def test_who_is_unsubscribed_after_her_state_was_read_stays_so(host, api, esp):
    """By the API, a moment before her values are written."""
    host.prepare("run-1", VARIABLES)
    host.put_members("run-1", members("ann@delivered.test", "ben@delivered.test"))

    def unsubscribed_first(request: httpx.Request) -> None:
        if b'"update_existing":true' in request.content.replace(b" ", b""):
            MarketingSuppressions(config(esp.url)).put("unsubscribed", ["ben@delivered.test"])

    with a_host(esp.url, on_request=unsubscribed_first) as (other, _):
        other.prepare("run-2", VARIABLES)
        (refused,) = other.put_members("run-2", members("ann@delivered.test", "ben@delivered.test", run="run-2"))
    assert (refused.message_id, refused.standing) == ("run-2.1", Reason.UNSUBSCRIBE)
    assert stored(api, "ben@delivered.test")["status"] == "unsubscribed"
    assert host.members("run-2") == 1


def test_the_recipients_are_read_when_all_is_out_and_when_bounces_have_settled(api, esp):
    """Of 500,000 they are a thousand pages: what happens between is in the activity."""
    paths: list[str] = []
    with a_host(esp.url, on_request=lambda request: paths.append(request.url.path)) as (host, own):
        campaign_id = ready(host, FATES)
        at_once(esp.client)
        host.schedule(campaign_id, NOW)
        sent_at = datetime.fromisoformat(own.campaigns.get(campaign_id)["send_time"])
        for since, now, read in (
            (None, timedelta(minutes=1), True),
            (timedelta(0), timedelta(minutes=16), False),
            (timedelta(hours=70), timedelta(hours=71), False),
            (timedelta(hours=71), timedelta(hours=73), True),
            (timedelta(hours=73), timedelta(hours=97), False),
        ):
            paths.clear()
            later = None if since is None else sent_at + since
            events = list(reports.events(own, campaign_id, since=later, now=sent_at + now))
            assert any(path.endswith("/sent-to") for path in paths) is read, since
            assert any(event.kind is EventKind.PROCESSED for event in events) is (since is None)


def test_the_sandbox_would_have_subscribed_her(api, host, esp):
    """What the test before guards against is there."""
    host.prepare("run-1", VARIABLES)
    host.put_members("run-1", members("ben@delivered.test"))
    MarketingSuppressions(config(esp.url)).put("unsubscribed", ["ben@delivered.test"])
    ben = {"email_address": "ben@delivered.test", "status": "subscribed"}
    api.lists.batch_list_members(LIST, {"members": [ben], "update_existing": True})
    assert stored(api, "ben@delivered.test")["status"] == "subscribed"


def test_states_that_only_she_can_end_stand(host, esp):
    campaign_id = ready(host, FATES)
    at_once(esp.client)
    host.schedule(campaign_id, NOW)
    host.prepare("run-2", VARIABLES)
    refused = host.put_members("run-2", members(*FATES, run="run-2"))
    assert {(one.message_id, one.standing) for one in refused} == {
        ("run-2.1", Reason.HARD_BOUNCE),
        ("run-2.4", Reason.UNSUBSCRIBE),
        ("run-2.5", Reason.UNSUBSCRIBE),
    }
    assert not any("@" in one.detail for one in refused)


@pytest.mark.parametrize("status", ["pending", "transactional"])
def test_who_never_subscribed_there_is_left_alone(host, api, status):
    known = {"email_address": "eve@delivered.test", "status": status}
    api.lists.batch_list_members(LIST, {"members": [known], "update_existing": False})
    host.prepare("run-1", VARIABLES)
    (refused,) = host.put_members("run-1", members("eve@delivered.test"))
    assert (refused.standing, status in refused.detail) == (None, True)
    assert stored(api, "eve@delivered.test")["status"] == status


def test_one_who_is_refused_costs_nobody_else(host):
    host.prepare("run-1", VARIABLES)
    asked = members("a@delivered.test", "no@fake.test", "a@Delivered.test", "b@delivered.test")
    long = members("c@delivered.test", first_name="é" * 128)[0]
    refused = host.put_members("run-1", [*asked, type(long)("run-1.4", long.address, long.values)])
    assert {one.message_id for one in refused} == {"run-1.1", "run-1.2", "run-1.4"}
    assert {one.standing for one in refused} == {None}
    assert host.members("run-1") == 2


def test_more_than_500_are_the_callers_mistake(host):
    host.prepare("run-1", VARIABLES)
    with pytest.raises(ValueError, match="500"):
        host.put_members("run-1", members(*(f"p{number}@delivered.test" for number in range(501))))


def test_500_at_once_and_their_call_again(host):
    host.prepare("run-1", VARIABLES)
    many = members(*(f"p{number}@delivered.test" for number in range(500)))
    assert host.put_members("run-1", many) == host.put_members("run-1", many) == []
    assert host.members("run-1") == 500


def test_left_out_are_out(host):
    host.prepare("run-1", VARIABLES)
    host.put_members("run-1", members(*FATES))
    host.leave_out("run-1", [FATES[0], "nobody@delivered.test"])
    host.leave_out("run-1", [FATES[0]])  # again
    assert host.members("run-1") == len(FATES) - 1


def test_drafts_that_a_broken_answer_left_are_deleted_and_the_oldest_stays(host, api):
    campaign_id = ready(host, FATES)
    made = api.campaigns.get(campaign_id)
    for _ in range(3):
        api.campaigns.create({"type": "regular", "settings": made["settings"], "recipients": made["recipients"]})
    assert host.campaign(campaign()) == campaign_id
    assert len(hosting.titles(api)) == 1


def test_a_campaign_that_goes_out_is_kept_and_the_drafts_beside_it_go(host, api):
    campaign_id = ready(host, FATES)
    made = api.campaigns.get(campaign_id)
    settings = {**made["settings"], "title": made["settings"]["title"]}
    api.campaigns.create({"type": "regular", "settings": settings, "recipients": made["recipients"]})
    assert host.schedule(campaign_id, NOW).kind is OutcomeKind.ACCEPTED
    assert host.campaign(campaign()) == campaign_id
    assert len(hosting.titles(api)) == 1
    assert host.status(campaign_id) is HostStatus.SCHEDULED


def test_two_that_are_more_than_drafts_are_a_persons_business(host, api):
    campaign_id = ready(host, FATES)
    made = api.campaigns.get(campaign_id)
    twin = api.campaigns.create({"type": "regular", "settings": made["settings"], "recipients": made["recipients"]})[
        "id"
    ]
    api.campaigns.set_content(twin, {"html": "*|UNSUB|*"})
    for one in (campaign_id, twin):
        host.schedule(one, NOW)
    with pytest.raises(HostRefuses, match="two campaigns"):
        host.campaign(campaign())


def test_another_runs_campaign_is_not_ours(host, api):
    ready(host, FATES, key="run-1")
    ready(host, FATES, key="run-11")
    assert sorted(hosting.titles(api)) == ["Spring [run-11]", "Spring [run-1]"]


def test_scheduled_twice_goes_once(host, esp):
    campaign_id = ready(host, FATES)
    host.schedule(campaign_id, NOW)
    second = host.schedule(campaign_id, NOW)
    assert (second.kind, second.provider_reference) == (OutcomeKind.ACCEPTED, campaign_id)
    at_once(esp.client)
    third = host.schedule(campaign_id, NOW)
    assert third.kind is OutcomeKind.ACCEPTED
    assert set(esp.client.get("/sandbox/accepted", params={"run": campaign_id}).json().values()) == {1}


def test_what_is_not_ready_is_refused_and_stays_a_draft(host):
    host.prepare("run-1", VARIABLES)
    campaign_id = host.campaign(campaign())
    outcome = host.schedule(campaign_id, NOW)
    assert (outcome.kind, outcome.status) == (OutcomeKind.REJECTED, 400)
    assert host.status(campaign_id) is HostStatus.DRAFT


def test_called_back_it_is_a_draft_again_and_what_goes_out_cannot_be(host, esp):
    campaign_id = ready(host, FATES)
    host.schedule(campaign_id, NOW)
    host.unschedule(campaign_id)
    host.unschedule(campaign_id)  # again
    assert host.status(campaign_id) is HostStatus.DRAFT
    at_once(esp.client)
    host.schedule(campaign_id, NOW)
    with pytest.raises(HostRefuses, match="called back"):
        host.unschedule(campaign_id)


def test_nothing_is_taken_from_under_a_campaign_that_has_yet_to_go(host, esp):
    campaign_id = ready(host, FATES)
    host.schedule(campaign_id, NOW)
    with pytest.raises(HostUnavailable, match="under way"):
        host.clear("run-1")
    at_once(esp.client)
    host.clear("run-1")
    assert len(esp.client.get("/sandbox/accepted", params={"run": campaign_id}).json()) == len(FATES)


def test_a_draft_is_discarded_and_nothing_else(host, esp):
    draft, scheduled = ready(host, FATES), ready(host, FATES, key="run-2")
    host.schedule(scheduled, NOW)
    host.discard(draft)
    host.discard(draft)  # again
    assert host.status(draft) is HostStatus.GONE
    for _ in ("scheduled", "sent"):
        with pytest.raises(HostRefuses, match="no draft"):
            host.discard(scheduled)
        at_once(esp.client)
    assert host.status(scheduled) is HostStatus.SENT


def test_a_segment_that_another_process_took_away_is_made_anew(host, esp):
    host.prepare("run-1", VARIABLES)
    host.put_members("run-1", members(*FATES))
    with hosting.a_host(esp.url) as (other, _):
        other.clear("run-1")
    with pytest.raises(HostUnavailable, match="made anew"):
        host.members("run-1")
    assert host.members("run-1") == 0
    assert host.put_members("run-1", members(*FATES)) == []
    assert host.members("run-1") == len(FATES)


def test_a_deleted_campaign_is_gone(host, api):
    campaign_id = ready(host, FATES)
    api.campaigns.remove(campaign_id)
    assert host.status(campaign_id) is HostStatus.GONE
    assert host.schedule(campaign_id, NOW).kind is OutcomeKind.NOT_SENT


def test_a_full_audience_says_what_to_do(host, api):
    for number in range(30):
        api.lists.add_list_merge_field(LIST, {"name": f"Own {number}", "type": "text", "tag": f"OWN{number}"})
    with pytest.raises(HostRefuses, match="30 fields"):
        host.prepare("run-1", VARIABLES)


def test_a_field_of_somebody_elses_is_not_overwritten(host, api):
    api.lists.add_list_merge_field(LIST, {"name": "Other", "type": "text", "tag": fields.tag("run-1", "first_name")})
    with pytest.raises(HostRefuses, match="not this run's"):
        host.prepare("run-1", VARIABLES)


def test_the_eleventh_request_at_once_gets_no_words(esp):
    """The sandbox is as narrow as Mailchimp; the host stays below with eight connections."""
    from concurrent.futures import ThreadPoolExecutor

    at_once(esp.client, latency_ms=0)
    auth = httpx.BasicAuth("any", hosting.KEY)
    many = [{"email_address": f"p{n}@delivered.test", "status": "subscribed"} for n in range(500)]

    def call(_: int) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=60) as client:
            return client.post(f"{esp.url}{hosting.BASE}/lists/{LIST}", json={"members": many}, auth=auth)

    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(call, range(40)))
    assert {answer.status_code for answer in answers} == {200, 429}
    assert {answer.content for answer in answers if answer.status_code == 429} == {b""}
    with hosting.a_host(esp.url) as (host, _), ThreadPoolExecutor(40) as pool:
        assert list(pool.map(lambda _: host.status("none"), range(40))) == [HostStatus.GONE] * 40
