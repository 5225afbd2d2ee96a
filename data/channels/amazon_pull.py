"""Pull orders from Amazon's Selling Partner API, 2026-01-01 or v0 by `version` of the connection.

Amazon allows few requests: 20 at once, then one in three minutes (v0: one a minute), for up to 100 orders each. Its
pages come in no promised order, so only a whole span of time moves the cursor: spans begin small and grow while they
are quiet, and a pull that is put off has not worked in vain.
"""

import json
import time
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from data.channels import fields, walk
from data.channels.api import Access, Api, ChannelRefused, ChannelUnavailable, Pace
from data.channels.channel import Page, Pull

_LOGIN = "https://api.amazon.com/auth/o2/token"
_RENEWED_BEFORE = 60.0  # seconds before the end of a token's hour
_LOGIN_REFUSED, _NOT_LET_IN, _OK = {400, 401, 403}, {401, 403}, 200
# "At least two minutes before the time of the request"; a little more, as clocks differ.
_TOO_FRESH = timedelta(minutes=2, seconds=15)
_FIRST_SPAN, _SHORTEST_SPAN = timedelta(hours=1), timedelta(minutes=5)
_BUSY_SPAN = 3  # pages; spans with more are halved
_LARGEST_PAGE = 100
_DATA = "BUYER,RECIPIENT,PROCEEDS,EXPENSE,PROMOTION,CANCELLATION,FULFILLMENT,PACKAGES,TAX,PAYMENT"
_NOT_PRICED_YET = {"Pending", "PendingAvailability"}
# Of searchOrders; v0: of getOrders and getOrderItems. From the models' usage plans.
_SEARCH_PACE, _V0_ORDERS_PACE, _V0_ITEMS_PACE = (0.0056, 20), (0.0167, 20), (0.5, 30)
_VERSIONS = {"": "2026-01-01", "2026-01-01": "2026-01-01", "v0": "v0"}


class Login(httpx.Auth):
    """Login with Amazon: a lasting refresh token buys an access token for an hour.

    Raises ChannelRefused and ChannelUnavailable out of the request that needed it.
    """

    requires_response_body = True

    def __init__(self, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self._access, self._clock = access, clock
        self._token, self._ends = "", 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        fresh = self._clock() >= self._ends
        if fresh:
            self._keep((yield self._ask()))
        request.headers["x-amz-access-token"] = self._token
        response = yield request
        if response.status_code in _NOT_LET_IN and not fresh:  # the token ended before its time
            self._keep((yield self._ask()))
            request.headers["x-amz-access-token"] = self._token
            yield request

    def _ask(self) -> httpx.Request:
        form = {
            "grant_type": "refresh_token",
            "client_id": self._access.user,
            "client_secret": self._access.secret.get_secret_value(),
            "refresh_token": self._access.refresh_token.get_secret_value(),
        }
        return httpx.Request("POST", self._access.token_url or _LOGIN, data=form)

    def _keep(self, response: httpx.Response) -> None:
        if response.status_code in _LOGIN_REFUSED:
            raise ChannelRefused(
                "Login with Amazon refuses: check user (client id), secret and refresh_token in channels.yaml"
            )
        answer = walk.document(response.content) if response.status_code == _OK else {}
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token.isascii():
            raise ChannelUnavailable(f"Login with Amazon answers {response.status_code}: the next pull tries again")
        lasts = answer.get("expires_in")
        seconds = float(lasts) if isinstance(lasts, int) and not isinstance(lasts, bool) else 0.0
        self._token, self._ends = token, self._clock() + seconds - _RENEWED_BEFORE


def open_api(access: Access) -> Api:
    """The seller's API. Raises ChannelRefused for a connection that cannot work."""
    version = _VERSIONS.get(access.version)
    if version is None:
        raise ChannelRefused("channels.yaml: version of Amazon's Orders API is 2026-01-01 or v0")
    if version == "v0" and not access.marketplaces:
        raise ChannelRefused("channels.yaml: name the marketplaces, v0 asks for them")
    per_second, burst = _V0_ITEMS_PACE if version == "v0" else _SEARCH_PACE
    return Api(access.url, auth=Login(access), pace=Pace(per_second, burst))


def pages(api: Api, access: Access, since: datetime, until: datetime) -> Iterator[Page]:
    """All orders changed in [since, until), as far as Amazon tells yet."""
    until = min(until, datetime.now(UTC) - _TOO_FRESH)
    ask = _V0(api, access) if _VERSIONS[access.version] == "v0" else _Search(api, access)
    span = _FIRST_SPAN
    while since < until:
        end = min(since + span, until)
        count = 0
        for page in _span(ask, since, end):
            count += 1
            yield page
        if count == 1:
            span *= 2
        elif count > _BUSY_SPAN:
            span = max(span / 2, _SHORTEST_SPAN)
        since = end


def _span(ask: "_Search | _V0", since: datetime, end: datetime) -> Iterator[Page]:
    token = ""
    while True:
        observed_at = datetime.now(UTC)
        body, token = ask(since, end, token)
        yield Page(body, observed_at, until=None if token else end)
        if not token:
            return


class _Search:
    """searchOrders: the orders with everything that belongs to them."""

    def __init__(self, api: Api, access: Access) -> None:
        self._api, self._access = api, access

    def __call__(self, since: datetime, end: datetime, token: str) -> tuple[bytes, str]:
        query = {
            "lastUpdatedAfter": _iso(since),
            "lastUpdatedBefore": _iso(end),
            "marketplaceIds": ",".join(self._access.marketplaces),
            "includedData": _DATA,
            "maxResultsPerPage": _page_size(self._access),
            "paginationToken": token,
        }
        response = self._api.get("/orders/2026-01-01/orders", {name: value for name, value in query.items() if value})
        answer = walk.document(response.content)
        walk.listed(answer, "orders")
        return response.content, _token(answer, "pagination.nextToken")


class _V0:
    """getOrders, and getOrderItems for each order that has prices yet; they are put into the order."""

    def __init__(self, api: Api, access: Access) -> None:
        self._api, self._access = api, access
        self._pace = Pace(*_V0_ORDERS_PACE)  # beside the Api's own, which is that of the items

    def __call__(self, since: datetime, end: datetime, token: str) -> tuple[bytes, str]:
        query = {
            "LastUpdatedAfter": _iso(since),
            "LastUpdatedBefore": _iso(end),
            "MarketplaceIds": ",".join(self._access.marketplaces),
            "MaxResultsPerPage": _page_size(self._access),
            "NextToken": token,
        }
        self._pace.wait()
        answer = self._get("/orders/v0/orders", {name: value for name, value in query.items() if value})
        for order in walk.listed(answer, "Orders"):
            order_id = fields.text(order, "AmazonOrderId")
            if order_id and fields.find(order, "OrderStatus") not in _NOT_PRICED_YET:
                order["OrderItems"] = self._items(order_id)
        return json.dumps({"payload": answer}).encode(), _token(answer, "NextToken")

    def _items(self, order_id: str) -> list[Any]:
        found: list[Any] = []
        token = ""
        while True:
            query = {"NextToken": token} if token else None
            answer = self._get(f"/orders/v0/orders/{quote(order_id, safe='')}/orderItems", query)
            found += walk.listed(answer, "OrderItems")
            token = _token(answer, "NextToken")
            if not token:
                return found

    def _get(self, path: str, query: dict[str, Any] | None) -> Any:
        return fields.find(walk.document(self._api.get(path, query).content), "payload")


def _page_size(access: Access) -> int:
    return min(access.page_size or _LARGEST_PAGE, _LARGEST_PAGE)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _token(answer: Any, path: str) -> str:
    token = fields.find(answer, path)
    return token if isinstance(token, str) else ""


PULL = Pull(open=open_api, pages=pages)
