"""SendGrid's mailer: the contract of all mailers, and what is SendGrid's own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from domain import ports
from domain.ledger import Outcome, OutcomeKind
from providers import batch_checks
from providers.sendgrid import mailer
from providers.sendgrid.config import SendGridConfig, SendGridNotConfigured
from tests.providers import loopback
from tests.providers.contract import SECRET, MailerContract, a_batch
from tests.providers.transactional_contract import Delivered, TransactionalContract

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def over(answer: httpx.Response, **settings: object) -> tuple[mailer.SendGridMailer, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def wire(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer

    client = httpx.Client(transport=httpx.MockTransport(wire), base_url="https://api.sendgrid.com")
    return mailer.SendGridMailer(client, SendGridConfig(**settings), clock=lambda: NOW), seen


class TestSendGridMailer(MailerContract):
    def mailer_over(self, wire: httpx.BaseTransport) -> ports.Mailer:
        config = SendGridConfig(api_key=SecretStr(SECRET))
        client = httpx.Client(transport=wire, base_url=config.base_url, headers={"Authorization": f"Bearer {SECRET}"})
        return mailer.SendGridMailer(client, config)

    def mailer_at(self, url: str, *, read_timeout: float = loopback.PATIENCE) -> ports.Mailer:
        config = SendGridConfig(api_key=SecretStr(SECRET), base_url=url, read_timeout_seconds=read_timeout)
        return mailer.open_mailer(config)

    def accepted(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(202, headers={"X-Message-Id": "bYZVjtokTq6dM7vuDzth8g"})

    def refused(self, status: int, text: str) -> httpx.Response:
        return httpx.Response(
            status, json={"errors": [{"message": text, "field": "personalizations.0.to", "help": None}]}
        )


class TestTransactionalMail(TransactionalContract):
    def handed_over(self, batch: ports.Batch) -> tuple[Outcome, Delivered | None]:
        mail, seen = over(httpx.Response(202), asm_group_id=15)
        outcome = mail.send(batch)
        if not seen:
            return outcome, None
        (request,) = seen
        told = orjson.loads(request.content)
        (personal,) = told["personalizations"]
        text, html = (_filled(part["value"], personal) for part in told["content"])
        headers = told.get("headers", {}) | personal.get("headers", {})
        return outcome, Delivered(told["subject"], text, html, headers, request.content.decode())


def _filled(text: str, personal: dict[str, Any]) -> str:
    """As SendGrid does it."""
    for tag, value in personal.get("substitutions", {}).items():
        text = text.replace(tag, value)
    return text


def test_the_reference_is_the_message_id_of_the_request():
    mail, seen = over(httpx.Response(202, headers={"X-Message-Id": "bYZVjtokTq6dM7vuDzth8g"}))
    assert mail.send(a_batch()).provider_reference == "bYZVjtokTq6dM7vuDzth8g"
    assert str(seen[0].url) == "https://api.sendgrid.com/v3/mail/send"
    assert seen[0].headers["Content-Type"] == "application/json"


def test_the_vendors_sandbox_mode_answers_200_and_makes_no_events():
    mail, seen = over(httpx.Response(200), validate_only=True)
    assert mail.send(a_batch()).kind is OutcomeKind.ACCEPTED
    assert orjson.loads(seen[0].content)["mail_settings"] == {"sandbox_mode": {"enable": True}}
    assert not mail.capabilities.events
    assert over(httpx.Response(200))[0].capabilities == ports.Capabilities(1000, 8, True, True, schedules=True)


def test_a_refusal_keeps_the_vendors_words_and_the_field():
    answer = {"errors": [{"message": "Does not contain a valid address.", "field": "personalizations.2.to.0.email"}]}
    mail, _ = over(httpx.Response(400, json=answer))
    detail = mail.send(a_batch()).detail
    assert detail == "HTTP 400: Does not contain a valid address. (personalizations.2.to.0.email)"


@pytest.mark.parametrize("status", [404, 405, 415])
def test_a_wrong_url_costs_no_mail(status):
    outcome = over(httpx.Response(status))[0].send(a_batch())
    assert outcome.kind is OutcomeKind.NOT_SENT
    assert outcome.stop_provider


@pytest.mark.parametrize(
    ("status", "kind", "stop"),
    [
        (301, OutcomeKind.NOT_SENT, True),
        (307, OutcomeKind.NOT_SENT, True),
        (308, OutcomeKind.NOT_SENT, True),
        (302, OutcomeKind.UNKNOWN, False),
        (303, OutcomeKind.UNKNOWN, False),
        (201, OutcomeKind.UNKNOWN, False),
        (204, OutcomeKind.UNKNOWN, False),
    ],
)
def test_answers_that_sendgrid_never_gives(status, kind, stop):
    outcome = over(httpx.Response(status))[0].send(a_batch())
    assert (outcome.kind, outcome.stop_provider) == (kind, stop)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"X-RateLimit-Reset": str(int(NOW.timestamp()) + 42)}, timedelta(seconds=42)),
        ({"X-RateLimit-Reset": str(int(NOW.timestamp()) - 42)}, timedelta(seconds=1)),
        ({"X-RateLimit-Reset": "4102444800"}, timedelta(hours=1)),
        ({"X-RateLimit-Reset": "60"}, None),
        ({"X-RateLimit-Reset": "never"}, None),
        ({"X-RateLimit-Reset": str(int(NOW.timestamp()) + 42), "Retry-After": "5"}, timedelta(seconds=5)),
        ({"Retry-After": "Sun, 22 Nov 2026 09:00:30 GMT"}, timedelta(seconds=30)),
        ({}, None),
    ],
)
def test_the_rate_limit_says_when_it_ends(headers, wait):
    assert over(httpx.Response(429, headers=headers))[0].send(a_batch()).retry_after == wait


def test_one_recipients_unusable_data_is_a_refusal_that_the_ledger_halves():
    mail, seen = over(httpx.Response(202))
    batch = a_batch(variables={"first_name": ["Ann", "Bob\r\nBcc: all@example.com", "Cid"]})
    outcome = mail.send(batch)
    assert outcome.kind is OutcomeKind.REJECTED
    assert outcome.local
    assert "first_name" in outcome.detail
    assert "Bob" not in outcome.detail
    assert not seen


def test_a_faulty_batch_raises_before_anything_is_sent():
    mail, seen = over(httpx.Response(202))
    with pytest.raises(batch_checks.PayloadError, match="1001"):
        mail.send(a_batch(1001))
    assert not seen


def test_a_fault_of_our_own_sends_nothing_and_tells_no_value(monkeypatch):
    def broken(*_: object) -> bytes:
        raise KeyError("person0@customers.example.com")

    monkeypatch.setattr(mailer.payload, "build", broken)
    mail, seen = over(httpx.Response(202))
    with pytest.raises(ports.Unsendable, match=r"could not be built \(KeyError\); nothing was sent") as caught:
        mail.send(a_batch())
    assert "example.com" not in str(caught.value)
    assert not seen


def test_a_batch_that_could_not_be_called_back_any_more_is_not_sent():
    mail, seen = over(httpx.Response(202))
    ten = timedelta(minutes=10)
    late = mail.send(a_batch(schedule_id="id", send_at=NOW + ten))
    assert (late.kind, late.stop_provider, late.local) == (OutcomeKind.NOT_SENT, False, True)
    assert not seen
    assert mail.send(a_batch(schedule_id="id", send_at=NOW + ten + timedelta(seconds=1))).kind is OutcomeKind.ACCEPTED
    assert mail.send(a_batch(send_at=NOW)).kind is OutcomeKind.ACCEPTED  # nobody means to call this one back


@pytest.mark.parametrize(
    ("slept", "changes"),
    [
        (timedelta(minutes=2), {"lease_expires_at": NOW + timedelta(minutes=2)}),
        (timedelta(minutes=1), {"schedule_id": "id", "send_at": NOW + timedelta(minutes=11)}),
    ],
    ids=["past its lease", "past the time to call it back"],
)
def test_a_worker_that_sleeps_while_it_builds_the_request_does_not_begin_it(monkeypatch, slept, changes):
    mail, seen = over(httpx.Response(202))
    build, clock = mailer.payload.build, [NOW]
    mail._clock = lambda: clock[0]

    def slow(batch, config):
        clock[0] += slept
        return build(batch, config)

    monkeypatch.setattr(mailer.payload, "build", slow)
    outcome = mail.send(a_batch(**changes))
    assert (outcome.kind, outcome.local) == (OutcomeKind.NOT_SENT, True)
    assert not seen


def test_mail_is_not_kept_longer_than_three_days():
    mail, seen = over(httpx.Response(202))
    with pytest.raises(batch_checks.PayloadError, match="72 hours"):
        mail.send(a_batch(send_at=NOW + timedelta(hours=72, seconds=1)))
    assert not seen


@pytest.mark.parametrize("key", [None, "", "  ", "SG.with a blank", "SG.ключ", "SG.\nInjected: 1"])
def test_without_a_usable_key_it_does_not_open(key):
    config = SendGridConfig(api_key=None if key is None else SecretStr(key))
    with pytest.raises(SendGridNotConfigured, match="OMS_SENDGRID_API_KEY") as caught:
        mailer.open_mailer(config)
    assert not key or not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize("url", ["api.sendgrid.com", "ftp://api.sendgrid.com", "https://", "https://x:port"])
def test_without_a_usable_url_it_does_not_open(url):
    with pytest.raises(SendGridNotConfigured, match="OMS_SENDGRID_BASE_URL"):
        mailer.open_mailer(SendGridConfig(api_key=SecretStr("SG.key"), base_url=url))
