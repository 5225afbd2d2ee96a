"""Mail that comes back: the listener as a process of its own, and a mailbox read by hand."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

import settings
from data import tables
from tests.cli.conftest import Campaigns
from tests.data import ledger_rows
from tests.providers.smtp import returned
from tests.tasks import imap_server
from tests.tasks.returned_shop import count, mailed, read_mail, refused
from tests.tasks.test_receiving_smtp import bring

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def listening() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`campaigns returns listen` as a process, and its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from cli.main import main; main()", "returns", "listen", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = ""
        while not told.endswith("}\n"):
            line = process.stdout.readline()
            assert line, "it ended at its start"
            told += line
        yield process, json.loads(told)["port"]
    finally:
        process.kill()
        process.wait(20)
        process.stdout.close()  # type: ignore[union-attr]


@pytest.fixture
def configured(shop: sa.Engine, environment: pytest.MonkeyPatch) -> sa.Engine:
    environment.setenv("OMS_RETURNS_ADDRESSES", json.dumps([returned.MAILBOX]))
    environment.setenv("OMS_RETURNS_LISTEN_PORT", "0")
    settings.load.cache_clear()
    return shop


def test_a_listener_that_is_killed_has_kept_what_it_answered(configured: sa.Engine) -> None:
    mailed(configured, "shop")
    with listening() as (process, port):
        bring(port, returned.raw("postfix-unknown-user"))
        process.kill()
        process.wait(20)
    with listening() as (process, port):
        bring(port, returned.raw("postfix-unknown-user"))
        bring(port, returned.raw("auto-reply-german"))
        process.terminate()
        assert process.wait(20) == 0
    assert count(configured, tables.webhook_inbox) == 3
    report = read_mail(configured)
    assert (report.events, report.duplicates, report.suppressions) == (2, 1, 1)
    assert refused(configured) == {ledger_rows.hash_of(1): "hard_bounce"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("shop")
def test_what_is_not_configured_is_one_line(campaigns: Campaigns) -> None:
    assert campaigns("returns", "listen").mistake.startswith("there is no address that mail comes back to")
    assert "OMS_RETURNS_IMAP_HOST" in campaigns("returns", "fetch").mistake


def test_a_mailbox_is_read_by_hand(shop: sa.Engine, environment: pytest.MonkeyPatch, campaigns: Campaigns) -> None:
    folders = imap_server.Folders()
    folders.put(returned.raw("qmail"), returned.raw("spam"))
    with imap_server.serving(folders) as port:
        for name, value in {
            "HOST": "127.0.0.1",
            "PORT": port,
            "SECURITY": "none",
            "USER": "r",
            "PASSWORD": "secret",
        }.items():
            environment.setenv(f"OMS_RETURNS_IMAP_{name}", str(value))
        settings.load.cache_clear()
        told = campaigns("returns", "fetch", "--json").json
        assert told == {"new": 2, "known": 0, "gone": 0, "unreadable": 0, "left_in_place": 0, "waiting": 0}
        assert campaigns("returns", "fetch").out.startswith("0 new mails, 0 known already.")
    silent = campaigns("returns", "fetch").mistake
    assert silent == "the mail server failed us (connect: ConnectionRefusedError)"
    assert count(shop, tables.webhook_inbox) == 2
