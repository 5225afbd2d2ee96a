"""Relays of routes.yaml: none gets what is meant for another one, and each is looked at by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import settings
from providers.smtp.config import SmtpConfig
from tasks import esps, half_configured
from tasks.esp_kinds import Smtp
from tests.conftest import LINK_KEY, PEPPER

_ROUTES = """
providers:
  own: {kind: smtp, base_url: "smtp://post.shop.example.com:587"}
  other:
    kind: smtp
    base_url: "smtps://relay.example.net"
    user: us
    api_key_env: OTHER_PASSWORD
    x_smtpapi: true
    return_mailbox: other@bounce.shop.example.com
    dkim_domain: shop.example.com
    dkim_selector: s1
    dkim_key_file: keys/s1.pem
    ca_file: keys/ca.pem
  same: {kind: smtp, concurrency: 2}
  practice: {kind: sandbox, speaks: smtp}
"""


@pytest.fixture
def sendgrid_s_relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """In the settings, besides the relays of routes.yaml."""
    monkeypatch.chdir(tmp_path)
    Path("routes.yaml").write_text(_ROUTES)
    for name, value in {
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_SANDBOX_SMTP_PORT": "8026",
        "OMS_SMTP_HOST": "smtp.sendgrid.net",
        "OMS_SMTP_USER": "apikey",
        "OMS_SMTP_PASSWORD": "SG.k3y",
        "OMS_SMTP_X_SMTPAPI": "true",
        "OMS_SMTP_DKIM_DOMAIN": "news.example.com",
        "OMS_SMTP_DKIM_SELECTOR": "news",
        "OMS_SMTP_DKIM_KEY_FILE": "news.pem",
        "OMS_SMTP_CA_FILE": "news-ca.pem",
        "OMS_SMTP_BATCH_SIZE": "7",
        "OTHER_PASSWORD": "0ther",
    }.items():
        monkeypatch.setenv(name, value)
    settings.load.cache_clear()
    yield monkeypatch
    settings.load.cache_clear()


def config_of(provider: str) -> SmtpConfig:
    esp = esps.reach(provider)
    assert isinstance(esp, Smtp)
    return esp.config


@pytest.mark.parametrize("provider", ["own", "practice"])
def test_a_relay_gets_nothing_that_is_meant_for_another(sendgrid_s_relay: pytest.MonkeyPatch, provider: str) -> None:
    found = config_of(provider)
    assert (found.credentials, found.user, found.password) == (None, "", None)
    assert (found.x_smtpapi, found.ca_file) == (False, None)
    assert (found.dkim_domain, found.dkim_selector, found.dkim_key_file) == ("", "", None)
    assert found.batch_size == 7
    assert found.required_host() == ("post.shop.example.com" if provider == "own" else "127.0.0.1")


def test_a_relay_has_what_its_own_lines_say(sendgrid_s_relay: pytest.MonkeyPatch) -> None:
    found = config_of("other")
    assert (found.host, found.port, found.security) == ("relay.example.net", 465, "tls")
    assert found.credentials == ("us", "0ther")
    assert (found.x_smtpapi, found.ca_file) == (True, Path("keys/ca.pem"))
    assert (found.dkim_domain, found.dkim_selector, found.dkim_key_file) == (
        "shop.example.com",
        "s1",
        Path("keys/s1.pem"),
    )
    assert found.return_mailbox == "other@bounce.shop.example.com"


def test_a_password_that_is_not_set_is_no_other_one(sendgrid_s_relay: pytest.MonkeyPatch) -> None:
    sendgrid_s_relay.delenv("OTHER_PASSWORD")
    assert config_of("other").password is None


def test_the_relay_of_the_settings_under_another_name_is_the_same(sendgrid_s_relay: pytest.MonkeyPatch) -> None:
    assert config_of("same") == settings.load().smtp.model_copy(update={"connections": 2})


def test_each_relay_is_looked_at_by_itself(sendgrid_s_relay: pytest.MonkeyPatch) -> None:
    events = "OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS is empty: no event of SendGrid would be believed"
    bounces = "OMS_SMTP_RETURN_MAILBOX is empty: nobody would learn of bounces"
    config = settings.load()
    found = {name: half_configured.of_provider(name, config) for name in ("smtp", "own", "other", "same")}
    assert found == {"smtp": [events], "own": [bounces], "other": [events], "same": [events]}
    assert list(half_configured.smtp(config)) == [events, bounces]


def test_a_return_mailbox_that_nobody_reads_is_named_where_it_is_said(sendgrid_s_relay: pytest.MonkeyPatch) -> None:
    Path("routes.yaml").write_text(_ROUTES.replace("x_smtpapi: true", "x_smtpapi: false"))
    (told,) = half_configured.of_provider("other", settings.load())
    assert "other@bounce.shop.example.com (return_mailbox of other in routes.yaml)" in told
