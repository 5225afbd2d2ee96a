"""Mailchimp Transactional's adapter against the sandbox: mail, results, events back at our own reader, look-ups, faults."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from domain import ports
from domain.delivery import DeliveryEvent, EventKind
from domain.ledger import Outcome, OutcomeKind, ProofKind
from domain.ports import Finding, UnknownAttempt
from domain.suppression import Reason
from providers.mailchimp.config import MailchimpConfig
from providers.mailchimp.inquiry import open_inquirer
from providers.mailchimp.suppressions import TransactionalSuppressions
from providers.mailchimp.transactional_mailer import open_mailer
from providers.mailchimp.webhook import TransactionalEvents
from tests.providers.contract import a_batch
from tests.providers.sandbox.conftest import KEY
from tests.providers.sandbox.mandrill import BASE, done, failed

HOOK = "webhook-key"


def config(esp: Any, **settings: Any) -> MailchimpConfig:
    facts = {"transactional_batch_size": 1000, "transactional_lookup": True, **settings}
    return MailchimpConfig(transactional_api_key=SecretStr(KEY), transactional_base_url=f"{esp.url}{BASE}", **facts)


def to(*addresses: str, run: str = "run", **changes: Any) -> ports.Batch:
    own = {
        "run_id": run,
        "addresses": list(addresses),
        "message_ids": [f"{run}.{number}" for number in range(len(addresses))],
    }
    return a_batch(len(addresses), **(own | changes))


def send(esp: Any, batch: ports.Batch, **settings: Any) -> Outcome:
    with closing(open_mailer(config(esp, **settings))) as mail:
        return mail.send(batch)


def turn(esp: Any, **knobs: Any) -> None:
    esp.client.put("/sandbox/faults", json=knobs).raise_for_status()


def accepted(esp: Any, run: str = "run") -> dict[str, int]:
    found: dict[str, int] = esp.client.get("/sandbox/accepted", params={"run": run}).json()
    return found


@pytest.fixture
def posting(start, receiver):
    return start(mandrill_webhook_url=receiver.url, mandrill_webhook_key=HOOK, webhook_retry_seconds=0.05)


def heard(receiver: Any) -> Iterator[DeliveryEvent]:
    """What our own reader makes of the posts that were taken, each of them verified."""
    reader = TransactionalEvents([HOOK], [receiver.url])
    for headers, body, status in receiver.posts:
        assert reader.verify(headers, body)
        assert not reader.verify(headers, body + b"x")
        assert not TransactionalEvents([HOOK], [f"{receiver.url}/"]).verify(headers, body)
        if status < 300:
            for event in reader.parse(body):
                assert isinstance(event, DeliveryEvent)
                yield event


def test_mail_goes_out_and_its_events_come_back_to_the_message(posting, receiver, eventually):
    domains = ["delivered", "hard", "soft", "block", "deferred", "click", "machine", "complaint", "unsubscribe", "open"]
    outcome = send(posting, to(*(f"p@{domain}.test" for domain in domains)))
    assert (outcome.kind, outcome.exceptions) == (OutcomeKind.ACCEPTED, {})
    assert set(accepted(posting).values()) == {1}
    eventually(lambda: posting.summary()["events_due"] == 0)
    told: dict[str, set[EventKind]] = {}
    for event in heard(receiver):
        assert event.message_id is not None
        assert event.attempt_id == "attempt-1"
        told.setdefault(domains[int(event.message_id.rpartition(".")[2])], set()).add(event.kind)
    came = {EventKind.PROCESSED, EventKind.DELIVERED}
    assert told == {
        "delivered": came,
        "hard": {EventKind.PROCESSED, EventKind.BOUNCED},
        "soft": {EventKind.PROCESSED, EventKind.BOUNCED},
        "block": {EventKind.PROCESSED, EventKind.BOUNCED},
        "deferred": came | {EventKind.DEFERRED},
        "click": came | {EventKind.OPENED, EventKind.CLICKED},
        "machine": came | {EventKind.OPENED},
        "complaint": came | {EventKind.COMPLAINED},
        "unsubscribe": came | {EventKind.UNSUBSCRIBED},
        "open": came | {EventKind.OPENED},
    }


def test_the_answer_names_the_message_that_the_events_speak_of(posting, receiver, eventually):
    outcome = send(posting, to("p@delivered.test"))
    eventually(lambda: posting.summary()["events_due"] == 0)
    assert {event.provider_message_id for event in heard(receiver)} == {outcome.provider_reference}


def test_up_to_ten_are_answered_one_by_one_and_the_denylist_stops(start, eventually):
    esp = start()
    send(esp, to("p@hard.test", "q@complaint.test", run="first"))
    eventually(lambda: len(done(esp, "rejects/list")) == 2)
    outcome = send(esp, to("p@hard.test", "q@complaint.test", "r@delivered.test", "s@invalid.test"))
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert {name: (one.kind, one.detail) for name, one in outcome.exceptions.items()} == {
        "run.0": (OutcomeKind.REJECTED, "rejected: hard-bounce; the address is on the account's denylist"),
        "run.1": (OutcomeKind.REJECTED, "rejected: spam; the address is on the account's denylist"),
        "run.3": (OutcomeKind.REJECTED, "invalid"),
    }
    assert accepted(esp) == {"run.2": 1}


def test_more_than_ten_are_queued_and_a_reject_event_tells(posting, receiver, eventually):
    done(posting, "rejects/add", email="P3@delivered.test", comment="left")
    outcome = send(posting, to(*(f"p{n}@delivered.test" for n in range(11))))
    assert (outcome.kind, outcome.exceptions) == (OutcomeKind.ACCEPTED, {})
    eventually(lambda: posting.summary()["events_due"] == 0)
    (dropped,) = {event for event in heard(receiver) if event.kind is EventKind.DROPPED}
    assert (dropped.message_id, dropped.suppresses, dropped.detail) == ("run.3", Reason.MANUAL, "custom")


def test_the_denylist_is_read_written_and_left_through_our_own_adapter(start):
    esp = start()
    lists = TransactionalSuppressions(config(esp))
    assert lists.put("rejects", ["ann@example.com"]) == []
    now = datetime.now(UTC)
    (row,) = lists.suppressions(now, now)
    assert (row.address, row.reason, row.expires_at) == ("ann@example.com", Reason.MANUAL, None)
    assert lists.take_off("rejects", "ann@example.com")
    assert list(lists.suppressions(now, now)) == []
    assert failed(esp, "rejects/delete", email="ann@example.com") == (404, "Invalid_Reject")


def test_a_template_must_be_there_and_published(start):
    esp = start()
    content = a_batch().content
    by_template = type(content)("t", "", "", "", (), "0" * 64, esp_template_id="spring")
    outcome = send(esp, to("p@delivered.test", content=by_template))
    assert (outcome.kind, outcome.stop_provider) == (OutcomeKind.NOT_SENT, True)
    assert "Unknown_Template" in outcome.detail
    done(esp, "templates/add", name="spring", code="<p>*|FIRST_NAME|*</p>", publish=False)
    assert send(esp, to("p@delivered.test", content=by_template)).kind is OutcomeKind.NOT_SENT
    done(esp, "templates/publish", name="spring")
    assert send(esp, to("p@delivered.test", content=by_template)).kind is OutcomeKind.ACCEPTED
    assert accepted(esp) == {"run.0": 1}


def test_a_dropped_answer_is_unknown_and_found_by_its_attempt(start):
    esp = start()
    turn(esp, drop_after_accept=1, next_n=1)
    assert send(esp, to("p@delivered.test", attempt_id="lost")).kind is OutcomeKind.UNKNOWN
    assert accepted(esp) == {"run.0": 1}
    now = datetime.now(UTC)
    attempt = UnknownAttempt("lost", "run", now - timedelta(hours=1), None, None, None)
    with closing(open_inquirer(config(esp))) as inquirer:
        assert inquirer.inquire(attempt, now=now).finding is Finding.ACCEPTED


def test_a_call_that_never_came_is_proved_so_by_a_later_one(start):
    esp = start()
    turn(esp, drop_before_accept=1, next_n=1)
    assert send(esp, to("p@delivered.test", attempt_id="lost")).kind is OutcomeKind.UNKNOWN
    assert send(esp, to("q@delivered.test", attempt_id="later")).kind is OutcomeKind.ACCEPTED
    now = datetime.now(UTC)
    attempt = UnknownAttempt("lost", "run", now - timedelta(hours=1), None, None, "later")
    with closing(open_inquirer(config(esp))) as inquirer:
        answer = inquirer.inquire(attempt, now=now)
        assert (answer.finding, answer.kind) == (Finding.NOT_SENT, ProofKind.LOOK_UP_ABSENT)
        turn(esp, activity_behind_seconds=3600)
        assert inquirer.inquire(attempt, now=now).finding is Finding.CANNOT_TELL
        turn(esp, searches_a_minute=0)
        assert inquirer.inquire(attempt, now=now).kind == ports.PUT_OFF


@pytest.mark.parametrize(
    ("knobs", "kind"),
    [
        ({"rate_429": 1}, OutcomeKind.NOT_SENT),
        ({"rate_500": 1}, OutcomeKind.UNKNOWN),
        ({"drop_before_accept": 1}, OutcomeKind.UNKNOWN),
    ],
)
def test_a_bad_day_is_read_right_and_nothing_was_taken(start, knobs, kind):
    esp = start()
    turn(esp, **knobs)
    outcome = send(esp, to("p@delivered.test"))
    assert (outcome.kind, outcome.stop_provider) == (kind, False)
    assert accepted(esp) == {}


def test_recipients_whom_the_answer_leaves_out_are_unknown_one_by_one(start):
    esp = start()
    turn(esp, results_left_out=0.5)
    outcome = send(esp, to(*(f"p{n}@delivered.test" for n in range(40))))
    left_out = Counter(one.kind for one in outcome.exceptions.values())
    assert set(left_out) == {OutcomeKind.UNKNOWN}
    assert 0 < left_out[OutcomeKind.UNKNOWN] < 40
    assert len(accepted(esp)) == 40


@pytest.mark.parametrize("of_old", [False, True])
def test_what_is_refused_as_a_whole(start, of_old):
    esp = start()
    turn(esp, errors_as_500=of_old)
    nobody = send(esp, to("p@delivered.test"), transactional_subaccount="nobody")
    assert (nobody.kind, nobody.stop_provider, nobody.status) == (OutcomeKind.NOT_SENT, True, 500 if of_old else 404)
    wrong = MailchimpConfig(transactional_api_key=SecretStr("wrong"), transactional_base_url=f"{esp.url}{BASE}")
    with closing(open_mailer(wrong)) as mail:
        outcome = mail.send(to("p@delivered.test"))
    assert (outcome.kind, outcome.stop_provider, outcome.status) == (OutcomeKind.NOT_SENT, True, 500 if of_old else 401)
    nameless = send(esp, to("p@delivered.test", sender=type(a_batch().sender)("nobody", "x", None)))
    assert (nameless.kind, nameless.status) == (OutcomeKind.REJECTED, 500 if of_old else 422)
    assert accepted(esp) == {}


def test_mail_of_later_is_scheduled_and_its_events_come_after_it(start):
    esp = start()
    outcome = send(esp, to("p@delivered.test", send_at=datetime.now(UTC) + timedelta(hours=2)))
    assert outcome.kind is OutcomeKind.ACCEPTED
    (story,) = esp.story("run.0")["acceptances"]
    assert all(event["occurred_at"] > datetime.now(UTC).timestamp() + 7000 for event in story["events"])


def test_the_two_vendors_do_not_see_each_others_mail(start, receiver, campaign, eventually):
    esp = start(webhook_url="http://127.0.0.1:9/webhooks", mandrill_webhook_url=receiver.url, mandrill_webhook_key=HOOK)
    esp.send(campaign(5, domain="delivered.test", run="other"))
    send(esp, to("p@delivered.test"))
    eventually(lambda: {event.kind for event in heard(receiver)} == {EventKind.PROCESSED, EventKind.DELIVERED})
    assert {event.message_id for event in heard(receiver)} == {"run.0"}
    assert done(esp, "messages/search", query='u_message_id:"other.0"') == []
    assert done(esp, "messages/search", query="email:p@delivered.test")[0]["state"] == "sent"
    assert failed(esp, "messages/search", query="subject:x") == (422, "ValidationError")


def test_the_account_is_told_of(start):
    esp = start()
    assert done(esp, "users/ping2") == {"PING": "PONG!"}
    assert done(esp, "users/info")["hourly_quota"] > 0
    assert httpx.post(f"{esp.url}{BASE}/users/info.json", json={}).status_code == 401
