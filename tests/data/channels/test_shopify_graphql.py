"""Shopify's GraphQL orders: the same order as REST's, and the pull against a server that behaves as documented."""

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from data.channels import shopify
from data.channels.api import Access, ChannelRefused, ChannelUnavailable
from data.channels.channel import Delivery, Origin, Page, Unfit
from domain.orders import Order, OrderStatus, OrderStep
from tests.providers.loopback import Answer, Received, Server, answering

PAYLOADS = Path(__file__).parents[2] / "payloads/orders/shopify"
PULLED = Delivery(Origin.PULL, datetime(2026, 4, 1, 12, tzinfo=UTC))
SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, 0, 0, 0, 500, tzinfo=UTC)
TOKEN = "shpat_test"


def page() -> dict[str, Any]:
    return orjson.loads((PAYLOADS / "graphql_page.json").read_bytes())


def node() -> dict[str, Any]:
    return page()["data"]["orders"]["nodes"][0]


def read(raw: Any) -> Order:
    found = shopify.order(raw, PULLED)
    assert isinstance(found, Order)
    return found


def without_payments(order: Order) -> Order:
    """REST's order does not hold its payments, so it cannot know how much was paid in which."""
    events = tuple(replace(event, amount=None) if event.step is OrderStep.PAID else event for event in order.events)
    return replace(order, events=events)


def test_both_apis_give_the_same_order() -> None:
    (element,) = shopify.elements(orjson.dumps(page()), PULLED)
    rest = orjson.loads((PAYLOADS / "partially_refunded.json").read_bytes())
    assert without_payments(read(element.payload)) == without_payments(read(rest))
    assert read(element.payload).events[0].amount == read(rest).total


def test_nodes_and_edges_and_the_consent_of_older_versions() -> None:
    raw = node()
    raw["lineItems"] = {"edges": [{"cursor": "c", "node": line} for line in raw["lineItems"]["nodes"]]}
    address = raw["customer"].pop("defaultEmailAddress")
    raw["customer"] |= {
        "email": address["emailAddress"],
        "emailMarketingConsent": {
            "marketingState": address["marketingState"],
            "marketingOptInLevel": address["marketingOptInLevel"],
            "consentUpdatedAt": address["marketingUpdatedAt"],
        },
    }
    assert read(raw) == read(node())


@pytest.mark.parametrize(
    ("fulfillment", "status", "word"),
    [
        ("PARTIALLY_FULFILLED", OrderStatus.PAID, "paid/partial"),
        ("UNFULFILLED", OrderStatus.PAID, "paid/unfulfilled"),
        ("IN_PROGRESS", OrderStatus.PAID, "paid/in_progress"),
        ("FULFILLED", OrderStatus.SHIPPED, "paid/fulfilled"),
    ],
)
def test_words_are_those_of_rest(fulfillment: str, status: OrderStatus, word: str) -> None:
    order = read(node() | {"displayFinancialStatus": "PAID", "displayFulfillmentStatus": fulfillment})
    assert (order.status, order.channel_status) == (status, word)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("totalPriceSet", "presentmentMoney", "amount"), "dear", "totalPriceSet.presentmentMoney.amount"),
        (("totalPriceSet",), None, "currencyCode"),
        (("displayFinancialStatus",), "OVERPAID", "displayFinancialStatus"),
        (("lineItems", "nodes", 1, "quantity"), 1.5, "lineItems.nodes.1.quantity"),
        (
            ("lineItems", "nodes", 0, "originalUnitPriceSet", "presentmentMoney", "amount"),
            True,
            "lineItems.nodes.0.originalUnitPriceSet.presentmentMoney.amount",
        ),
        (
            ("customer", "defaultEmailAddress", "marketingUpdatedAt"),
            "noon",
            "customer.defaultEmailAddress.marketingUpdatedAt",
        ),
        (
            ("refunds", 0, "transactions", "nodes", 0, "amountSet", "presentmentMoney", "amount"),
            "x",
            "refunds.0.transactions.nodes.0.amountSet.presentmentMoney.amount",
        ),
    ],
)
def test_a_complaint_names_the_field_as_graphql_does(path: tuple[Any, ...], value: Any, field: str) -> None:
    raw = node()
    here: Any = raw
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    if path == ("totalPriceSet",):
        raw["currencyCode"] = None
    with pytest.raises(Unfit) as caught:
        read(raw)
    assert caught.value.fields == (field,)
    assert field in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.data())
def test_a_spoilt_node_is_read_or_refused(data: st.DataObject) -> None:
    raw = node()
    here: Any = raw
    while True:
        keys = sorted(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if not isinstance(here[key], dict | list) or data.draw(st.booleans()):
            here[key] = data.draw(JSON)
            break
        here = here[key]
    found: Any
    try:
        found = shopify.order(raw, PULLED)
    except Unfit as unfit:
        found = unfit
    assert isinstance(found, Order | Unfit)


def test_json_that_is_nested_too_deeply_is_no_crash() -> None:
    deep: Any = []
    for _ in range(3000):
        deep = [deep]
    with pytest.raises(Unfit):
        shopify.order(node() | {"lineItems": deep}, PULLED)


# ---------------------------------------------------------------------------------------------------------- the pull


def cost(requested: float = 100, available: float = 1000, rate: float = 1e6) -> dict[str, Any]:
    status = {"maximumAvailable": 1000.0, "currentlyAvailable": available, "restoreRate": rate}
    return {"cost": {"requestedQueryCost": requested, "throttleStatus": status}}


def error(code: str) -> bytes:
    return orjson.dumps({"errors": [{"message": code, "extensions": {"code": code}}], "extensions": cost(available=10)})


@dataclass
class Shop:
    """Shopify's GraphQL endpoint over a few orders. `first_answers` come before the proper ones."""

    orders: list[dict[str, Any]]
    first_answers: list[Answer] = field(default_factory=list)
    dearest: int = 250
    on_page: Callable[[], None] = lambda: None

    def answer(self, request: Received) -> Answer:
        if request.target != "/admin/api/2026-07/graphql.json" or request.headers["X-Shopify-Access-Token"] != TOKEN:
            return Answer(401, b'{"errors": "[API] Invalid API key or access token"}')
        if self.first_answers:
            return self.first_answers.pop(0)
        asked = orjson.loads(request.body)
        name, variables = re.match(r"query (\w+)", asked["query"])[1], asked["variables"]
        if name == "Orders" and variables["first"] > self.dearest:
            return Answer(200, error("MAX_COST_EXCEEDED"))
        found = getattr(self, f"_{name.lower()}")(**variables)
        return Answer(200, orjson.dumps({"data": found, "extensions": cost()}))

    def _orders(self, first: int, after: str | None, query: str) -> Any:
        since, until = re.fullmatch(r"updated_at:>='(\S+Z)' updated_at:<'(\S+Z)'", query).groups()
        within = sorted(
            (one for one in self.orders if since <= one["updatedAt"] < until), key=lambda one: one["updatedAt"]
        )
        within = [one for one in within if after is None or one["updatedAt"] > after]
        listed = [self._short(one) for one in within[:first]]
        info = {"hasNextPage": len(within) > first, "endCursor": listed[-1]["updatedAt"] if listed else None}
        self.on_page()
        return {"orders": {"nodes": listed, "pageInfo": info}}

    @staticmethod
    def _short(order: dict[str, Any]) -> dict[str, Any]:
        short = copy.deepcopy(order)
        lines = short["lineItems"]["nodes"]
        short["lineItems"] = {
            "nodes": lines[:10],
            "pageInfo": {"hasNextPage": len(lines) > 10, "endCursor": "10"},
        }
        short["fulfillmentsCount"] = {"count": len(order["fulfillments"])}
        short["fulfillments"] = short["fulfillments"][:10]
        short["refunds"] = [{"id": one["id"]} for one in order["refunds"][:1]]
        return short

    def _find(self, number: str) -> dict[str, Any]:
        return next(one for one in self.orders if one["id"] == number)

    def _lines(self, id: str, after: str) -> Any:  # noqa: A002 - the variable's name in the query
        lines, start = self._find(id)["lineItems"]["nodes"], int(after)
        info = {"hasNextPage": len(lines) > start + 50, "endCursor": str(start + 50)}
        return {"order": {"lineItems": {"nodes": lines[start : start + 50], "pageInfo": info}}}

    def _parcels(self, id: str) -> Any:  # noqa: A002
        return {"order": {"fulfillments": self._find(id)["fulfillments"]}}

    def _refunds(self, id: str) -> Any:  # noqa: A002
        refunds = [{"id": one["id"], "createdAt": one["createdAt"]} for one in self._find(id)["refunds"]]
        return {"order": {"refunds": refunds}}

    def _refund(self, id: str, after: str | None) -> Any:  # noqa: A002
        (refund,) = [one for order in self.orders for one in order["refunds"] if one["id"] == id]
        lines, start = refund["refundLineItems"]["nodes"], int(after or 0)
        info = {"hasNextPage": len(lines) > start + 1, "endCursor": str(start + 1)}
        found = {"nodes": lines[start : start + 1], "pageInfo": info}
        return {"refund": {"transactions": refund["transactions"], "refundLineItems": found}}


def orders(count: int) -> list[dict[str, Any]]:
    start = datetime(2026, 3, 5, tzinfo=UTC)
    return [
        node()
        | {
            "id": f"gid://shopify/Order/{number}",
            "legacyResourceId": str(number),
            "updatedAt": (start + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "refunds": [],
        }
        for number in range(1, count + 1)
    ]


@contextmanager
def selling(shop: Shop) -> Iterator[Server]:
    with answering(shop.answer) as server:
        yield server


def pull(server: Server, *, token: str = TOKEN, since: datetime = SINCE, **more: Any) -> list[Page]:
    channel = shopify.CHANNEL.pull
    assert channel is not None
    access = Access(url=server.url, token=SecretStr(token), **more)
    with channel.open(access) as api:
        api._sleep = slept.append  # the waits are asserted, not lived through
        return list(channel.pages(api, access, since, UNTIL))


slept: list[float] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    slept.clear()


def numbers(pages: list[Page]) -> list[str]:
    elements = [element for page in pages for element in shopify.elements(page.body, PULLED)]
    return [read(element.payload).external_id for element in elements]


def test_pages_by_cursor_until_the_last() -> None:
    with selling(Shop(orders(5))) as server:
        pages = pull(server, page_size=2)
    assert numbers(pages) == ["1", "2", "3", "4", "5"]
    # A page is complete up to when its last order changed, the last one up to the second that was asked for.
    assert [page.until for page in pages] == [
        datetime(2026, 3, 5, 0, 2, tzinfo=UTC),
        datetime(2026, 3, 5, 0, 4, tzinfo=UTC),
        UNTIL.replace(microsecond=0),
    ]
    assert all(page.observed_at.tzinfo is UTC for page in pages)


def test_only_what_changed_since_and_an_overlap_repeats_it() -> None:
    with selling(Shop(orders(5))) as server:
        again = pull(server, since=datetime(2026, 3, 5, 0, 4, tzinfo=UTC))
        nothing = pull(server, since=datetime(2026, 3, 6, tzinfo=UTC))
    assert numbers(again) == ["4", "5"]
    assert [(numbers([page]), page.until) for page in nothing] == [([], UNTIL.replace(microsecond=0))]


def test_an_order_that_changes_meanwhile_comes_with_the_next_pull_and_hides_no_other() -> None:
    shop = Shop(orders(4))

    def touch() -> None:
        shop.orders[0]["updatedAt"] = "2026-05-01T00:00:00Z"

    shop.on_page = touch
    with selling(shop) as server:
        assert numbers(pull(server, page_size=2)) == ["1", "2", "3", "4"]


def test_put_off_by_cost() -> None:
    with selling(Shop(orders(1), [Answer(200, error("THROTTLED")), Answer(200, error("THROTTLED"))])) as server:
        assert numbers(pull(server)) == ["1"]
    assert slept == [pytest.approx(9e-5)] * 2  # (100 - 10) / 1e6: what is missing by what comes back a second


def test_put_off_again_and_again() -> None:
    with (
        selling(Shop(orders(1), [Answer(200, error("THROTTLED"))] * 8)) as server,
        pytest.raises(ChannelUnavailable, match="goes on from the same place"),
    ):
        pull(server)


def test_waits_before_it_is_put_off() -> None:
    """An answer says that the next one like it cannot be paid for yet."""
    answer = {"data": Shop(orders(1))._orders(2, None, query_of()), "extensions": cost(available=50, rate=100)}
    with selling(Shop(orders(1), [Answer(200, orjson.dumps(answer))])) as server:
        assert numbers(pull(server)) == ["1"]
    assert slept == [0.5]


def query_of() -> str:
    return "updated_at:>='2026-03-01T00:00:00Z' updated_at:<'2026-04-01T00:00:00Z'"


def test_429_with_retry_after() -> None:
    with selling(Shop(orders(1), [Answer(429, b"", {"Retry-After": "2.0"})])) as server:
        assert numbers(pull(server)) == ["1"]
    assert slept == [2.0]


def test_a_query_that_is_too_dear_asks_for_fewer_orders() -> None:
    with selling(Shop(orders(7), dearest=2)) as server:
        assert numbers(pull(server)) == ["1", "2", "3", "4", "5", "6", "7"]
        firsts = [orjson.loads(request.body)["variables"]["first"] for request in server.requests]
    assert firsts == [10, 5, 2, 2, 2, 2]
    with selling(Shop(orders(1), dearest=0)) as server, pytest.raises(ChannelRefused, match="too dear"):
        pull(server)


def test_orders_come_whole() -> None:
    """Lines, parcels and refunds beyond what the first query holds."""
    (large,) = orders(1)
    line = large["lineItems"]["nodes"][0]
    large["lineItems"]["nodes"] = [line | {"id": f"gid://shopify/LineItem/{number}"} for number in range(1, 123)]
    parcel = large["fulfillments"][0]
    large["fulfillments"] = [parcel | {"id": f"gid://shopify/Fulfillment/{number}"} for number in range(1, 13)]
    refund = node()["refunds"][0]
    refund["refundLineItems"]["nodes"] *= 3
    large["refunds"] = [refund, refund | {"id": "gid://shopify/Refund/2"}]
    with selling(Shop([large])) as server:
        (pulled,) = pull(server)
    (element,) = shopify.elements(pulled.body, PULLED)
    assert len(element.payload["refunds"][0]["refundLineItems"]["nodes"]) == 3
    order = read(element.payload)
    assert [line.external_id for line in order.lines] == [str(number) for number in range(1, 123)]
    assert len([event for event in order.events if event.step is OrderStep.SHIPPED]) == 12
    assert [event.reference for event in order.events if event.step is OrderStep.REFUNDED] == ["9901001", "2"]


@pytest.mark.parametrize(
    ("answer", "fault", "sentence"),
    [
        # A customer whom the token may not read would come as a guest: such an answer is none.
        (Answer(200, error("ACCESS_DENIED")), ChannelRefused, "read_customers"),
        (Answer(200, b'{"errors": "Not Found"}'), ChannelRefused, "version"),
        (
            Answer(200, b'{"errors": [{"message": "x", "extensions": {"code": "undefinedField"}}]}'),
            ChannelRefused,
            "und",
        ),
        (Answer(200, error("INTERNAL_SERVER_ERROR")), ChannelUnavailable, "goes on"),
        (Answer(200, b'{"data": {"orders": null}}'), ChannelUnavailable, "goes on"),
        (Answer(200, b'{"data": {"orders": {"nodes": [{}]}}}'), ChannelUnavailable, "documents"),
        (Answer(200, b"<html>"), ChannelUnavailable, "no JSON"),
        (Answer(404), ChannelRefused, "check url and version"),
    ],
)
def test_what_cannot_be_used(answer: Answer, fault: type[Exception], sentence: str) -> None:
    with selling(Shop(orders(1), [answer])) as server, pytest.raises(fault, match=sentence):
        pull(server)


def test_a_wrong_token() -> None:
    with selling(Shop(orders(1))) as server, pytest.raises(ChannelRefused, match="key in channels") as caught:
        pull(server, token="wrong-token")
    assert "wrong-token" not in str(caught.value)
