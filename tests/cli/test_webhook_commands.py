"""Commands about the webhooks of a Mailchimp audience, over its end points as the sandbox plays them."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import settings
from providers.sandbox.app import create_app
from providers.sandbox.config import SandboxConfig
from providers.sandbox.marketing.schema import LIST_ID
from tests.cli.conftest import Campaigns
from tests.flows.conftest import serving
from tests.providers import loopback

pytestmark = [pytest.mark.parametrize("database_url", ["sqlite"], indirect=True), pytest.mark.usefixtures("shop")]
_SECRET = "a-secret-of-the-url-of-20"


@pytest.fixture
def audience(environment: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for name, value in {
        "MAILCHIMP_MARKETING_API_KEY": "SG.sandbox",
        "MAILCHIMP_MARKETING_BASE_URL": f"{url}/mailchimp/3.0",
        "MAILCHIMP_MARKETING_LIST_ID": LIST_ID,
        "MAILCHIMP_MARKETING_URL_SECRETS": f'["{_SECRET}"]',
    }.items():
        environment.setenv(f"OMS_{name}", value)
    gateway = loopback.answering(lambda _: loopback.Answer(200, b"", {}))
    with gateway as door:  # Mailchimp asks the URL before it takes it
        environment.setenv("OMS_GATEWAY_PUBLIC_URL", door.url)
        settings.load.cache_clear()
        yield from _sandbox(listener, tmp_path)


def _sandbox(listener: socket.socket, tmp_path: Path) -> Iterator[None]:
    with serving(create_app(SandboxConfig(store=str(tmp_path / "sandbox.db"))), listener):
        yield


@pytest.mark.usefixtures("audience")
def test_a_webhook_is_made_shown_and_removed(campaigns: Campaigns) -> None:
    assert "nobody hears at once who left" in campaigns("webhooks", "list").out
    made = campaigns("webhooks", "register", "--json").json
    assert made["signing_secret"]
    told = campaigns("webhooks", "list", "--json")
    assert [one["id"] for one in told.json["webhooks"]] == [made["id"]]
    assert _SECRET not in told.out
    assert any("no signing secret is set" in one for one in told.json["findings"])
    campaigns("webhooks", "remove", made["id"])
    assert campaigns("webhooks", "list", "--json").json["webhooks"] == []


@pytest.mark.usefixtures("audience")
def test_what_has_no_audience_is_told_apart(campaigns: Campaigns) -> None:
    assert "sendgrid has no audience" in campaigns("webhooks", "list", "sendgrid").mistake
    assert "sendgrid has no audience" in campaigns("webhooks", "list", "--provider", "sendgrid").mistake
    assert "name one" in campaigns("webhooks", "list", "sendgrid", "--provider", "mailchimp").mistake


_ROUTES = """
providers: {{p-mailchimp: {{kind: mailchimp, api_key_env: LIST_KEY, list_id: {list}, base_url: "{url}"}}{more}}}
"""


@pytest.mark.usefixtures("audience")
def test_the_only_audience_of_the_routes_needs_no_name(
    environment: pytest.MonkeyPatch, campaigns: Campaigns, tmp_path: Path
) -> None:
    url = settings.load().mailchimp.marketing_base_url
    for name in ("API_KEY", "LIST_ID"):
        environment.delenv(f"OMS_MAILCHIMP_MARKETING_{name}")
    environment.setenv("LIST_KEY", "SG.sandbox")
    settings.load.cache_clear()
    (tmp_path / "routes.yaml").write_text(_ROUTES.format(list=LIST_ID, url=url, more=""), "utf-8")
    made = campaigns("webhooks", "register", "--json").json
    assert campaigns("webhooks", "list", "--provider", "p-mailchimp", "--json").json["webhooks"][0]["id"] == made["id"]
    more = ", other: {kind: sandbox, speaks: mailchimp}"
    (tmp_path / "routes.yaml").write_text(_ROUTES.format(list=LIST_ID, url=url, more=more), "utf-8")
    assert "name one of p-mailchimp, other" in campaigns("webhooks", "list").mistake


def test_mailchimp_is_not_asked_to_call_an_address_that_it_cannot_reach(
    environment: pytest.MonkeyPatch, campaigns: Campaigns
) -> None:
    environment.setenv("OMS_MAILCHIMP_MARKETING_API_KEY", "k3y-us1")
    environment.setenv("OMS_MAILCHIMP_MARKETING_LIST_ID", LIST_ID)
    environment.setenv("OMS_MAILCHIMP_MARKETING_URL_SECRETS", f'["{_SECRET}"]')
    settings.load.cache_clear()
    told = campaigns("webhooks", "register").mistake
    assert "Mailchimp cannot reach OMS_GATEWAY_PUBLIC_URL" in told
    assert "Nothing was asked" in told


def test_without_a_secret_for_the_url_none_is_made(campaigns: Campaigns) -> None:
    assert "OMS_MAILCHIMP_MARKETING_URL_SECRETS" in campaigns("webhooks", "register").mistake
