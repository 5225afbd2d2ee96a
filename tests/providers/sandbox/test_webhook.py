"""Event webhooks against a real receiver: signature, shapes, disorder, repetition, retry, and the figures."""

import base64
import contextlib
import json
import sqlite3
from collections import Counter

import orjson
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sendgrid.helpers.eventwebhook import EventWebhook

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"


@pytest.fixture
def posting(start, receiver):
    return start(webhook_url=receiver.url, webhook_retry_seconds=0.05)


def settle(esp, eventually):
    eventually(lambda: esp.summary()["events_due"] == 0)


def of_domain(events, domain):
    """The events of one domain by kind, repetitions folded."""
    return {event["event"]: event for event in events if event["email"].endswith(domain)}


def test_the_official_verifier_accepts_every_post(posting, receiver, eventually, campaign):
    posting.send(campaign(50))
    settle(posting, eventually)
    key = posting.client.get("/v3/user/webhooks/event/settings/signed").json()["public_key"]
    verifier = EventWebhook(key)
    assert receiver.posts
    for headers, body, _ in receiver.posts:
        assert body.endswith(b"]\r\n")
        assert verifier.verify_signature(body.decode(), headers[SIGNATURE], headers[TIMESTAMP])
        assert not verifier.verify_signature(body.decode() + " ", headers[SIGNATURE], headers[TIMESTAMP])
        assert not verifier.verify_signature(body.decode(), headers[SIGNATURE], headers[TIMESTAMP] + "0")


def test_plain_cryptography_accepts_a_post_and_no_change_of_a_byte(
    posting, receiver, eventually, mail, personalization
):
    """ECDSA over P-256 and SHA-256 of the timestamp and the raw body, the key as DER in base64: SendGrid's own words."""
    posting.send(mail(personalization("p@delivered.test", "run.0")))
    settle(posting, eventually)
    told = posting.client.get("/v3/user/webhooks/event/settings/signed").json()["public_key"]
    key = load_der_public_key(base64.b64decode(told))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    headers, body, _ = receiver.posts[0]
    assert headers["Content-Type"] == "application/json"
    assert {event["email"] for event in json.loads(body)} == {"p@delivered.test"}
    signature, signed = base64.b64decode(headers[SIGNATURE]), headers[TIMESTAMP].encode() + body
    key.verify(signature, signed, ec.ECDSA(SHA256()))
    for place in range(len(signed)):
        changed = bytearray(signed)
        changed[place] ^= 1
        with pytest.raises(InvalidSignature):
            key.verify(signature, bytes(changed), ec.ECDSA(SHA256()))


def test_events_have_sendgrids_shape(posting, receiver, eventually, mail, personalization):
    domains = ["hard", "soft", "block", "deferred", "click", "machine", "complaint", "unsubscribe"]
    people = [personalization(f"p@{domain}.test", f"run.{n}") for n, domain in enumerate(domains)]
    reference = posting.send(mail(*people, categories=["spring"], asm={"group_id": 7})).headers["X-Message-Id"]
    settle(posting, eventually)
    for event in receiver.taken:
        assert event["sg_message_id"].split(".")[0] == reference
        assert (event["category"], event["asm_group_id"], event["attempt_id"]) == (["spring"], 7, "attempt-1")
        assert event["message_id"].startswith("run.")
        assert type(event["timestamp"]) is int
        assert len(event["sg_event_id"]) == 22
    bounces = {domain: of_domain(receiver.taken, f"@{domain}.test")["bounce"] for domain in ("hard", "soft", "block")}
    told = {domain: (b["type"], b["status"], b["bounce_classification"]) for domain, b in bounces.items()}
    assert told == {
        "hard": ("bounce", "5.1.1", "Invalid Address"),
        "soft": ("blocked", "5.2.2", "Mailbox Unavailable"),
        "block": ("blocked", "5.7.1", "Reputation"),
    }
    assert bounces["hard"]["reason"].startswith("550 5.1.1")
    assert of_domain(receiver.taken, "@deferred.test")["deferred"]["attempt"] == "1"
    assert of_domain(receiver.taken, "@machine.test")["open"]["sg_machine_open"] is True
    clicked = of_domain(receiver.taken, "@click.test")
    assert clicked["open"]["sg_machine_open"] is False
    assert clicked["click"]["url"] == "https://shop.example.com/sale"
    assert clicked["click"]["url_offset"] == {"index": 0, "type": "html"}
    assert clicked["delivered"]["response"].startswith("250 ")
    assert "smtp-id" in clicked["delivered"]
    assert "smtp-id" not in clicked["click"]
    assert "spamreport" in of_domain(receiver.taken, "@complaint.test")
    assert "unsubscribe" in of_domain(receiver.taken, "@unsubscribe.test")


def test_custom_arguments_do_not_overwrite_sendgrids_own_fields(posting, receiver, eventually, mail, personalization):
    person = personalization("a@delivered.test", "run.0")
    person["custom_args"] |= {"event": "mine", "timestamp": "never", "colour": "red"}
    posting.send(mail(person))
    settle(posting, eventually)
    assert {event["event"] for event in receiver.taken} == {"processed", "delivered"}
    assert {event["colour"] for event in receiver.taken} == {"red"}


def test_a_silent_domain_is_never_heard_of(posting, receiver, campaign, eventually):
    posting.send(campaign(5, domain="silent.test"))
    posting.send(campaign(5, domain="delivered.test", run="other"))
    settle(posting, eventually)
    assert {event["email"].partition("@")[2] for event in receiver.taken} == {"delivered.test"}


def test_some_events_are_repeated_and_some_of_those_under_another_id(posting, receiver, eventually, campaign):
    posting.send(campaign(1000))
    settle(posting, eventually)

    def content(event):
        return orjson.dumps({name: value for name, value in event.items() if name != "sg_event_id"})

    ids = {}
    for event in receiver.taken:
        ids.setdefault(content(event), []).append(event["sg_event_id"])
    repeated = [pair for pair in ids.values() if len(pair) == 2]
    assert 0.01 < len(repeated) / len(ids) < 0.06
    assert {len(set(pair)) for pair in repeated} == {1, 2}
    assert max(len(each) for each in ids.values()) == 2


def test_events_come_out_of_order(posting, receiver, eventually, campaign):
    posting.send(campaign(200, domain="click.test"))
    settle(posting, eventually)
    firsts = Counter()
    seen = set()
    for event in receiver.taken:
        if event["message_id"] not in seen:
            seen.add(event["message_id"])
            firsts[event["event"]] += 1
    assert firsts["processed"] > 0
    assert sum(firsts.values()) - firsts["processed"] > 0


def test_what_is_refused_is_kept_and_posted_again(posting, receiver, eventually, campaign):
    receiver.statuses = [500, 302, 404]
    posting.send(campaign(20, domain="delivered.test"))
    settle(posting, eventually)
    assert [status for _, _, status in receiver.posts][:4] == [500, 302, 404, 200]
    delivered = {event["message_id"] for event in receiver.taken if event["event"] == "delivered"}
    assert len(delivered) == 20


def test_a_receiver_that_is_down_loses_nothing(start, receiver, eventually, campaign):
    esp = start(webhook_url="http://127.0.0.1:9/webhooks", webhook_retry_seconds=0.05)
    esp.send(campaign(20, domain="delivered.test"))
    assert esp.summary()["events_posted"] == 0
    due = esp.summary()["events_due"]
    assert due >= 40
    esp.stop()
    again = start(webhook_url=receiver.url)
    settle(again, eventually)
    assert len(receiver.taken) == due


def test_health_says_when_posting_has_died(posting, eventually, tmp_path):
    assert posting.client.get("/health").json() == {"status": "ok"}
    with contextlib.closing(sqlite3.connect(tmp_path / "sandbox.db")) as connection:
        connection.execute("DROP TABLE events")
    answer = eventually(lambda: (a := posting.client.get("/health")).status_code == 503 and a)
    assert answer.json() == {"status": "not posting events"}


def test_no_more_than_a_thousand_events_a_post(posting, receiver, eventually, campaign):
    posting.send(campaign(1000))
    settle(posting, eventually)
    sizes = [len(orjson.loads(body)) for _, body, _ in receiver.posts]
    assert sum(sizes) > 2000
    assert max(sizes) <= 1000


def test_the_summary_says_what_the_events_say(posting, receiver, eventually, campaign, mail, personalization):
    posting.send(campaign(1000))
    for domain in ("hard.test", "soft.test", "block.test", "complaint.test", "unsubscribe.test", "machine.test"):
        posting.send(campaign(3, domain=domain, run="run", first=2000 + 10 * len(domain) + ord(domain[0])))
    posting.send(mail(personalization("p0@example.com", "run.0")))
    settle(posting, eventually)
    events = receiver.taken

    def count(wanted):
        return len({event["message_id"] for event in events if wanted(event)})

    def bounced(classification):
        return count(lambda event: event.get("bounce_classification") == classification)

    said = posting.summary("run")
    assert said == {
        "accepted": 1019,
        "distinct": 1018,
        "delivered": count(lambda event: event["event"] == "delivered"),
        "bounced": {
            "hard": bounced("Invalid Address"),
            "soft": bounced("Mailbox Unavailable"),
            "block": bounced("Reputation"),
        },
        "dropped": count(lambda event: event["event"] == "dropped"),
        "complained": count(lambda event: event["event"] == "spamreport"),
        "unsubscribed": count(lambda event: event["event"] == "unsubscribe"),
        "opened_unique": count(lambda event: event["event"] == "open"),
        "opened_human": count(lambda event: event["event"] == "open" and not event["sg_machine_open"]),
        "clicked_unique": count(lambda event: event["event"] == "click"),
        "events_due": 0,
        "events_posted": len(events),
    }
    assert said["bounced"]["hard"] >= 3
