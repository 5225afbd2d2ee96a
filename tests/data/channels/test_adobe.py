"""Adobe Commerce: every figure of a payload shaped as the schema says, the traps, and the pull with its joins."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.channels.adobe import CHANNEL
from data.channels.channel import Element
from domain.consent import SEEN as SEEN_THERE
from domain.consent import ConsentStatus
from domain.orders import Order, OrderEvent, OrderStatus, OrderStep
from tests.data.channels import raw_orders
from tests.data.channels.raw_orders import SEEN

PAGE = "adobe/page.json"
RAW = raw_orders.raw_orders(PAGE)
SALE, CANCELLED = range(2)


def judged(raw):
    return raw_orders.judged(CHANNEL, Element(1, raw))


def changed(number, **more):
    return json.loads(json.dumps(RAW[number])) | more


def test_a_sale_maps_with_every_figure():
    order = judged(RAW[SALE])
    assert isinstance(order, Order)
    assert (order.external_id, order.number) == ("41", "000000041")
    assert (order.status, order.channel_status) == (OrderStatus.PAID, "processing/in_packing")
    assert (order.currency, order.total, order.refunded) == ("USD", Decimal("105.82"), Decimal(11))
    assert (order.shop_currency, order.shop_total, order.shop_refunded) == ("EUR", Decimal("96.2"), Decimal(10))
    assert (order.tax, order.shipping, order.discount) == (Decimal("10.72"), Decimal(5), Decimal(10))
    assert order.coupons == ("SPRING",)
    assert order.version == (datetime(2026, 3, 30, 10, 0, 7, tzinfo=UTC), SEEN)
    assert order.notify
    # The parts make the total, so the lines are counted once and after their discount.
    assert sum(line.total for line in order.lines) + order.shipping + order.tax == order.total


def test_times_without_a_zone_are_utc_whatever_the_shops_zone():
    # 01:30 on the night when Berlin's clocks go forward at 02:00 to 03:00, and 02:30 that Berlin never had.
    assert judged(RAW[SALE]).placed_at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert judged(changed(SALE, created_at="2026-03-29 02:30:00")).placed_at == datetime(2026, 3, 29, 2, 30, tzinfo=UTC)


def test_of_parents_and_children_the_one_with_the_price_counts():
    lines = judged(RAW[SALE]).lines
    assert [(line.sku, line.quantity, line.total) for line in lines] == [
        ("SHIRT-M-RED", 2, Decimal("45.1")),  # the variant's parent
        ("STRAP", 1, Decimal(10)),  # children of the dynamic bundle
        ("BRICK", 2, Decimal(17)),
        ("GIFT-BOX", 1, Decimal(18)),  # the fixed bundle
    ]
    assert [line.line_no for line in lines] == [1, 2, 3, 4]
    assert (lines[0].external_id, lines[0].discount, lines[0].tax) == ("101", Decimal(5), Decimal("5.36"))


def test_a_child_whose_parent_is_not_there_counts_itself():
    item = {"item_id": 5, "parent_item_id": 4, "sku": "X", "qty_ordered": 1, "row_total": 0}
    assert [line.sku for line in judged(changed(SALE, items=[item])).lines] == ["X"]


def test_a_discount_on_prices_with_tax_gives_its_tax_back():
    item = {"item_id": 5, "sku": "X", "qty_ordered": 1, "row_total": 84.03, "discount_amount": 10, "tax_amount": 14.37}
    (line,) = judged(changed(SALE, items=[item | {"discount_tax_compensation_amount": 1.6}])).lines
    assert line.total + line.tax == Decimal("90.00")


def test_refunds_and_parcels_are_on_the_timeline():
    assert judged(RAW[SALE]).events == (
        OrderEvent(OrderStep.REFUNDED, datetime(2026, 3, 30, 9, 59, tzinfo=UTC), "000000005", Decimal(11)),
        OrderEvent(
            OrderStep.SHIPPED,
            datetime(2026, 3, 29, 12, 0, tzinfo=UTC),
            "000000003",
            carrier="DHL",
            tracking_number="JD0001",
        ),
    )


def test_where_only_the_sum_of_refunds_is_known_it_is_one_refund():
    order = judged(changed(SALE, credit_memos=[], shipments=[]))
    assert order.events == (OrderEvent(OrderStep.REFUNDED, order.updated_at, amount=Decimal(11)),)


def test_where_only_the_memos_are_known_they_are_summed():
    raw = changed(SALE)
    del raw["total_refunded"]
    assert judged(raw).refunded == Decimal(11)  # without the one that was called off
    del raw["credit_memos"]
    assert judged(raw).refunded == Decimal(0)


def test_partially_refunded_then_cancelled_and_floats_that_add_up_noisily():
    order = judged(RAW[CANCELLED])
    assert (order.status, order.channel_status) == (OrderStatus.CANCELLED, "canceled/canceled")
    assert (order.total, order.refunded, order.shop_total) == (Decimal("0.30"), Decimal("0.10"), Decimal("0.3"))
    assert order.lines[0].total == Decimal("0.3")
    assert order.lines[0].sku == "0012"
    assert order.cancelled_at == datetime(2026, 3, 30, 20, 0, tzinfo=UTC)
    assert [event.step for event in order.events] == [OrderStep.REFUNDED, OrderStep.CANCELLED]
    assert judged(changed(CANCELLED, state="cancelled")).status is OrderStatus.CANCELLED
    without = changed(CANCELLED, status_histories=None)
    assert judged(without).cancelled_at == judged(without).updated_at


def test_what_was_cancelled_of_an_order_is_not_to_be_paid():
    order = judged(changed(SALE, state="complete", total_canceled=5.82, base_total_canceled=5.2, total_refunded=None))
    assert (order.total, order.shop_total) == (Decimal(100), Decimal(91))


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("new", OrderStatus.PLACED),
        ("pending_payment", OrderStatus.PLACED),
        ("payment_review", OrderStatus.PLACED),
        ("holded", OrderStatus.PAID),  # it was paid before it was put on hold
        ("processing", OrderStatus.PAID),
        ("complete", OrderStatus.COMPLETED),
        ("closed", OrderStatus.REFUNDED),
    ],
)
def test_the_state_is_mapped_whatever_the_shop_calls_it(state, status):
    order = judged(changed(SALE, state=state, status="my_own_word"))
    assert (order.status, order.channel_status) == (status, f"{state}/my_own_word")


def test_held_before_it_was_paid_is_placed_only():
    assert judged(changed(SALE, state="holded", total_paid=None)).status is OrderStatus.PLACED


def test_all_shipped_is_shipped_before_it_is_complete():
    items = [
        {"item_id": 1, "sku": "A", "product_type": "simple", "qty_ordered": 2, "qty_shipped": 1, "qty_refunded": 1},
        {"item_id": 2, "sku": "B", "product_type": "virtual", "qty_ordered": 1, "qty_shipped": 0},
    ]
    assert judged(changed(SALE, items=items)).status is OrderStatus.SHIPPED
    items[0]["qty_refunded"] = 0
    assert judged(changed(SALE, items=items)).status is OrderStatus.PAID


def test_an_unknown_state_is_refused_not_guessed():
    fault = judged(changed(SALE, state="fraud"))
    assert (fault.rule, fault.fields) == ("status_unknown", ("state",))
    assert "pending_payment" in str(fault)
    assert "Patch it to the one that it means and replay it" in str(fault)


def test_a_customer_has_the_shops_number_and_a_guest_has_none():
    ann, bob = judged(RAW[SALE]).customer, judged(RAW[CANCELLED]).customer
    assert (ann.external_id, ann.email, ann.first_name, ann.last_name) == ("9", "Ann@Example.com", "Ann", "Example")
    assert (ann.country, ann.relay) == ("DE", False)
    assert (bob.external_id, bob.email, bob.first_name, bob.country) == ("", "bob@example.org", "Bob", "AT")
    assert bob.consent is None


def test_a_guest_is_a_guest_although_a_number_is_left_over():
    assert judged(changed(SALE, customer_is_guest=1)).customer.external_id == ""


def test_no_address_is_no_reason_to_refuse_an_order():
    assert judged(changed(SALE, customer_email=None)).customer.email is None


def test_a_subscription_counts_from_the_registration_and_none_from_when_it_was_seen():
    consent = judged(RAW[SALE]).customer.consent
    assert (consent.status, consent.source) == (ConsentStatus.GRANTED, "adobe")
    assert consent.occurred_at == datetime(2025, 1, 5, 8, 0, tzinfo=UTC)
    customer = RAW[SALE]["customer"] | {"extension_attributes": {"is_subscribed": False}}
    unsubscribed = changed(SALE, customer=customer)
    taken_back = judged(unsubscribed).customer.consent
    assert (taken_back.status, taken_back.basis, taken_back.occurred_at) == (ConsentStatus.WITHDRAWN, SEEN_THERE, SEEN)
    unseen = CHANNEL.order(unsubscribed, replace(raw_orders.delivery(), observed_at=None))
    assert isinstance(unseen, Order)
    assert unseen.customer.consent == replace(taken_back, occurred_at=unseen.updated_at)
    assert judged(changed(SALE, customer={"id": 9, "extension_attributes": {}})).customer.consent is None


def test_long_ids_keep_their_digits_and_floats_are_refused_as_ids():
    assert judged(changed(SALE, entity_id=2**53 + 1)).external_id == "9007199254740993"
    assert judged(changed(SALE, entity_id=9.007199254740993e15)).rule == "entity_id_unreadable"


def test_money_with_more_decimals_than_the_currency_has_is_told():
    assert judged(changed(SALE, order_currency_code="JPY")).rule == "grand_total_unreadable"
    assert judged(changed(SALE, order_currency_code="KWD", grand_total=105.825)).total == Decimal("105.825")


@pytest.mark.parametrize("document", [RAW[SALE], [RAW[SALE]], {"type": "order.saved", "data": RAW[SALE]}])
def test_an_order_may_come_alone(document):
    (element,) = CHANNEL.elements(json.dumps(document).encode(), raw_orders.delivery())
    assert element.payload == RAW[SALE]


@given(raw_orders.json_values)
def test_any_json_is_unfit_at_worst(raw):
    raw_orders.only_unfit(CHANNEL, raw)


@given(st.sampled_from(RAW).flatmap(raw_orders.spoiled))
def test_an_order_with_anything_in_one_place_is_unfit_at_worst(raw):
    raw_orders.only_unfit(CHANNEL, raw)


@given(st.binary() | raw_orders.json_values.map(lambda value: json.dumps(value).encode()))
def test_any_document_is_unreadable_at_worst(body):
    raw_orders.only_unreadable(CHANNEL, body)
