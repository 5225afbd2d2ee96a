"""The audience's webhook: made, compared with what is needed, and heard, beside what the report tells later."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from domain.campaign_host import HostRefuses, HostUnavailable
from domain.delivery import DeliveryEvent, EventKind
from domain.suppression import Reason
from providers.mailchimp import webhooks
from providers.mailchimp.webhook import MarketingEvents
from providers.mailchimp.webhooks import AudienceWebhooks, Webhook, findings, open_webhooks
from tests.providers import loopback
from tests.providers.mailchimp import hosting
from tests.providers.mailchimp.hosting import LIST, at_once, ready
from tests.providers.sandbox.conftest import Esp, esp, eventually, start

__all__ = ["esp", "start"]
NOW = datetime(2026, 11, 23, 9, 1, tzinfo=UTC)
URL = "https://shop.example.com/webhooks/mailchimp/0123456789abcdefghij"


def test_who_leaves_or_bounces_is_heard_at_once_and_counted_once(esp: Esp):
    with (
        loopback.answering(lambda _: loopback.Answer(200)) as receiver,
        hosting.a_host(esp.url) as (host, api),
    ):
        hooks = AudienceWebhooks(api, LIST)
        made = hooks.register_webhook(receiver.url)
        assert [one.method for one in receiver.requests] == ["GET"], "Mailchimp tries the URL"
        campaign_id = ready(host, ["a@delivered.test", "b@hard.test", "c@unsubscribe.test", "d@complaint.test"])
        at_once(esp.client)
        host.schedule(campaign_id, NOW)
        posts = eventually(lambda: len(receiver.requests) == 4 and receiver.requests[1:])
        pulled = {event.dedupe_key("p") for event in host.events(campaign_id, since=None)}
    assert made.signing_secret is not None
    reader = MarketingEvents([made.signing_secret.get_secret_value()], list_id=LIST)
    assert all(reader.verify(post.headers, post.body) for post in posts)
    assert not any(reader.verify(post.headers, post.body + b"x") for post in posts)
    events = [event for post in posts for event in reader.parse(post.body)]
    assert all(isinstance(event, DeliveryEvent) for event in events)
    assert {(event.kind, event.address, event.suppresses, event.provider_message_id) for event in events} == {
        (EventKind.BOUNCED, "b@hard.test", Reason.HARD_BOUNCE, campaign_id),
        (EventKind.UNSUBSCRIBED, "c@unsubscribe.test", Reason.UNSUBSCRIBE, campaign_id),
        (EventKind.COMPLAINED, "d@complaint.test", Reason.COMPLAINT, campaign_id),
    }
    assert {event.dedupe_key("p") for event in events} <= pulled, "the report's rows are the same events"


def test_a_webhook_is_listed_without_its_secret_and_taken_away(esp: Esp):
    with (
        loopback.answering(lambda _: loopback.Answer(200)) as receiver,
        hosting.a_host(esp.url) as (_, api),
    ):
        hooks = AudienceWebhooks(api, LIST)
        made = hooks.register_webhook(receiver.url)
        (listed,) = hooks.webhooks()
        assert (listed.id, listed.signed, listed.lacks) == (made.id, True, ())
        assert receiver.url not in repr(listed)
        assert findings([listed], [receiver.url], secrets_set=True) == []
        with pytest.raises(HostRefuses):
            hooks.register_webhook(receiver.url)
        hooks.remove(made.id)
        assert hooks.webhooks() == []


def test_a_url_that_does_not_answer_is_refused(esp: Esp):
    with hosting.a_host(esp.url) as (_, api), pytest.raises(HostRefuses):
        AudienceWebhooks(api, LIST).register_webhook(f"http://127.0.0.1:{loopback.closed_port()}/hook")


def a_webhook(**changes: Any) -> Webhook:
    facts = {"id": "w1", "url": SecretStr(URL), "signed": True, "lacks": ()}
    return Webhook(**{**facts, **changes})


@pytest.mark.parametrize(
    ("found", "secrets_set", "words"),
    [
        ([], True, "no webhook"),
        ([a_webhook(url=SecretStr("https://other.example"))], True, "no webhook"),
        ([a_webhook(), a_webhook(id="w2")], True, "as often"),
        ([a_webhook(lacks=("cleaned",))], True, "does not tell of: cleaned"),
        ([a_webhook(signed=False)], True, "refuses"),
        ([a_webhook()], False, "no signing secret"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_said(found, secrets_set, words):
    (told,) = findings(found, [URL], secrets_set=secrets_set)
    assert words in told
    assert URL not in told


def test_unsigned_and_nobody_expects_it_to_be_signed_is_fine():
    assert findings([a_webhook(signed=False)], [URL], secrets_set=False) == []


@pytest.mark.parametrize(
    ("row", "lacks"),
    [
        ({"events": {"unsubscribe": True, "cleaned": True}, "sources": {"user": True, "admin": True}}, ()),
        ({"events": {"unsubscribe": True}, "sources": {"user": True, "admin": True}}, ("cleaned",)),
        ({"events": {"unsubscribe": True, "cleaned": True}, "sources": {"user": True}}, ("source admin",)),
        ({}, ("unsubscribe", "cleaned", "source user", "source admin")),
    ],
)
def test_what_a_webhook_does_not_tell_of(row, lacks):
    assert webhooks._webhook({"id": "w1", "url": URL, **row}).lacks == lacks


def test_a_webhook_api_that_fails_is_told_as_a_host_tells_it():
    with loopback.answering(lambda _: loopback.Answer(503)) as server:
        hooks = open_webhooks(hosting.config(server.url))
        with pytest.raises(HostUnavailable):
            hooks.webhooks()
        hooks.close()
