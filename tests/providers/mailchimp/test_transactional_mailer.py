"""Transactional's mailer: the contract of all mailers, and what is Transactional's own."""

from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest
from pydantic import SecretStr

from domain import ports
from domain.ledger import Outcome, OutcomeKind
from providers import batch_checks
from providers.mailchimp import transactional_mailer
from providers.mailchimp.config import MailchimpConfig, MailchimpNotConfigured
from tests.providers import loopback
from tests.providers.contract import SECRET, MailerContract, a_batch
from tests.providers.mailchimp.transactional import BASE, NOW, config, error, over, results, taken
from tests.providers.transactional_contract import Delivered, TransactionalContract

NAMES = {400: "ValidationError", 401: "Invalid_Key", 422: "ValidationError", 429: "RequestLimitExceeded"}


class TestTransactionalMailer(MailerContract):
    def mailer_over(self, wire: httpx.BaseTransport) -> ports.Mailer:
        return transactional_mailer.TransactionalMailer(httpx.Client(transport=wire, base_url=BASE), config())

    def mailer_at(self, url: str, *, read_timeout: float = loopback.PATIENCE) -> ports.Mailer:
        return transactional_mailer.open_mailer(
            config(transactional_base_url=f"{url}/api/1.0", read_timeout_seconds=read_timeout)
        )

    def accepted(self, request: httpx.Request) -> httpx.Response:
        return taken(request)

    def refused(self, status: int, text: str) -> httpx.Response:
        return error(status, NAMES.get(status, "GeneralError"), text)


class TestTransactionalMail(TransactionalContract):
    def handed_over(self, batch: ports.Batch) -> tuple[Outcome, Delivered | None]:
        mail, seen = over(taken)
        outcome = mail.send(batch)
        if not seen:
            return outcome, None
        (told,) = seen
        message = told["message"]
        found = Delivered(
            message["subject"], message["text"], message["html"], message["headers"], orjson.dumps(told).decode()
        )
        return outcome, found


@pytest.mark.parametrize("status", ["sent", "queued", "scheduled"])
def test_each_of_three_words_says_that_a_mail_was_taken(status):
    mail, _ = over(lambda request: httpx.Response(200, json=results(request.content, status)))
    outcome = mail.send(a_batch(1))
    assert (outcome.kind, outcome.provider_reference) == (OutcomeKind.ACCEPTED, "0" * 32)


def test_a_200_with_mixed_results_is_read_one_by_one():
    def answer(request: httpx.Request) -> httpx.Response:
        mixed = {
            "person1": {"status": "rejected", "reject_reason": "hard-bounce"},
            "person2": {"status": "invalid", "reject_reason": "invalid"},
            "person3": None,
            "person4": {"status": "pondered"},
            "person5": {"email": "PERSON5@Customers.Example.com"},
        }
        return httpx.Response(200, json=results(request.content, **mixed))

    mail, _ = over(answer)
    outcome = mail.send(a_batch(6))
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert {name: (one.kind, one.detail) for name, one in outcome.exceptions.items()} == {
        "run1.1": (OutcomeKind.REJECTED, "rejected: hard-bounce; the address is on the account's denylist"),
        "run1.2": (OutcomeKind.REJECTED, "invalid"),
        "run1.3": (OutcomeKind.UNKNOWN, "HTTP 200: the answer does not name this recipient"),
        "run1.4": (OutcomeKind.UNKNOWN, "HTTP 200: the status pondered"),
    }


@pytest.mark.parametrize("reason", ["hard-bounce", "soft-bounce", "spam", "unsub", "custom"])
def test_a_refusal_that_stands_at_mailchimp_is_told_as_one(reason):
    own = {"person0": {"status": "rejected", "reject_reason": reason}}
    mail, _ = over(lambda request: httpx.Response(200, json=results(request.content, **own)))
    outcome = mail.send(a_batch(1))
    assert (outcome.kind, outcome.exceptions) == (OutcomeKind.REJECTED, {})
    assert outcome.detail == f"rejected: {reason}; the address is on the account's denylist"


@pytest.mark.parametrize("reason", ["unsigned", "invalid-sender", "test-mode-limit"])
def test_a_refusal_of_which_the_sender_is_the_cause_costs_no_mail(reason):
    own = {"person1": {"status": "rejected", "reject_reason": reason}}
    mail, _ = over(lambda request: httpx.Response(200, json=results(request.content, **own)))
    outcome = mail.send(a_batch(2))
    assert (outcome.stop_provider, outcome.detail) == (True, f"rejected: {reason}")
    assert outcome.exceptions["run1.1"].kind is OutcomeKind.NOT_SENT
    all_alike = {f"person{number}": own["person1"] for number in range(2)}
    mail, _ = over(lambda request: httpx.Response(200, json=results(request.content, **all_alike)))
    whole = mail.send(a_batch(2))
    assert (whole.kind, whole.stop_provider, whole.exceptions) == (OutcomeKind.NOT_SENT, True, {})
    assert whole.detail == f"rejected: {reason}"


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"<html>", b"[", b'{"status": "sent"}'])
def test_a_200_that_is_no_list_of_results_leaves_it_unknown(body):
    mail, _ = over(lambda _: httpx.Response(200, content=body))
    assert mail.send(a_batch(2)).kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("body", [b"[]", b"[5]", b"[{}]"])
def test_results_that_name_nobody_leave_all_unknown(body):
    mail, _ = over(lambda _: httpx.Response(200, content=body))
    outcome = mail.send(a_batch(2))
    assert (outcome.kind, outcome.exceptions) == (OutcomeKind.UNKNOWN, {})


@pytest.mark.parametrize(
    ("status", "name", "kind", "stop"),
    [
        (401, "Invalid_Key", OutcomeKind.NOT_SENT, True),
        (500, "Invalid_Key", OutcomeKind.NOT_SENT, True),
        (402, "PaymentRequired", OutcomeKind.NOT_SENT, True),
        (500, "PaymentRequired", OutcomeKind.NOT_SENT, True),
        (404, "Unknown_Subaccount", OutcomeKind.NOT_SENT, True),
        (404, "Unknown_Template", OutcomeKind.NOT_SENT, True),
        (500, "Unknown_Template", OutcomeKind.NOT_SENT, True),
        (500, "PoorReputation", OutcomeKind.NOT_SENT, True),
        (429, "RequestLimitExceeded", OutcomeKind.NOT_SENT, False),
        (422, "ValidationError", OutcomeKind.REJECTED, False),
        (500, "ValidationError", OutcomeKind.REJECTED, False),
        (500, "GeneralError", OutcomeKind.UNKNOWN, False),
        (500, "ServiceUnavailable", OutcomeKind.UNKNOWN, False),
        (500, "SomethingNew", OutcomeKind.UNKNOWN, False),
        (502, "Invalid_Key", OutcomeKind.UNKNOWN, False),
        (503, "ValidationError", OutcomeKind.UNKNOWN, False),
        (418, "SomethingNew", OutcomeKind.UNKNOWN, False),
        (402, "SomethingNew", OutcomeKind.NOT_SENT, True),
    ],
)
def test_an_error_has_a_name_which_counts_where_mailchimp_itself_speaks(status, name, kind, stop):
    mail, seen = over(lambda _: error(status, name))
    outcome = mail.send(a_batch(1))
    assert (outcome.kind, outcome.stop_provider) == (kind, stop)
    assert outcome.detail == f"HTTP {status}: {name}: because"
    assert len(seen) == 1


def test_what_it_can_do():
    assert over(taken)[0].capabilities == ports.Capabilities(1000, 16, True, True)
    alone = transactional_mailer.TransactionalMailer(httpx.Client(), MailchimpConfig())
    assert alone.capabilities.batch_size == 1


def test_one_recipients_unusable_data_is_a_refusal_that_the_ledger_halves():
    mail, seen = over(taken)
    outcome = mail.send(a_batch(variables={"first_name": ["Ann", "Bob\r\nBcc: all@example.com", "Cid"]}))
    assert (outcome.kind, outcome.local) == (OutcomeKind.REJECTED, True)
    assert "Bob" not in outcome.detail
    assert mail.send(a_batch(1, variables={"first_name": ["\ud800"]})).local
    assert not seen


def test_a_faulty_batch_raises_before_anything_is_sent():
    mail, seen = over(taken, transactional_batch_size=2)
    with pytest.raises(batch_checks.PayloadError, match="this batch has 3"):
        mail.send(a_batch(3))
    assert not seen


def test_a_worker_that_slept_past_its_lease_does_not_begin():
    mail, seen = over(taken)
    outcome = mail.send(a_batch(lease_expires_at=NOW))
    assert (outcome.kind, outcome.local) == (OutcomeKind.NOT_SENT, True)
    assert mail.send(a_batch(lease_expires_at=NOW + timedelta(seconds=1))).kind is OutcomeKind.ACCEPTED
    assert len(seen) == 1


def test_a_time_to_send_is_written_as_the_vendor_reads_it():
    mail, seen = over(taken)
    mail.send(a_batch(send_at=datetime(2026, 12, 24, 18, 5, 9, tzinfo=UTC), pool="marketing"))
    assert (seen[0]["send_at"], seen[0]["ip_pool"]) == ("2026-12-24 18:05:09", "marketing")


@pytest.mark.parametrize("key", [None, "", "  ", "a key", "ключ"])
def test_without_a_usable_key_it_does_not_open(key):
    chosen = MailchimpConfig(transactional_api_key=None if key is None else SecretStr(key))
    with pytest.raises(MailchimpNotConfigured, match="OMS_MAILCHIMP_TRANSACTIONAL_API_KEY") as caught:
        transactional_mailer.open_mailer(chosen)
    assert not key or not key.strip() or key not in str(caught.value)


def test_the_key_stands_in_nothing_that_is_shown():
    with loopback.answering(lambda _: loopback.Answer(500, b"{}")) as server:
        mail = transactional_mailer.open_mailer(config(transactional_base_url=server.url))
        outcome = mail.send(a_batch())
        assert SECRET in server.requests[0].body.decode()
        mail.close()
    assert SECRET not in repr(outcome) + repr(mail) + str(vars(mail)) + repr(mail._config)
