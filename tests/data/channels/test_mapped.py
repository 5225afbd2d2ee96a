from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from data.channels import mapped
from data.channels.channel import Unfit, Unreadable
from domain.consent import Consent, ConsentStatus
from domain.orders import Customer, Deletion, Order, OrderKind, OrderStatus
from tests.data.channels.mapped_orders import RAW, delivery, mapping_with, order_of


def test_a_minimal_mapping_will_do() -> None:
    order = order_of(RAW)
    assert (order.external_id, order.status, order.channel_status) == ("7", OrderStatus.PLACED, "Open")
    assert (order.currency, order.total, order.placed_at) == (
        "EUR",
        Decimal("19.90"),
        datetime(2026, 3, 1, 11, tzinfo=UTC),
    )
    assert order.updated_at == order.placed_at
    assert (order.customer, order.notify, order.kind) == (Customer("", None), True, OrderKind.SALE)


@pytest.mark.parametrize(
    ("changes", "raw", "field", "value"),
    [
        ({"order": {"number": ["no", "id"]}}, {"no": " "}, "number", "7"),
        ({"order": {"number": "a.b"}}, {"a.b": "x"}, "number", "x"),
        ({"order": {"number": "lines.0.sku"}}, {}, "number", "A"),
        ({"order": {"number": "meta[key=no.1].value"}}, {"meta": [{"key": "no.1", "value": 5}]}, "number", "5"),
        ({"order": {"number": {"path": "no", "match": {"^C": "credit note"}, "otherwise": "null"}}}, {"no": 1}, "number", None),
        ({"order": {"total": {"path": "cents", "type": "minor"}}}, {"cents": 1990}, "total", Decimal("19.90")),
        ({"order": {"refunded": {"path": "back", "absolute": True}}}, {"back": "-5.00"}, "refunded", Decimal(5)),
        ({"order": {"refunded": {"path": "back", "negate": True}}}, {"back": -5}, "refunded", Decimal(5)),
        ({"order": {"discount": "off"}}, {"off": 0.1 + 0.2}, "discount", Decimal("0.3")),
        ({"order": {"tax": "vat"}}, {"vat": "3.177311"}, "tax", Decimal("3.1773")),
        ({"decimal": ",", "thousands": ".", "order": {"total": "t"}}, {"t": "1.980,5"}, "total", Decimal("1980.50")),
        ({"order": {"updated_at": {"path": "t", "format": ["unix", "iso"]}}}, {"t": 1772367300}, "updated_at", datetime(2026, 3, 1, 12, 15, tzinfo=UTC)),
        ({"order": {"updated_at": {"path": "t", "format": "unix_ms"}}}, {"t": 1772367300000}, "updated_at", datetime(2026, 3, 1, 12, 15, tzinfo=UTC)),
        ({"order": {"updated_at": {"path": "t", "format": "%d.%m.%y", "zone": "Asia/Tokyo"}}}, {"t": "02.03.26"}, "updated_at", datetime(2026, 3, 1, 15, tzinfo=UTC)),
        ({"order": {"updated_at": "t"}}, {"t": "2026-03-01T12:00:00-05:00"}, "updated_at", datetime(2026, 3, 1, 17, tzinfo=UTC)),
        ({"order": {"test": {"path": "mode", "words": {"demo": "true"}, "otherwise": "false"}}}, {"mode": "Demo"}, "is_test", True),
        ({"order": {"test": "mode"}}, {"mode": True}, "is_test", True),
        ({"order": {"notify": {"path": "quiet", "words": {"true": "false"}, "otherwise": "null"}}}, {"quiet": True}, "notify", False),
        ({"order": {"status": {"value": "paid"}}}, {"state": None}, "status", OrderStatus.PAID),
        ({"order": {"status": {"path": "state", "words": {"": "placed"}}}}, {"state": ""}, "status", OrderStatus.PLACED),
        ({"order": {"status": {"path": "state", "words": {"x": "paid"}, "otherwise": "shipped"}}}, {}, "status", OrderStatus.SHIPPED),
        ({"order": {"coupons": "codes", "coupons_separator": "/"}}, {"codes": "a/ b/"}, "coupons", ("a", "b")),
        ({"order": {"cancelled_at": "gone"}}, {"state": "VOID", "gone": "2026-03-02T12:00:00Z"}, "cancelled_at", datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ({"order": {"shop_currency": {"value": "JPY"}, "shop_total": "yen"}}, {"yen": 3000}, "shop_total", Decimal(3000)),
        ({"order": {"kind": {"value": "replacement"}}}, {}, "kind", OrderKind.REPLACEMENT),
        ({"refunds": {"list": "back", "at": "at", "amount": "sum"}}, {"back": [{"at": "2026-03-02T12:00:00Z", "sum": -1.5}] * 2}, "refunded", Decimal(3)),
        ({"order": {"total": "sum_of_lines"}}, {}, "total", Decimal("19.90")),
    ],
)  # fmt: skip
def test_what_a_mapping_can_say(changes: dict[str, Any], raw: dict[str, Any], field: str, value: object) -> None:
    assert getattr(order_of(RAW | raw, changes), field) == value


def test_times_without_a_zone_are_the_mappings_or_the_connections() -> None:
    order = mapped.order(RAW, delivery(mapping_with({"zone": None}), zone=ZoneInfo("Asia/Tokyo")))
    assert isinstance(order, Order)
    assert order.placed_at == datetime(2026, 3, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        ("yes", "granted", Consent(ConsentStatus.GRANTED, "consent", "checkout", "v1", datetime(2026, 3, 1, 11, tzinfo=UTC))),
        ("stop", "withdrawn", Consent(ConsentStatus.WITHDRAWN, "consent", "", "v1", datetime(2026, 3, 1, 11, tzinfo=UTC))),
        ("", "nothing", None),
        ("perhaps", "nothing", None),
    ],
)  # fmt: skip
def test_consent_is_what_was_said_and_silence_is_none(status: str, answer: str, said: Consent | None) -> None:
    consent = {
        "status": {"path": "news", "words": {"yes": "granted", "stop": "withdrawn"}, "otherwise": "null"},
        "at": "at",
        "source": "form",
        "basis": {"value": "consent"},
        "wording": {"value": "v1"},
    }
    raw = RAW | {"news": status} | ({"form": "checkout"} if answer == "granted" else {})
    assert order_of(raw, {"consent": consent}).customer.consent == said


def test_an_order_that_their_system_deleted_is_a_deletion() -> None:
    mapping = mapping_with({"order": {"deleted_at": "gone"}})
    found = mapped.order({"id": 7, "gone": "2026-03-02T12:00:00Z"}, delivery(mapping))
    assert found == Deletion("7", datetime(2026, 3, 2, 12, tzinfo=UTC))


@pytest.mark.parametrize("are", ["negative", "positive"])
def test_credits_may_be_written_with_either_sign(are: str) -> None:
    sign = -1 if are == "negative" else 1
    credit = {"kind": {"value": "credit"}}
    raw = RAW | {
        "money": {"currency": "EUR", "total": 19.9 * sign},
        "lines": [{"sku": "A", "n": 2 * sign, "sum": 19.9 * sign}],
    }
    for total in ("money.total", "sum_of_lines"):
        order = order_of(raw, {"credits_are": are, "order": credit | {"total": total}})
        assert (order.total, order.refunded, order.status) == (0, Decimal("19.9"), OrderStatus.REFUNDED)
        assert (order.lines[0].quantity, order.lines[0].total) == (-2, Decimal("-19.9"))


def test_computed_totals_stay_exact_or_are_rounded_as_declared() -> None:
    line = {"unit_price": "each", "total": "quantity_times_unit_price"}
    raw = RAW | {"lines": [{"sku": "A", "n": 3, "each": "0.125"}, {"sku": "B", "n": 1, "each": 0.0001}]}
    whole = {"line": line, "order": {"total": "sum_of_lines"}}
    assert order_of(raw, whole).total == Decimal("0.3751")
    assert order_of(raw, whole | {"round": "half_even"}).total == Decimal("0.38")
    with pytest.raises(Unfit, match="line 2 of the order's 2: total has more than four decimals: `round` says"):
        order_of(RAW | {"lines": [raw["lines"][0], {"sku": "B", "n": 1, "each": "0.00001"}]}, whole)


@pytest.mark.parametrize(
    ("changes", "raw", "rule", "sentence", "fields"),
    [
        ({}, {"id": None}, "external_id_missing", "external_id (id) is empty", ("id",)),
        ({}, {"id": 7.0}, "external_id_unreadable", "external_id (id) is no id", ("id",)),
        ({}, {"id": "7.0"}, "external_id_unreadable", "external_id (id) was turned into a float", ("id",)),
        ({"order": {"external_id": {"path": "id", "type": "whole"}}}, {"id": "x"}, "external_id_unreadable", "external_id (id) is no whole number", ("id",)),
        ({"order": {"external_id": {"path": "id", "type": "whole"}}}, {"id": "90071992547409921.0"}, "external_id_rounded", "external_id (id) went through a float", ("id",)),
        ({}, {"state": "lost"}, "status_unknown", "status (state) is a word that `words` does not have: add it", ("state",)),
        ({}, {"state": None}, "status_missing", "status (state) is empty", ("state",)),
        ({}, {"money": {"currency": "Euro", "total": 1}}, "currency_unreadable", "currency (money.currency) is no currency", ("money.currency",)),
        ({}, {"money": {"currency": "JPY", "total": "1.5"}}, "total_too_fine", "total (money.total) has more decimals than JPY has (0)", ("money.total",)),
        ({}, {"money": {"currency": "EUR", "total": "19,90"}}, "total_unreadable", "total (money.total) is no number such as 19.90", ("money.total",)),
        ({}, {"money": {"currency": "EUR", "total": "1_0"}}, "total_unreadable", "total (money.total) is no number", ("money.total",)),
        ({}, {"money": {"currency": "EUR", "total": True}}, "total_unreadable", "total (money.total) is no amount of money", ("money.total",)),
        ({"decimal": ","}, {"money": {"currency": "EUR", "total": "19.90"}, "lines": []}, "total_unreadable", "total (money.total) is no number such as 19,90", ("money.total",)),
        ({}, {"money": {"currency": "EUR", "total": -1}}, "total_negative", "total (money.total) is below zero: is this order a credit", ("money.total",)),
        ({}, {"at": "yesterday"}, "placed_at_unreadable", "placed_at (at) is no time written as iso", ("at",)),
        ({"order": {"placed_at": {"path": ["when", "at"], "format": ["%d/%m/%Y", "unix"]}}}, {}, "placed_at_unreadable", "placed_at (when or at) is no time written as %d/%m/%Y or unix", ("when", "at")),
        ({}, {"at": "2026-03-29T02:30:00"}, "placed_at_unreadable", "placed_at (at) is an hour that the clocks of Europe/Berlin skipped", ("at",)),
        ({"order": {"cancelled_at": "at"}}, {}, "cancelled_at_unexpected", "cancelled_at (at) is filled and status says otherwise", ("at",)),
        ({"order": {"refunded": "back"}}, {"back": 20}, "refunded_wrong", "refunded (back) is larger than the total", ("back",)),
        ({"order": {"refunded": "back"}}, {"back": -1}, "refunded_wrong", "refunded (back) is below zero (`absolute: true`", ("back",)),
        ({"refunds": {"list": "back", "at": "at", "amount": "sum"}}, {"back": "x"}, "back_unreadable", "back (`refunds.list`) is no list", ("back",)),
        ({"refunds": {"list": "back", "at": "at", "amount": "sum"}}, {"back": [{"sum": 1}]}, "at_missing", "refunds.0.at (at) is empty", ("at",)),
        ({"customer": {"email": "mail"}}, {"mail": ["a@example.com"]}, "email_unreadable", "customer.email (mail) is no text", ("mail",)),
        ({"order": {"test": "mode"}}, {"mode": "a@example.com"}, "test_unreadable", "test (mode) is neither true nor false", ("mode",)),
        ({"order": {"kind": {"value": "credit"}}}, {}, "total_unexpected", "total (money.total) of this credit is money taken", ("money.total",)),
        ({}, {"lines": {}}, "lines_unreadable", "lines (`line.list`) is no list of objects", ("lines",)),
        ({}, {"lines": [{"sku": "A", "n": 1.5, "sum": 1}]}, "quantity_unreadable", "quantity (n) is no whole number", ("lines.0.n",)),
        ({}, {"lines": [*RAW["lines"], {"n": 1, "sum": 1}]}, "sku_missing", "line 2 of the order's 2: sku (sku) is empty", ("lines.1.sku",)),
        ({}, {"lines": [{"sku": "A", "n": -1, "sum": 1}]}, "quantity_negative", "quantity (n) is below zero: goods that come back are a credit", ("lines.0.n",)),
        ({"line": {"line_no": "no"}}, {"lines": [{"sku": "A", "n": 1, "sum": 1, "no": 1}] * 2}, "line_no_twice", "line 2 of the order's 2: line_no stands twice", ("lines.1.no",)),
    ],
)  # fmt: skip
def test_what_cannot_be_read_names_our_field_and_their_path(
    changes: dict[str, Any], raw: dict[str, Any], rule: str, sentence: str, fields: tuple[str, ...]
) -> None:
    with pytest.raises(Unfit) as fault:
        order_of(RAW | raw, changes)
    assert str(fault.value).startswith(sentence)
    assert (fault.value.rule, fault.value.fields) == (rule, fields)
    assert "example.com" not in str(fault.value)


@pytest.mark.parametrize("payload", [None, [], "x", [1], [[]]])
def test_what_is_no_object_is_no_order(payload: object) -> None:
    with pytest.raises(Unfit, match="this is no order"):
        mapped.order(payload, delivery(mapping_with({})))


def test_without_a_mapping_nothing_is_guessed() -> None:
    with pytest.raises(Unreadable, match="names no `mapping`"):
        list(mapped.elements(b"{}", delivery(None)))
    with pytest.raises(Unfit, match="names no `mapping`"):
        mapped.order(RAW, delivery(None))
