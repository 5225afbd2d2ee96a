"""Test messages, from the hand-over over the ESP to a mailbox that is read by IMAP: all on loopback."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa

import settings
from data import database, seeds, tables
from domain.campaigns import Sender
from domain.delivery import DeliveryEvent, EventKind
from domain.preflight import Light, Line
from domain.routes import Route
from domain.suppression import Stream
from domain.templates import Content, html_tag, plain_tag
from tasks import trial_mail, wiring
from tasks.trial_mail import NotInternal
from tests.conftest import LINK_KEY, PEPPER
from tests.providers import loopback
from tests.providers.loopback import Answer, Received
from tests.providers.smtp import sink
from tests.providers.smtp.sink import Sink
from tests.tasks import imap_server
from tests.tasks.imap_server import Folders

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

NOW = datetime(2100, 1, 1, tzinfo=UTC)  # the mailbox is behind, so the mail arrives at once
MAILBOX = "qa@staff.example.com"
WAY = Route("news", "shop", Stream.MARKETING, "sandbox", "news", "shop.example.com")
CONTENT = Content(
    name="spring",
    subject=f"Spring for {plain_tag('first_name')}",
    html=f"<p>Hello {html_tag('first_name')}</p><a href='{html_tag('unsubscribe_url')}'>no more</a>",
    text=f"Hello {plain_tag('first_name')}\n{plain_tag('unsubscribe_url')}",
    variables=("first_name",),
    hash="0" * 64,
)
_HEAD = (
    "Received: from o1.em.shop.example.com (o1.em.shop.example.com [149.72.120.7]) by mx.google.com with ESMTPS id 1"
    " (version=TLS1_3); Sun, 22 Nov 2026 09:00:05 +0000\r\n"
    "Authentication-Results: mx.google.com; dkim=pass header.i=@shop.example.com; spf=pass"
    " smtp.mailfrom=em.shop.example.com; dmarc=pass header.from=shop.example.com\r\n"
    "DKIM-Signature: v=1; d=shop.example.com; s=s1; h=from:list-unsubscribe:list-unsubscribe-post; b=x\r\n"
    "From: news@shop.example.com\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
)


class Esp:
    """Takes mail as SendGrid does, and puts what it took into the mailbox, its long link folded."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.bodies: list[dict] = []
        self.status = 202
        self.delivers = True

    def answer(self, request: Received) -> Answer:
        body = orjson.loads(request.body)
        self.bodies.append(body)
        if self.status == 202 and self.delivers:
            self.folders.put(b"Subject: another mail\r\n\r\nx")
            for one in body["personalizations"]:
                link = one["headers"]["List-Unsubscribe"]
                self.folders.put(f"{_HEAD}List-Unsubscribe: {link[:70]}\r\n {link[70:]}\r\n\r\nbody".encode())
        return Answer(self.status, b"{}")


@pytest.fixture
def esp(
    engine: sa.Engine, account_id: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Esp]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(wiring, "clock", lambda: NOW)
    folders = Folders()
    folders.put(b"Subject: an old mail\r\n\r\nx")
    found = Esp(folders)
    with loopback.answering(found.answer) as server, imap_server.serving(folders) as port:
        for name, value in {
            "OMS_ACCOUNT": account_id,
            "OMS_DATABASE_URL": database_url,
            "OMS_PRIVACY_PEPPER": PEPPER,
            "OMS_PRIVACY_LINK_KEY": LINK_KEY,
            "OMS_GATEWAY_PUBLIC_URL": "https://mail.shop.example.com",
            "OMS_SANDBOX_PORT": server.url.rpartition(":")[2],
            "OMS_PREFLIGHT_MAILBOXES": json.dumps([MAILBOX]),
            "OMS_PREFLIGHT_WAIT_SECONDS": "0",
            "OMS_PREFLIGHT_IMAP_HOST": "127.0.0.1",
            "OMS_PREFLIGHT_IMAP_PORT": str(port),
            "OMS_PREFLIGHT_IMAP_SECURITY": "none",
            "OMS_PREFLIGHT_IMAP_USER": "qa",
            "OMS_PREFLIGHT_IMAP_PASSWORD": "secret",
        }.items():
            monkeypatch.setenv(name, value)
        settings.load.cache_clear()
        yield found
    settings.load.cache_clear()


def _run(*addresses: str) -> list[Line]:
    sender = Sender("news@shop.example.com", "The Shop")
    return trial_mail.run(sender, CONTENT, {"first_name": "[their first name]"}, [WAY], addresses or (MAILBOX,))


def test_a_test_message_is_followed_into_its_folder(esp: Esp, engine: sa.Engine) -> None:
    lines = _run()
    (body,) = esp.bodies
    assert body["personalizations"][0]["to"] == [{"email": MAILBOX}]
    assert body["personalizations"][0]["substitutions"][plain_tag("first_name")] == "[their first name]"
    told = {line.found: line.light for line in lines}
    assert told["sandbox took it, from shop.example.com"] is Light.GREEN
    assert told["no event came of it within 0 s"] is Light.GREY
    assert told["DKIM: mx.google.com says pass for shop.example.com"] is Light.GREEN
    assert told["both headers arrived, inside a DKIM signature"] is Light.GREEN
    assert told["it arrived within 0 s of the hand-over"] is Light.GREEN
    assert told["it lies in INBOX"] is Light.GREEN
    assert "staff" not in str(lines)
    assert not any(one.flags for one in esp.folders.inbox.values()), "nothing in the mailbox is changed"
    with database.read(engine) as connection:
        (row,) = connection.execute(sa.select(tables.seed_messages)).all()
    assert row.outcome == "accepted"


@pytest.mark.parametrize("reports", [False, True])
def test_what_a_relay_never_tells_is_not_waited_for(
    esp: Esp, monkeypatch: pytest.MonkeyPatch, *, reports: bool
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("tasks.trial_mail.time.sleep", pauses.append)
    relay = dataclasses.replace(WAY, provider="smtp")
    with sink.running(Sink()) as taking:
        for name, value in {
            "OMS_SMTP_HOST": "127.0.0.1",
            "OMS_SMTP_PORT": str(taking.port),
            "OMS_SMTP_SECURITY": "none",
            "OMS_PREFLIGHT_WAIT_SECONDS": "0.02" if reports else "600",
            "OMS_PREFLIGHT_IMAP_HOST": "",
            **({"OMS_SMTP_DSN_NOTIFY": '["success"]'} if reports else {}),
        }.items():
            monkeypatch.setenv(name, value)
        settings.load.cache_clear()
        lines = trial_mail.run(Sender("news@shop.example.com", "The Shop"), CONTENT, {}, [relay], [MAILBOX])
    assert len(taking.taken) == 1
    told = [line for line in lines if "a relay tells what it does not deliver" in line.found]
    if reports:
        assert (bool(pauses), told) == (True, [])
    else:
        assert (pauses, [line.light for line in told]) == ([], [Light.BLUE])
        assert not any("gateway" in str(line) for line in lines)


def test_events_that_came_are_told(esp: Esp, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the gateway applies them, between the hand-over and the look."""

    def event_of(kind: EventKind, detail: str | None = None) -> list[Line]:
        follow = trial_mail._follow

        def applied(trials: list, folders: list) -> None:
            with database.write(engine) as connection:
                events = [
                    DeliveryEvent(
                        provider="sandbox",
                        provider_event_id=f"{one.seed_id}{kind}",
                        kind=kind,
                        occurred_at=NOW,
                        message_id=seeds.message_id(one.seed_id),
                        detail=detail,
                    )
                    for one in trials
                ]
                seeds.confirm(connection, events, now=NOW)
            follow(trials, folders)

        with monkeypatch.context() as patch:
            patch.setattr(trial_mail, "_follow", applied)
            return _run()

    assert ("its events come in", Light.GREEN) in {(one.found, one.light) for one in event_of(EventKind.PROCESSED)}
    esp.delivers = False
    bad = event_of(EventKind.BOUNCED, "550 no such user")
    assert any(one.light is Light.RED and "550 no such user" in one.found for one in bad)


def test_what_does_not_arrive_is_a_warning_and_a_mailbox_that_fails_is_not(esp: Esp) -> None:
    esp.delivers = False
    (line,) = [one for one in _run() if one.area == "headers"]
    assert (line.light, line.found) == (Light.YELLOW, "it did not arrive within 0 s in INBOX")
    esp.folders.password = "another"
    (line,) = [one for one in _run() if one.area == "headers"]
    assert line.light is Light.GREY
    assert "log in" in line.found


def test_an_esp_that_does_not_take_it_is_told_by_its_own_words(esp: Esp) -> None:
    esp.status = 403
    (line,) = _run()
    assert (line.light, line.area) == (Light.RED, "test message")
    assert "403" in line.found


def test_nobody_else_is_mailed_whatever_the_environment(esp: Esp, engine: sa.Engine) -> None:
    for addresses in (("jane@customers.example.com",), (MAILBOX, "jane@customers.example.com")):
        with pytest.raises(NotInternal):
            _run(*addresses)
    # Also where the check before it were gone.
    found = trial_mail._sent(Sender("news@shop.example.com", "S"), CONTENT, {}, WAY, "jane@customers.example.com")
    assert isinstance(found, Line)
    assert found.light is Light.RED
    assert esp.bodies == []
