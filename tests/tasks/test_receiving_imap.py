"""Mail that is fetched from a mailbox by real IMAP, whatever the server does in the middle."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr, ValidationError

from data import database, inbox, tables
from providers.smtp.config import ReturnsConfig, ReturnsNotConfigured
from providers.smtp.mailbox import MailboxUnavailable
from tasks import receiving
from tasks.receiving import Round
from tests.conftest import NOW
from tests.data import ledger_rows
from tests.providers.smtp import returned
from tests.tasks import imap_server
from tests.tasks.imap_server import Folders
from tests.tasks.returned_shop import count, mailed, read_mail, refused


def config(port: int, **facts: Any) -> ReturnsConfig:
    values = {
        "imap_host": "127.0.0.1",
        "imap_port": port,
        "imap_security": "none",
        "imap_user": "returns",
        "imap_password": SecretStr("secret"),
        "imap_timeout_seconds": 20,
        **facts,
    }
    return ReturnsConfig(**values)


class Box(Folders):
    """A mailbox and those who read it."""

    def fetch(self, engine: sa.Engine, **facts: Any) -> Round:
        with imap_server.serving(self) as port:
            # The port changes, the mailbox does not: it is known by its user, host and folder.
            return receiving.fetch(engine, config(port, **facts), clock=lambda: NOW)

    def seen(self) -> list[int]:
        return [uid for uid, mail in self.inbox.items() if "\\Seen" in mail.flags]


def plain(number: int) -> bytes:
    return f"Date: Sun, 22 Nov 2026 10:00:{number % 60:02d} +0100\r\nMessage-ID: <{number}@x.example>\r\n\r\nx\r\n".encode()


@pytest.fixture
def box() -> Box:
    return Box()


@contextmanager
def dropped(box: Box, command: str) -> Iterator[None]:
    """The connection ends when the server hears this command."""
    box.drop_at = command
    with pytest.raises(MailboxUnavailable):
        yield
    box.drop_at = None


def test_a_bounce_in_the_mailbox_suppresses_and_is_marked(engine: sa.Engine, account_id: str, box: Box) -> None:
    mailed(engine, account_id)
    box.put(returned.raw("postfix-unknown-user"), returned.raw("auto-reply-english"))
    assert box.fetch(engine) == Round(new=2)
    assert box.seen() == [1, 2]
    report = read_mail(engine)
    assert (report.bodies, report.events, report.suppressions) == (2, 2, 1)
    assert refused(engine) == {ledger_rows.hash_of(1): "hard_bounce"}
    assert box.fetch(engine) == Round()
    assert "FETCH" not in box.said[-4:], "what was read is not asked for again"


@pytest.mark.parametrize("moves", [True, False])
def test_a_mail_is_moved_where_the_shop_wants_it(engine: sa.Engine, box: Box, moves: bool) -> None:
    box.moves = moves
    box.put(plain(1), plain(2))
    assert box.fetch(engine, imap_done_folder="Done") == Round(new=2)
    assert (box.inbox, box.done) == ({}, [plain(1), plain(2)])


def test_a_server_that_moves_nothing_loses_nothing(engine: sa.Engine, box: Box) -> None:
    box.moves = True
    box.put(plain(1))
    assert box.fetch(engine, imap_done_folder="Elsewhere") == Round(new=1, left_in_place=1)
    assert box.fetch(engine, imap_done_folder="Elsewhere") == Round(left_in_place=1)
    assert box.fetch(engine, imap_done_folder="Done") == Round()
    assert box.done == [plain(1)]


@pytest.mark.parametrize("command", ["LOGIN", "SELECT", "SEARCH", "FETCH", "STORE"])
def test_a_death_anywhere_loses_nothing_and_repeats_nothing(
    engine: sa.Engine, account_id: str, box: Box, command: str
) -> None:
    mailed(engine, account_id)
    box.put(returned.raw("postfix-unknown-user"), plain(2))
    with dropped(box, command):
        box.fetch(engine)
    kept = 1 if command == "STORE" else 0  # it died between the commit and the mark
    assert count(engine, tables.webhook_inbox) == kept
    assert box.seen() == []
    assert box.fetch(engine) == Round(new=2 - kept)
    assert box.seen() == [1, 2], "what was kept before the death is marked, too"
    report = read_mail(engine)
    assert (report.bodies, report.events, report.suppressions) == (2, 2, 1)


def test_mails_that_are_counted_anew_are_kept_once(engine: sa.Engine, box: Box) -> None:
    box.put(plain(1), plain(2))
    box.fetch(engine)
    box.validity += 1
    box.put(plain(3))
    assert box.fetch(engine) == Round(new=1, known=2)


def test_a_mail_that_was_not_given_out_is_read_once_it_was_moved_away_and_back(engine: sa.Engine, box: Box) -> None:
    """As its dead letter says (data.intake.letters): by its new number it is a new mail."""
    box.put(plain(1))
    box.refused = {1}
    assert box.fetch(engine) == Round(unreadable=1)
    box.refused = set()
    assert box.fetch(engine).new == 0, "it is not asked for again"
    box.inbox[2] = box.inbox.pop(1)
    assert box.fetch(engine) == Round(new=1)


def test_one_bad_mail_does_not_hold_up_the_rest_and_is_not_forgotten(engine: sa.Engine, box: Box) -> None:
    box.put(plain(1), plain(2), plain(3))
    box.refused = {2}
    assert box.fetch(engine) == Round(new=2, unreadable=1)
    with database.read(engine) as connection:
        (letter,) = connection.execute(sa.select(tables.dead_letters)).all()
    assert (letter.source, letter.location) == ("mailbox:smtp", "INBOX 2")
    assert "mail server" in letter.reason


def test_a_round_is_bounded_and_stops_where_too_much_waits(engine: sa.Engine, box: Box) -> None:
    box.put(*map(plain, range(5)))
    assert box.fetch(engine, imap_mails_at_once=2) == Round(new=2, waiting=3)
    assert box.fetch(engine, max_backlog=3) == Round(new=1, waiting=2)
    with database.write(engine) as connection:
        connection.execute(tables.webhook_inbox.update().values(state=inbox.BodyState.DONE))
    assert box.fetch(engine, max_backlog=3) == Round(new=2)


def test_a_mail_beyond_the_limit_is_cut_off(engine: sa.Engine, box: Box) -> None:
    box.put(plain(1) + b"x" * 2**17)
    assert box.fetch(engine, max_mail_bytes=2**16) == Round(new=1)
    with database.read(engine) as connection:
        body = connection.scalar(sa.select(tables.webhook_inbox.c.body))
    assert 2**16 < len(body) < 2**16 + 200
    assert read_mail(engine).events == 1


def test_a_wrong_password_is_told_and_stays_secret(engine: sa.Engine, box: Box) -> None:
    with pytest.raises(MailboxUnavailable) as told:
        box.fetch(engine, imap_password=SecretStr("not the right one"))
    assert str(told.value) == "the mail server failed us (log in: error)"
    assert told.value.__cause__ is not None


def test_what_is_missing_is_named(engine: sa.Engine) -> None:
    with pytest.raises(ReturnsNotConfigured, match=r"OMS_RETURNS_IMAP_HOST and OMS_RETURNS_IMAP_USER and .*PASSWORD"):
        receiving.fetch(engine, ReturnsConfig(), clock=lambda: NOW)
    with pytest.raises(ValidationError, match="loopback"):
        ReturnsConfig(imap_host="mail.example.org", imap_security="none")
    with pytest.raises(ValidationError, match="folder"):
        ReturnsConfig(imap_folder='INBOX" (x')
