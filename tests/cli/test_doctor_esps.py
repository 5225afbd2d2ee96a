"""What doctor says of each ESP's key, domains and pools, and that nothing starts with half a configuration."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

import settings
from providers.sendgrid.access import NEEDED
from tests.cli.conftest import Campaigns
from tests.cli.fakes import FakeServer

pytestmark = [pytest.mark.parametrize("database_url", ["sqlite"], indirect=True), pytest.mark.usefixtures("shop")]
_FULL = sorted(NEEDED)


def _found(campaigns: Campaigns) -> dict[str, tuple[str, str]]:
    told = campaigns("doctor", "--json")
    assert "k3y" not in told.out
    mark = {(True, False): "ok", (True, True): "warn"}
    return {one["what"]: (mark.get((one["ok"], one["warning"]), "WRONG"), one["found"]) for one in told.json["checks"]}


@pytest.fixture
def sendgrid(shop: sa.Engine, environment: pytest.MonkeyPatch, fake: FakeServer) -> FakeServer:
    environment.setenv("OMS_SENDGRID_API_KEY", "SG.k3y")
    environment.setenv("OMS_SENDGRID_BASE_URL", f"http://127.0.0.1:{fake.port}")
    environment.setenv("OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS", '["a"]')
    settings.load.cache_clear()
    fake.answer("GET", "/v3/scopes", {"scopes": [*_FULL, "2fa_required"]})
    fake.answer("GET", "/v3/whitelabel/domains", [{"domain": "news.shop.example.com", "valid": True}])
    fake.answer("GET", "/v3/ips/pools", [{"name": "news"}])
    return fake


def test_a_key_that_fits(sendgrid: FakeServer, campaigns: Campaigns) -> None:
    found = _found(campaigns)
    assert found["ESP sendgrid"] == ("ok", "answers, and takes the key")
    assert found["domains at sendgrid"] == ("ok", "news.shop.example.com (authenticated)")
    assert found["pools at sendgrid"] == ("ok", "news")
    assert found["SendGrid webhook"] == ("ok", "1 public key(s)")


def test_a_key_that_may_do_too_little_or_too_much(sendgrid: FakeServer, campaigns: Campaigns) -> None:
    sendgrid.answer("GET", "/v3/scopes", {"scopes": ["mail.send"]})
    assert _found(campaigns)["ESP sendgrid"][0] == "WRONG"
    wide = ["api_keys.create", "billing.read", "teammates.update"]
    sendgrid.answer("GET", "/v3/scopes", {"scopes": [*_FULL, "stats.read", "whitelabel.read", *wide]})
    mark, told = _found(campaigns)["ESP sendgrid"]
    assert mark == "warn"
    assert "the key may do more than is needed: api_keys.create, billing.read, teammates.update." in told
    assert any(line.startswith("warn ") for line in campaigns("doctor").lines)


def test_a_key_that_may_not_ask_for_domains_says_nothing_of_them(sendgrid: FakeServer, campaigns: Campaigns) -> None:
    sendgrid.answer("GET", "/v3/whitelabel/domains", {"errors": [{"message": "access forbidden"}]}, status=403)
    found = _found(campaigns)
    assert found["ESP sendgrid"] == ("ok", "answers, and takes the key; the key may not read whitelabel/domains")
    assert "domains at sendgrid" not in found


def test_a_key_that_is_refused(sendgrid: FakeServer, campaigns: Campaigns) -> None:
    sendgrid.answer("GET", "/v3/scopes", {"errors": [{"message": "authorization required"}]}, status=401)
    assert _found(campaigns)["ESP sendgrid"][0] == "WRONG"


_ROUTES = """
providers: {{esp: {{kind: sendgrid, api_key_env: ESP_KEY, base_url: "http://127.0.0.1:{port}", ip_pool: {pool}}}}}
accounts: {{shop: [{{name: news, stream: marketing, provider: esp, pool: n, domain: {domain}, authenticated: {said}}}]}}
"""


@pytest.mark.parametrize(
    ("domain", "said", "pool", "mark", "told"),
    [
        ("news.shop.example.com", "true", "news", None, ""),
        ("other.example.com", "true", "news", "WRONG", "not known there. Authenticate it there"),
        ("sub.news.shop.example.com", "true", "news", "warn", "its parent domain is authenticated"),
        ("news.shop.example.com", "false", "news", "warn", "nothing goes by it"),
        ("news.shop.example.com", "true", "gone", "WRONG", "there is no pool gone there"),
    ],
)
def test_each_route_is_held_against_what_the_esp_says(
    sendgrid: FakeServer,
    campaigns: Campaigns,
    environment: pytest.MonkeyPatch,
    domain: str,
    said: str,
    pool: str,
    mark: str | None,
    told: str,
) -> None:
    environment.setenv("ESP_KEY", "SG.k3y")
    Path("routes.yaml").write_text(_ROUTES.format(port=sendgrid.port, domain=domain, said=said, pool=pool))
    found = _found(campaigns)
    assert found["ESP esp"][0] == "ok"
    assert found.get("route news", (None, ""))[0] == mark
    assert told in found.get("route news", (None, ""))[1]


def test_mailchimps_keys(
    shop: sa.Engine, environment: pytest.MonkeyPatch, fake: FakeServer, campaigns: Campaigns
) -> None:
    for name, value in {
        "MARKETING_API_KEY": "k3y-us1",
        "MARKETING_LIST_ID": "abc",
        "MARKETING_BASE_URL": f"http://127.0.0.1:{fake.port}/3.0",
        "TRANSACTIONAL_API_KEY": "md-k3y",
        "TRANSACTIONAL_BASE_URL": f"http://127.0.0.1:{fake.port}/api/1.0",
    }.items():
        environment.setenv(f"OMS_MAILCHIMP_{name}", value)
    settings.load.cache_clear()
    fake.answer("GET", "/3.0/", {"role": "owner"})
    fake.answer("GET", "/3.0/lists/abc", {"name": "Customers", "stats": {"member_count": 1}})
    fake.answer("GET", "/3.0/lists/abc/webhooks", {"webhooks": []})
    domains = [{"domain": "a.example", "authenticated": True}, {"domain": "b.example", "authenticated": False}]
    fake.answer("GET", "/3.0/verified-domains", {"domains": domains})
    fake.answer("POST", "/api/1.0/users/ping2.json", {"PING": "PONG!"})
    fake.answer("POST", "/api/1.0/senders/domains.json", [{"domain": "a.example", "valid_signing": True}])
    fake.answer("POST", "/api/1.0/ips/list-pools.json", [{"name": "Main Pool"}])
    found = _found(campaigns)
    assert found["ESP mailchimp"][0] == "warn"
    assert "the role owner may, where a manager's key is enough" in found["ESP mailchimp"][1]
    assert found["webhook at mailchimp"][0] == "warn"
    assert "no webhook to the gateway" in found["webhook at mailchimp"][1]
    assert found["domains at mailchimp"][1] == "a.example (authenticated), b.example (its DNS records do not hold)"
    assert found["ESP mailchimp-transactional"][0] == "ok"
    assert found["domains at mailchimp-transactional"][1] == "a.example (authenticated)"
    assert found["pools at mailchimp-transactional"][1] == "Main Pool"
    fake.answer("POST", "/api/1.0/users/ping2.json", {"status": "error", "name": "Invalid_Key"}, status=401)
    assert _found(campaigns)["ESP mailchimp-transactional"][0] == "WRONG"


@contextmanager
def _relay(*, takes: bool) -> Iterator[int]:
    """One that says hello, and takes the user or not."""
    answers = [b"250-relay\r\n250 AUTH PLAIN\r\n", b"235 welcome\r\n" if takes else b"535 5.7.8 no\r\n", b"221 bye\r\n"]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 relay\r\n")
                for one in answers:
                    if not connection.recv(1000):
                        return
                    connection.sendall(one)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize("takes", [True, False])
def test_a_relay_lets_us_in_or_not(environment: pytest.MonkeyPatch, campaigns: Campaigns, *, takes: bool) -> None:
    with _relay(takes=takes) as port:
        for name, value in {
            "HOST": "127.0.0.1",
            "PORT": port,
            "SECURITY": "none",
            "USER": "shop",
            "PASSWORD": "k3y",
        }.items():
            environment.setenv(f"OMS_SMTP_{name}", str(value))
        settings.load.cache_clear()
        mark, told = _found(campaigns)["ESP smtp"]
    assert mark == ("ok" if takes else "WRONG")
    assert "a relay does not tell" in told if takes else "log in" in told or "535" in told


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"SENDGRID_API_KEY": "SG.k3y"}, "OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS is empty"),
        ({"MAILCHIMP_MARKETING_API_KEY": "k3y-us1"}, "OMS_MAILCHIMP_MARKETING_LIST_ID is empty"),
        ({"MAILCHIMP_TRANSACTIONAL_API_KEY": "k3y"}, "OMS_MAILCHIMP_TRANSACTIONAL_WEBHOOK_KEYS is empty"),
        ({"SMTP_HOST": "relay.example.com"}, "OMS_SMTP_RETURN_MAILBOX is empty"),
        (
            {"SMTP_HOST": "relay.example.com", "SMTP_RETURN_MAILBOX": "r@b.example.com"},
            "OMS_RETURNS_ADDRESSES does not name",
        ),
        ({"RETURNS_IMAP_HOST": "imap.example.com"}, "OMS_RETURNS_IMAP_USER and OMS_RETURNS_IMAP_PASSWORD not set"),
    ],
)
def test_nothing_starts_with_half_a_configuration(
    environment: pytest.MonkeyPatch, campaigns: Campaigns, variables: dict[str, str], told: str
) -> None:
    for name, value in variables.items():
        environment.setenv(f"OMS_{name}", value)
    settings.load.cache_clear()
    refused = campaigns("up")
    assert refused.status == 2
    assert told in refused.err
    assert "Nothing was started" in refused.err
    assert "k3y" not in refused.err


def test_nothing_starts_where_a_declared_key_is_not_set(campaigns: Campaigns) -> None:
    Path("routes.yaml").write_text(_ROUTES.format(port=1, domain="a.example", said="true", pool="p"))
    assert "routes.yaml names ESP_KEY, and nothing of that name is set" in campaigns("up").err


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"SMTP_HOST": "relay.example.com", "SMTP_PASSWORD": "k3y-of-relay"}, "OMS_SMTP_…: user and password are set"),
        ({"SMTP_HOST": "relay.example.com", "SMTP_DKIM_DOMAIN": "a.example"}, "OMS_SMTP_…: dkim_domain, dkim_selector"),
        ({"SMTP_HOST": "192.0.2.1", "SMTP_SECURITY": "none"}, "OMS_SMTP_…: security none sends customers' addresses"),
        ({"RETURNS_IMAP_HOST": "192.0.2.1", "RETURNS_IMAP_SECURITY": "none"}, "OMS_RETURNS_…: imap_security none"),
        ({"SENDGRID_WEBHOOK_OAUTH_CLIENT_ID": "x"}, "OMS_SENDGRID_…: webhook_oauth_client_id and"),
        ({"SENDING_CANARY_PERCENT": "50"}, "OMS_SENDING_…: canary_percent is 50"),
    ],
)
@pytest.mark.parametrize("command", ["doctor", "status"])
def test_settings_that_do_not_go_together_are_one_sentence_without_a_secret(
    environment: pytest.MonkeyPatch, campaigns: Campaigns, variables: dict[str, str], told: str, command: str
) -> None:
    for name, value in variables.items():
        environment.setenv(f"OMS_{name}", value)
    settings.load.cache_clear()
    found = campaigns(command)
    shown = " ".join((found.out + found.err).split())
    assert told in shown
    assert "k3y" not in shown
    assert "Traceback" not in shown


def test_a_key_that_does_not_fit_is_not_passed_over(environment: pytest.MonkeyPatch, campaigns: Campaigns) -> None:
    environment.setenv("OMS_MAILCHIMP_MARKETING_API_KEY", "k3y-us1")
    environment.setenv("OMS_MAILCHIMP_MARKETING_ACCESS_TOKEN", "t0ken")
    environment.setenv("OMS_MAILCHIMP_MARKETING_LIST_ID", "a1b2c3d4e5")
    settings.load.cache_clear()
    mark, told = _found(campaigns)["ESP mailchimp"]
    assert mark == "WRONG"
    assert "are both set: leave one out" in told


def test_what_is_half_set_up_is_named_whether_or_not_it_answers(
    environment: pytest.MonkeyPatch, campaigns: Campaigns
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for name, value in {
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(port),
        "SMTP_SECURITY": "none",
        "POSTMARK_SERVER_TOKEN": "k3y",
        "POSTMARK_BASE_URL": f"http://127.0.0.1:{port}",
    }.items():
        environment.setenv(f"OMS_{name}", value)
    settings.load.cache_clear()
    found = _found(campaigns)
    assert found["SMTP relays"][0] == "WRONG"
    assert "OMS_SMTP_RETURN_MAILBOX is empty" in found["SMTP relays"][1]
    assert (found["ESP smtp"][0], found["ESP postmark"][0]) == ("WRONG", "WRONG")
    assert found["Postmark webhook"] == (
        "WRONG",
        "OMS_POSTMARK_WEBHOOK_CREDENTIALS is empty: no event of Postmark would be believed",
    )
