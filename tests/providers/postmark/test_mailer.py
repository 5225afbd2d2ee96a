"""Postmark's mailer: the contract of all mailers, its own answers, and its published contract."""

import dataclasses
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from openapi_core.exceptions import OpenAPIError
from pydantic import SecretStr

from domain import ports
from domain.campaigns import Sender
from domain.ledger import Outcome, OutcomeKind
from providers import batch_checks
from providers.postmark import mailer
from providers.postmark.config import PostmarkConfig, PostmarkNotConfigured
from tests.providers import loopback
from tests.providers.contract import SECRET, MailerContract, a_batch
from tests.providers.transactional_contract import Delivered, TransactionalContract, a_transactional_batch
from tests.providers.vendor_api import VendorApi, postmark

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def config(**settings: Any) -> PostmarkConfig:
    return PostmarkConfig(server_token=SecretStr(SECRET), **{"batch_size": 500, **settings})


def answers(body: bytes, **codes: int) -> list[dict[str, Any]]:
    """One a mail, in their order; `codes` by the part before the @."""
    told = []
    for position, mail in enumerate(orjson.loads(body)):
        code = codes.get(mail["To"].partition("@")[0], 0)
        taken = {"To": mail["To"], "MessageID": f"id-{position}", "SubmittedAt": "2026-11-22T09:00:00.1234567Z"}
        told.append(
            {"ErrorCode": code, "Message": "OK" if code == 0 else f"not {mail['To']}"} | (taken if not code else {})
        )
    return told


def taken(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=answers(request.content))


def over(answer: Callable[[httpx.Request], httpx.Response]) -> tuple[mailer.PostmarkMailer, list[Any]]:
    seen: list[Any] = []

    def wire(request: httpx.Request) -> httpx.Response:
        seen.append(orjson.loads(request.content))
        return answer(request)

    client = httpx.Client(transport=httpx.MockTransport(wire), base_url="https://api.postmarkapp.com")
    return mailer.PostmarkMailer(client, config(), clock=lambda: NOW), seen


class TestPostmarkMailer(MailerContract):
    def mailer_over(self, wire: httpx.BaseTransport) -> ports.Mailer:
        client = httpx.Client(transport=wire, base_url="https://api.postmarkapp.com")
        return mailer.PostmarkMailer(client, config())

    def mailer_at(self, url: str, *, read_timeout: float = loopback.PATIENCE) -> ports.Mailer:
        return mailer.open_mailer(config(base_url=url, read_timeout_seconds=read_timeout))

    def accepted(self, request: httpx.Request) -> httpx.Response:
        return taken(request)

    def refused(self, status: int, text: str) -> httpx.Response:
        return httpx.Response(status, json={"ErrorCode": 300, "Message": text})


def test_each_mail_has_an_answer_of_its_own():
    codes = {"person1": 406, "person2": 300, "person3": 9999, "person4": 429}
    mail, _ = over(lambda request: httpx.Response(200, json=answers(request.content, **codes)))
    outcome = mail.send(a_batch(6))
    assert outcome.kind is OutcomeKind.ACCEPTED
    kinds = {name: one.kind for name, one in outcome.exceptions.items()}
    assert kinds == {
        "run1.1": OutcomeKind.REJECTED,
        "run1.2": OutcomeKind.REJECTED,
        "run1.3": OutcomeKind.UNKNOWN,
        "run1.4": OutcomeKind.NOT_SENT,
    }
    assert all("@" not in one.detail for one in outcome.exceptions.values())


@pytest.mark.parametrize("code", [10, 400, 401, 405, 412, 413])
def test_a_fault_of_the_account_costs_no_mail(code):
    mail, _ = over(lambda _: httpx.Response(422, json={"ErrorCode": code, "Message": "no"}))
    outcome = mail.send(a_batch(2))
    assert (outcome.kind, outcome.stop_provider, outcome.detail) == (OutcomeKind.NOT_SENT, True, f"HTTP 422: {code} no")
    of_each, _ = over(lambda request: httpx.Response(200, json=answers(request.content, person0=code, person1=code)))
    whole = of_each.send(a_batch(2))
    assert (whole.kind, whole.stop_provider, whole.exceptions) == (OutcomeKind.NOT_SENT, True, {})
    assert whole.detail.startswith(f"{code}: not ")


def test_what_stops_us_is_told_beside_what_was_taken_or_refused():
    mail, _ = over(lambda request: httpx.Response(200, json=answers(request.content, person1=405)))
    some = mail.send(a_batch(3))
    assert (some.kind, some.stop_provider, list(some.exceptions)) == (OutcomeKind.ACCEPTED, True, ["run1.1"])
    assert some.detail.startswith("405: not ")
    codes = {"person0": 406, "person1": 405, "person2": 9999}
    mail, _ = over(lambda request: httpx.Response(200, json=answers(request.content, **codes)))
    none = mail.send(a_batch(3))
    assert (none.kind, none.detail[:4]) == (OutcomeKind.NOT_SENT, "405:")
    kinds = {name: one.kind for name, one in none.exceptions.items()}
    assert kinds == {"run1.0": OutcomeKind.REJECTED, "run1.2": OutcomeKind.UNKNOWN}


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'[{"ErrorCode": 0}]', b"null"])
def test_a_200_without_an_answer_for_each_leaves_it_unknown(body):
    mail, _ = over(lambda _: httpx.Response(200, content=body))
    assert mail.send(a_batch(2)).kind is OutcomeKind.UNKNOWN


def test_each_mail_is_whole_and_no_value_is_filled_in_turn():
    mail, seen = over(taken)
    values = ["<b>&", "[%unsubscribe_url%]", "李"]
    mail.send(a_batch(variables={"first_name": values}, sender=Sender("news@shop.example.com", 'The "Shop"', None)))
    first, second, third = seen[0]
    assert first["Subject"] == "Spring for <b>&"
    assert first["HtmlBody"].startswith("<p>Hello &lt;b&gt;&amp;</p>")
    assert second["TextBody"] == "Hello [%unsubscribe_url%]\nhttps://shop.example.com/unsubscribe/1.1.tag"
    assert third["Metadata"] == {"message_id": "run1.2", "attempt_id": "attempt-1"}
    assert first["From"] == '"The \\"Shop\\"" <news@shop.example.com>'
    assert first["Headers"][0] == {
        "Name": "List-Unsubscribe",
        "Value": "<https://shop.example.com/unsubscribe/0.1.tag>",
    }


class TestTransactionalMail(TransactionalContract):
    def handed_over(self, batch: ports.Batch) -> tuple[Outcome, Delivered | None]:
        mail, seen = over(taken)
        outcome = mail.send(batch)
        if not seen:
            return outcome, None
        ((told,),) = seen
        headers = {one["Name"]: one["Value"] for one in told.get("Headers", ())}
        found = Delivered(told["Subject"], told["TextBody"], told["HtmlBody"], headers, orjson.dumps(told).decode())
        return outcome, found


def test_transactional_mail_goes_by_its_own_stream_and_no_link_is_followed():
    mail, seen = over(taken)
    for batch in (a_transactional_batch(pool="receipts"), a_transactional_batch(), a_batch(1)):
        mail.send(batch)
    receipt, plain, news = (body[0] for body in seen)
    assert (receipt["MessageStream"], plain["MessageStream"], news["MessageStream"]) == (
        "receipts",
        "outbound",
        "broadcast",
    )
    assert (receipt["TrackOpens"], receipt["TrackLinks"]) == (False, "None")
    assert (news["TrackOpens"], news["TrackLinks"]) == (True, "HtmlOnly")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"send_at": NOW}, "scheduled"),
        ({"message_ids": ["m" * 81, "b", "c"]}, "80 characters"),
        ({"variables": {"first_name": ["one"]}}, "1 values"),
        ({"content": dataclasses.replace(a_batch().content, esp_template_id="x")}, "templates"),
        ({"content": dataclasses.replace(a_batch().content, subject=" ")}, "no subject"),
    ],
)
def test_a_faulty_batch_is_refused(changes, words):
    with pytest.raises(batch_checks.PayloadError, match=words):
        over(taken)[0].send(a_batch(**changes))


@pytest.mark.parametrize("address", ["a@example.com, b@example.com", "", '"a" <a@example.com>', "a@example.com\n"])
def test_nobodys_address_becomes_two(address):
    mail, seen = over(taken)
    outcome = mail.send(a_batch(1, addresses=[address]))
    assert (outcome.kind, outcome.local, seen) == (OutcomeKind.REJECTED, True, [])


def test_a_worker_that_slept_past_its_lease_does_not_begin():
    mail, seen = over(taken)
    assert mail.send(a_batch(lease_expires_at=NOW - timedelta(seconds=1))).local
    assert not seen


@pytest.mark.parametrize("token", [None, " ", "a token"])
def test_without_a_usable_token_it_does_not_open(token):
    with pytest.raises(PostmarkNotConfigured, match="OMS_POSTMARK_SERVER_TOKEN"):
        mailer.open_mailer(PostmarkConfig(server_token=None if token is None else SecretStr(token)))


@pytest.fixture(scope="module")
def api() -> VendorApi:
    return postmark()


@pytest.mark.parametrize(
    "batch",
    [
        a_batch(1),
        a_batch(500),
        a_batch(pool="outbound"),
        a_batch(sender=Sender("news@shop.example.com", "Möbel 🌷", "help@shop.example.com")),
        a_transactional_batch(),
        a_transactional_batch(pool="receipts"),
    ],
)
def test_each_kind_of_request_is_as_the_vendor_wrote(api, batch):
    def answer(received: loopback.Received) -> loopback.Answer:
        return loopback.Answer(200, orjson.dumps(answers(received.body)), {"Content-Type": "application/json"})

    with loopback.answering(answer) as server, closing(mailer.open_mailer(config(base_url=server.url))) as mail:
        assert mail.send(batch).kind is OutcomeKind.ACCEPTED
        received = server.requests[0]
    api.judge(received)
    api.judge_answer(received, answer(received))
    for spoilt in ({"Tracklinks": "HtmlOnly"}, {"TrackOpens": "yes"}, {"TrackLinks": "All"}):
        mails = [orjson.loads(received.body)[0] | spoilt]
        with pytest.raises(OpenAPIError):
            api.judge(dataclasses.replace(received, body=orjson.dumps(mails)))
