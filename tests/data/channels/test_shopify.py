"""Shopify's REST orders: figures, statuses, consent, refunds and edits, notices, and what cannot be used."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.channels import shopify
from data.channels.channel import Delivery, Ignored, Origin, Unfit, Unreadable, Urgency
from domain.consent import ConsentStatus
from domain.orders import Deletion, Order, OrderKind, OrderStatus, OrderStep

PAYLOADS = Path(__file__).parents[2] / "payloads/orders/shopify"
RECEIVED = datetime(2026, 4, 1, 12, tzinfo=UTC)
FILE = Delivery(Origin.FILE, RECEIVED)


def raw_order(name: str = "partially_refunded") -> dict[str, Any]:
    return orjson.loads((PAYLOADS / f"{name}.json").read_bytes())


def read(raw: Any, **facts: Any) -> Order:
    found = shopify.order(raw, Delivery(Origin.PUSH, RECEIVED, **facts))
    assert isinstance(found, Order)
    return found


def changed(change: Callable[[dict[str, Any]], Any], name: str = "partially_refunded") -> Order:
    raw = raw_order(name)
    change(raw)
    return read(raw)


def refused(change: Callable[[dict[str, Any]], Any]) -> Unfit:
    with pytest.raises(Unfit) as caught:
        changed(change)
    return caught.value


def test_every_figure_of_an_order() -> None:
    order = read(raw_order(), observed_at=RECEIVED)
    assert (order.external_id, order.number, order.kind) == ("5510000001", "#2041", OrderKind.SALE)
    assert (order.status, order.channel_status) == (OrderStatus.SHIPPED, "partially_refunded/fulfilled")
    assert (order.currency, order.total, order.refunded) == ("EUR", Decimal("47.75"), Decimal("9.64"))
    assert (order.tax, order.shipping, order.discount) == (Decimal("6.85"), Decimal("4.90"), Decimal(4))
    assert (order.shop_currency, order.shop_total, order.shop_refunded) == ("EUR", Decimal("47.75"), Decimal("9.64"))
    assert order.coupons == ("SPRING",)
    assert order.placed_at == datetime(2026, 3, 2, 9, 14, 58, tzinfo=UTC)
    assert order.updated_at == datetime(2026, 3, 9, 7, tzinfo=UTC)
    assert (order.cancelled_at, order.is_test, order.observed_at) == (None, False, RECEIVED)


def test_lines_are_after_their_discounts_and_a_refunded_one_keeps_its_quantity() -> None:
    lines = read(raw_order()).lines
    assert [(line.line_no, line.sku, line.quantity, line.total) for line in lines] == [
        (1, "TEA-GREEN", 2, Decimal("22.50")),
        (2, "TEA-BLACK", 1, Decimal("8.10")),
        (3, "4400000003", 1, Decimal("5.40")),  # no sku: the variant's number
    ]
    assert [(line.discount, line.tax, line.brand, line.external_id) for line in lines[:1]] == [
        (Decimal("2.50"), Decimal("4.28"), "Hillside", "7001")
    ]


def test_customer() -> None:
    customer = read(raw_order()).customer
    assert (customer.external_id, customer.email, customer.locale) == ("6620000001", "mara@example.com", "de-DE")
    assert (customer.first_name, customer.last_name, customer.country) == ("Mara", "Lind", "DE")


def test_timeline_has_parcels_that_left_and_refunds_that_succeeded() -> None:
    events = read(raw_order()).events
    assert [event.step for event in events] == [
        OrderStep.PAID,
        OrderStep.SHIPPED,
        OrderStep.DELIVERED,
        OrderStep.REFUNDED,
    ]
    shipped, refund = events[1], events[3]
    assert (shipped.reference, shipped.carrier, shipped.tracking_number) == ("8801", "DHL", "JD001")
    assert shipped.tracking_url == "https://track.example.com/JD001"
    assert (refund.reference, refund.amount) == ("9901001", Decimal("9.64"))
    assert refund.at == datetime(2026, 3, 9, 6, 59, tzinfo=UTC)


def test_each_tracking_number_is_a_parcel() -> None:
    def two(raw: dict[str, Any]) -> None:
        raw["fulfillments"][0] |= {"tracking_numbers": ["A", "B"], "tracking_urls": ["https://a.test"]}

    parcels = [event for event in changed(two).events if event.step is OrderStep.SHIPPED]
    assert [(one.reference, one.tracking_number, one.tracking_url) for one in parcels] == [
        ("8801-1", "A", "https://a.test"),
        ("8801-2", "B", None),
    ]


def test_presentment_money_is_the_orders_and_shop_money_the_shops() -> None:
    """Golden case 4: yen have no decimals. The refund's shop money is reckoned by the order's own rate."""
    order = read(raw_order("presentment"))
    assert (order.currency, order.total, order.refunded) == ("JPY", Decimal(17500), Decimal(3500))
    assert (order.shop_currency, order.shop_total, order.shop_refunded) == ("CHF", Decimal(100), Decimal(20))
    assert (order.tax, order.shipping) == (Decimal(1400), Decimal(1750))
    assert [(line.total, line.tax) for line in order.lines] == [(Decimal(15750), Decimal(1400))]
    assert order.customer.external_id == ""


def test_a_refund_in_the_shops_currency_is_brought_into_the_orders() -> None:
    def in_francs(raw: dict[str, Any]) -> None:
        raw["refunds"][0]["transactions"][0] |= {"amount": "20.00", "currency": "CHF"}

    assert changed(in_francs, "presentment").refunded == Decimal(3500)
    with pytest.raises(Unfit, match="cannot be added up") as caught:
        changed(lambda raw: raw["refunds"][0]["transactions"][0].update(currency="USD"), "presentment")
    assert caught.value.rule == "currency_mixed"


def test_three_decimals() -> None:
    def dinars(raw: dict[str, Any]) -> None:
        for key in [key for key in raw if key.endswith("_set") or key == "presentment_currency"]:
            del raw[key]
        raw |= {"currency": "KWD", "total_price": "12.375", "refunds": [], "financial_status": "paid"}
        raw |= {"current_total_price": "12.375", "line_items": []}

    order = changed(dinars)
    assert (order.currency, order.total, order.shop_total) == ("KWD", Decimal("12.375"), None)
    with pytest.raises(Unfit, match="more decimals than JPY"):
        changed(lambda raw: (dinars(raw), raw.update(currency="JPY")))


def test_shopifys_own_test_notification() -> None:
    """Golden cases 7 and 20: a test; ids beyond 2^53 keep every digit."""
    order = read(raw_order("test_notification"), topic="orders/create")
    assert order.is_test
    assert order.external_id == "920000000000154511"
    assert order.customer.external_id == "125310000000723954"
    assert order.lines[0].external_id == "866550000000439020"
    assert (order.status, order.channel_status) == (OrderStatus.CANCELLED, "voided/pending")
    assert (order.total, order.refunded, len(order.lines)) == (Decimal(288), Decimal(0), 2)
    assert order.customer.email == "ada@example.com"
    assert [(event.step, event.note) for event in order.events] == [(OrderStep.CANCELLED, "customer")]


def test_an_id_that_went_through_a_float_is_refused() -> None:
    assert refused(lambda raw: raw.update(id=9.2e17)).rule == "id_unreadable"


# ------------------------------------------------------------------------------------------------ refunds and edits


def test_refund_as_number_without_transactions() -> None:
    """Golden case 2: subtotal and total_tax of a refund's lines are numbers."""

    def bare(raw: dict[str, Any]) -> None:
        refund = raw["refunds"][0]
        del refund["transactions"]
        for line in refund["refund_line_items"]:
            del line["subtotal_set"], line["total_tax_set"]
        refund["order_adjustments"] = [{"kind": "shipping_refund", "amount": "-4.90", "tax_amount": "0.00"}]

    order = changed(bare)
    assert (order.total, order.refunded) == (Decimal("47.75"), Decimal("14.54"))  # 8.10 + 1.54 + 4.90
    taxes_included = changed(lambda raw: (bare(raw), raw.update(taxes_included=True)))
    assert taxes_included.refunded == Decimal("13.00")


def test_a_float_of_a_sum() -> None:
    """Golden case 15: 0.1 + 0.2 is thirty cents."""

    def floats(raw: dict[str, Any]) -> None:
        raw["refunds"][0]["transactions"][0]["amount"] = 0.1 + 0.2

    assert changed(floats).refunded == Decimal("0.30")


def test_refunded_in_full_by_status_alone() -> None:
    order = changed(lambda raw: raw.update(financial_status="refunded", refunds=[]))
    assert (order.status, order.refunded) == (OrderStatus.REFUNDED, order.total)


def test_partially_refunded_then_cancelled() -> None:
    """Golden case 14: the refund stays on record, and the total is what it was."""
    order = changed(
        lambda raw: raw.update(cancelled_at="2026-03-10T10:00:00+01:00", cancel_reason="other", current_total_price="0")
    )
    assert (order.status, order.total, order.refunded) == (OrderStatus.CANCELLED, Decimal("47.75"), Decimal("9.64"))
    assert order.cancelled_at == datetime(2026, 3, 10, 9, tzinfo=UTC)
    assert order.events[-1].note == "other"


def test_edited_before_anything_was_paid() -> None:
    order = read(raw_order("edited"))
    assert (order.total, order.refunded, order.shop_total) == (Decimal("38.11"), Decimal(0), Decimal("38.11"))
    assert (order.tax, order.discount) == (Decimal("5.31"), Decimal("3.10"))
    assert [(line.quantity, line.total) for line in order.lines] == [
        (2, Decimal("22.50")),
        (0, Decimal(0)),
        (1, Decimal("5.40")),
    ]
    assert not order.events


def refund(worth: str | None, *lines: tuple[int, str]) -> dict[str, Any]:
    """A record of `refunds`: how much money went back, None as for an edit, and for which lines."""
    money = [{"kind": "refund", "status": "success", "amount": worth, "currency": "EUR"}] if worth else []
    taken = [{"line_item_id": line, "quantity": 1, "subtotal": subtotal} for line, subtotal in lines]
    return {"id": 9, "transactions": money, "refund_line_items": taken}


def edited_order(financial: str, price: str, current: str | None, refunds: list[dict[str, Any]]) -> dict[str, Any]:
    """Of three lines of 35, 40 and 20, and 5 for shipping."""
    raw = {"id": 1, "currency": "EUR", "created_at": "2026-03-01T12:00:00Z", "financial_status": financial}
    lines = [{"id": number, "quantity": 1, "price": price} for number, price in ((1, "35"), (2, "40"), (3, "20"))]
    numbered = [one | {"id": number} for number, one in enumerate(refunds, 1)]
    return raw | {"total_price": price, "current_total_price": current, "line_items": lines, "refunds": numbered}


def in_graphql(raw: dict[str, Any]) -> dict[str, Any]:
    """The same order as a node."""

    def money(amount: str) -> dict[str, Any]:
        both = {"amount": amount, "currencyCode": "EUR"}
        return {"presentmentMoney": both, "shopMoney": both}

    def refund_node(one: dict[str, Any]) -> dict[str, Any]:
        paid = [{"kind": "REFUND", "status": "SUCCESS", "amountSet": money(t["amount"])} for t in one["transactions"]]
        taken = [
            {
                "quantity": line["quantity"],
                "lineItem": {"id": f"gid://shopify/LineItem/{line['line_item_id']}"},
                "subtotalSet": money(line["subtotal"]),
            }
            for line in one["refund_line_items"]
        ]
        number = f"gid://shopify/Refund/{one['id']}"
        return {"id": number, "transactions": {"nodes": paid}, "refundLineItems": {"nodes": taken}}

    back = sum(Decimal(t["amount"]) for one in raw["refunds"] for t in one["transactions"])
    current = raw["current_total_price"]
    return {
        "id": "gid://shopify/Order/1",
        "currencyCode": "EUR",
        "presentmentCurrencyCode": "EUR",
        "createdAt": raw["created_at"],
        "displayFinancialStatus": raw["financial_status"].upper(),
        "displayFulfillmentStatus": "UNFULFILLED",
        "totalPriceSet": money(raw["total_price"]),
        "currentTotalPriceSet": current and money(current),
        "totalRefundedSet": money(str(back)),
        "lineItems": {
            "nodes": [
                {
                    "id": f"gid://shopify/LineItem/{line['id']}",
                    "quantity": line["quantity"],
                    "originalUnitPriceSet": money(line["price"]),
                }
                for line in raw["line_items"]
            ]
        },
        "refunds": [refund_node(one) for one in raw["refunds"]],
    }


EDIT = refund(None, (2, "40"))  # an edit takes away the line of 40, and no money moves
PARTLY = "partially_refunded"


@pytest.mark.parametrize("form", [dict, in_graphql], ids=["rest", "graphql"])
@pytest.mark.parametrize(
    ("financial", "price", "current", "refunds", "total", "refunded", "quantities"),
    [
        pytest.param("paid", "100", "100", [], 100, 0, [1, 1, 1], id="plain"),
        pytest.param(PARTLY, "100", "60", [refund("40", (2, "40"))], 100, 40, [1, 1, 1], id="plain refund"),
        pytest.param(PARTLY, "100", "95", [refund("5")], 100, 5, [1, 1, 1], id="shipping refund"),
        pytest.param(PARTLY, "100", "100", [refund("5")], 100, 5, [1, 1, 1], id="shipping not in current"),
        pytest.param("refunded", "100", "0", [refund("100", (1, "35"))], 100, 100, [1, 1, 1], id="all back"),
        pytest.param("pending", "100", "60", [EDIT], 60, 0, [1, 0, 1], id="edit"),
        pytest.param(PARTLY, "100", "50", [EDIT, refund("10")], 60, 10, [1, 0, 1], id="edit, goodwill"),
        pytest.param(PARTLY, "100", "40", [EDIT, refund("20", (3, "20"))], 60, 20, [1, 0, 1], id="edit, refund"),
        pytest.param(PARTLY, "100", "55", [EDIT, refund("5")], 60, 5, [1, 0, 1], id="edit, shipping refund"),
        pytest.param("refunded", "100", "0", [EDIT, refund("60")], 60, 60, [1, 0, 1], id="edit, all back"),
        pytest.param(PARTLY, "100", "60", [EDIT, refund("40")], 100, 40, [1, 1, 1], id="edit paid back"),
        pytest.param(PARTLY, "100", "50", [EDIT, refund("50")], 100, 50, [1, 1, 1], id="edit paid back, goodwill"),
        pytest.param(PARTLY, "100", "60", [EDIT, refund("50")], 100, 50, [1, 1, 1], id="goodwill not in current"),
        pytest.param("partially_paid", "80", "100", [], 100, 0, [1, 1, 1], id="addition"),
        pytest.param(PARTLY, "100", "80", [refund("20", (3, "20"))], 100, 20, [1, 1, 1], id="addition, refund"),
        pytest.param(PARTLY, "80", "90", [refund("10")], 100, 10, [1, 1, 1], id="addition not in price, refund"),
        pytest.param(PARTLY, "100", None, [EDIT, refund("40")], 100, 40, [1, 1, 1], id="current not told"),
        pytest.param("voided", "100", "0", [EDIT], 100, 0, [1, 1, 1], id="voided"),
    ],
)
def test_edits_and_refunds(
    form: Callable[[dict[str, Any]], dict[str, Any]],
    financial: str,
    price: str,
    current: str | None,
    refunds: list[dict[str, Any]],
    total: int,
    refunded: int,
    quantities: list[int],
) -> None:
    order = shopify.order(form(edited_order(financial, price, current, refunds)), FILE)
    assert isinstance(order, Order)
    assert (order.total, order.refunded) == (total, refunded)
    assert [line.quantity for line in order.lines] == quantities


def test_a_line_that_an_edit_added_is_to_be_paid() -> None:
    order = changed(
        lambda raw: raw.update(
            refunds=[],
            financial_status="partially_paid",
            current_total_price_set={"presentment_money": {"amount": "60.00"}, "shop_money": {"amount": "60.00"}},
        )
    )
    assert (order.total, order.shop_total, order.status) == (Decimal(60), Decimal(60), OrderStatus.SHIPPED)


# ---------------------------------------------------------------------------------------------------------- statuses


@pytest.mark.parametrize(
    ("financial", "fulfillment", "more", "status"),
    [
        ("pending", None, {}, OrderStatus.PLACED),
        ("authorized", None, {}, OrderStatus.PLACED),
        ("expired", None, {}, OrderStatus.PLACED),
        ("partially_paid", None, {}, OrderStatus.PLACED),
        ("paid", None, {}, OrderStatus.PAID),
        ("paid", "partial", {}, OrderStatus.PAID),
        ("paid", "fulfilled", {}, OrderStatus.SHIPPED),
        ("pending", "fulfilled", {"closed_at": "2026-03-10T10:00:00Z"}, OrderStatus.SHIPPED),
        ("paid", "fulfilled", {"closed_at": "2026-03-10T10:00:00Z"}, OrderStatus.COMPLETED),
        ("paid", None, {"closed_at": "2026-03-10T10:00:00Z"}, OrderStatus.PAID),
        ("refunded", "fulfilled", {}, OrderStatus.REFUNDED),
        ("voided", None, {}, OrderStatus.CANCELLED),
        ("paid", "restocked", {"cancelled_at": "2026-03-10T10:00:00Z"}, OrderStatus.CANCELLED),
    ],
)
def test_statuses(financial: str, fulfillment: str | None, more: dict[str, str], status: OrderStatus) -> None:
    order = changed(lambda raw: raw.update(financial_status=financial, fulfillment_status=fulfillment, **more))
    assert order.status is status
    ended = [event for event in order.events if event.step is OrderStep.COMPLETED]
    assert bool(ended) is (status is OrderStatus.COMPLETED)


@pytest.mark.parametrize("name", ["financial_status", "fulfillment_status"])
def test_an_unknown_status_is_refused(name: str) -> None:
    """Golden case 17; and case 13: another spelling is another word."""
    unfit = refused(lambda raw: raw.update({name: "canceled"}))
    assert (unfit.rule, unfit.fields) == ("status_unknown", (name,))
    assert "canceled" not in str(unfit)
    assert "Patch it to the one that it means and replay it" in str(unfit)


def test_what_is_missing_is_named() -> None:
    assert refused(lambda raw: raw.pop("financial_status")).rule == "financial_status_missing"
    assert refused(lambda raw: raw.pop("id")).rule == "id_missing"
    unfit = refused(lambda raw: (raw.pop("total_price"), raw.pop("total_price_set")))
    assert (unfit.rule, unfit.fields) == ("total_missing", ("total_price",))
    unfit = refused(lambda raw: raw["line_items"][1].update(quantity="two"))
    assert (unfit.rule, unfit.fields) == ("quantity_unreadable", ("line_items.1.quantity",))


# ----------------------------------------------------------------------------------------------------------- consent


def consent_of(state: Any, at: str | None, *, checkout: bool = False, **more: Any) -> Any:
    def change(raw: dict[str, Any]) -> None:
        raw["buyer_accepts_marketing"] = checkout
        raw["customer"]["email_marketing_consent"] = {"state": state, "consent_updated_at": at, **more}

    return changed(change).customer.consent


def test_consent_is_the_customers_with_its_time_and_level() -> None:
    """Golden case 18: the time is that of the statement, not of the order, so a later withdrawal outweighs it."""
    consent = read(raw_order(), options={"consent_wording": "v3"}).customer.consent
    assert consent is not None
    assert (consent.status, consent.level, consent.source) == (ConsentStatus.GRANTED, "confirmed_opt_in", "shopify")
    assert (consent.occurred_at, consent.wording) == (datetime(2026, 2, 1, 8, 30, tzinfo=UTC), "v3")


@pytest.mark.parametrize("state", ["unsubscribed", "redacted", "invalid"])
def test_withdrawn(state: str) -> None:
    consent = consent_of(state, "2026-03-20T00:00:00Z", checkout=True)
    assert (consent.status, consent.occurred_at) == (ConsentStatus.WITHDRAWN, datetime(2026, 3, 20, tzinfo=UTC))
    assert consent_of(state, None).occurred_at == datetime(2026, 3, 9, 7, tzinfo=UTC)  # when it was seen


@pytest.mark.parametrize("state", ["not_subscribed", "pending", "new_word", None])
def test_unknown_is_no_consent(state: str | None) -> None:
    assert consent_of(state, "2026-03-20T00:00:00Z", checkout=True) is None


def test_a_grant_without_a_time_is_the_one_at_checkout_or_none() -> None:
    assert consent_of("subscribed", None) is None
    at_checkout = consent_of("subscribed", None, checkout=True, opt_in_level="unknown")
    assert (at_checkout.occurred_at, at_checkout.level) == (datetime(2026, 3, 2, 9, 14, 58, tzinfo=UTC), "")
    alone = changed(lambda raw: raw["customer"].pop("email_marketing_consent")).customer.consent
    assert alone is not None
    assert (alone.status, alone.occurred_at) == (ConsentStatus.GRANTED, datetime(2026, 3, 2, 9, 14, 58, tzinfo=UTC))


def test_a_redacted_customer_leaves_the_money_and_nobody() -> None:
    """Golden case 16."""

    def redact(raw: dict[str, Any]) -> None:
        raw |= {"email": None, "contact_email": None}
        raw["customer"] |= {"email": None, "first_name": None, "last_name": None}
        raw["customer"]["email_marketing_consent"] = {"state": "redacted", "consent_updated_at": None}

    order = changed(redact)
    who = order.customer
    assert (who.email, who.first_name, who.last_name, who.country) == (None, None, None, None)
    assert who.consent is not None
    assert who.consent.status is ConsentStatus.WITHDRAWN
    assert (who.redacted, who.external_id) == (True, "6620000001")
    assert not read(raw_order()).customer.redacted
    assert order.total == Decimal("47.75")


def test_email_null_and_guests() -> None:
    """Golden cases 19 and 8: a guest has no number, and the address stays as it was typed."""

    def guest(raw: dict[str, Any]) -> None:
        raw |= {"customer": None, "email": "", "contact_email": "Mara@Example.com"}

    assert changed(guest).customer.email == "Mara@Example.com"
    assert changed(guest).customer.external_id == ""
    assert changed(lambda raw: raw.update(customer=None, email=None, contact_email=None)).customer.email is None


# ---------------------------------------------------------------------------------------------- documents and notices


def test_elements_of_all_shapes() -> None:
    one = raw_order()
    for document, count in (
        (one, 1),
        ({"order": one}, 1),
        ({"orders": [one, one]}, 2),
        ([one], 1),
        ({"data": {"orders": {"edges": [{"node": one}]}}}, 1),
        ({"data": {"orders": {"nodes": []}}}, 0),
    ):
        found = list(shopify.elements(b"\xef\xbb\xbf" + orjson.dumps(document), FILE))
        assert [element.position for element in found] == list(range(1, count + 1))
        assert all(element.payload == one for element in found)
    with pytest.raises(Unreadable, match="no JSON"):
        list(shopify.elements(b"<html>", FILE))
    with pytest.raises(Unreadable, match="errors"):
        list(shopify.elements(b'{"errors": "Not Found"}', FILE))


def test_a_deletion_holds_as_of_when_it_was_triggered() -> None:
    triggered = datetime(2026, 3, 31, tzinfo=UTC)
    topic = "orders/delete"
    delivery = Delivery(Origin.PUSH, RECEIVED, topic=topic, observed_at=triggered)
    assert shopify.order({"id": 5510000001}, delivery) == Deletion("5510000001", triggered)
    assert shopify.order({"id": 5}, Delivery(Origin.PUSH, RECEIVED, topic=topic)) == Deletion("5", RECEIVED)
    with pytest.raises(Unfit, match="deleted"):
        shopify.order({}, delivery)


@pytest.mark.parametrize("kept", [None, ["total_price"], ["line_items"], ["total_price_set"]])
def test_an_order_under_the_topic_of_deletions_deletes_nothing(kept: list[str] | None) -> None:
    """The signature covers the body and not the topic, so whoever has seen one notice could delete its order."""
    raw = raw_order() if kept is None else {name: raw_order()[name] for name in ("id", *kept)}
    with pytest.raises(Unfit, match="nothing was deleted") as caught:
        shopify.order(raw, Delivery(Origin.PUSH, RECEIVED, topic="orders/delete"))
    assert caught.value.rule == "deletion_with_an_order"
    assert "example.com" not in str(caught.value)


@pytest.mark.parametrize("topic", ["customers/update", "products/create", "refunds/create", "orders/edited"])
def test_other_notices_are_ignored(topic: str) -> None:
    found = shopify.order({"id": 1}, Delivery(Origin.PUSH, RECEIVED, topic=topic))
    assert isinstance(found, Ignored)
    assert topic in found.reason


def signed(body: bytes, secret: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def test_signature() -> None:
    push = shopify.CHANNEL.push
    assert push is not None
    body = b'{"id": 1}'
    headers = {"x-shopify-hmac-sha256": signed(body, "new")}
    # While secrets are rotated either may have signed: the door tries each.
    assert [push.verify(headers, body, secret, RECEIVED) for secret in ("new", "old")] == [True, False]
    assert not push.verify(headers, body + b" ", "new", RECEIVED)
    assert not push.verify({}, body, "new", RECEIVED)
    assert not push.verify({"x-shopify-hmac-sha256": "\u00e4\udcff"}, body, "new", RECEIVED)
    assert not push.verify({"x-shopify-hmac-sha256": signed(body, "")}, body, "", RECEIVED)
    assert not push.is_probe(headers, body)


def test_headers() -> None:
    push = shopify.CHANNEL.push
    assert push is not None
    headers = {
        "x-shopify-topic": "orders/paid",
        "x-shopify-triggered-at": "2026-03-09T07:00:01.877041743Z",
        "x-shopify-event-id": "event",
        "x-shopify-webhook-id": "delivery",
    }
    meta = push.meta(headers, b"", RECEIVED)
    assert (meta.topic, meta.delivery_id, meta.urgency) == ("orders/paid", "delivery", Urgency.NOW)
    assert meta.observed_at == datetime(2026, 3, 9, 7, 0, 1, 877041, tzinfo=UTC)
    other = push.meta({"x-shopify-topic": "products/update", "x-shopify-triggered-at": "soon"}, b"", RECEIVED)
    assert (other.urgency, other.observed_at, other.probe) == (Urgency.USUAL, None, False)


def test_states_of_one_order_can_be_told_apart_whatever_came_first() -> None:
    """Golden cases 10 and 11: the version is the order's own, not that of the delivery."""
    first, second = (datetime(2026, 3, 9, 7, 0, second, tzinfo=UTC) for second in (1, 2))
    created = read(raw_order(), topic="orders/create", observed_at=first)
    again = read(raw_order(), topic="orders/create", observed_at=first)
    updated = read(raw_order(), topic="orders/updated", observed_at=second)
    assert created == again
    assert created.version < updated.version


# ------------------------------------------------------------------------------------------------------------- fuzzing

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(raw=JSON)
def test_any_json_gives_an_order_or_a_reason(raw: Any) -> None:
    with pytest.raises(Unfit):
        shopify.order(raw, FILE)


@st.composite
def spoilt(draw: st.DrawFn, name: str) -> Any:
    """A sound order with up to three values replaced by any JSON, anywhere in it."""
    raw = raw_order(name)
    for _ in range(draw(st.integers(1, 3))):
        here: Any = raw
        while True:
            keys = sorted(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if not isinstance(here[key], dict | list) or draw(st.booleans()):
                here[key] = draw(JSON)
                break
            here = here[key]
    return raw


@pytest.mark.parametrize("name", ["partially_refunded", "presentment", "edited", "test_notification"])
def test_a_spoilt_order_is_read_or_refused(name: str) -> None:
    @given(raw=spoilt(name))
    def check(raw: Any) -> None:
        found: Order | Unfit | Any
        try:
            found = shopify.order(raw, FILE)
        except Unfit as unfit:
            found = unfit
        assert isinstance(found, Order) or (isinstance(found, Unfit) and "example.com" not in str(found))

    check()
