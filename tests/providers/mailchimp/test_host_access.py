"""By a key or by an OAuth token, and never by both."""

import base64
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from domain.access import Signing
from domain.campaign_host import HostRefuses, HostUnavailable
from providers.mailchimp import access, account, calls
from providers.mailchimp.account import Account
from providers.mailchimp.config import MailchimpConfig, MailchimpNotConfigured
from providers.mailchimp.host import open_host
from tests.providers import loopback, vendor_api
from tests.providers.mailchimp import hosting
from tests.providers.sandbox.conftest import Esp, esp, start

__all__ = ["esp", "start"]

TOKEN = "0123456789abcdef0123456789abcdef"


def config(**changes: Any) -> MailchimpConfig:
    return MailchimpConfig.model_validate({"marketing_list_id": "5a4db0c5e1", **changes})


def metadata(**answer: Any) -> loopback.Answer:
    return loopback.Answer(200, orjson.dumps(answer), {"Content-Type": "application/json"})


def test_a_key_names_its_data_centre_and_goes_as_a_password():
    client = calls.open_marketing(config(marketing_api_key=SecretStr("abc-us21")))
    assert client.base_url == httpx.URL("https://us21.api.mailchimp.com/3.0/")
    request = next(client.auth.sync_auth_flow(client.build_request("GET", "/ping")))
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).endswith(b":abc-us21")
    client.close()


def test_the_data_centre_of_a_token_is_asked_for():
    answer = metadata(
        dc="us6", api_endpoint="https://us6.api.mailchimp.com", login_url="https://us6.admin.mailchimp.com"
    )
    with loopback.answering(lambda _: answer) as server:
        url = f"{server.url}/oauth2/metadata"
        client = calls.open_marketing(config(marketing_access_token=SecretStr(TOKEN), marketing_metadata_url=url))
    (asked,) = server.requests
    assert (asked.method, asked.target.rstrip("/"), asked.headers["Authorization"]) == (
        *("GET", "/oauth2/metadata"),
        f"OAuth {TOKEN}",
    )
    assert client.base_url == httpx.URL("https://us6.api.mailchimp.com/3.0/")
    assert client.headers["Authorization"] == f"Bearer {TOKEN}"
    client.close()


@pytest.mark.parametrize(
    "answer",
    [
        metadata(error="invalid_token"),
        metadata(api_endpoint="https://us6.api.mailchimp.com.evil.example"),
        metadata(api_endpoint="http://us6.api.mailchimp.com"),
        loopback.Answer(503),
    ],
)
def test_a_token_goes_nowhere_but_to_mailchimp(answer):
    with loopback.answering(lambda _: answer) as server:
        chosen = config(marketing_access_token=SecretStr(TOKEN), marketing_metadata_url=server.url)
        with pytest.raises(HostUnavailable) as raised:
            open_host(chosen)
    assert TOKEN not in str(raised.value)


def test_a_base_url_of_ones_own_is_not_asked_for():
    chosen = config(marketing_access_token=SecretStr(TOKEN), marketing_base_url="http://127.0.0.1:1/mailchimp/3.0")
    client = calls.open_marketing(chosen)
    assert client.base_url == httpx.URL("http://127.0.0.1:1/mailchimp/3.0/")
    client.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "OMS_MAILCHIMP_MARKETING_API_KEY"),
        ({"marketing_api_key": SecretStr("abc-us21"), "marketing_access_token": SecretStr(TOKEN)}, "both set"),
        ({"marketing_api_key": SecretStr("abc")}, "data centre"),
        ({"marketing_api_key": SecretStr("abc-us21"), "marketing_list_id": ""}, "LIST_ID"),
        ({"marketing_api_key": SecretStr("abc-us21"), "marketing_list_id": "a/b"}, "LIST_ID"),
        ({"marketing_access_token": SecretStr("two words")}, "OMS_MAILCHIMP_MARKETING_ACCESS_TOKEN"),
    ],
)
def test_half_a_configuration_is_refused_and_says_what_is_missing(changes, words):
    with pytest.raises(MailchimpNotConfigured, match=words) as raised:
        open_host(config(**changes))
    assert TOKEN not in str(raised.value)


def test_account_and_audience_are_told(esp: Esp):
    found = account.read(hosting.config(esp.url))
    assert found == Account("manager", "monthly", "Customers", 0, {})
    with pytest.raises(HostRefuses, match="API Key Invalid"):
        account.read(hosting.config(esp.url, marketing_api_key=SecretStr("wrong-us1")))


def test_an_account_is_read_as_mailchimp_writes_it():
    answers = {
        "/3.0/": {"role": "Owner", "pricing_plan_type": "forever_free", "account_name": "Shop"},
        "/3.0/lists/5a4db0c5e1": {"name": "Customers", "stats": {"member_count": 7}},
        "/3.0/verified-domains": {"domains": [{"domain": "News.example", "verified": True, "authenticated": True}]},
    }

    def answer(request: loopback.Received) -> loopback.Answer:
        return loopback.Answer(200, orjson.dumps(answers[request.target.partition("?")[0]]))

    with loopback.answering(answer) as server:
        own = {"marketing_api_key": SecretStr("abc-us21"), "marketing_base_url": f"{server.url}/3.0"}
        found = account.read(config(**own))
    assert found == Account("owner", "forever_free", "Customers", 7, {"news.example": True})
    judge = vendor_api.mailchimp_marketing()
    for one in server.requests:
        judge.judge(one)


@pytest.mark.parametrize(
    ("role", "plan", "lacking", "beyond"),
    [
        ("Owner", "monthly", "", "role owner"),
        ("manager", "monthly", "", ""),
        ("viewer", "monthly", "above viewer", ""),
        ("manager", "forever_free", "a plan with scheduling", ""),
    ],
)
def test_what_a_key_lacks_and_what_it_may_besides(role: str, plan: str, lacking: str, beyond: str):
    answers = {
        "/3.0/": {"role": role, "pricing_plan_type": plan},
        "/3.0/lists/5a4db0c5e1": {"name": "Customers", "stats": {"member_count": 7}},
        "/3.0/verified-domains": {"domains": [{"domain": "shop.example", "verified": True, "authenticated": True}]},
    }

    def answer(request: loopback.Received) -> loopback.Answer:
        return loopback.Answer(200, orjson.dumps(answers[request.target.partition("?")[0]]))

    with loopback.answering(answer) as server:
        own = {"marketing_api_key": SecretStr("abc-us21"), "marketing_base_url": f"{server.url}/3.0"}
        found = access.marketing(config(**own))
    assert lacking in "".join(found.lacking)
    assert bool(found.lacking) == bool(lacking)
    assert beyond in "".join(found.beyond)
    assert bool(found.beyond) == bool(beyond)
    assert found.signs_for("shop.example") is Signing.YES
