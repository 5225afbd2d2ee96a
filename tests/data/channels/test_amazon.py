"""Amazon 2026-01-01: every figure of a payload shaped as the model's examples, the traps, and the pull."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.channels.amazon import CHANNEL
from data.channels.channel import Element, Ignored, Unfit, Unreadable
from domain.orders import Order, OrderEvent, OrderKind, OrderStatus, OrderStep
from tests.data.channels import raw_orders
from tests.data.channels.raw_orders import SEEN

PAGE = "amazon/page.json"
RAW = raw_orders.raw_orders(PAGE)
SALE, JAPANESE, REPLACEMENT, CANCELLED, ELSEWHERE, PENDING = range(6)


def judged(raw) -> Order | Ignored | Unfit:
    return raw_orders.judged(CHANNEL, Element(1, raw))


def changed(number, **more):
    return json.loads(json.dumps(RAW[number])) | more


def test_a_sale_maps_with_every_figure():
    order = judged(RAW[SALE])
    assert isinstance(order, Order)
    assert (order.external_id, order.number, order.kind) == (
        "305-1111111-2222222",
        "305-1111111-2222222",
        OrderKind.SALE,
    )
    assert (order.status, order.channel_status) == (OrderStatus.SHIPPED, "SHIPPED")
    assert (order.currency, order.total, order.refunded) == ("GBP", Decimal("121.47"), Decimal(0))
    assert (order.tax, order.shipping, order.discount) == (Decimal("4.50"), Decimal("12.00"), Decimal("8.00"))
    assert order.coupons == ("SPRING-26", "FREE-SHIP")
    assert order.placed_at == datetime(2026, 3, 1, 9, 15, tzinfo=UTC)
    assert order.updated_at == datetime(2026, 3, 2, 16, 30, tzinfo=UTC)
    assert order.version == (order.updated_at, SEEN)
    assert order.cancelled_at is None
    assert not order.is_test
    assert (order.shop_currency, order.shop_total) == (None, None)


def test_lines_are_priced_without_shipping_and_after_their_own_discount():
    kettle, cup = judged(RAW[SALE]).lines
    assert (kettle.line_no, kettle.sku, kettle.quantity) == (1, "KET-3", 3)
    assert (kettle.total, kettle.discount, kettle.tax) == (Decimal("84.97"), Decimal("5.00"), Decimal("3.25"))
    # 2^53 + 1 and more: an id that a float would have rounded.
    assert kettle.external_id == "90071992547409931"
    assert (cup.sku, cup.total, cup.discount, cup.tax) == ("B000000002", Decimal("20.00"), None, None)


def test_only_what_left_is_a_parcel():
    assert judged(RAW[SALE]).events == (
        OrderEvent(
            OrderStep.SHIPPED,
            datetime(2026, 3, 2, 10, 0, tzinfo=UTC),
            reference="PKG-1",
            carrier="Royal Mail",
            tracking_number="RM000000001GB",
        ),
    )


def test_of_a_buyer_nothing_is_kept_but_the_country():
    order = judged(RAW[SALE])
    customer = order.customer
    assert (customer.external_id, customer.email, customer.relay, customer.country) == ("", None, True, "GB")
    assert (customer.first_name, customer.last_name, customer.consent) == (None, None, None)
    assert not order.notify  # Amazon mails its buyers itself
    told = repr(asdict(order))
    assert "marketplace.example.org" not in told
    assert "Ann" not in told


def test_yen_have_no_decimals_and_parts_are_summed_where_the_order_has_none():
    order = judged(RAW[JAPANESE])
    assert (order.currency, order.total) == ("JPY", Decimal(15940))
    assert (order.tax, order.shipping, order.discount) == (Decimal(500), None, None)
    assert [line.total for line in order.lines] == [Decimal(6480), Decimal(8960)]
    assert order.status is OrderStatus.PAID  # one parcel of two is not the order
    spoiled = changed(JAPANESE, proceeds={"grandTotal": {"amount": "15940.5", "currencyCode": "JPY"}})
    assert judged(spoiled).rule == "amount_unreadable"


def test_three_decimals_where_the_currency_has_them():
    money = {"amount": "12.345", "currencyCode": "KWD"}
    assert judged(changed(JAPANESE, proceeds={"grandTotal": money})).total == Decimal("12.345")


def test_a_replacement_is_no_revenue_and_names_its_original():
    order = judged(RAW[REPLACEMENT])
    assert (order.kind, order.replaces) == (OrderKind.REPLACEMENT, "305-1111111-2222222")
    assert (order.currency, order.total) == ("GBP", Decimal(0))
    exchange = changed(SALE, associatedOrders=[{"orderId": "1", "associationType": "EXCHANGE_ORIGINAL_ID"}])
    assert judged(exchange).kind is OrderKind.REPLACEMENT


def test_a_cancellation_counts_although_amazon_tells_no_total():
    order = judged(RAW[CANCELLED])
    assert (order.status, order.total, order.currency) == (OrderStatus.CANCELLED, Decimal(0), "EUR")
    assert order.cancelled_at == order.updated_at == datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
    assert [(event.step, event.note) for event in order.events] == [
        (OrderStep.CANCELLED, "Buyer requested cancellation")
    ]
    assert judged(changed(CANCELLED, salesChannel={"channelName": "AMAZON"})).rule == "total_missing"


def test_what_was_sold_elsewhere_would_count_twice():
    assert isinstance(judged(RAW[ELSEWHERE]), Ignored)


def test_a_pending_order_waits_for_its_total():
    for word in ("PENDING", "PENDING_AVAILABILITY"):
        waiting = judged(changed(PENDING, fulfillment={"fulfillmentStatus": word}))
        assert isinstance(waiting, Ignored)  # a refusal would count towards the channel's quarantine
        assert "the next update brings the order" in waiting.reason
    # Japan's orders to be paid at a till have a total before they are paid.
    known = changed(PENDING, proceeds={"grandTotal": {"amount": "5.00", "currencyCode": "EUR"}})
    assert judged(known).status is OrderStatus.PLACED


def test_a_total_that_was_not_asked_for_is_told_what_to_do_about():
    fault = judged(changed(SALE, proceeds={}))
    assert fault.rule == "total_missing"
    assert "includedData=PROCEEDS" in str(fault)


@pytest.mark.parametrize("word", ["SHIPPED_MAYBE", "Canceled", "shipped"])
def test_an_unknown_status_is_refused_not_guessed(word):
    fault = judged(changed(SALE, fulfillment={"fulfillmentStatus": word}))
    assert (fault.rule, fault.fields) == ("status_unknown", ("fulfillment.fulfillmentStatus",))
    assert "PARTIALLY_SHIPPED" in str(fault)
    assert "Patch it to the one that it means and replay it" in str(fault)


def test_a_notice_is_no_order():
    assert isinstance(judged({"NotificationType": "ORDER_CHANGE", "Payload": {}}), Ignored)


@pytest.mark.parametrize(
    "document", [RAW[SALE], {"order": RAW[SALE]}, [RAW[SALE]], {"type": "order.updated", "data": RAW[SALE]}]
)
def test_an_order_may_come_alone(document):
    (element,) = CHANNEL.elements(json.dumps(document).encode(), raw_orders.delivery())
    assert judged(element.payload) == judged(RAW[SALE])


def test_json_lines_lose_the_broken_line_only():
    body = b"\n".join([json.dumps(RAW[SALE]).encode(), b'{"orderId": "3', b"", json.dumps(RAW[JAPANESE]).encode()])
    elements = list(CHANNEL.elements(body, raw_orders.delivery()))
    assert [(one.position, one.fault is None) for one in elements] == [(1, True), (2, False), (4, True)]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no JSON"),
        (b'{"orders": [', "no JSON"),
        (b'{"orders": [{"orderId": NaN}]}', "no JSON"),  # no database takes it either
        (b'{"orderId": "\xff"}', "UTF-8"),
        (b"[" * 100_000, "nested"),
    ],
)
def test_a_document_that_is_none_says_what_to_do(body, why):
    with pytest.raises(Unreadable, match=why):
        list(CHANNEL.elements(body, raw_orders.delivery()))


def test_a_byte_order_mark_is_tolerated():
    body = b"\xef\xbb\xbf" + json.dumps(RAW[SALE]).encode()
    assert len(list(CHANNEL.elements(body, raw_orders.delivery()))) == 1


@given(raw_orders.json_values)
def test_any_json_is_unfit_at_worst(raw):
    raw_orders.only_unfit(CHANNEL, raw)


@given(st.sampled_from(RAW).flatmap(raw_orders.spoiled))
def test_an_order_with_anything_in_one_place_is_unfit_at_worst(raw):
    raw_orders.only_unfit(CHANNEL, raw)


@given(st.binary() | raw_orders.json_values.map(lambda value: json.dumps(value).encode()))
def test_any_document_is_unreadable_at_worst(body):
    raw_orders.only_unreadable(CHANNEL, body)
