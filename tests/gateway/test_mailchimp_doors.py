"""Mailchimp's webhooks at the gateway: a secret in the URL, signatures, and the calls by which a new webhook is tried."""

import gzip
import logging

import pytest
import sqlalchemy as sa

from data import database, tables
from domain.delivery import EventKind
from gateway import security
from gateway.app import create_app
from providers.mailchimp.webhook import TransactionalEvents
from tests.gateway.test_webhooks import counted, stored
from tests.providers import loopback
from tests.providers.mailchimp import payloads
from tests.providers.mailchimp.payloads import KEY, SECRET, URL
from tests.providers.sandbox.conftest import KEY as SANDBOX_KEY
from tests.providers.sandbox.conftest import _eventually, start

__all__ = ["_eventually", "start"]  # fixtures of the sandbox's own tests

URL_SECRET = "abcdefghij_0123456789-ABCDEF"
NEW_SECRET = "another-secret-of-the-url-01"
MARKETING = f"/webhooks/mailchimp/{URL_SECRET}"
TRANSACTIONAL = "/webhooks/mailchimp-transactional"
BODY = payloads.unsubscribed()
EVENTS = payloads.transactional(payloads.bounced())


@pytest.fixture
def open_door(serve, make_settings):
    def make(**mailchimp):
        facts = {"marketing_url_secrets": [URL_SECRET], "transactional_webhook_keys": [KEY], **mailchimp}
        return serve(create_app(make_settings(mailchimp=facts, public_url="https://shop.example.com")))

    return make


class TestMarketing:
    def test_a_body_is_kept_raw(self, open_door, engine):
        answer = open_door().post(MARKETING, content=BODY)
        assert answer.status_code == 200
        assert stored(engine) == [("mailchimp", BODY)]

    @pytest.mark.parametrize("secret", ["", f"/{URL_SECRET[:-1]}", f"/{URL_SECRET}x", "/%C3%A4", f"/{NEW_SECRET}"])
    def test_without_the_secret_nothing_is_kept(self, open_door, engine, secret):
        answer = open_door().post(f"/webhooks/mailchimp{secret}", content=BODY)
        assert 400 <= answer.status_code < 500
        assert stored(engine) == []

    def test_while_the_secret_is_changed_either_will_do(self, open_door, engine):
        door = open_door(marketing_url_secrets=[NEW_SECRET, URL_SECRET])
        assert door.post(MARKETING, content=BODY).status_code == 200
        assert door.post(f"/webhooks/mailchimp/{NEW_SECRET}", content=payloads.cleaned()).status_code == 200
        assert len(stored(engine)) == 2

    def test_where_there_are_signing_secrets_the_url_alone_will_not_do(self, open_door, engine):
        door = open_door(marketing_signing_secrets=["old", SECRET])
        assert door.post(MARKETING, content=BODY).status_code == 401
        forged = payloads.marketing_headers(BODY, "forged")
        assert door.post(MARKETING, content=BODY, headers=forged).status_code == 401
        assert stored(engine) == []
        signed = payloads.marketing_headers(BODY, SECRET)
        assert door.post(MARKETING, content=BODY, headers=signed).status_code == 200
        assert counted(door, 'oms_webhook_refused_total{provider="mailchimp",reason="signature"}') == 2

    @pytest.mark.parametrize("path", ["/webhooks/mailchimp", MARKETING, "/webhooks/mailchimp/wrong"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_the_validators_call_needs_no_secret_and_does_nothing(self, open_door, everything, path, method):
        door, before = open_door(), everything()
        assert door.request(method, path).status_code == 200
        assert everything() == before

    def test_without_a_secret_there_is_no_door(self, open_door):
        door = open_door(marketing_url_secrets=[])
        assert door.post(MARKETING, content=BODY).status_code == 404
        assert door.get("/webhooks/mailchimp").status_code == 404

    def test_a_wrong_secret_is_refused_before_the_body_is_read(self, open_door):
        answer = open_door().post("/webhooks/mailchimp/wrong", content=b" " * 6_000_000)
        assert answer.status_code == 401

    def test_gzip_is_bounded_here_too(self, open_door, engine):
        door = open_door()
        gzipped = {"Content-Encoding": "gzip"}
        assert door.post(MARKETING, content=gzip.compress(b" " * 6_000_000), headers=gzipped).status_code == 413
        assert door.post(MARKETING, content=gzip.compress(BODY), headers=gzipped).status_code == 200
        assert stored(engine) == [("mailchimp", BODY)]


class TestTransactional:
    def test_a_signed_body_is_kept_raw(self, open_door, engine):
        headers = payloads.transactional_headers(EVENTS)
        assert open_door().post(TRANSACTIONAL, content=EVENTS, headers=headers).status_code == 200
        assert stored(engine) == [("mailchimp-transactional", EVENTS)]

    def test_the_registered_url_is_signed_whatever_the_proxy_calls_us(self, open_door, engine):
        registered = "https://hooks.example.net/in?from=mandrill"
        door = open_door(transactional_webhook_urls=[registered], transactional_webhook_keys=["old", KEY])
        by_default = payloads.transactional_headers(EVENTS, url=URL)
        assert door.post(TRANSACTIONAL, content=EVENTS, headers=by_default).status_code == 401
        headers = payloads.transactional_headers(EVENTS, url=registered)
        assert door.post(TRANSACTIONAL, content=EVENTS, headers=headers).status_code == 200

    @pytest.mark.parametrize("headers", [{}, payloads.transactional_headers(EVENTS, key="test-webhook")])
    def test_what_is_not_signed_by_our_key_is_refused(self, open_door, engine, headers):
        assert open_door().post(TRANSACTIONAL, content=EVENTS, headers=headers).status_code == 401
        assert stored(engine) == []

    @pytest.mark.parametrize("body", [b"", b"mandrill_events=%5B%5D"])
    def test_the_try_of_a_new_webhook_is_answered_and_not_kept(self, open_door, everything, body):
        door, before = open_door(), everything()
        generic = payloads.transactional_headers(body or b"mandrill_events=%5B%5D", key="test-webhook")
        assert door.head(TRANSACTIONAL).status_code == 200
        assert door.post(TRANSACTIONAL, content=body, headers=generic).status_code == 200
        assert door.post(TRANSACTIONAL, content=body).status_code == 200
        assert everything() == before

    def test_it_has_no_secret_in_its_url(self, open_door):
        headers = payloads.transactional_headers(EVENTS)
        assert open_door().post(f"{TRANSACTIONAL}/x", content=EVENTS, headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (MARKETING, "/webhooks/mailchimp/[token]"),
        (f"/webhooks//mailchimp/{URL_SECRET}", "/webhooks//mailchimp/[token]"),
        (f"/Webhooks/mailchimp/{URL_SECRET}/more?x=1", "/Webhooks/mailchimp/[token]"),
        ("/unsubscribe/r1.0.1.tag", "/unsubscribe/[token]"),
        ("/webhooks/sendgrid", "/webhooks/sendgrid"),
    ],
)
def test_no_secret_is_in_the_access_log(caplog, path, shown):
    security.keep_tokens_out_of_the_access_log()
    log = logging.getLogger("uvicorn.access")
    with caplog.at_level(logging.INFO, logger="uvicorn.access"):
        log.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "POST", path, "1.1", 200)
    assert f'"POST {shown} HTTP/1.1" 200' in caplog.text
    assert URL_SECRET not in caplog.text


def test_no_secret_is_in_an_error(open_door, engine, caplog):
    door = open_door()
    with database.write(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE webhook_inbox RENAME TO gone")
    with caplog.at_level(logging.DEBUG):
        answer = door.post(MARKETING, content=BODY)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    ours = "\n".join(one.getMessage() for one in caplog.records if not one.name.startswith(("httpx", "httpcore")))
    assert URL_SECRET not in ours + answer.text
    assert "secret.person" not in ours


def test_the_table_of_what_is_kept_names_the_vendor(open_door, engine):
    door = open_door()
    door.post(MARKETING, content=BODY)
    with database.read(engine) as connection:
        assert connection.scalar(sa.select(tables.webhook_inbox.c.state)) == "pending"
    assert counted(door, 'oms_webhook_bodies{state="pending"}') == 1


def test_what_the_sandbox_posts_is_taken_at_the_door_and_understood(open_door, start, eventually, engine):
    """Through a proxy, as a gateway stands behind one: the URL that is signed is the public one."""
    doors = []

    def proxy(received: loopback.Received) -> loopback.Answer:
        kept = {
            name: value for name, value in received.headers.items() if name.lower() not in {"host", "content-length"}
        }
        return loopback.Answer(doors[0].post(TRANSACTIONAL, content=received.body, headers=kept).status_code)

    with loopback.answering(proxy) as public:
        url = f"{public.url}{TRANSACTIONAL}"
        doors.append(open_door(transactional_webhook_keys=[KEY], transactional_webhook_urls=[url]))
        esp = start(mandrill_webhook_url=url, mandrill_webhook_key=KEY)
        message = {
            "to": [{"email": "p@hard.test"}],
            "from_email": "news@shop.example.com",
            "text": "hello",
            "metadata": {"message_id": "run.0", "attempt_id": "a"},
        }
        answer = esp.client.post("/mandrill/api/1.0/messages/send.json", json={"key": SANDBOX_KEY, "message": message})
        assert answer.json()[0]["status"] == "sent"
        eventually(lambda: esp.summary()["events_due"] == 0)
    bodies = [body for provider, body in stored(engine) if provider == "mailchimp-transactional"]
    events = [event for body in bodies for event in TransactionalEvents().parse(body)]
    assert {(event.kind, event.message_id) for event in events} == {
        (EventKind.PROCESSED, "run.0"),
        (EventKind.BOUNCED, "run.0"),
    }
