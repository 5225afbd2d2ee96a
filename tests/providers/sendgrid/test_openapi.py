"""Every kind of request that we make, as it came over a real wire, against SendGrid's published contract.

The judge is openapi-core, which knows nothing of us; tests/payloads/sendgrid/README.md says where the document is from.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_core.exceptions import OpenAPIError
from pydantic import SecretStr

from domain import ports
from domain.campaigns import Sender
from domain.ledger import OutcomeKind
from domain.templates import html_tag, plain_tag
from providers.sendgrid import mailer
from providers.sendgrid.config import SendGridConfig
from providers.sendgrid.management import Management
from providers.sendgrid.suppressions import SendGridSuppressions
from tests.providers import loopback
from tests.providers.contract import SECRET, a_batch
from tests.providers.transactional_contract import a_transactional_batch
from tests.providers.vendor_api import VendorApi, sendgrid_mail

ERROR = {"errors": [{"message": "The subject is required.", "field": "subject", "help": {}}], "id": "x"}


@pytest.fixture(scope="module")
def contract() -> VendorApi:
    return sendgrid_mail()


@pytest.fixture(scope="module")
def server() -> Iterator[loopback.Server]:
    """Takes everything, as SendGrid does: 202, an empty body, a message id."""
    accepted = loopback.Answer(202, headers={"X-Message-Id": "bYZVjtokTq6dM7vuDzth8g"})
    with loopback.answering(lambda _: accepted) as server:
        yield server


def sent(server: loopback.Server, batch: ports.Batch, **config: Any) -> loopback.Received:
    chosen = SendGridConfig(api_key=SecretStr(SECRET), base_url=server.url, **config)
    with closing(mailer.open_mailer(chosen)) as mail:
        assert mail.send(batch).kind is OutcomeKind.ACCEPTED
    return server.requests[-1]


def content(**changes: Any) -> Any:
    return dataclasses.replace(a_batch().content, **changes)


@pytest.mark.parametrize(
    ("batch", "config"),
    [
        (a_batch(1), {}),
        (a_batch(1000), {}),
        (a_batch(content=content(html="")), {}),
        (a_batch(content=content(text="")), {}),
        (a_batch(content=content(subject="Hello", html="", text="Hello", variables=())), {}),
        (a_batch(content=content(esp_template_id="d-4ad23ad40a0e47d0a0232b85f24ca5c2", subject="Spring")), {}),
        (a_batch(content=content(esp_template_id="d-1", subject="", html="", text="")), {}),
        (a_batch(1000, content=content(esp_template_id="d-1", subject="Spring")), {"validate_only": True}),
        (a_batch(), {"asm_group_id": 15}),
        (a_batch(), {"validate_only": True}),
        (a_batch(pool="marketing", send_at=datetime.now(UTC) + timedelta(hours=48), schedule_id="YmF0Y2g_-1"), {}),
        (a_batch(), {"asm_group_id": 1, "validate_only": True}),
        (a_transactional_batch(), {"asm_group_id": 1}),
        (a_transactional_batch(pool="receipts"), {"validate_only": True}),
        (a_batch(campaign="Frühling – 春"), {}),
        (a_batch(campaign="x" * 400), {}),
        (a_batch(sender=Sender("news@shop.example.com", "Möbel Müller 🌷")), {}),
        (a_batch(variables={"first_name": ["Zoë", "李", "O'Brien <&> 🌷"]}), {}),
        (a_batch(addresses=["zoë@example.com", "b@bücher.example", "c@example.com"]), {}),
    ],
)
def test_each_kind_of_request_is_as_the_vendor_wrote(contract, server, batch, config):
    received = sent(server, batch, **config)
    contract.judge(received)
    contract.judge_answer(received, loopback.Answer(202))


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), max_size=30)


@st.composite
def batches(draw: st.DrawFn) -> ports.Batch:
    size = draw(st.integers(1, 6))
    names = draw(st.lists(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), max_size=4, unique=True))
    subject = draw(TEXT.filter(str.strip)) + "".join(plain_tag(name) for name in names[:2])
    return a_batch(
        size,
        campaign=draw(TEXT),
        sender=Sender("news@shop.example.com", draw(TEXT), draw(st.none() | st.just("help@shop.example.com"))),
        content=content(
            subject=subject,
            text=draw(TEXT) + "".join(map(plain_tag, names)),
            html=f"<p>{draw(TEXT)}{''.join(map(html_tag, names))}</p>",
            variables=tuple(names),
        ),
        variables={name: draw(st.lists(TEXT, min_size=size, max_size=size)) for name in names},
    )


@settings(max_examples=50, deadline=None)
@given(batch=batches(), group=st.none() | st.integers(1, 10**6), validate_only=st.booleans())
def test_any_batch_makes_a_request_as_the_vendor_wrote(contract, server, batch, group, validate_only):
    received = sent(server, batch, asm_group_id=group, validate_only=validate_only)
    contract.judge(received)
    people = orjson.loads(received.body)["personalizations"]
    assert [person["custom_args"]["message_id"] for person in people] == list(batch.message_ids)


def without(*path: Any) -> Any:
    def spoil(body: Any) -> None:
        for step in path[:-1]:
            body = body[step]
        del body[path[-1]]

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        without("subject"),
        without("content"),
        without("from"),
        without("personalizations", 0, "to"),
        lambda body: body.update(subject=""),
        lambda body: body.update(subject=5),
        lambda body: body["personalizations"][0]["to"][0].update(email="no address"),  # format
        lambda body: body["from"].update(email="no address"),
        lambda body: body.update(categories=["x" * 256]),  # maxLength
        lambda body: body.update(categories=["x", "x"]),  # uniqueItems
        lambda body: body.update(categories=[str(n) for n in range(11)]),  # maxItems
        lambda body: body.update(personalizations=body["personalizations"] * 334),
        lambda body: body["personalizations"][0].update(custom_args="text"),
        lambda body: body["content"][0].update(value=""),  # minLength
        lambda body: body.update(asm={"group_id": "15"}),
        lambda body: body.update(asm={}),
        lambda body: body["tracking_settings"]["open_tracking"].update(enable="yes"),
    ],
)
def test_the_judge_bites(contract, server, spoil):
    received = sent(server, a_batch())
    body = orjson.loads(received.body)
    spoil(body)
    with pytest.raises(OpenAPIError):
        contract.judge(dataclasses.replace(received, body=orjson.dumps(body)))


def test_the_judge_wants_the_key(contract, server):
    received = sent(server, a_batch())
    headers = {name: value for name, value in received.headers.items() if name != "Authorization"}
    with pytest.raises(OpenAPIError):
        contract.judge(dataclasses.replace(received, headers=headers))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, OutcomeKind.REJECTED),
        (413, OutcomeKind.REJECTED),
        (404, OutcomeKind.NOT_SENT),
        (401, OutcomeKind.NOT_SENT),
        (403, OutcomeKind.NOT_SENT),
        (500, OutcomeKind.UNKNOWN),
    ],
)
def test_the_errors_that_we_read_are_as_the_vendor_wrote(contract, status, kind):
    body = orjson.dumps(ERROR)
    answer = loopback.Answer(status, body, {"Content-Type": "application/json"})
    with loopback.answering(lambda _: answer) as refusing:
        config = SendGridConfig(api_key=SecretStr(SECRET), base_url=refusing.url)
        with closing(mailer.open_mailer(config)) as mail:
            outcome = mail.send(a_batch())
    assert outcome.kind is kind
    assert outcome.detail == f"HTTP {status}: The subject is required. (subject)"
    contract.judge_answer(refusing.requests[0], answer)


def test_the_suppression_lists_are_asked_and_read_as_the_vendor_wrote(contract):
    row = {"created": 1443651141, "email": "ann@example.com"}
    rows = {
        "/v3/suppression/bounces": [row | {"reason": "550 5.1.1 unknown", "status": "5.1.1"}],
        "/v3/suppression/invalid_emails": [row | {"reason": "Mail domain mentioned in email address is unknown"}],
        "/v3/suppression/spam_reports": [row | {"ip": "192.0.2.1"}],
        "/v3/suppression/unsubscribes": [row],
        "/v3/suppression/blocks": [row | {"reason": "550 5.7.1 blocked", "status": "5.7.1"}],
    }

    def answer(request: loopback.Received) -> loopback.Answer:
        return loopback.Answer(200, orjson.dumps(rows[urlsplit(request.target).path]))

    with loopback.answering(answer) as listing:
        source = SendGridSuppressions(Management(SendGridConfig(api_key=SecretStr(SECRET), base_url=listing.url)))
        listed = list(source.suppressions(datetime(2015, 1, 1, tzinfo=UTC), datetime(2016, 1, 1, tzinfo=UTC)))
    assert len(listed) == len(rows) == len(listing.requests)
    for received in listing.requests:
        contract.judge(received)
        contract.judge_answer(received, answer(received))
