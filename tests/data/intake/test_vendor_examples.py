"""Whole documents in the vendors' documented forms, with all their fields: every figure in the store, reckoned by hand.

Forms: shopify-api-ruby test/rest/2026_07/order_test.rb and shopify.dev (webhooks, Admin GraphQL Order);
woocommerce-rest-api-docs wp-api-v3/_orders.md; selling-partner-api-models orders_2026-01-01.json and ordersV0.json;
AdobeDocs/commerce-webapi admin-schema-2.4.9.yaml; medusajs/medusa packages/core/types/src/http/order. Values are ours.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from data.channels.channel import Origin
from tests.data.intake import feed, state
from tests.data.intake.state import pick, rows, take

pytestmark = pytest.mark.usefixtures("account_id")
VENDORS = Path(__file__).parents[2] / "payloads" / "orders" / "vendors"
MONEY = ("currency", "total", "refunded", "tax", "shipping", "discount")
SHOP = ("shop_currency", "shop_total", "shop_refunded")
STATE = ("number", "status", "channel_status", "kind", "coupons", "is_test", "notify")
LINE = ("sku", "quantity", "total", "discount", "tax")
EVENT = ("step", "at", "reference", "amount", "tracking_number")
PERSON = ("numbering", "external_id", "email", "first_name", "last_name", "country", "locale", "relay")
CONSENT = ("status", "source", "basis", "level", "wording", "occurred_at")


def body(name: str) -> bytes:
    return (VENDORS / name).read_bytes()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def d(text: str) -> Decimal:
    return Decimal(text)


def order(engine: sa.Engine, number: str) -> dict[str, Any]:
    return next(row for row in rows(engine, "orders") if row["external_id"] == number)


def of(engine: sa.Engine, table: str, number: str, names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return [pick(row, *names) for row in rows(engine, table) if row["order"] == number]


def person(engine: sa.Engine, of_order: dict[str, Any]) -> tuple[Any, ...]:
    found = [row for row in rows(engine, "parties") if row["external_id"] == of_order["party"]]
    return pick(found[0], *PERSON)


def consents(engine: sa.Engine) -> list[tuple[Any, ...]]:
    return [pick(row, *CONSENT) for row in rows(engine, "consents")]


def net(engine: sa.Engine) -> list[Decimal]:
    return sorted(row["net_revenue"] for row in state.whole(engine)["customer_features"])


def test_shopify_rest_orders_partially_refunded(engine: sa.Engine) -> None:
    take(engine, "shopify", body("shopify_orders.json"), origin=Origin.PULL)
    found = order(engine, "5500000000001")
    assert pick(found, *MONEY) == ("EUR", d("80.50"), d("12.80"), d("12.85"), d("4.90"), d("8.40"))
    assert pick(found, *SHOP) == ("EUR", d("80.50"), d("12.80"))
    told = ("#3001", "shipped", "partially_refunded/fulfilled", "sale", "SPRING10", False, True)
    assert pick(found, *STATE) == told
    assert found["placed_at"] == at("2026-03-05T08:58:10+00:00")
    assert found["updated_at"] == at("2026-03-09T15:20:05+00:00")
    assert of(engine, "order_lines", "5500000000001", LINE) == [
        ("TEA-SENCHA", 2, d("21.60"), d("2.40"), d("3.45")),
        ("POT-KYUSU", 1, d("54.00"), d("6.00"), d("8.62")),
    ]
    shipped, delivered = at("2026-03-06T10:00:00+00:00"), at("2026-03-08T13:31:00+00:00")
    assert of(engine, "order_events", "5500000000001", EVENT) == [
        ("paid", found["placed_at"], "", None, None),
        ("shipped", shipped, "2701-1", None, "00340434161094015902"),
        ("shipped", shipped, "2701-2", None, "00340434161094015919"),
        ("delivered", delivered, "2701", None, None),
        ("refunded", at("2026-03-09T15:20:00+00:00"), "909", d("12.80"), None),
    ]
    mara = ("shopify", "7306570989841", "mara.brandt@example.com", "Mara", "Brandt", "DE", "de-DE", False)
    assert person(engine, found) == mara
    agreed = at("2026-01-15T17:30:00+00:00")
    assert consents(engine) == [("granted", "shopify", "consent", "confirmed_opt_in", "", agreed)]
    assert net(engine) == [d("67.70")]


def test_shopify_webhook_of_a_refund_told_by_lines_and_adjustments(engine: sa.Engine) -> None:
    """No transactions: a cup for 20.00, its tax of 3.80 and the shipping of 4.90 went back."""
    take(engine, "shopify", body("shopify_order_refunded.json"), topic="orders/updated")
    found = order(engine, "5500000000002")
    assert pick(found, *MONEY) == ("EUR", d("52.50"), d("28.70"), d("7.60"), d("4.90"), d("0"))
    assert of(engine, "order_lines", "5500000000002", LINE) == [("CUP", 2, d("40.00"), d("0"), d("7.60"))]
    refused = at("2026-03-04T06:00:00+00:00")
    assert consents(engine) == [("withdrawn", "shopify", "consent", "single_opt_in", "", refused)]
    assert net(engine) == [d("23.80")]


def test_shopify_paid_then_cancelled_then_deleted(engine: sa.Engine) -> None:
    take(engine, "shopify", body("shopify_orders_paid.json"), topic="orders/paid")
    found = order(engine, "5500000000003")
    assert pick(found, *MONEY) == ("EUR", d("34.90"), d("0"), d("5.57"), d("4.90"), d("0"))
    assert pick(found, *STATE) == ("#3003", "paid", "paid/unfulfilled", "sale", None, False, True)
    # The box at checkout, as there is no customer with a state of his own.
    assert consents(engine) == [("granted", "shopify", "consent", "", "", found["placed_at"])]
    assert person(engine, found)[2:] == ("guest@example.net", "Luc", "Petit", "FR", "fr", False)
    assert net(engine) == [d("34.90")]
    take(engine, "shopify", body("shopify_orders_cancelled.json"), topic="orders/cancelled")
    found = order(engine, "5500000000003")
    assert pick(found, "status", "total", "refunded") == ("cancelled", d("34.90"), d("34.90"))
    assert found["cancelled_at"] == at("2026-03-05T11:00:00+00:00")
    steps = of(engine, "order_events", "5500000000003", ("step", "amount", "note"))
    assert steps == [("paid", None, None), ("cancelled", None, "inventory"), ("refunded", d("34.90"), None)]
    assert net(engine) == []
    gone = at("2026-03-06T00:00:00+00:00")
    take(engine, "shopify", body("shopify_orders_delete.json"), topic="orders/delete", observed_at=gone)
    assert order(engine, "5500000000003")["deleted_at"] == gone
    assert feed.letters(engine) == []


def test_shopify_in_the_customers_currency(engine: sa.Engine) -> None:
    take(engine, "shopify", body("shopify_presentment.json"), topic="orders/updated")
    found = order(engine, "5500000000004")
    assert pick(found, *MONEY) == ("JPY", d("16150"), d("7650"), d("1190"), d("850"), d("1700"))
    assert pick(found, *SHOP) == ("CHF", d("95"), d("45"))
    assert pick(found, "status", "coupons") == ("paid", "TOKYO")
    assert of(engine, "order_lines", "5500000000004", LINE) == [("TEA-GYOKURO", 2, d("15300"), d("1700"), d("1190"))]
    assert consents(engine) == []  # pending is no consent


def test_shopify_graphql(engine: sa.Engine) -> None:
    take(engine, "shopify", body("shopify_graphql.json"), origin=Origin.PULL)
    found = order(engine, "5500000000005")
    assert pick(found, *MONEY) == ("GBP", d("51.00"), d("17.00"), d("8.14"), d("5.10"), d("5.10"))
    assert pick(found, *SHOP) == ("EUR", d("60.00"), d("20.00"))
    told = ("#3005", "completed", "partially_refunded/fulfilled", "sale", "HELLO", False, True)
    assert pick(found, *STATE) == told
    assert of(engine, "order_lines", "5500000000005", LINE) == [("TEA-ASSAM", 3, d("45.90"), d("5.10"), d("8.14"))]
    assert of(engine, "order_events", "5500000000005", EVENT) == [
        ("paid", at("2026-03-10T08:00:01+00:00"), "", d("51.00"), None),
        ("shipped", at("2026-03-10T15:00:00+00:00"), "81", None, "RM123456785GB"),
        ("delivered", at("2026-03-11T11:58:00+00:00"), "81", None, None),
        ("refunded", at("2026-03-12T09:30:00+00:00"), "71", d("17.00"), None),
        ("completed", at("2026-03-12T10:00:00+00:00"), "", None, None),
    ]
    ada = ("shopify", "7306570989845", "ada@example.com", "Ada", "Love", "GB", "en-GB", False)
    assert person(engine, found) == ada
    agreed = at("2026-02-01T00:00:00+00:00")
    assert consents(engine) == [("granted", "shopify", "consent", "single_opt_in", "", agreed)]


def test_woocommerce_orders(engine: sa.Engine) -> None:
    options = {"consent_meta_key": "_newsletter_opt_in", "consent_wording": "footer 3"}
    known = state.connections("woocommerce", timezone="Europe/Prague", options=options)
    take(engine, "woocommerce", body("woocommerce_orders.json"), origin=Origin.PULL, connections=known)
    guest, registered = order(engine, "8101"), order(engine, "8102")
    assert pick(guest, *MONEY) == ("EUR", d("42.35"), d("0"), d("7.35"), d("5.00"), d("0"))
    assert pick(guest, *STATE) == ("8101", "paid", "processing", "sale", None, False, True)
    assert of(engine, "order_lines", "8101", LINE) == [
        ("TEA-SENCHA", 2, d("20.00"), d("0"), d("4.20")),
        ("22", 1, d("10.00"), d("0"), d("2.10")),  # no SKU: the product's number
    ]
    placed = at("2026-03-14T09:30:00+00:00")
    assert guest["placed_at"] == placed
    assert consents(engine) == [("granted", "woocommerce", "consent", "", "footer 3", placed)]
    assert pick(registered, *MONEY) == ("EUR", d("73.81"), d("27.20"), d("12.81"), d("5.00"), d("6.00"))
    assert pick(registered, "status", "coupons", "party") == ("completed", "spring10", "26")
    assert of(engine, "order_lines", "8102", LINE) == [("POT-KYUSU", 1, d("54.00"), d("6.00"), d("11.34"))]
    changed = at("2026-03-16T07:00:05+00:00")
    assert of(engine, "order_events", "8102", EVENT) == [
        ("paid", at("2026-03-14T09:30:09+00:00"), "", None, None),
        ("shipped", at("2026-03-14T12:00:00+00:00"), "7f3a", None, "01505012345678"),
        ("completed", at("2026-03-15T11:00:00+00:00"), "", None, None),
        ("refunded", changed, "8110", d("24.20"), None),
        ("refunded", changed, "8111", d("3.00"), None),
    ]
    assert net(engine) == [d("88.96")]  # 42.35 and 46.61: one mailbox, one person


def test_amazon_search_and_get(engine: sa.Engine) -> None:
    take(engine, "amazon", body("amazon_search_orders.json"), origin=Origin.PULL)
    sale, exchange = order(engine, "028-1111111-2222222"), order(engine, "250-3333333-4444444")
    assert pick(sale, *MONEY) == ("EUR", d("66.97"), d("0"), d("10.69"), d("3.99"), d("3.99"))
    told = ("028-1111111-2222222", "shipped", "SHIPPED", "sale", "FREE-SHIP-2026", False, False)
    assert pick(sale, *STATE) == told
    assert of(engine, "order_lines", "028-1111111-2222222", LINE) == [
        ("TEA-SENCHA", 2, d("39.98"), None, d("6.38")),
        ("CUP", 1, d("24.99"), None, d("3.99")),
    ]
    assert of(engine, "order_events", "028-1111111-2222222", (*EVENT, "carrier")) == [
        ("shipped", at("2026-03-02T14:00:00+00:00"), "PKG-1", None, "00340434161094000017", "DHL")
    ]
    assert person(engine, sale)[2:] == (None, None, None, "DE", None, True)
    assert pick(exchange, "currency", "total", "kind", "replaces", "status") == (
        *("JPY", d("0"), "replacement", "250-0000000-0000001", "paid"),
    )
    assert consents(engine) == []
    take(engine, "amazon", body("amazon_get_order.json"), origin=Origin.PULL)
    cancelled = order(engine, "028-5555555-6666666")
    assert pick(cancelled, "status", "total", "cancelled_at") == ("cancelled", d("0"), at("2026-03-03T09:00:00+00:00"))
    ((step, note),) = of(engine, "order_events", "028-5555555-6666666", ("step", "note"))
    assert (step, note) == ("cancelled", "Buyer requested cancellation")
    assert net(engine) == [d("66.97")]


def test_amazon_v0_orders_and_items(engine: sa.Engine) -> None:
    page, items = json.loads(body("amazon_v0_get_orders.json")), json.loads(body("amazon_v0_get_order_items.json"))
    take(engine, "amazon", page, origin=Origin.PULL)
    found = order(engine, "113-7777777-8888888")
    assert pick(found, "currency", "total", "status", "notify") == ("USD", d("48.60"), "shipped", False)
    assert [row["external_id"] for row in rows(engine, "orders")] == ["113-7777777-8888888"]  # the other is pending
    assert rows(engine, "order_lines") == feed.letters(engine) == []
    # As our pull puts them together; seen later, as it were a second of the same change.
    page["payload"]["Orders"][0]["OrderItems"] = items["payload"]["OrderItems"]
    take(engine, "amazon", page, origin=Origin.PULL, observed_at=at("2026-02-22T00:00:00+00:00"))
    found = order(engine, "113-7777777-8888888")
    assert pick(found, *MONEY) == ("USD", d("48.60"), d("0"), d("2.60"), d("5.00"), d("4.00"))
    assert found["coupons"] == "SUMMER"
    assert of(engine, "order_lines", "113-7777777-8888888", LINE) == [
        ("TEA-SENCHA", 2, d("22.00"), d("3.00"), d("1.80")),
        ("CUP", 1, d("20.00"), d("0"), d("0.50")),
    ]
    assert person(engine, found)[2:] == (None, None, None, "US", None, True)
    take(engine, "amazon", items, origin=Origin.PULL)
    assert [letter.rule for letter in feed.letters(engine)] == ["order_missing"]
    assert "OrderItems" in feed.letters(engine)[0].reason


def test_adobe_orders_with_configurable_and_bundle(engine: sa.Engine) -> None:
    take(engine, "adobe", body("adobe_orders.json"), origin=Origin.PULL)
    found, cancelled = order(engine, "72"), order(engine, "73")
    assert pick(found, *MONEY) == ("GBP", d("109.80"), d("13.50"), d("18.30"), d("6.00"), d("9.50"))
    assert pick(found, *SHOP) == ("EUR", d("137.25"), d("16.88"))
    told = ("2000000072", "completed", "complete/shipped_by_partner", "sale", "ZEN10", False, True)
    assert pick(found, *STATE) == told
    # The variant once, the bundle by its parts, the sample for nothing: 85.50 after a discount of 9.50.
    assert of(engine, "order_lines", "72", LINE) == [
        ("TEA-SENCHA-100", 2, d("22.50"), d("2.50"), d("4.50")),
        ("POT-KYUSU", 1, d("45.00"), d("5.00"), d("9.00")),
        ("CUP", 2, d("18.00"), d("2.00"), d("3.60")),
        ("SAMPLE", 1, d("0"), d("0"), d("0")),
    ]
    assert of(engine, "order_events", "72", (*EVENT, "carrier")) == [
        ("refunded", at("2026-03-25T09:29:58+00:00"), "2000000009", d("13.50"), None, None),
        ("shipped", at("2026-03-21T10:00:00+00:00"), "2000000005", None, "15501234567890", "DPD UK"),
    ]
    assert found["placed_at"] == at("2026-03-20T15:00:00+00:00")  # no zone means UTC
    assert person(engine, found) == ("adobe", "31", "tom.reed@example.com", "Tom", "Reed", "GB", None, False)
    registered = at("2025-12-01T08:00:00+00:00")
    assert consents(engine) == [("granted", "adobe", "newsletter subscription", "", "", registered)]
    assert pick(cancelled, "status", "total", "refunded") == ("cancelled", d("33.60"), d("0"))
    assert cancelled["cancelled_at"] == at("2026-03-23T00:09:55+00:00")
    assert person(engine, cancelled)[2:6] == ("Guest@Example.net", "Gus", "Hall", "GB")


def test_medusa_orders(engine: sa.Engine) -> None:
    known = state.connections("medusa", options={"consent_metadata_key": "newsletter"})
    take(engine, "medusa", body("medusa_orders.json"), origin=Origin.PULL, connections=known)
    number, other = "order_01JQF5YB7K9V3W2X1Z0A4C6D8E", "order_01JQF5YB7K9V3W2X1Z0A4C6D8F"
    found, yen = order(engine, number), order(engine, other)
    assert len(rows(engine, "orders")) == 2  # a draft is no order
    assert pick(found, *MONEY) == ("EUR", d("31.78"), d("6.50"), d("5.296"), d("5.88"), d("2.40"))
    told = ("412", "shipped", "pending/partially_refunded/shipped", "sale", "WELCOME", False, True)
    assert pick(found, *STATE) == told
    assert of(engine, "order_lines", number, LINE) == [("TEA-SENCHA", 2, d("25.896"), d("2.40"), d("4.316"))]
    assert of(engine, "order_events", number, EVENT) == [
        ("paid", at("2026-03-28T22:31:00+00:00"), "capt_1", d("31.78"), None),
        ("refunded", at("2026-03-30T09:00:00+00:00"), "ref_1", d("6.50"), None),
        ("shipped", at("2026-03-29T12:00:00+00:00"), "ful_1", None, "6A01234567890"),
    ]
    nia = ("medusa", "cus_01ABC", "Nia.Cole@example.com", "Nia", "Cole", "FR", "fr-FR", False)
    assert person(engine, found) == nia
    agreed = at("2026-03-28T22:29:00+00:00")
    assert consents(engine) == [("granted", "checkout", "consent", "single_opt_in", "2026-01", agreed)]
    assert pick(yen, "currency", "total", "tax", "status", "notify") == ("JPY", d("2420"), d("220"), "completed", False)
    assert yen["party"].startswith("guest:")  # Medusa numbers guests too, one for each address
    assert person(engine, yen)[2:6] == ("guest@example.net", "Aiko", "Mori", "JP")
    steps = of(engine, "order_events", other, ("step", "amount"))
    assert steps == [("paid", d("2420")), ("shipped", None), ("delivered", None)]
