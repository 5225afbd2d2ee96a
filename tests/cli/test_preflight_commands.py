"""The pre-flight at the keyboard: over a fake ESP, and a DNS that nobody answers for."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

import settings
from data import database, tables
from providers.sendgrid.access import NEEDED
from tests.cli.conftest import Campaigns
from tests.cli.fakes import FakeServer

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

_ROUTES = """
providers:
  real: {{kind: sendgrid, api_key_env: REAL_KEY, base_url: "http://127.0.0.1:{port}"}}
accounts:
  shop:
    - {{name: news, stream: marketing, provider: real, pool: news, domain: shop.example.com}}
"""


@pytest.fixture
def sandbox(shop: sa.Engine, fake: FakeServer) -> FakeServer:
    fake.answer("GET", "/sandbox/accepted", {})
    return fake


@pytest.fixture
def real(shop: sa.Engine, environment: pytest.MonkeyPatch, fake: FakeServer, silent_dns: int) -> FakeServer:
    """A real ESP that answers, and a name server that does not."""
    Path("routes.yaml").write_text(_ROUTES.format(port=fake.port))
    environment.setenv("REAL_KEY", "SG.key")
    environment.setenv("OMS_DNS_NAMESERVERS", json.dumps([f"127.0.0.1:{silent_dns}"]))
    environment.setenv("OMS_DNS_TIMEOUT_SECONDS", "0.2")
    environment.setenv("OMS_GATEWAY_PUBLIC_URL", "https://mail.shop.example.com")
    settings.load.cache_clear()
    fake.answer("GET", "/v3/scopes", {"scopes": sorted(NEEDED)})
    fake.answer("GET", "/v3/whitelabel/domains", [{"domain": "shop.example.com", "valid": True, "dns": {}}])
    fake.answer("GET", "/v3/ips/pools", [])
    return fake


@pytest.fixture
def silent_dns() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield nobody.getsockname()[1]


def test_with_the_sandbox_alone_all_is_well(sandbox: FakeServer, campaigns: Campaigns, shop: sa.Engine) -> None:
    told = campaigns("preflight", "--template", "win-back")
    assert told.status == 0, told.out
    assert "A marketing launch is refused" not in told.out
    lines = {tuple(line.split()[1:4]) for line in told.lines if line[:1] in "🟢🔵"}
    assert ("pass", "connectivity", "sandbox") in lines
    assert ("pass", "rendering", "win-back") in lines
    found = campaigns("preflight", "--json").json
    assert {line["area"] for line in found["lines"]} == {"connectivity", "rendering", "content"}
    assert found["refused"] == []
    with database.read(shop) as connection:
        rows = connection.execute(sa.select(tables.preflights)).all()
    assert {(row.provider, row.domain, row.good) for row in rows} == {("sandbox", "shop.example.com", True)}


def test_a_dns_that_does_not_answer_is_no_pass(real: FakeServer, campaigns: Campaigns) -> None:
    told = campaigns("preflight", "--template", "win-back", "--provider", "real", "--json")
    lights = {line["area"]: line["light"] for line in told.json["lines"]}
    assert (lights["connectivity"], lights["dmarc"], lights["dkim"]) == ("pass", "cannot tell", "cannot tell")
    assert told.status == 1
    assert any("dmarc" in reason for reason in told.json["refused"])
    assert "A marketing launch is refused" in campaigns("preflight", "--template", "win-back").lines[0]


def test_a_key_that_is_refused_is_red_and_an_esp_that_is_down_is_not(real: FakeServer, campaigns: Campaigns) -> None:
    real.answer("GET", "/v3/scopes", {"errors": [{"message": "no jane@x.example here"}]}, status=401)
    told = campaigns("preflight", "--json")
    (line,) = [one for one in told.json["lines"] if one["area"] == "connectivity"]
    assert (line["light"], "jane" in line["found"]) == ("fail", False)
    real.answer("GET", "/v3/scopes", {}, status=503)
    (line,) = [one for one in campaigns("preflight", "--json").json["lines"] if one["area"] == "connectivity"]
    assert line["light"] == "cannot tell"
    real.answer("GET", "/v3/scopes", {"scopes": ["suppression.read"]})
    (line,) = [one for one in campaigns("preflight", "--json").json["lines"] if one["area"] == "connectivity"]
    assert "mail.send" in line["found"]
    assert line["light"] == "fail"


def test_a_domain_that_the_esp_does_not_sign_for_is_red(real: FakeServer, campaigns: Campaigns) -> None:
    for valid, words in ((False, "do not hold"), (None, "not known there")):
        rows = [] if valid is None else [{"domain": "shop.example.com", "valid": valid, "dns": {}}]
        real.answer("GET", "/v3/whitelabel/domains", rows)
        told = campaigns("preflight", "--json").json
        (line,) = [one for one in told["lines"] if one["area"] == "sender domain"]
        assert line["light"] == "fail"
        assert words in line["found"]
        assert any(reason.startswith("sender domain") for reason in told["refused"])


def test_a_test_message_goes_to_internal_mailboxes_only(
    sandbox: FakeServer, campaigns: Campaigns, environment: pytest.MonkeyPatch
) -> None:
    mistake = campaigns("preflight", "--to", "jane@customers.example.com").mistake
    assert "OMS_PREFLIGHT_MAILBOXES" in mistake
    assert "jane" not in mistake
    environment.setenv("OMS_PREFLIGHT_MAILBOXES", json.dumps(["@staff.example.com"]))
    environment.setenv("OMS_PREFLIGHT_WAIT_SECONDS", "0")
    settings.load.cache_clear()
    sandbox.answer("POST", "/v3/mail/send", {}, status=202)
    told = campaigns("preflight", "--to", "qa@staff.example.com", "--json")
    assert sandbox.asked["/v3/mail/send"]["personalizations"][0]["to"] == [{"email": "qa@staff.example.com"}]
    tests = [line for line in told.json["lines"] if line["area"] == "test message"]
    assert [line["light"] for line in tests] == ["pass", "cannot tell"]  # no webhook comes in here
    assert "staff" not in told.out


def test_mistakes_are_told(shop: sa.Engine, campaigns: Campaigns) -> None:
    assert "there is no template 'x'" in campaigns("preflight", "--template", "x", "--provider", "sandbox").mistake
    assert "'pigeon'" in campaigns("preflight", "--provider", "pigeon").mistake
