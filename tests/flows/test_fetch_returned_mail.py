"""The flow that reads the mailbox, and applies what it brought."""

import pytest
import sqlalchemy as sa

import settings
from data import database, inbox, tables
from flows.fetch_returned_mail import fetch_returned_mail
from providers.smtp.mailbox import MailboxUnavailable
from tests.conftest import NOW
from tests.flows.conftest import Esp
from tests.providers.smtp import returned
from tests.tasks import imap_server

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


def test_without_a_mailbox_it_does_nothing(engine: sa.Engine, installation: Esp) -> None:
    assert fetch_returned_mail() == {}


def test_a_mailbox_is_read_and_its_mail_applied(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = imap_server.Folders()
    folders.put(returned.raw("forged-address-only"), returned.raw("auto-reply-english"))
    with imap_server.serving(folders) as port:
        for name, value in {
            "HOST": "127.0.0.1",
            "PORT": port,
            "SECURITY": "none",
            "USER": "r",
            "PASSWORD": "secret",
        }.items():
            monkeypatch.setenv(f"OMS_RETURNS_IMAP_{name}", str(value))
        settings.load.cache_clear()
        assert fetch_returned_mail()["new"] == 2
    with database.read(engine) as connection:
        assert list(connection.scalars(sa.select(tables.webhook_inbox.c.state))) == ["done"] * 2, (
            "it was applied at once"
        )
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.delivery_events)) == 2
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.suppressions)) == 0


def test_what_waits_is_applied_although_the_mailbox_is_away(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write(engine) as connection:
        inbox.store(connection, provider="smtp", body=returned.raw("auto-reply-english"), now=NOW)
    for name, value in {"HOST": "127.0.0.1", "PORT": 1, "SECURITY": "none", "USER": "r", "PASSWORD": "x"}.items():
        monkeypatch.setenv(f"OMS_RETURNS_IMAP_{name}", str(value))
    settings.load.cache_clear()
    with pytest.raises(MailboxUnavailable):
        fetch_returned_mail()
    with database.read(engine) as connection:
        assert inbox.backlog(connection) == 0
