"""The sandbox as an SMTP relay, under our own mailer, with our own door for the mail that comes back."""

import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from domain import ledger, ports
from domain.delivery import BounceClass, DeliveryEvent, EventKind
from domain.ledger import Outcome, OutcomeKind
from domain.suppression import Reason
from providers.smtp.config import ReturnsConfig
from providers.smtp.listener import Listener
from providers.smtp.mailer import open_mailer
from providers.smtp.returns import ReturnedMail
from providers.smtp.session import TryAgain
from tests.conftest import LINK_KEY
from tests.providers import loopback
from tests.providers.smtp.relayed import ATTEMPT, MAILBOX, a_batch, settings_for
from tests.providers.smtp.returned import reader

LEAVING = "unsubscribe@shop.example.com"


@dataclass
class Returns:
    """Our door for mail that comes back, and what it took."""

    port: int
    bodies: list[bytes] = field(default_factory=list)
    busy: bool = False

    def events(self) -> list[DeliveryEvent]:
        understood: ReturnedMail = reader()
        found = [event for body in self.bodies for event in understood.parse(body)]
        assert all(isinstance(event, DeliveryEvent) for event in found)
        return [event for event in found if isinstance(event, DeliveryEvent)]


@pytest.fixture
def returns() -> Iterator[Returns]:
    kept = Returns(0)

    def keep(body: bytes, *_more: Any) -> Any:
        if kept.busy:
            raise TryAgain("the store is away")
        kept.bodies.append(body)

    listener = Listener(ReturnsConfig(addresses=[MAILBOX], unsubscribe_addresses=[LEAVING], listen_port=0), keep)
    kept.port = listener.port
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield kept
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture
def relay(start, returns) -> Any:
    """A sandbox that relays, and the port where it does."""
    port = loopback.closed_port()
    esp = start(smtp_port=port, smtp_returns_port=returns.port, webhook_retry_seconds=0.05)
    esp.smtp_port = port
    return esp


def send(relay: Any, batch: ports.Batch, **settings: Any) -> Outcome:
    with closing(open_mailer(settings_for(relay.smtp_port, **settings), link_key=LINK_KEY)) as mailer:
        return mailer.send(batch)


def to(*addresses: str, **changes: Any) -> ports.Batch:
    return a_batch(len(addresses), addresses=list(addresses), **changes)


def accepted(relay: Any) -> dict[str, int]:
    found: dict[str, int] = relay.client.get("/sandbox/accepted", params={"run": "run1"}).json()
    return found


def turn(relay: Any, **knobs: Any) -> None:
    relay.client.put("/sandbox/faults", json=knobs).raise_for_status()


def settle(relay: Any, eventually: Callable[..., Any]) -> None:
    eventually(lambda: relay.summary()["events_due"] == 0)


def test_bounces_and_complaints_come_back_to_the_message(relay, returns, eventually):
    domains = ["delivered", "hard", "soft", "block", "complaint", "unsubscribe"]
    asked = {"unsubscribe_mailbox": LEAVING, "dsn_notify": ["success", "failure", "delay"]}
    outcome = send(relay, to(*(f"p@{domain}.test" for domain in domains)), **asked)
    assert (outcome.kind, outcome.exceptions) == (OutcomeKind.ACCEPTED, {})
    assert accepted(relay) == {f"run1.{number}": 1 for number in range(6)}
    settle(relay, eventually)
    told: dict[str, list[tuple[EventKind, Any]]] = {}
    for event in returns.events():
        assert event.message_id is not None
        domain = domains[int(event.message_id.rpartition(".")[2])]
        told.setdefault(domain, []).append((event.kind, event.bounce_class or event.suppresses))
    delivered = (EventKind.DELIVERED, None)
    assert {domain: set(events) for domain, events in told.items()} == {
        "delivered": {delivered},
        "hard": {(EventKind.BOUNCED, BounceClass.HARD)},
        "soft": {(EventKind.BOUNCED, BounceClass.SOFT)},
        "block": {(EventKind.BOUNCED, BounceClass.BLOCK)},
        "complaint": {delivered, (EventKind.COMPLAINED, Reason.COMPLAINT)},
        "unsubscribe": {delivered, (EventKind.UNSUBSCRIBED, Reason.UNSUBSCRIBE)},
    }


def test_a_bounce_names_the_attempt_that_the_mail_went_with(relay, returns, eventually):
    send(relay, to("p@hard.test", "q@hard.test"))
    settle(relay, eventually)
    bounced = {event for event in returns.events() if event.kind is EventKind.BOUNCED}
    assert {event.attempt_id for event in bounced} == {
        ledger.own_attempt(ATTEMPT, f"run1.{number}") for number in range(2)
    }
    assert all(event.detail and "@" not in event.detail for event in bounced)


def test_a_delay_is_told_before_the_delivery(relay, returns, eventually):
    send(relay, to("p@deferred.test"))
    settle(relay, eventually)
    assert {event.kind for event in returns.events()} == {EventKind.DEFERRED}


@pytest.mark.parametrize(
    ("domain", "kind"),
    [
        ("refuse", OutcomeKind.REJECTED),
        ("policy", OutcomeKind.REJECTED),
        ("invalid", OutcomeKind.REJECTED),
        ("spam", OutcomeKind.REJECTED),
        ("later", OutcomeKind.NOT_SENT),
        ("full", OutcomeKind.NOT_SENT),
        ("busy", OutcomeKind.NOT_SENT),
    ],
)
def test_some_are_refused_at_once_and_their_neighbours_are_not(relay, domain, kind):
    outcome = send(relay, to("a@delivered.test", f"p@{domain}.test", "b@delivered.test"))
    assert outcome.exceptions["run1.1"].kind is kind
    assert {name for name, one in outcome.exceptions.items() if one.kind is not OutcomeKind.ACCEPTED} == {"run1.1"}
    assert accepted(relay) == {"run1.0": 1, "run1.2": 1}


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data", "text", "dot", "accepted"])
@pytest.mark.parametrize("pipelining", [True, False])
def test_wherever_the_relay_hangs_up_nothing_is_sent_twice_and_nothing_is_said_that_is_not_so(relay, stage, pipelining):
    turn(relay, smtp_at=stage, smtp_next_n=1)
    batch = to(*(f"p{number}@delivered.test" for number in range(4)))
    outcome = send(relay, batch, pipelining=pipelining)
    fared = {one: outcome.exceptions.get(one, outcome).kind for one in batch.message_ids}
    took = accepted(relay)
    assert set(took.values()) <= {1}
    for message_id, kind in fared.items():
        if kind is OutcomeKind.ACCEPTED:
            assert message_id in took
        elif kind in {OutcomeKind.NOT_SENT, OutcomeKind.REJECTED}:
            assert message_id not in took
    assert set(fared.values()) != {OutcomeKind.ACCEPTED}, "the cut was met"
    if stage == "accepted":
        assert OutcomeKind.UNKNOWN in fared.values()


def test_a_reply_that_nobody_looked_for(relay):
    turn(relay, smtp_at="mail", smtp_does="421 4.3.2 closing for maintenance")
    assert send(relay, to("p@delivered.test")).kind is OutcomeKind.NOT_SENT
    assert accepted(relay) == {}


def test_reports_wait_for_a_door_that_is_busy(relay, returns, eventually):
    returns.busy = True
    send(relay, to("p@hard.test"))
    eventually(lambda: relay.summary()["events_posted"] > 0 or relay.summary()["events_due"] > 0)
    assert returns.bodies == []
    returns.busy = False
    settle(relay, eventually)
    assert {event.kind for event in returns.events()} == {EventKind.BOUNCED}


def test_a_mail_of_anybody_is_taken_under_a_name_of_the_relays_own(relay):
    with smtplib.SMTP("127.0.0.1", relay.smtp_port, timeout=10) as client:
        assert client.ehlo()[0] == 250
        assert client.has_extn("dsn")
        client.sendmail(
            "a@example.com", ["b@delivered.test", "c@delivered.test"], "Subject: hi\r\n\r\n.dots\r\n..two\r\n"
        )
        assert client.docmd("TURN")[0] == 502
        assert client.docmd("RCPT TO:<x@delivered.test>")[0] == 503
        assert client.docmd("MAIL", "nonsense")[0] == 501
        assert client.docmd("DATA")[0] == 554
    assert relay.summary()["accepted"] == 1  # the second is a copy


def test_sendgrids_own_arguments_name_the_message_too(relay):
    mail = 'X-SMTPAPI: {"unique_args": {"message_id": "run1.7", "attempt_id": "a"}}\r\nSubject: hi\r\n\r\nhello\r\n'
    with smtplib.SMTP("127.0.0.1", relay.smtp_port, timeout=10) as client:
        client.sendmail("a@example.com", ["b@delivered.test"], mail)
    assert accepted(relay) == {"run1.7": 1}


def test_without_a_port_no_mail_is_taken(start):
    esp = start()
    assert esp.client.get("/health").json() == {"status": "ok"}
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", loopback.closed_port())):
        pass
