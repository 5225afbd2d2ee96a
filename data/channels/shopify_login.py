"""How a shop's own app lets itself into Shopify's Admin API.

Since 2026 apps are made in the Dev Dashboard and have no lasting token: client id and secret buy one for 24 hours
(shopify.dev, apps/build/authentication-authorization: client credentials grant). Apps that were made in a shop's admin
before keep their lasting token.
"""

from collections.abc import Generator

import httpx

from data.channels import walk
from data.channels.api import Access, ChannelRefused, ChannelUnavailable

_REFUSED, _NOT_LET_IN, _OK = {400, 401, 403, 404}, 401, 200
_HEADER = "X-Shopify-Access-Token"


class Login(httpx.Auth):
    """Sends the connection's token, or one bought for this pull. Raises ChannelRefused, ChannelUnavailable."""

    requires_response_body = True

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lasting = access.token.get_secret_value()
        self._bought = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        bought_now = not self._lasting and not self._bought
        if bought_now:
            self._bought = _token((yield self._ask()))
        request.headers[_HEADER] = self._lasting or self._bought
        response = yield request
        if response.status_code == _NOT_LET_IN and not self._lasting and not bought_now:  # its day was over
            self._bought = _token((yield self._ask()))
            request.headers[_HEADER] = self._bought
            yield request

    def _ask(self) -> httpx.Request:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._access.user,
            "client_secret": self._access.secret.get_secret_value(),
        }
        return httpx.Request("POST", f"{self._access.url}/admin/oauth/access_token", data=form)


def _token(response: httpx.Response) -> str:
    if response.status_code in _REFUSED:
        raise ChannelRefused(
            f"Shopify refuses the app's login ({response.status_code}): check url, user (client id) and secret in "
            "channels.yaml, and that the app is installed in this shop"
        )
    answer = walk.document(response.content) if response.status_code == _OK else {}
    token = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(token, str) or not token.isascii():
        raise ChannelUnavailable(f"Shopify's login answers {response.status_code}: the next pull tries again")
    return token
