"""The flow that reads the mailbox, and the one that applies what it brought."""

import pytest
import sqlalchemy as sa

import settings
from flows.fetch_returned_mail import fetch_returned_mail
from flows.process_delivery_events import process_delivery_events
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
    counts = process_delivery_events()
    assert (counts["bodies"], counts["events"], counts["suppressions"]) == (2, 2, 0)
