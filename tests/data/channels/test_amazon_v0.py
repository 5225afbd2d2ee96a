"""Amazon's Orders v0: the figures, the traps, and the pull with its two calls."""

import json
import urllib.parse
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.channels import amazon_pull
from data.channels.amazon import CHANNEL
from data.channels.api import Access, ChannelRefused
from data.channels.channel import Element, Ignored
from domain.orders import Order, OrderKind, OrderStatus, OrderStep
from tests.data.channels import raw_orders
from tests.data.channels.raw_orders import answer
from tests.providers.loopback import answering

PAGE = "amazon/v0.json"
RAW = raw_orders.raw_orders(PAGE)
SALE, PENDING, CANCELLED, REPLACEMENT, ELSEWHERE = range(5)


def judged(raw):
    return raw_orders.judged(CHANNEL, Element(1, raw))


def changed(number, **more):
    return json.loads(json.dumps(RAW[number])) | more


def test_a_sale_maps_with_every_figure():
    order = judged(RAW[SALE])
    assert isinstance(order, Order)
    assert (order.external_id, order.status, order.channel_status) == (
        "902-1111111-2222222",
        OrderStatus.PAID,
        "Unshipped",
    )
    assert (order.currency, order.total, order.refunded) == ("USD", Decimal("57.61"), Decimal(0))
    assert (order.tax, order.shipping, order.discount) == (Decimal("3.63"), Decimal("5.00"), Decimal("11.00"))
    assert order.coupons == ("TEN-OFF", "FREE-SHIP")
    assert order.placed_at == datetime(2026, 3, 1, 19, 49, 35, tzinfo=UTC)
    assert order.updated_at == datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
    assert (order.kind, order.replaces, order.notify) == (OrderKind.SALE, None, False)
    # The parts make the total: 39.98 + 10 + 5 - 1 + 3.63.
    lines = sum(line.total for line in order.lines)
    assert lines + order.shipping - Decimal("1.00") + order.tax == order.total


def test_the_price_of_an_item_is_that_of_all_its_units():
    kettle, cup = judged(RAW[SALE]).lines
    assert (kettle.sku, kettle.quantity, kettle.total) == ("KET-1", 2, Decimal("39.98"))
    assert (kettle.discount, kettle.tax) == (Decimal("10.00"), Decimal("3.30"))
    assert (cup.sku, cup.total, cup.tax) == ("B000000002", Decimal("10.00"), None)


def test_the_relay_is_not_kept():
    customer = judged(RAW[SALE]).customer
    assert (customer.external_id, customer.email, customer.relay, customer.country) == ("", None, True, "US")
    assert (customer.first_name, customer.last_name) == (None, None)


def test_canceled_is_spelt_with_one_l_and_has_no_total():
    order = judged(RAW[CANCELLED])
    assert (order.status, order.total, order.currency) == (OrderStatus.CANCELLED, Decimal(0), "EUR")
    assert order.cancelled_at == order.updated_at
    assert [event.step for event in order.events] == [OrderStep.CANCELLED]
    assert judged(changed(CANCELLED, OrderStatus="Cancelled")).status is OrderStatus.CANCELLED


@pytest.mark.parametrize("told", ["true", True])
def test_a_replacement_says_so_in_text_or_not(told):
    order = judged(changed(REPLACEMENT, IsReplacementOrder=told))
    assert (order.kind, order.replaces, order.total) == (OrderKind.REPLACEMENT, "902-1111111-2222222", Decimal(0))


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PartiallyShipped", OrderStatus.PAID),
        ("Shipped", OrderStatus.SHIPPED),
        ("InvoiceUnconfirmed", OrderStatus.SHIPPED),
        ("Unfulfillable", OrderStatus.CANCELLED),
        ("PendingAvailability", OrderStatus.PLACED),
    ],
)
def test_every_word_of_the_model_is_known(word, status):
    assert judged(changed(SALE, OrderStatus=word)).status is status


def test_the_others_are_told_apart():
    assert "the next update brings the order" in judged(RAW[PENDING]).reason
    assert isinstance(judged(RAW[ELSEWHERE]), Ignored)
    unknown = judged(changed(SALE, OrderStatus="Refunded"))
    assert (unknown.rule, "PartiallyShipped" in str(unknown)) == ("status_unknown", True)
    assert judged({"AmazonOrderId": "1", "OrderItems": []}).rule == "OrderStatus_missing"  # items without their order


def test_a_page_and_a_single_order_are_wrapped_alike():
    assert len(raw_orders.orders_of(CHANNEL, PAGE)) == len(RAW)
    (element,) = CHANNEL.elements(json.dumps({"payload": RAW[SALE]}).encode(), raw_orders.delivery())
    assert element.payload == RAW[SALE]


@given(st.sampled_from(RAW).flatmap(raw_orders.spoiled))
def test_an_order_with_anything_in_one_place_is_unfit_at_worst(raw):
    raw_orders.only_unfit(CHANNEL, raw)


UNTIL = datetime(2026, 3, 5, tzinfo=UTC)


def access(server, **more) -> Access:
    keys = {"user": "app", "secret": "s", "refresh_token": "r", "token_url": f"{server.url}/auth/o2/token"}
    return Access.model_validate({"url": server.url, "version": "v0", "marketplaces": ["A1"], **keys, **more})


def test_a_pull_puts_the_items_into_their_orders():
    heads = [{name: value for name, value in raw.items() if name != "OrderItems"} for raw in RAW]
    items = {raw["AmazonOrderId"]: raw.get("OrderItems", []) for raw in RAW}
    asked = []

    def amazon(received):
        url = urllib.parse.urlsplit(received.target)
        query = dict(urllib.parse.parse_qsl(url.query, strict_parsing=bool(url.query)))
        asked.append((url.path, query))
        if url.path == "/auth/o2/token":
            return answer({"access_token": "Atza|1", "expires_in": 3600})
        assert received.headers["x-amz-access-token"] == "Atza|1"
        if url.path == "/orders/v0/orders":
            more = {} if query.get("NextToken") else {"NextToken": "t=1"}
            return answer({"payload": {"Orders": heads[2:] if query.get("NextToken") else heads[:2], **more}})
        order_id = url.path.split("/")[4]
        if query.get("NextToken"):
            return answer({"payload": {"AmazonOrderId": order_id, "OrderItems": items[order_id][1:]}})
        more = {"NextToken": "i1"} if len(items[order_id]) > 1 else {}
        return answer({"payload": {"AmazonOrderId": order_id, "OrderItems": items[order_id][:1], **more}})

    with answering(amazon) as server:
        how = access(server)
        with amazon_pull.PULL.open(how) as api:
            pages = list(amazon_pull.PULL.pages(api, how, UNTIL - timedelta(minutes=30), UNTIL))
    assert [page.until for page in pages] == [None, UNTIL]
    elements = [one for page in pages for one in CHANNEL.elements(page.body, raw_orders.delivery())]
    assert [judged(one.payload) for one in elements[:1]] == [judged(RAW[SALE])]
    assert [one.payload["AmazonOrderId"] for one in elements] == [raw["AmazonOrderId"] for raw in RAW]
    searches = [query for path, query in asked if path == "/orders/v0/orders"]
    assert searches[0] == {
        "LastUpdatedAfter": "2026-03-04T23:30:00Z",
        "LastUpdatedBefore": "2026-03-05T00:00:00Z",
        "MarketplaceIds": "A1",
        "MaxResultsPerPage": "100",
    }
    assert searches[1] == searches[0] | {"NextToken": "t=1"}
    # A pending order has no prices yet, so its items are not worth a request.
    assert not [path for path, _ in asked if "902-3333333-4444444" in path]


def test_without_marketplaces_nothing_is_asked():
    with pytest.raises(ChannelRefused, match="marketplaces"):
        amazon_pull.PULL.open(Access(url="https://spapi.example.com", version="v0"))
