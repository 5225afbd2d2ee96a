"""Medusa v2: every figure of a payload shaped as its types say, the traps, and the pull."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.channels.channel import Element, Ignored
from data.channels.medusa import CHANNEL
from domain.consent import ConsentStatus
from domain.orders import Order, OrderEvent, OrderStatus, OrderStep
from tests.data.channels import raw_orders
from tests.data.channels.raw_orders import SEEN

PAGE = "medusa/page.json"
RAW = raw_orders.raw_orders(PAGE)
SALE, CANCELLED, DRAFT = range(3)
CONSENT = {"options": {"consent_metadata_key": "newsletter"}}


def judged(raw, **more):
    return raw_orders.judged(CHANNEL, Element(1, raw), **more)


def changed(number, **more):
    return json.loads(json.dumps(RAW[number])) | more


def test_a_sale_maps_with_every_figure():
    order = judged(RAW[SALE])
    assert isinstance(order, Order)
    assert (order.external_id, order.number) == ("order_01TESTAAAAAAAAAAAAAAAAAAAA", "17")
    assert (order.status, order.channel_status) == (
        OrderStatus.SHIPPED,
        "pending/partially_refunded/partially_delivered",
    )
    assert (order.currency, order.total, order.refunded) == ("EUR", Decimal("63.08"), Decimal(13))
    assert (order.tax, order.shipping, order.discount) == (Decimal("10.0713"), Decimal("5.95"), Decimal(5))
    assert order.coupons == ("SPRING", "FREESHIP")
    assert order.placed_at == datetime(2026, 3, 29, 0, 59, 59, 123_000, tzinfo=UTC)
    assert order.version == (datetime(2026, 4, 2, 8, 0, 0, 500_000, tzinfo=UTC), SEEN)
    assert order.cancelled_at is None


def test_lines_are_after_discount_and_a_missing_sku_is_the_variant():
    shirt, cup = judged(RAW[SALE]).lines
    assert (shirt.sku, shirt.title, shirt.category, shirt.quantity) == ("SHIRT-M-RED", "Shirt", "Clothes", 2)
    assert (shirt.total, shirt.tax, shirt.discount) == (Decimal("35.7"), Decimal("5.7"), Decimal(5))
    assert (cup.sku, cup.title, cup.total, cup.external_id) == ("variant_01B", "Cup", Decimal("21.4281"), "ordli_01B")


def test_without_totals_a_line_is_its_price_times_its_quantity():
    item = {"id": "x", "title": "Pin", "quantity": {"value": "3", "precision": 20}, "unit_price": 0.1}
    (line,) = judged(changed(SALE, items=[item])).lines
    assert (line.total, line.quantity) == (Decimal("0.3"), 3)


def test_payments_refunds_and_parcels_are_on_the_timeline():
    sent = datetime(2026, 3, 30, 8, 0, tzinfo=UTC)
    assert judged(RAW[SALE]).events == (
        OrderEvent(OrderStep.PAID, datetime(2026, 3, 29, 1, 0, 5, tzinfo=UTC), "capt_1", Decimal("63.08")),
        OrderEvent(OrderStep.REFUNDED, datetime(2026, 4, 2, 8, 0, tzinfo=UTC), "ref_1", Decimal(13)),
        OrderEvent(
            OrderStep.SHIPPED,
            sent,
            "ful_1",
            tracking_number="TR-1",
            tracking_url="https://parcels.example.com/TR-1",
        ),
        OrderEvent(OrderStep.DELIVERED, datetime(2026, 4, 1, 12, 0, tzinfo=UTC), "ful_1"),
        OrderEvent(OrderStep.SHIPPED, datetime(2026, 3, 31, 9, 0, tzinfo=UTC), "ful_3"),
    )


def test_where_only_the_sum_of_refunds_is_known_it_is_one_refund():
    order = judged(changed(SALE, transactions=None, fulfillments=None))
    assert order.events == (OrderEvent(OrderStep.REFUNDED, order.updated_at, amount=Decimal(13)),)


def test_where_only_transactions_are_known_they_are_summed():
    assert judged(changed(SALE, summary=None)).refunded == Decimal(13)


@pytest.mark.parametrize(
    ("total", "paid", "refunded", "before"),
    [
        (100, 100, 30, 100),  # something came back
        (60, 100, 40, 100),  # edited down to 60, and 40 paid back: 60 are left
        (60, 100, 0, 60),  # edited down, nothing paid back yet
        (60, 100, 50, 100),  # and ten more for the trouble
        (130, 100, 0, 130),  # edited up, the rest is due
    ],
)
def test_an_edit_is_not_taken_off_twice(total, paid, refunded, before):
    order = judged(changed(SALE, total=total, summary={"paid_total": paid, "refunded_total": refunded}))
    assert (order.total, order.refunded) == (Decimal(before), Decimal(refunded))


@pytest.mark.parametrize(
    ("code", "told", "total"),
    [
        ("eur", 0.1 + 0.2, "0.30"),
        ("eur", {"value": "63.065", "precision": 20}, "63.07"),
        ("jpy", 1999.5, "2000"),
        ("kwd", "12.3455", "12.346"),
    ],
)
def test_totals_are_rounded_as_a_payment_is(code, told, total):
    assert judged(changed(SALE, currency_code=code, total=told, summary=None)).total == Decimal(total)


def test_a_cancelled_order_without_an_address():
    order = judged(RAW[CANCELLED])
    assert (order.status, order.currency, order.total) == (OrderStatus.CANCELLED, "KWD", Decimal("12.345"))
    assert order.cancelled_at == datetime(2026, 3, 29, 11, 59, 59, tzinfo=UTC)
    assert [event.step for event in order.events] == [OrderStep.CANCELLED]
    assert (order.customer.email, order.customer.external_id) == (None, "")
    assert order.lines[0].sku == "0012"


def test_partially_refunded_then_cancelled():
    order = judged(changed(SALE, status="canceled", canceled_at=None))
    assert (order.status, order.refunded) == (OrderStatus.CANCELLED, Decimal(13))
    assert order.cancelled_at == order.updated_at


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("pending", "not_paid", "not_fulfilled"), OrderStatus.PLACED),
        (("pending", "authorized", "not_fulfilled"), OrderStatus.PLACED),
        (("requires_action", "requires_action", "not_fulfilled"), OrderStatus.PLACED),
        (("pending", "captured", "fulfilled"), OrderStatus.PAID),  # packed is not sent
        (("pending", "captured", "partially_shipped"), OrderStatus.PAID),
        (("pending", "captured", "delivered"), OrderStatus.SHIPPED),
        (("completed", "captured", "delivered"), OrderStatus.COMPLETED),
        (("archived", "captured", "delivered"), OrderStatus.SHIPPED),
        (("completed", "refunded", "delivered"), OrderStatus.REFUNDED),
        (("canceled", "refunded", "canceled"), OrderStatus.CANCELLED),
        (("pending", None, None), OrderStatus.PLACED),
    ],
)
def test_three_words_make_one_status(words, status):
    raw = changed(SALE, **dict(zip(("status", "payment_status", "fulfillment_status"), words, strict=True)))
    assert judged(raw).status is status


@pytest.mark.parametrize("name", ["status", "payment_status", "fulfillment_status"])
def test_an_unknown_word_is_refused_not_guessed(name):
    fault = judged(changed(SALE, **{name: "beamed"}))
    assert (fault.rule, fault.fields) == ("status_unknown", (name,))


def test_a_draft_is_no_order_yet():
    assert isinstance(judged(RAW[DRAFT]), Ignored)
    assert isinstance(judged(changed(SALE, is_draft_order=True)), Ignored)


def test_who_wants_no_notification_gets_none():
    assert not judged(RAW[SALE]).notify
    assert judged(changed(SALE, no_notification=None)).notify


def test_a_guests_record_is_not_a_customer_number():
    ann = judged(RAW[SALE]).customer
    assert (ann.external_id, ann.email, ann.first_name, ann.country) == ("cus_01TESTA", "Ann@Example.com", "Ann", "DE")
    guest = changed(SALE, customer={"id": "cus_01TESTA", "has_account": False})
    assert judged(guest).customer.external_id == ""
    assert judged(guest | {"email": None}).customer.external_id == "cus_01TESTA"


def test_consent_is_read_only_where_the_connection_says_so():
    assert judged(RAW[SALE]).customer.consent is None
    order = judged(RAW[SALE], **CONSENT)
    consent = order.customer.consent
    assert (consent.status, consent.occurred_at) == (ConsentStatus.GRANTED, order.placed_at)
    for said_nothing in (False, None, "yes", 1, []):
        assert judged(changed(SALE, metadata={"newsletter": said_nothing}), **CONSENT).customer.consent is None


def test_consent_may_tell_everything():
    told = {
        "status": "withdrawn",
        "at": "2026-03-01T10:00:00+01:00",
        "source": "footer",
        "wording": "v3",
        "level": "confirmed_opt_in",
        "basis": "contract",
    }
    consent = judged(changed(SALE, metadata={"newsletter": told}), **CONSENT).customer.consent
    assert consent.status is ConsentStatus.WITHDRAWN
    assert consent.occurred_at == datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
    assert (consent.source, consent.wording, consent.level) == ("footer", "v3", "confirmed_opt_in")
    assert consent.basis == "contract"
    odd = judged(changed(SALE, metadata={"newsletter": {"status": "maybe"}}), **CONSENT)
    assert odd.rule == "consent_unreadable"


def test_a_total_that_was_not_asked_for_is_told_what_to_do_about():
    assert judged(changed(SALE, total=None)).rule == "total_missing"


@pytest.mark.parametrize(
    "document", [RAW[SALE], {"order": RAW[SALE]}, {"type": "order.placed", "data": RAW[SALE]}, [RAW[SALE]]]
)
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
