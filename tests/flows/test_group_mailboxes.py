"""The nightly flow, over a real store and a real name server on loopback."""

import json
import socket

import pytest
import sqlalchemy as sa

import settings
from data import database, tables
from flows.group_mailboxes import group_mailboxes
from tasks import mailboxes
from tests.data.test_mail_domains import add, groups
from tests.flows.conftest import Esp
from tests.providers.test_dns import serving

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


def _ask(monkeypatch: pytest.MonkeyPatch, server: str, look_ups: int = 100) -> None:
    monkeypatch.setenv("OMS_DNS_NAMESERVERS", json.dumps([server]))
    monkeypatch.setenv("OMS_DNS_TIMEOUT_SECONDS", "0.3")
    monkeypatch.setenv("OMS_DNS_LOOK_UPS_A_NIGHT", str(look_ups))
    settings.load.cache_clear()


def _domains(engine: sa.Engine) -> dict[str, tuple[str, str]]:
    known = tables.mail_domains.c
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(known.domain, known.mailbox_group, known.source))
        return {domain: (group, source) for domain, group, source in rows}


def test_a_night(engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.write(engine) as connection:
        add(connection, "shop", "a@firm.com", "b@firm.com", "c@FIRM.com", "a@bare.com", "b@bare.com", "a@broken.com")
        add(connection, "shop", "a@gmx.de", "a@nowhere.com", "b@nowhere.com", provider="other")
    with serving() as (address, asked):
        _ask(monkeypatch, address, look_ups=2)
        assert group_mailboxes() == {"by_table": 4, "asked": 2, "found": 2, "customers": 4}
        assert sorted(asked) == ["bare.com.", "firm.com."]
        assert group_mailboxes() == {"by_table": 0, "asked": 2, "found": 1, "customers": 0}
        assert group_mailboxes() == {"by_table": 0, "asked": 1, "found": 0, "customers": 0}
    assert _domains(engine) == {
        "firm.com": ("gmail", "mx"),
        "bare.com": ("other", "mx"),
        "nowhere.com": ("other", "none"),
        "gmx.de": ("gmx", "table"),
        "gmail.com": ("gmail", "table"),
        "outlook.com": ("outlook", "table"),
        "example.com": ("other", "table"),
    }
    found = groups(engine, "shop")
    assert {found["a@firm.com"], found["c@FIRM.com"]} == {"gmail"}
    assert (found["a@gmx.de"], found["a@broken.com"]) == ("gmx", "other")


def test_without_an_answer_the_flow_is_an_alarm_and_what_was_known_is_told(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write(engine) as connection:
        add(connection, "shop", "a@gmx.de", *(f"a@firm{number}.com" for number in range(25)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        _ask(monkeypatch, f"127.0.0.1:{door.getsockname()[1]}")
        with pytest.raises(mailboxes.DnsSilent, match="told nothing of 25 domains"):
            group_mailboxes()
    assert groups(engine, "shop")["a@gmx.de"] == "gmx"


def test_look_ups_can_be_switched_off(engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.write(engine) as connection:
        add(connection, "shop", "a@firm.com")
    _ask(monkeypatch, "127.0.0.1:9", look_ups=0)
    assert group_mailboxes()["asked"] == 0
