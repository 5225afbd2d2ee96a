"""What every Mailer that speaks HTTP must do, over a faked wire: httpx's MockTransport, and real sockets that misbehave.

An adapter's test file subclasses MailerContract and fills the four hooks, whether its ESP answers once for a request or
for each recipient in it; pytest then runs everything here for it.
"""

import logging
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from domain import ports
from domain.campaigns import Sender
from domain.ledger import Outcome, OutcomeKind
from domain.routes import Grant, Route
from domain.suppression import Stream
from domain.templates import Content, html_tag, plain_tag
from tests.providers import loopback

SECRET = "SG.a-key-that-must-never-be-seen"

# shared/DESIGN.md section 4: status → what is known, and whether the provider must be stopped.
ANSWERS = {
    400: (OutcomeKind.REJECTED, False),
    413: (OutcomeKind.REJECTED, False),
    422: (OutcomeKind.REJECTED, False),
    401: (OutcomeKind.NOT_SENT, True),
    403: (OutcomeKind.NOT_SENT, True),
    429: (OutcomeKind.NOT_SENT, False),
    408: (OutcomeKind.UNKNOWN, False),
    500: (OutcomeKind.UNKNOWN, False),
    502: (OutcomeKind.UNKNOWN, False),
    503: (OutcomeKind.UNKNOWN, False),
    504: (OutcomeKind.UNKNOWN, False),
    599: (OutcomeKind.UNKNOWN, False),
}
BROKEN = {
    httpx.ConnectError: OutcomeKind.NOT_SENT,
    httpx.ConnectTimeout: OutcomeKind.NOT_SENT,
    httpx.PoolTimeout: OutcomeKind.NOT_SENT,
    httpx.ReadTimeout: OutcomeKind.UNKNOWN,
    httpx.WriteTimeout: OutcomeKind.UNKNOWN,
    httpx.ReadError: OutcomeKind.UNKNOWN,
    httpx.WriteError: OutcomeKind.UNKNOWN,
    httpx.RemoteProtocolError: OutcomeKind.UNKNOWN,
    RuntimeError: OutcomeKind.UNKNOWN,
}
_ROUTE = Route("esp", "shop", Stream.MARKETING, "esp", "esp-marketing", "shop.example.com")


def a_batch(size: int = 3, **changes: Any) -> ports.Batch:
    """A batch as the ledger hands it over."""
    content = Content(
        name="spring",
        subject=f"Spring for {plain_tag('first_name')}",
        html=f"<p>Hello {html_tag('first_name')}</p><a href='{html_tag('unsubscribe_url')}'>no more</a>",
        text=f"Hello {plain_tag('first_name')}\n{plain_tag('unsubscribe_url')}",
        variables=("first_name", "unsubscribe_url"),
        hash="0" * 64,
    )
    values: dict[str, Any] = {
        "run_id": "run1",
        "batch_id": 7,
        "attempt_id": "attempt-1",
        "lease_expires_at": datetime(2100, 1, 1, tzinfo=UTC),
        "campaign": "Spring sale",
        "content": content,
        "sender": Sender("news@shop.example.com", "The Shop", "help@shop.example.com"),
        "message_ids": [f"run1.{number}" for number in range(size)],
        "addresses": [f"person{number}@customers.example.com" for number in range(size)],
        "variables": {"first_name": [f"Person {number}" for number in range(size)]},
        "unsubscribe_urls": [f"https://shop.example.com/unsubscribe/{number}.1.tag" for number in range(size)],
        "grant": Grant("g", 7, _ROUTE, "mixed", size, {}),
    }
    return ports.Batch(**(values | changes))


class MailerContract(ABC):
    """Subclass it as `TestSomethingMailer`."""

    @abstractmethod
    def mailer_over(self, wire: httpx.BaseTransport) -> ports.Mailer:
        """A mailer with SECRET as its key whose requests go to `wire`."""

    @abstractmethod
    def mailer_at(self, url: str, *, read_timeout: float = loopback.PATIENCE) -> ports.Mailer:
        """A mailer with SECRET as its key, opened as in production, for a server at `url`; it has a close()."""

    @abstractmethod
    def accepted(self, request: httpx.Request) -> httpx.Response:
        """What the ESP answers when it takes all of this request."""

    @abstractmethod
    def refused(self, status: int, text: str) -> httpx.Response:
        """What the ESP answers when it does not; `text` is its reason."""

    def over(self, answer: Callable[[httpx.Request], httpx.Response]) -> tuple[ports.Mailer, list[httpx.Request]]:
        seen: list[httpx.Request] = []

        def wire(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return answer(request)

        return self.mailer_over(httpx.MockTransport(wire)), seen

    def _taken(self, received: loopback.Received) -> loopback.Answer:
        request = httpx.Request(received.method, f"http://esp{received.target}", content=received.body)
        response = self.accepted(request)
        return loopback.Answer(response.status_code, response.content, {"X-Message-Id": "reference"})

    def send_to(self, url: str, **settings: Any) -> Outcome:
        with closing(self.mailer_at(url, **settings)) as mailer:
            return mailer.send(a_batch())

    def test_a_batch_is_accepted_with_one_request(self) -> None:
        mailer, seen = self.over(self.accepted)
        outcome = mailer.send(a_batch())
        assert outcome.kind is OutcomeKind.ACCEPTED
        assert not outcome.exceptions
        assert not outcome.stop_provider
        assert len(seen) == 1

    def test_one_mail_has_a_reference_at_the_esp(self) -> None:
        mailer, _ = self.over(self.accepted)
        assert mailer.send(a_batch(1)).provider_reference

    @pytest.mark.parametrize("status", ANSWERS)
    def test_an_answer_has_one_meaning_and_no_second_try(self, status: int) -> None:
        mailer, seen = self.over(lambda _: self.refused(status, "because"))
        outcome = mailer.send(a_batch())
        assert (outcome.kind, outcome.stop_provider) == ANSWERS[status]
        assert outcome.status == status
        assert str(status) in outcome.detail
        assert len(seen) == 1

    @pytest.mark.parametrize("status", [429, 502, 503])
    def test_an_answer_without_a_body_or_with_a_page_is_read_all_the_same(self, status: int) -> None:
        for body in (b"", b"<html><h1>Bad gateway</h1></html>", b"[1]", b'{"errors": 5}', b"\xff\xfe"):
            mailer, _ = self.over(lambda _, body=body: httpx.Response(status, content=body))
            assert mailer.send(a_batch()).kind is ANSWERS[status][0]

    @pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("0", 1), ("86400", 3600), ("soon", None)])
    def test_too_many_requests_says_when_to_come_back(self, header: str, seconds: int | None) -> None:
        mailer, _ = self.over(lambda _: httpx.Response(429, headers={"Retry-After": header}))
        wait = mailer.send(a_batch()).retry_after
        assert wait == (None if seconds is None else timedelta(seconds=seconds))

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_never_followed_nor_taken_for_success(self, status: int) -> None:
        mailer, seen = self.over(
            lambda _: httpx.Response(status, headers={"Location": "https://elsewhere.example.com/"})
        )
        outcome = mailer.send(a_batch())
        assert outcome.kind in {OutcomeKind.NOT_SENT, OutcomeKind.UNKNOWN}
        assert len(seen) == 1

    @pytest.mark.parametrize("error", BROKEN)
    def test_a_broken_wire_has_one_meaning_and_no_second_try(self, error: type[Exception]) -> None:
        def fail(_: httpx.Request) -> httpx.Response:
            raise error("could not reach person0@customers.example.com")

        mailer, seen = self.over(fail)
        outcome = mailer.send(a_batch())
        assert outcome.kind is BROKEN[error]
        assert outcome.detail == error.__name__
        assert len(seen) == 1

    def test_a_refused_connection_is_not_sent(self) -> None:
        outcome = self.send_to(f"http://127.0.0.1:{loopback.closed_port()}")
        assert outcome.kind is OutcomeKind.NOT_SENT
        assert outcome.detail == "ConnectError from ConnectionRefusedError"

    def test_a_server_that_reads_all_and_hangs_up_leaves_it_unknown(self) -> None:
        with loopback.on_each_connection(lambda _connection, _body: None) as server:
            outcome = self.send_to(server.url)
        assert outcome.kind is OutcomeKind.UNKNOWN
        assert len(server.requests) == 1

    def test_a_server_that_cuts_its_answer_leaves_it_unknown(self) -> None:
        def half(connection: socket.socket, _body: bytes) -> None:
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nhalf")

        with loopback.on_each_connection(half) as server:
            outcome = self.send_to(server.url)
        assert outcome.kind is OutcomeKind.UNKNOWN
        assert len(server.requests) == 1

    def test_a_server_that_never_answers_leaves_it_unknown(self) -> None:
        over = threading.Event()
        with loopback.on_each_connection(lambda _connection, _body: over.wait(loopback.PATIENCE)) as server:
            outcome = self.send_to(server.url, read_timeout=0.2)
            over.set()
        assert outcome.kind is OutcomeKind.UNKNOWN
        assert outcome.detail.startswith("ReadTimeout")
        assert len(server.requests) == 1

    def test_the_key_is_in_the_request_and_nowhere_else(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        with loopback.answering(self._taken) as server, closing(self.mailer_at(server.url)) as mailer:
            assert mailer.send(a_batch()).kind is OutcomeKind.ACCEPTED
        assert SECRET in str(server.requests[0])
        assert caplog.records  # else the silence proves nothing
        assert SECRET not in caplog.text
        assert "customers.example.com" not in caplog.text
        assert SECRET not in repr(mailer) + str(vars(mailer))

    def test_no_address_comes_back_in_the_detail(self) -> None:
        text = "the address Person1@customers.example.com (person2@customers.example.com, odd name@x) is unusable"
        mailer, _ = self.over(lambda _: self.refused(400, text))
        detail = mailer.send(a_batch()).detail
        assert "@" not in detail
        assert "person2" not in detail
        assert "is unusable" in detail

    def test_what_it_can_do_is_said_as_data(self) -> None:
        mailer, _ = self.over(self.accepted)
        assert mailer.capabilities.batch_size >= 1
        assert mailer.capabilities.concurrency >= 1
