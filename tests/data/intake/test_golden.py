"""The twenty golden cases of the order channels' facts (§5.8), from stored records through the drain to every table."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from data import consents, database, tables
from data.channels.channel import Origin
from tests.conftest import NOW
from tests.data.intake import feed, raw, state
from tests.data.intake.state import only, pick, rows, take

pytestmark = pytest.mark.usefixtures("account_id")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PEOPLE = ("anna", "ling", "x1y2z3")


def money(value: str) -> Decimal:
    return Decimal(value)


def features(engine: sa.Engine) -> list[dict[str, Any]]:
    return state.whole(engine)["customer_features"]


def told(engine: sa.Engine) -> list[tuple[str, str]]:
    """Rule and sentence of each dead letter; none repeats anything of a person."""
    letters = feed.letters(engine)
    state.no_personal_data([letter.reason for letter in letters], *PEOPLE)
    return [(letter.rule, letter.reason) for letter in letters]


def test_01_one_order_id_in_two_channels_is_two_orders(engine: sa.Engine) -> None:
    take(engine, "shopify", raw.shopify(1001))
    take(engine, "woocommerce", raw.woocommerce(1001, total="35.00", billing=raw.billed("bo@example.com")))
    found = [pick(row, "channel", "external_id", "total", "numbering", "party") for row in rows(engine, "orders")]
    assert sorted(found) == [
        ("shopify", "1001", money("20"), "shopify", "7"),
        ("woocommerce", "1001", money("35"), "woocommerce", "7"),
    ]
    assert [row["net_revenue"] for row in features(engine)] == [20, 35]  # equal numbers are nobody in common


def test_02_a_refund_is_a_number_here_and_a_string_there(engine: sa.Engine) -> None:
    line = {"line_item_id": 1, "quantity": 1, "subtotal": 9.99, "total_tax": 0.5}
    refund = {"id": 31, "created_at": "2026-03-02T12:00:00Z", "transactions": [], "refund_line_items": [line]}
    take(engine, "shopify", raw.shopify(financial_status="partially_refunded", refunds=[refund]))
    take(engine, "woocommerce", raw.woocommerce(refunds=[{"id": 31, "reason": "", "total": "-10.49"}]))
    assert [row["refunded"] for row in rows(engine, "orders")] == [money("10.49")] * 2
    given_back = [row for row in rows(engine, "order_events") if row["step"] == "refunded"]
    assert [pick(row, "reference", "amount") for row in given_back] == [("31", money("10.49"))] * 2
    (person,) = features(engine)  # one mailbox
    assert pick(person, "orders", "net_revenue") == (2, money("19.02"))


def test_03_negative_refund_strings_are_positive_refunds(engine: sa.Engine) -> None:
    refunds = [{"id": 31, "reason": "late", "total": "-10.00"}, {"id": 32, "reason": "", "total": "-2.50"}]
    take(engine, "woocommerce", raw.woocommerce(refunds=refunds))
    assert only(engine, "orders")["refunded"] == money("12.50")
    given_back = {row["reference"]: row["amount"] for row in rows(engine, "order_events")}
    assert given_back == {"31": money("10"), "32": money("2.50")}


def test_04_currencies_of_no_and_of_three_decimals(engine: sa.Engine) -> None:
    yen = {"currency": "JPY", "total_price": "1500", "current_total_price": "1500.00"}
    line = {"id": 1, "sku": "TEA", "title": "Tea", "quantity": 1, "price": "1500"}
    take(engine, "shopify", raw.shopify(1, **yen, line_items=[line]))
    take(engine, "shopify", raw.shopify(2, **yen | {"current_total_price": "1500.50"}))
    dinars = {"currency": "KWD", "total": "12.345"}
    line = {"id": 1, "sku": "TEA", "product_id": 3, "quantity": 1, "total": "12.345"}
    take(engine, "woocommerce", raw.woocommerce(3, **dinars, line_items=[line]))
    found = {row["external_id"]: pick(row, "currency", "total") for row in rows(engine, "orders")}
    assert found == {"1": ("JPY", money("1500")), "3": ("KWD", money("12.345"))}
    ((rule, sentence),) = told(engine)
    assert rule == "current_total_price_unreadable"
    assert "more decimals than JPY has (0): correct the amount" in sentence


def test_05_a_time_without_zone_across_the_change_of_clocks(engine: sa.Engine) -> None:
    def at(number: int, local: str) -> dict[str, Any]:
        times = dict.fromkeys(("date_created_gmt", "date_modified_gmt"))
        return raw.woocommerce(number, date_created=local, date_modified=local, **times)

    bodies = [at(1, "2026-03-29T01:59:59"), at(2, "2026-03-29T03:00:00"), at(3, "2026-10-25T02:30:00")]
    berlin = state.connections("woocommerce", timezone="Europe/Berlin")
    take(engine, "woocommerce", *bodies, at(4, "2026-03-29T02:30:00"), connections=berlin)
    found = {row["external_id"]: row["placed_at"] for row in rows(engine, "orders")}
    assert found == {
        "1": datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC),
        "2": datetime(2026, 3, 29, 1, tzinfo=UTC),
        "3": datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # the hour comes twice: the first is meant
    }
    ((rule, sentence),) = told(engine)
    assert (rule, "write the time with its offset" in sentence) == ("date_created_unreadable", True)


def test_06_a_replacement_is_no_revenue(engine: sa.Engine) -> None:
    original = {"associationType": "REPLACEMENT_ORIGINAL_ID", "orderId": "302-0000001-0000001"}
    take(engine, "amazon", raw.amazon(), raw.amazon("302-0000009-0000009", associatedOrders=[original]))
    old = raw.amazon_v0(IsReplacementOrder="true", ReplacedOrderId="302-0000001-0000001")
    take(engine, "amazon", old)
    found = {row["external_id"][:11]: pick(row, "kind", "replaces") for row in rows(engine, "orders")}
    assert found == {
        "302-0000001": ("sale", None),
        "302-0000009": ("replacement", "302-0000001-0000001"),
        "302-0000002": ("replacement", "302-0000001-0000001"),
    }
    assert [pick(row, "orders", "net_revenue") for row in features(engine)] == [(1, money("20"))]


def test_07_a_test_order_is_kept_and_counts_nowhere(engine: sa.Engine) -> None:
    take(engine, "shopify", raw.shopify(1, test=True), raw.shopify(2))
    assert [row["is_test"] for row in rows(engine, "orders")] == [True, False]
    assert [row["orders"] for row in features(engine)] == [1]


def test_08_a_guest_who_registers_in_another_letter_case_is_one_person(engine: sa.Engine) -> None:
    take(engine, "woocommerce", raw.woocommerce(1, customer_id=0, billing=raw.billed("Anna@Example.COM")))
    take(engine, "woocommerce", raw.woocommerce(2, customer_id=7, billing=raw.billed("anna@example.com")))
    (person,) = features(engine)
    assert pick(person, "numbering", "external_id", "orders", "net_revenue") == ("woocommerce", "7", 2, money("40"))
    guest, registered = sorted(rows(engine, "parties"), key=lambda row: not row["numbering"].startswith("~"))
    assert (guest["person_number"], registered["person_number"]) == ("7", None)
    assert guest["address_hash"] == registered["address_hash"]


def test_09_a_relay_address_is_never_kept_matched_or_mailed(engine: sa.Engine) -> None:
    take(engine, "amazon", raw.amazon("1-1"), raw.amazon("1-2"), raw.amazon_v0("1-3"))
    # A plugin writes Amazon's orders into the web shop, the ticked box among them.
    meta = [{"id": 1, "key": "newsletter", "value": "yes"}]
    passed_on = raw.woocommerce(4, customer_id=0, billing=raw.billed("X1Y2Z3@marketplace.amazon.com"), meta_data=meta)
    agreeing = state.connections("woocommerce", options={"consent_meta_key": "newsletter"})
    take(engine, "woocommerce", passed_on, passed_on | {"id": 5}, connections=agreeing)
    parties = rows(engine, "parties")
    assert {pick(row, "email", "address_hash", "relay", "person_number") for row in parties} == {
        (None, None, True, None)
    }
    assert len(parties) == 5  # nobody is anybody else
    assert {row["notify"] for row in rows(engine, "orders") if row["channel"] == "amazon"} == {False}
    assert set(state.left_out(engine).values()) == {"relay_address"}


def test_10_an_update_that_arrives_before_its_creation_stays(engine: sa.Engine) -> None:
    paid = raw.shopify(updated_at="2026-03-01T12:05:00Z", current_total_price="15.00", total_price="15.00")
    take(engine, "shopify", paid, topic="orders/updated")
    take(engine, "shopify", raw.shopify(financial_status="pending"), topic="orders/create")
    order = only(engine, "orders")
    assert pick(order, "status", "total", "updated_at") == ("paid", money("15"), AT + timedelta(minutes=5))
    assert feed.letters(engine) == []


def test_11_a_webhook_that_comes_twice_changes_nothing(engine: sa.Engine) -> None:
    take(engine, "shopify", raw.shopify(), topic="orders/paid", observed_at=AT)
    before = state.whole(engine)
    take(engine, "shopify", raw.shopify(), topic="orders/paid", observed_at=AT, received_at=NOW + DAY)
    assert feed.count(engine, tables.intake_records) == 1  # to the byte the same, whatever its delivery's id
    take(engine, "shopify", raw.shopify(), topic="orders/updated", observed_at=AT)
    assert feed.count(engine, tables.intake_records) == 2
    assert state.whole(engine) == before


def test_12_a_configurable_product_counts_once(engine: sa.Engine) -> None:
    parent = raw.adobe_item(1, product_type="configurable", sku="TEA-RED")
    child = raw.adobe_item(2, parent_item_id=1, sku="TEA-RED", price=0, row_total=0)
    take(engine, "adobe", raw.adobe(items=[parent, child]))
    line = only(engine, "order_lines")
    assert pick(line, "sku", "quantity", "total", "external_id") == ("TEA-RED", 2, money("20"), "1")
    assert only(engine, "orders")["total"] == money("20")


def test_13_canceled_is_cancelled_in_every_spelling(engine: sa.Engine) -> None:
    take(engine, "amazon", raw.amazon("1-1", "CANCELLED"), raw.amazon_v0("1-2", "Canceled"))
    take(engine, "adobe", raw.adobe(state="canceled", status="canceled"))
    take(engine, "woocommerce", raw.woocommerce(status="cancelled"))
    take(engine, "medusa", raw.medusa(status="canceled", canceled_at=f"{raw.AT}Z"))
    take(engine, "shopify", raw.shopify(cancelled_at=f"{raw.AT}Z", cancel_reason="customer"))
    feed.keep(engine, feed.document([feed.row("1", status="Canceled"), feed.row("2", status="cancelled")]))
    feed.drained(engine)
    found = rows(engine, "orders")
    assert {row["status"] for row in found} == {"cancelled"}
    assert {(row["channel"], row["channel_status"]) for row in found} == {
        ("amazon", "CANCELLED"),
        ("amazon", "Canceled"),
        ("adobe", "canceled/canceled"),
        ("woocommerce", "cancelled"),
        ("medusa", "canceled/captured/not_fulfilled"),
        ("shopify", "paid/unfulfilled"),
        ("csv", "Canceled"),
        ("csv", "cancelled"),
    }
    assert features(engine) == []


def test_14_partially_refunded_and_then_cancelled(engine: sa.Engine) -> None:
    done = {"kind": "refund", "status": "success", "amount": "8.00", "currency": "USD"}
    refund = {"id": 31, "created_at": "2026-03-02T12:00:00Z", "transactions": [done], "refund_line_items": []}
    part = {"financial_status": "partially_refunded", "refunds": [refund], "updated_at": "2026-03-02T12:00:00Z"}
    end = {"cancelled_at": "2026-03-03T12:00:00Z", "cancel_reason": "inventory", "updated_at": "2026-03-03T12:00:00Z"}
    take(engine, "shopify", raw.shopify(**part | end), topic="orders/cancelled")
    take(engine, "shopify", raw.shopify(**part), topic="orders/updated")
    order = only(engine, "orders")
    assert pick(order, "status", "total", "refunded", "cancelled_at") == ("cancelled", 20, 8, AT + 2 * DAY)
    events = [pick(row, "step", "at", "amount", "note") for row in rows(engine, "order_events")]
    assert ("refunded", AT + DAY, money("8"), None) in events
    assert ("cancelled", AT + 2 * DAY, None, "inventory") in events
    assert features(engine) == []


def test_15_what_a_float_makes_of_a_sum_is_cut_off(engine: sa.Engine) -> None:
    total = 0.1 + 0.2
    take(
        engine,
        "adobe",
        raw.adobe(grand_total=total, base_grand_total=total, items=[raw.adobe_item(1, row_total=total)]),
    )
    item = {"id": "i", "variant_sku": "TEA", "title": "Tea", "quantity": 1, "unit_price": total, "total": total}
    take(engine, "medusa", raw.medusa(total=total, items=[item], summary={"paid_total": total, "refunded_total": 0}))
    assert [row["total"] for row in rows(engine, "orders")] == [money("0.30")] * 2
    assert [row["total"] for row in rows(engine, "order_lines")] == [money("0.30")] * 2
    (person,) = features(engine)
    assert person["net_revenue"] == money("0.60")


def test_16_a_redacted_customer_is_erased_and_the_money_stays(engine: sa.Engine) -> None:
    take(engine, "shopify", raw.shopify(customer=raw.consenting("subscribed", f"{raw.AT}Z")))
    assert state.left_out(engine) == {"shopify/7": None}
    gone = raw.consenting("redacted", None, email=None, first_name=None)
    redacted = raw.shopify(email=None, customer=gone, updated_at="2026-03-04T12:00:00Z")
    take(engine, "shopify", redacted, observed_at=AT + 3 * DAY)
    assert state.left_out(engine) == {"shopify/7": "suppressed_erased"}
    assert pick(only(engine, "parties"), "email", "first_name") == (None, None)
    assert [row["net_revenue"] for row in features(engine)] == [20]


def test_17_an_unknown_status_is_a_letter_and_never_a_default(engine: sa.Engine) -> None:
    take(engine, "shopify", raw.shopify(financial_status="half_paid"))
    take(engine, "woocommerce", raw.woocommerce(status="wc-packed"))
    take(engine, "amazon", raw.amazon(status="LOST"), raw.amazon_v0(status="Lost"))
    take(engine, "adobe", raw.adobe(state="teleported"))
    take(engine, "medusa", raw.medusa(payment_status="half_paid"))
    feed.keep(engine, feed.document([feed.row("1", status="teleported", email="anna@example.com")]))
    feed.drained(engine)
    assert rows(engine, "orders") == []
    letters = told(engine)
    assert [rule for rule, _ in letters] == ["status_unknown"] * 7
    for _, sentence in letters:
        assert any(word in sentence for word in ("replay", "one of")), sentence


def test_18_a_consent_older_than_the_withdrawal_never_overrides_it(engine: sa.Engine) -> None:
    take(engine, "shopify", raw.shopify(1, email="anna@example.com", customer=raw.consenting("not_subscribed", None)))
    with database.write(engine) as connection:
        party_id = connection.scalar(sa.select(tables.parties.c.id))
        consents.withdraw(
            connection, account_id="shop", party_id=party_id, source="page", wording="pressed", now=AT + DAY
        )
    agreed = raw.consenting("subscribed", "2026-02-20T08:00:00Z")
    take(engine, "shopify", raw.shopify(2, customer=agreed, updated_at="2026-03-09T12:00:00Z"))
    assert state.left_out(engine) == {"shopify/7": "consent_withdrawn"}
    anew = raw.consenting("subscribed", "2026-03-05T08:00:00Z")
    take(engine, "shopify", raw.shopify(3, customer=anew, updated_at="2026-03-09T12:00:00Z"))
    assert state.left_out(engine) == {"shopify/7": None}


def test_19_an_order_without_an_address_counts_and_is_never_mailed(engine: sa.Engine) -> None:
    take(engine, "shopify", raw.shopify(1, email=None, customer=None))
    take(engine, "medusa", raw.medusa(email=None, customer_id=None))
    parties = rows(engine, "parties")
    assert [pick(row, "external_id", "email", "address_hash") for row in parties] == [
        ("guest-order:medusa:order_01H", None, None),
        ("guest-order:shopify:1", None, None),
    ]
    assert [row["net_revenue"] for row in features(engine)] == [20, 20]
    assert set(state.left_out(engine).values()) == {"no_address"}


def test_20_ids_beyond_two_to_the_53rd_keep_every_digit(engine: sa.Engine) -> None:
    number = 2**53 + 1
    take(engine, "shopify", raw.shopify(number), raw.shopify(number + 1), origin=Origin.PULL)
    assert sorted(row["external_id"] for row in rows(engine, "orders")) == ["9007199254740993", "9007199254740994"]
    take(engine, "shopify", raw.shopify() | {"id": float(number)})
    take(engine, "woocommerce", raw.woocommerce() | {"id": "9.00719925474099E+15"})
    assert len(rows(engine, "orders")) == 2
    for rule, sentence in told(engine):
        assert rule == "id_unreadable"
        assert "text" in sentence
