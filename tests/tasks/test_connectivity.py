"""What each kind of provider tells before anything is sent, over real sockets; and what its domains need in the DNS."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import settings
from domain.preflight import Light
from providers import esp_connection
from tasks import connectivity, esps, half_configured
from tests.cli.fakes import FakeServer
from tests.conftest import LINK_KEY, PEPPER
from tests.providers.smtp import sink
from tests.providers.smtp.sink import Sink


@pytest.fixture
def relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    monkeypatch.chdir(tmp_path)
    with sink.running(Sink()) as found:
        for name, value in {
            "OMS_PRIVACY_PEPPER": PEPPER,
            "OMS_PRIVACY_LINK_KEY": LINK_KEY,
            "OMS_SMTP_HOST": "127.0.0.1",
            "OMS_SMTP_PORT": str(found.port),
            "OMS_SMTP_SECURITY": "none",
            "OMS_SMTP_RETURN_MAILBOX": "returns@bounce.shop.example.com",
            "OMS_PREFLIGHT_RELAY_ADDRESSES": json.dumps(["198.51.100.7"]),
            "OMS_PREFLIGHT_DKIM_SELECTORS": json.dumps(["a", "b"]),
        }.items():
            monkeypatch.setenv(name, value)
        settings.load.cache_clear()
        yield found
    settings.load.cache_clear()


def test_a_relay_that_takes_us_is_green_and_no_mail_is_begun(relay: Sink) -> None:
    (line,) = connectivity.lines("smtp", "shop.example.com")
    assert (line.area, line.subject, line.light) == ("connectivity", "smtp", Light.GREEN)
    assert relay.taken == []
    assert not any(one.upper().startswith("MAIL") for one in relay.heard)


def test_a_relay_that_refuses_us_is_red_and_one_that_is_down_is_not(
    relay: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMS_SMTP_USER", "shop")
    monkeypatch.setenv("OMS_SMTP_PASSWORD", "wrong")
    settings.load.cache_clear()
    relay.offers = (*relay.offers, "AUTH PLAIN LOGIN")
    relay.script = lambda stage, _who: "535 5.7.8 no" if stage == "AUTH" else None
    (line,) = connectivity.lines("smtp", "shop.example.com")
    assert line.light is Light.RED
    assert "535" in line.found
    assert "wrong" not in str(line)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("OMS_SMTP_PORT", str(port))
    settings.load.cache_clear()
    (line,) = connectivity.lines("smtp", "shop.example.com")
    assert line.light is Light.GREY


@pytest.mark.parametrize("contract", esp_connection.CONTRACTS)
def test_what_is_not_set_up_is_red_and_ends_nothing(
    contract: str, relay: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMS_SMTP_HOST", "")
    settings.load.cache_clear()
    (line,) = connectivity.lines(contract, "shop.example.com")
    assert (line.area, line.subject, line.light) == ("connectivity", contract, Light.RED)
    assert "OMS_" in line.found
    assert connectivity.domain_request(contract, "shop.example.com").domain == "shop.example.com"


@pytest.fixture
def keys(relay: Sink, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every ESP has its key."""
    for name, value in {
        "OMS_SENDGRID_API_KEY": "SG.k3y",
        "OMS_MAILCHIMP_TRANSACTIONAL_API_KEY": "md-k3y",
        "OMS_MAILCHIMP_MARKETING_API_KEY": "k3y-us1",
        "OMS_MAILCHIMP_MARKETING_LIST_ID": "abc",
        "OMS_POSTMARK_SERVER_TOKEN": "k3y",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def _at(contract: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SENDGRID", "MAILCHIMP_TRANSACTIONAL", "MAILCHIMP_MARKETING", "POSTMARK"):
        monkeypatch.setenv(f"OMS_{name}_BASE_URL", f"http://127.0.0.1:{port}")
    if contract == "smtp":
        monkeypatch.setenv("OMS_SMTP_PORT", str(port))
    settings.load.cache_clear()


@pytest.mark.parametrize("contract", esp_connection.CONTRACTS)
def test_an_esp_where_nobody_listens_is_grey(contract: str, keys: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    _at(contract, port, keys)
    (line,) = connectivity.lines(contract, "shop.example.com")
    assert (line.area, line.subject, line.light) == ("connectivity", contract, Light.GREY)
    assert "k3y" not in str(line)


@pytest.mark.parametrize("contract", [one for one in esp_connection.CONTRACTS if one != "smtp"])
def test_an_esp_that_refuses_the_key_is_red(contract: str, keys: pytest.MonkeyPatch) -> None:
    refusals = {
        ("GET", "/v3/scopes"): {"errors": []},
        ("POST", "/users/ping2.json"): {"status": "error", "code": -1, "name": "Invalid_Key", "message": "no"},
        ("GET", "/"): {"title": "API Key Invalid", "status": 401, "detail": "no"},
        ("GET", "/server"): {"ErrorCode": 10, "Message": "no"},
    }
    with FakeServer() as esp:
        for (method, path), body in refusals.items():
            esp.answer(method, path, body, status=401)
        _at(contract, esp.port, keys)
        (line,) = connectivity.lines(contract, "shop.example.com")
    assert (line.area, line.light) == ("connectivity", Light.RED)
    assert "401" in line.found or "API Key Invalid" in line.found


def test_several_transactional_mails_in_one_request_have_no_way_out_in_the_header(keys: pytest.MonkeyPatch) -> None:
    keys.setenv("OMS_MAILCHIMP_TRANSACTIONAL_BATCH_SIZE", "2")
    settings.load.cache_clear()
    (line,) = connectivity.lines("mailchimp-transactional", "shop.example.com")
    assert line.light is Light.RED
    assert "List-Unsubscribe" in line.found


_MAILCHIMPS = """
providers:
  theirs: {kind: mailchimp, api_key_env: THEIR_KEY, base_url: "https://us7.api.mailchimp.com/3.0", list_id: theirs}
  played: {kind: sandbox, speaks: mailchimp}
"""


def test_an_oauth_token_of_the_settings_is_no_other_accounts(keys: pytest.MonkeyPatch) -> None:
    Path("routes.yaml").write_text(_MAILCHIMPS)
    keys.delenv("OMS_MAILCHIMP_MARKETING_API_KEY")
    keys.setenv("OMS_MAILCHIMP_MARKETING_ACCESS_TOKEN", "token")
    keys.setenv("THEIR_KEY", "theirs-us7")
    settings.load.cache_clear()
    assert esps.reach("theirs").reached() == ("https://us7.api.mailchimp.com/3.0", "theirs-us7 theirs")
    assert "token" not in "".join(esps.reach("played").reached())
    assert esps.reach("mailchimp").reached()[1] == "token abc"


def test_a_key_and_a_token_together_are_told_before_anything_starts(keys: pytest.MonkeyPatch) -> None:
    keys.setenv("OMS_MAILCHIMP_MARKETING_ACCESS_TOKEN", "token")
    settings.load.cache_clear()
    told = half_configured.marketing(settings.load())
    assert any("both set" in one for one in told)
    keys.delenv("OMS_MAILCHIMP_MARKETING_ACCESS_TOKEN")
    settings.load.cache_clear()
    assert not any("both set" in one for one in half_configured.marketing(settings.load()))


def test_a_relay_tells_neither_selectors_nor_addresses_so_the_settings_do(relay: Sink) -> None:
    request = connectivity.domain_request("smtp", "shop.example.com")
    assert (request.selectors, request.relays) == (("a", "b"), ("198.51.100.7",))
    assert request.return_path == "bounce.shop.example.com"
    assert not request.esp_return_path


def test_mailchimp_signs_by_keys_of_its_own(relay: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMS_MAILCHIMP_TRANSACTIONAL_API_KEY", "md-key")
    settings.load.cache_clear()
    request = connectivity.domain_request("mailchimp-transactional", "shop.example.com")
    assert request.selectors == ("mte1", "mte2")
