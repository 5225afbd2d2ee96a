"""When a look is taken anew, and what refuses a launch: over a fake ESP and a local name server, by a clock of our own."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

import settings
from data import accounts, database, esp_templates, runs
from domain.campaigns import Run
from domain.esp_templates import Parts, Understood
from domain.preflight import Light
from domain.templates import html_tag, plain_tag
from providers.sendgrid.access import NEEDED
from tasks import preflight, preflight_looks, wiring
from tasks.preflight_looks import Report
from tests.cli.fakes import FakeServer
from tests.conftest import LINK_KEY, PEPPER
from tests.providers import name_server
from tests.providers.name_server import NameServer
from tests.providers.sending_zones import dkim, rsa_key

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

DOMAIN = "shop.example.com"
START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
_ROUTES = """
providers:
  real: {{kind: sendgrid, api_key_env: REAL_KEY, base_url: "http://127.0.0.1:{port}"}}
accounts:
  shop:
    - {{name: news, stream: marketing, provider: real, pool: news, domain: shop.example.com}}
"""


class World:
    """The ESP, the DNS and the clock, and a run that looks."""

    def __init__(self, esp: FakeServer, names: NameServer, engine: sa.Engine) -> None:
        self.esp, self.names, self.engine = esp, names, engine
        self.now = START

    def look(self, *, after: timedelta = timedelta(), fresh: bool = False) -> Report:
        self.now += after
        with database.read(self.engine) as connection:
            account = accounts.get(connection, "shop")
        run: Run = preflight._of_nobody(account, "win-back", "real")
        return preflight_looks.look(run, wiring.ways(account, run.plan), fresh=fresh)

    def break_dns(self) -> None:
        self.names.faults |= {(name, "*"): "SERVFAIL" for name in (*self.names.zone, f"_dmarc.{DOMAIN}")}


@pytest.fixture
def world(
    engine: sa.Engine, account_id: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    zone = {
        DOMAIN: {"TXT": ["v=spf1 include:sendgrid.net -all"], "MX": [f"10 mail.{DOMAIN}"], "A": ["198.51.100.9"]},
        f"mail.{DOMAIN}": {"A": ["198.51.100.7"]},
        "sendgrid.net": {"TXT": ["v=spf1 ip4:198.51.100.0/24 -all"]},
        f"s1._domainkey.{DOMAIN}": {"TXT": dkim(rsa_key())},
        f"s2._domainkey.{DOMAIN}": {"TXT": dkim(rsa_key(which=1))},
        f"_dmarc.{DOMAIN}": {"TXT": ["v=DMARC1; p=none"]},
    }
    with FakeServer() as esp, name_server.serving(zone) as names:
        esp.answer("GET", "/v3/scopes", {"scopes": sorted(NEEDED)})
        esp.answer("GET", "/v3/whitelabel/domains", [{"domain": DOMAIN, "valid": True, "dns": {}}])
        esp.answer("GET", "/v3/ips/pools", [])
        Path("routes.yaml").write_text(_ROUTES.format(port=esp.port))
        for name, value in {
            "OMS_DATABASE_URL": database_url,
            "OMS_DNS_NAMESERVERS": json.dumps([names.address]),
            "OMS_GATEWAY_PUBLIC_URL": "https://mail.shop.example.com",
            "OMS_PREFLIGHT_TRY_LINKS": "false",
            "OMS_PRIVACY_LINK_KEY": LINK_KEY,
            "OMS_PRIVACY_PEPPER": PEPPER,
            "REAL_KEY": "SG.key",
        }.items():
            monkeypatch.setenv(name, value)
        settings.load.cache_clear()
        found = World(esp, names, engine)
        monkeypatch.setattr(wiring, "clock", lambda: found.now)
        yield found
    settings.load.cache_clear()


def test_what_was_right_is_not_asked_again_for_an_hour(world: World) -> None:
    assert world.look().refused == ()
    asked = len(world.names.asked)
    again = world.look(after=timedelta(minutes=59))
    assert (again.refused, again.looked_at, len(world.names.asked)) == ((), START, asked)
    assert world.look(fresh=True).looked_at > START
    assert len(world.names.asked) > asked
    world.look(after=timedelta(minutes=60))
    assert len(world.names.asked) > asked


def test_what_was_wrong_is_asked_again_at_once(world: World) -> None:
    record = world.names.zone[f"_dmarc.{DOMAIN}"]
    del world.names.zone[f"_dmarc.{DOMAIN}"]  # type: ignore[attr-defined]
    (reason,) = world.look().refused
    assert "dmarc" in reason
    assert "v=DMARC1" in reason
    world.names.zone[f"_dmarc.{DOMAIN}"] = record  # type: ignore[index]
    assert world.look(after=timedelta(seconds=5)).refused == ()


def test_a_dns_that_fails_refuses_only_who_was_not_right_within_seven_days(world: World) -> None:
    assert world.look().refused == ()
    world.break_dns()
    report = world.look(after=timedelta(days=6, hours=23))
    assert report.refused == ()
    assert Light.GREY in {line.light for line in report.lines if line.area == "dmarc"}
    assert world.look(after=timedelta(hours=2)).refused != ()


def test_a_dns_that_never_answered_is_no_pass(world: World) -> None:
    world.break_dns()
    assert world.look().refused != ()


def test_an_esp_that_refuses_the_key_or_the_domain_refuses_the_launch(world: World) -> None:
    world.esp.answer("GET", "/v3/scopes", {"errors": []}, status=401)
    (reason,) = world.look().refused
    assert reason.startswith("connectivity of real")
    world.esp.answer("GET", "/v3/scopes", {"scopes": sorted(NEEDED)})
    world.esp.answer("GET", "/v3/whitelabel/domains", [])
    (reason,) = world.look().refused
    assert reason.startswith("sender domain")
    world.esp.answer("GET", "/v3/scopes", {}, status=503)
    assert world.look().refused == ()  # that it does not answer now refuses nothing


def test_a_hard_violation_of_the_content_refuses_the_launch(world: World) -> None:
    with database.write(world.engine) as connection:
        connection.execute(sa.text("UPDATE accounts SET postal_address = ''"))
    (reason,) = world.look().refused
    assert "postal address" in reason


def test_a_template_kept_at_the_esp_is_vetted_as_a_local_one(world: World) -> None:
    def looked_at(parts: Parts, number: int) -> Report:
        recorded = esp_templates.Recorded(
            *("shop", "real", "news", "d-1", str(number), "d-1", parts.hash, None),
            Understood(parts, ("first_name", "unsubscribe_url")),
            *(START, "test"),
        )
        with database.write(world.engine) as connection:
            account = accounts.get(connection, "shop")
            plan = replace(preflight._of_nobody(account, "esp:news", "real").plan, campaign=f"news {number}")
            run = runs.create(connection, plan, flow_run_id=f"flow-{number}", now=START)
            esp_templates.pin(connection, run, esp_templates.record(connection, recorded), now=START)
        return preflight_looks.look(run, wiring.ways(account, run.plan), fresh=False)

    way_out = html_tag("unsubscribe_url")
    bad = looked_at(Parts("Re: your order", f'<p>Hi <a href="{way_out}">Unsubscribe</a></p>', ""), 1)
    assert any("as if the mail were an answer" in reason for reason in bad.refused)
    assert any("postal address" in reason for reason in bad.refused)
    with database.read(world.engine) as connection:
        place = accounts.get(connection, "shop").postal_address
    page = f'<p>Hi {html_tag("first_name")}, new shoes.</p><p>{place}</p><p><a href="{way_out}">Unsubscribe</a></p>'
    plain = f"Hi {plain_tag('first_name')}, new shoes.\n{place}\nUnsubscribe: {plain_tag('unsubscribe_url')}"
    assert looked_at(Parts("News for you", page, plain), 2).refused == ()
