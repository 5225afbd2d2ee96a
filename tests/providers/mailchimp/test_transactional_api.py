"""Every kind of request to Transactional, as it came over a real wire, against the vendor's published document."""

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import ports
from domain.campaigns import Sender
from domain.ledger import OutcomeKind
from domain.suppression import Scope
from domain.templates import html_tag, plain_tag
from providers.mailchimp import inquiry, transactional_mailer
from providers.mailchimp.suppressions import TransactionalSuppressions
from tests.providers import loopback
from tests.providers.contract import a_batch
from tests.providers.mailchimp.transactional import config, results
from tests.providers.transactional_contract import a_transactional_batch
from tests.providers.vendor_api import VendorApi, mailchimp_transactional


@pytest.fixture(scope="module")
def api() -> VendorApi:
    return mailchimp_transactional()


@pytest.fixture(scope="module")
def server() -> Iterator[loopback.Server]:
    """Takes all mail, finds nothing, has an empty denylist."""

    def answer(received: loopback.Received) -> loopback.Answer:
        told = results(received.body) if "/send" in received.target else []
        return loopback.Answer(200, orjson.dumps(told), {"Content-Type": "application/json"})

    with loopback.answering(answer) as server:
        yield server


def sent(server: loopback.Server, batch: ports.Batch, **settings: Any) -> loopback.Received:
    chosen = config(transactional_base_url=f"{server.url}/api/1.0", **settings)
    with closing(transactional_mailer.open_mailer(chosen)) as mail:
        assert mail.send(batch).kind is OutcomeKind.ACCEPTED
    return server.requests[-1]


def content(**changes: Any) -> Any:
    return dataclasses.replace(a_batch().content, **changes)


@pytest.mark.parametrize(
    ("batch", "settings"),
    [
        (a_batch(1), {}),
        (a_batch(1000), {}),
        (a_transactional_batch(), {}),
        (a_transactional_batch(pool="receipts"), {"transactional_subaccount": "shop"}),
        (a_batch(1), {"transactional_batch_size": 1}),
        (a_batch(content=content(html="")), {}),
        (a_batch(content=content(text="")), {}),
        (a_batch(content=content(subject="Hello", html="", text="Hello", variables=())), {}),
        (a_batch(content=content(esp_template_id="spring-sale", subject="", html="", text="")), {}),
        (a_batch(1000, content=content(esp_template_id="spring-sale", subject="Spring")), {}),
        (a_batch(), {"transactional_subaccount": "shop"}),
        (a_batch(pool="marketing", send_at=datetime.now(UTC) + timedelta(days=2)), {}),
        (a_batch(campaign="Frühling – 春" + "x" * 400), {}),
        (a_batch(sender=Sender("news@shop.example.com", "Möbel Müller 🌷")), {}),
        (a_batch(sender=Sender("news@shop.example.com", "", None)), {}),
        (a_batch(variables={"first_name": ["Zoë", "李", "O'Brien <&> 🌷"]}), {}),
    ],
)
def test_each_kind_of_mail_is_as_the_vendor_wrote(api, server, batch, settings):
    received = sent(server, batch, **settings)
    api.judge(received)
    api.judge_answer(received, loopback.Answer(200, orjson.dumps(results(received.body))))


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029*"), max_size=30)


@st.composite
def batches(draw: st.DrawFn) -> ports.Batch:
    size = draw(st.integers(1, 6))
    names = draw(st.lists(st.from_regex(r"[a-z][a-z_]{0,7}", fullmatch=True), max_size=4, unique=True))
    return a_batch(
        size,
        campaign=draw(TEXT),
        sender=Sender("news@shop.example.com", draw(TEXT), draw(st.none() | st.just("help@shop.example.com"))),
        content=content(
            subject=draw(TEXT.filter(str.strip)) + "".join(plain_tag(name) for name in names[:2]),
            text=draw(TEXT) + "".join(map(plain_tag, names)),
            html=f"<p>{draw(TEXT)}{''.join(map(html_tag, names))}</p>",
            variables=tuple(names),
        ),
        variables={name: draw(st.lists(TEXT, min_size=size, max_size=size)) for name in names},
    )


@settings(max_examples=50, deadline=None)
@given(batch=batches())
def test_any_batch_makes_a_request_as_the_vendor_wrote(api, server, batch):
    received = sent(server, batch)
    api.judge(received)
    own = orjson.loads(received.body)["message"]["recipient_metadata"]
    assert [one["values"]["message_id"] for one in own] == list(batch.message_ids)


def test_look_ups_are_as_the_vendor_wrote(api, server):
    chosen = config(transactional_base_url=f"{server.url}/api/1.0", transactional_lookup=True)
    claimed = datetime(2026, 11, 22, 9, tzinfo=UTC)
    attempt = ports.UnknownAttempt("a1", "run1", claimed, None, None, "a2")
    before = len(server.requests)
    with closing(inquiry.open_inquirer(chosen)) as inquirer:
        inquirer.inquire(attempt, now=claimed + timedelta(hours=1))
    assert len(server.requests) == before + 2
    for received in server.requests[before:]:
        api.judge(received)


def test_the_denylist_is_asked_and_written_as_the_vendor_wrote(api, server):
    lists = TransactionalSuppressions(config(transactional_base_url=f"{server.url}/api/1.0"))
    before = len(server.requests)
    now = datetime.now(UTC)
    list(lists.suppressions(now, now))
    listing = lists.list_for(Scope.ALL)
    assert listing is not None
    lists.put(listing, ["ann@example.com"])
    lists.take_off(listing, "ann@example.com")
    asked = server.requests[before:]
    assert [one.target.rpartition("/")[2] for one in asked] == ["list.json", "add.json", "delete.json"]
    for received in asked:
        api.judge(received)
