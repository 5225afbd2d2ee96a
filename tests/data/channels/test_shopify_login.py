"""How an app lets itself into Shopify, against a server that sells tokens and takes them back."""

import json
import urllib.parse
from datetime import UTC, datetime

import pytest

from data.channels import shopify
from data.channels.api import Access, ChannelRefused, ChannelUnavailable
from tests.providers.loopback import Answer, Received, answering

SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
EMPTY = json.dumps({"data": {"orders": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}}}).encode()


class Shopify:
    """POST /admin/oauth/access_token and an empty shop behind it. Each login gets a new token; `valid` is the last."""

    def __init__(self, *, status: int = 200, lasting: str = "") -> None:
        self.status, self.valid, self.logins, self.asked = status, lasting, 0, 0

    def __call__(self, received: Received) -> Answer:
        if received.target == "/admin/oauth/access_token":
            return self._login(received)
        self.asked += 1
        token = received.headers.get("X-Shopify-Access-Token")
        return Answer(200, EMPTY) if token and token == self.valid else Answer(401, b'{"errors": "[API] Invalid"}')

    def _login(self, received: Received) -> Answer:
        form = dict(urllib.parse.parse_qsl(received.body.decode()))
        assert "X-Shopify-Access-Token" not in received.headers
        if form != {"grant_type": "client_credentials", "client_id": "c1", "client_secret": "shpss_1"}:
            return Answer(400, b'{"error": "invalid_client"}')
        self.logins += 1
        self.valid = f"shpat_{self.logins}"
        said = {"access_token": self.valid, "scope": "read_orders", "expires_in": 86399}
        return Answer(self.status, json.dumps(said).encode())


def pull(url: str, times: int = 1, between=lambda: None, **keys: str) -> None:
    access = Access.model_validate({"url": url, **keys})
    channel = shopify.CHANNEL.pull
    assert channel is not None
    with channel.open(access) as api:
        for number in range(times):
            if number:
                between()
            list(channel.pages(api, access, SINCE, UNTIL))


KEYS = {"user": "c1", "secret": "shpss_1"}


def test_client_id_and_secret_buy_a_token_once_a_pull():
    shop = Shopify()
    with answering(shop) as server:
        pull(server.url, 3, **KEYS)
    assert (shop.logins, shop.asked) == (1, 3)


def test_a_token_whose_day_is_over_is_bought_anew():
    shop = Shopify()
    with answering(shop) as server:
        pull(server.url, 2, lambda: setattr(shop, "valid", "another"), **KEYS)
    assert (shop.logins, shop.asked) == (2, 3)


def test_a_lasting_token_needs_no_login():
    shop = Shopify(lasting="shpat_lasting")
    with answering(shop) as server:
        pull(server.url, token="shpat_lasting", **KEYS)
    assert (shop.logins, shop.asked) == (0, 1)


def test_a_lasting_token_that_is_wrong_is_not_replaced_behind_our_back():
    shop = Shopify()
    with answering(shop) as server, pytest.raises(ChannelRefused, match="the key in"):
        pull(server.url, token="shpat_old", **KEYS)
    assert (shop.logins, shop.asked) == (0, 1)


@pytest.mark.parametrize("keys", [{"user": "c1", "secret": "shpss_wrong"}, {}])
def test_a_login_that_is_refused_says_what_to_check_and_repeats_no_key(keys):
    shop = Shopify()
    with answering(shop) as server, pytest.raises(ChannelRefused) as caught:
        pull(server.url, **keys)
    assert "check url, user (client id) and secret" in str(caught.value)
    assert "shpss" not in str(caught.value)
    assert shop.asked == 0


def test_a_login_that_fails_is_left_to_the_next_pull():
    with answering(Shopify(status=502)) as server, pytest.raises(ChannelUnavailable, match="login answers 502"):
        pull(server.url, **KEYS)


def test_a_token_that_is_never_let_in_ends_the_pull():
    shop = Shopify()
    refusing = Shopify.__call__

    def never(received: Received) -> Answer:
        answer = refusing(shop, received)
        return answer if received.target.endswith("access_token") else Answer(401, b"{}")

    with answering(never) as server, pytest.raises(ChannelRefused, match="the key in"):
        pull(server.url, **KEYS)
    assert shop.logins == 1
