"""A real Postfix: what it refuses at once, what it sends back, and the way of a return path there and home again."""

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from domain import ledger, ports
from domain.delivery import BounceClass, DeliveryEvent, EventKind
from domain.ledger import Outcome, OutcomeKind
from providers.smtp import trace
from providers.smtp.config import ReturnsConfig
from providers.smtp.listener import Listener
from providers.smtp.mailer import open_mailer
from tests.conftest import LINK_KEY
from tests.providers import loopback
from tests.providers.smtp import postfix, relayed, returned, sink
from tests.providers.smtp.postfix import Postfix
from tests.providers.smtp.sink import Sink

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(postfix.missing() is not None, reason=f"NOT PROVED HERE: {postfix.missing()}"),
]
K, E = OutcomeKind, EventKind
PATIENCE = 40.0
HARD, SOFT, BLOCK = BounceClass.HARD, BounceClass.SOFT, BounceClass.BLOCK


@dataclass
class Home:
    """Our listener, as `campaigns returns listen` runs it, and what came."""

    came: list[bytes] = field(default_factory=list)
    port: int = 0

    def keep(self, body: bytes, recipients: Collection[str]) -> None:
        self.came.append(trace.stamped(body, by="test", at=datetime.now(UTC), recipients=recipients))

    def events(self) -> list[DeliveryEvent]:
        found = [one for body in list(self.came) for one in returned.reader().parse(body)]
        assert all(isinstance(one, DeliveryEvent) for one in found)
        return [one for one in found if isinstance(one, DeliveryEvent)]

    def event(self, kind: EventKind, message_id: str) -> DeliveryEvent:
        """The event of that kind about that message, as soon as it is here."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for one in self.events():
                if (one.kind, one.message_id) == (kind, message_id):
                    return one
            time.sleep(0.1)
        raise AssertionError(f"no {kind} of {message_id}: {[(one.kind, one.message_id) for one in self.events()]}")


@contextmanager
def listening() -> Iterator[Home]:
    home = Home()
    config = ReturnsConfig(addresses=[relayed.MAILBOX], listen_port=0)
    with Listener(config, home.keep) as server:
        home.port = server.port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield home
        finally:
            server.shutdown()
            thread.join(PATIENCE)


@dataclass
class World:
    relay: Postfix
    home: Home
    far: Sink  # the server of a mailbox provider, behind the relay


def far_away(stage: str, who: str) -> str | None:
    """What the mailbox provider says to the relay."""
    said = {
        ("RCPT", "gone@far.example.com"): "550 5.1.1 <gone@far.example.com>: no such user here",
        ("RCPT", "full@far.example.com"): "552 5.2.2 mailbox full",
        ("DOT", "blocked@far.example.com"): "550 5.7.1 message rejected as spam",
        ("RCPT", "later@far.example.com"): "451 4.3.0 try again later",
    }
    return said.get((stage, who))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with sink.running(Sink(far_away, ("PIPELINING", "8BITMIME"))) as far, listening() as home:
        transports = {
            "far.example.com": f"smtp:[127.0.0.1]:{far.port}",
            "gone.example.com": "error:5.1.1 no such user",
            "slow.example.com": "retry:4.4.1 host does not answer",
            "away.example.com": f"smtp:[127.0.0.1]:{loopback.closed_port()}",
            "good.example.com": "discard:",
            "bounce.shop.example.com": f"smtp:[127.0.0.1]:{home.port}",
        }
        with postfix.running(transports) as relay:
            yield World(relay, home, far)


def send(world: World, batch: ports.Batch, *, plain: bool = False, **changes: object) -> list[Outcome]:
    config = relayed.settings_for(world.relay.plain if plain else world.relay.port, **changes)
    with closing(open_mailer(config, link_key=LINK_KEY)) as mailer:
        return relayed.each(mailer.send(batch), batch)


def batch_to(run_id: str, *addresses: str) -> ports.Batch:
    ids = [f"{run_id}.{number}" for number in range(len(addresses))]
    return relayed.a_batch(len(addresses), run_id=run_id, message_ids=ids, addresses=addresses)


def assert_names(event: DeliveryEvent, message_id: str) -> None:
    """The event is about that message by our own signature, and shows no address."""
    assert (event.message_id, event.attempt_id) == (message_id, ledger.own_attempt(relayed.ATTEMPT, message_id))
    assert event.address is None
    assert "@" not in (event.detail or "")


@pytest.mark.parametrize("plain", [False, True], ids=["pipelining", "one by one"])
def test_what_postfix_refuses_at_once_is_that_recipients_own_matter(world: World, plain: bool) -> None:
    batch = batch_to(
        f"sync{plain:d}",
        "known@local.example.com",
        "nobody@local.example.com",
        "someone@good.example.com",
        "nobody@gone.example.com",
        "nobody@elsewhere.example.com",
        "someone@slow.example.com",
    )
    found = send(world, batch, plain=plain)
    assert [one.kind for one in found] == [K.ACCEPTED, K.REJECTED, K.ACCEPTED, K.REJECTED, K.REJECTED, K.NOT_SENT]
    assert [one.detail for one in found if one.kind is not K.ACCEPTED] == [
        "550 5.1.1 <[address]>: Recipient address rejected: User unknown in local recipient table (to RCPT)",
        "550 5.1.1 <[address]>: Recipient address rejected: no such user (to RCPT)",
        "550 5.4.4 <[address]>: Recipient address rejected: this relay knows no such host (to RCPT)",
        "450 4.4.1 <[address]>: Recipient address rejected: host does not answer (to RCPT)",
    ]


def test_a_mail_that_is_too_large_is_refused_by_postfix_and_not_even_begun_where_it_says_its_limit(
    world: World,
) -> None:
    large = {"variables": {"first_name": ["A", "B" * 300_000, "C"]}, "content": relayed.text_only()}
    for plain, status in ((True, 552), (False, None)):
        changes = {"addresses": [f"a{number}@good.example.com" for number in range(3)], **large}
        found = send(world, relayed.a_batch(3, **changes), plain=plain)
        assert [one.kind for one in found] == [K.ACCEPTED, K.REJECTED, K.ACCEPTED]
        assert (found[1].status, found[1].local) == (status, not plain)


@pytest.mark.parametrize(
    ("run_id", "address", "bounce_class", "suppresses"),
    [
        ("hard", "gone@far.example.com", HARD, "hard_bounce"),
        ("full", "full@far.example.com", SOFT, None),
        ("block", "blocked@far.example.com", BLOCK, None),
    ],
)
def test_what_comes_back_later_names_the_message(
    world: World, run_id: str, address: str, bounce_class: BounceClass, suppresses: str | None
) -> None:
    batch = batch_to(run_id, "first@good.example.com", address, "last@good.example.com")
    assert {one.kind for one in send(world, batch)} == {K.ACCEPTED}
    event = world.home.event(E.BOUNCED, f"{run_id}.1")
    assert (event.bounce_class, event.suppresses) == (bounce_class, suppresses)
    assert_names(event, f"{run_id}.1")
    assert not [one for one in world.home.events() if one.message_id in {f"{run_id}.0", f"{run_id}.2"}]


@pytest.mark.parametrize(("run_id", "address"), [("away", "a@away.example.com"), ("later", "later@far.example.com")])
def test_a_delay_is_told_and_then_that_it_was_given_up(world: World, run_id: str, address: str) -> None:
    assert send(world, batch_to(run_id, address, "other@good.example.com"))[0].kind is K.ACCEPTED
    delayed = world.home.event(E.DEFERRED, f"{run_id}.0")
    assert_names(delayed, f"{run_id}.0")
    assert (delayed.bounce_class, delayed.suppresses) == (None, None)
    given_up = world.home.event(E.BOUNCED, f"{run_id}.0")
    assert_names(given_up, f"{run_id}.0")
    assert given_up.suppresses is None


def test_success_is_told_where_it_was_asked_for(world: World) -> None:
    batch = batch_to("good", "a@far.example.com", "b@good.example.com")
    assert {one.kind for one in send(world, batch, dsn_notify=["success", "failure"])} == {K.ACCEPTED}
    for number in (0, 1):
        assert_names(world.home.event(E.DELIVERED, f"good.{number}"), f"good.{number}")


def test_the_mail_that_arrives_behind_the_relay_is_the_mail_that_was_written(world: World) -> None:
    batch = batch_to("whole", "reader@far.example.com")
    send(world, batch)
    deadline = time.monotonic() + PATIENCE
    while not (arrived := [mail for _, who, mail in world.far.taken if who == "reader@far.example.com"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (mail,) = arrived
    for header in (
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        b"Feedback-ID: whole:",
        b"Message-ID: <whole.0.",
    ):
        assert b"\r\n" + header in mail
    sender = next(path for path, who, _ in world.far.taken if who == "reader@far.example.com")
    assert sender.startswith("returns+whole.0.")


def test_many_mails_over_one_connection_are_each_taken_once(world: World) -> None:
    addresses = [f"person{number}@good.example.com" for number in range(100)]
    found = send(world, batch_to("many", *addresses))
    assert {one.kind for one in found} == {K.ACCEPTED}
    log = world.relay.log()
    queued = [line for line in log.splitlines() if "message-id=<many." in line]
    assert len(queued) == len({line.partition("message-id=")[2] for line in queued}) == 100
