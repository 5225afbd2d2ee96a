"""Which mail an order asks for, and what a customer would find silly."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain import triggers
from domain.orders import Customer, Order, OrderEvent, OrderKind, OrderStatus, OrderStep
from domain.triggers import Rules, Step

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALL = {one: f"about-{one}" for one in Step}
RULES = Rules(NOW - 30 * DAY, templates=ALL)


def order(*events: OrderEvent, placed: timedelta = -HOUR, **facts: Any) -> Order:
    """Placed an hour ago, and changed last when its latest event happened."""
    at = NOW + placed
    values: dict[str, Any] = {
        "external_id": "1",
        "customer": Customer("c1", "johanna@example.com"),
        "status": OrderStatus.PLACED,
        "channel_status": "open",
        "currency": "EUR",
        "total": Decimal(10),
        "refunded": Decimal(0),
        "placed_at": at,
        "updated_at": max([at, *(one.at for one in events)]) + timedelta(seconds=1),
        "cancelled_at": None,
        "is_test": False,
        "lines": (),
        "events": events,
    }
    return Order(**values | facts)


def event(step: OrderStep, after: timedelta = timedelta(), reference: str = "") -> OrderEvent:
    """So long after the order."""
    return OrderEvent(step, NOW - HOUR + after, reference)


def asked(one: Order, rules: Rules = RULES, now: datetime = NOW) -> list[tuple[str, str]]:
    return [(it.step, it.key) for it in triggers.wanted(one, rules, now)]


def test_each_step_asks_once_and_each_parcel_and_refund() -> None:
    life = order(
        event(OrderStep.SHIPPED, HOUR, "p1"),
        event(OrderStep.SHIPPED, HOUR, "p1"),  # a second label
        event(OrderStep.SHIPPED, HOUR, "p2"),
        event(OrderStep.REFUNDED, HOUR, "r1"),
        event(OrderStep.REFUNDED, HOUR, "r2"),
        event(OrderStep.COMPLETED, HOUR),
    )
    found = triggers.wanted(life, RULES, NOW)
    told = [(it.step, it.reference, it.template) for it in found]
    assert told == [
        ("placed", "", "about-placed"),
        ("shipped", "p1", "about-shipped"),
        ("shipped", "p2", "about-shipped"),
        ("refunded", "r1", "about-refunded"),
        ("refunded", "r2", "about-refunded"),
    ]
    assert asked(life, replace(RULES, templates={Step.SHIPPED: "shipped"})) == [("shipped", "p1"), ("shipped", "p2")]
    assert asked(life, replace(RULES, templates={})) == []


@pytest.mark.parametrize(
    "facts",
    [
        {"notify": False},
        {"is_test": True},
        {"kind": OrderKind.REPLACEMENT},
        {"kind": OrderKind.CREDIT},
        {"customer": Customer("c1", None, relay=True)},
        {"customer": Customer("c1", None, redacted=True)},
    ],
)
def test_an_order_of_which_nobody_is_mailed(facts: dict[str, Any]) -> None:
    assert asked(order(event(OrderStep.SHIPPED), **facts)) == []


def test_an_order_that_is_none_yet_asks_when_it_is_one() -> None:
    rules = replace(RULES, not_while=frozenset({"pending"}))
    assert asked(order(channel_status="Pending"), rules) == []
    assert asked(order(channel_status="processing"), rules) == [("placed", "")]


def test_history_asks_for_nothing() -> None:
    old = order(OrderEvent(OrderStep.SHIPPED, NOW - 40 * DAY, "p"), placed=-50 * DAY)
    assert asked(old) == []
    touched = replace(old, updated_at=NOW - HOUR)  # somebody wrote a note into it
    assert asked(touched) == []
    parcel = OrderEvent(OrderStep.SHIPPED, NOW - HOUR, "p2")
    assert asked(replace(touched, events=(*old.events, parcel), updated_at=NOW)) == [("shipped", "p2")]


@pytest.mark.parametrize(("at", "wanted"), [(-48 * HOUR, True), (-48 * HOUR - timedelta(seconds=1), False)])
def test_the_edge_of_what_is_fresh(at: timedelta, wanted: bool) -> None:
    assert bool(asked(order(placed=at))) is wanted


@pytest.mark.parametrize(("since", "wanted"), [(-HOUR, True), (-HOUR + timedelta(seconds=1), False)])
def test_the_edge_of_since(since: timedelta, wanted: bool) -> None:
    assert bool(asked(order(), replace(RULES, since=NOW + since))) is wanted


@pytest.mark.parametrize(("ahead", "wanted"), [(HOUR, True), (2 * DAY, False)])
def test_a_clock_that_is_ahead_a_little_is_believed(ahead: timedelta, wanted: bool) -> None:
    assert bool(asked(order(placed=ahead))) is wanted


def test_what_only_the_last_change_dates_counts_for_orders_whose_life_we_know() -> None:
    changed = NOW - HOUR / 2
    refund = OrderEvent(OrderStep.REFUNDED, changed)
    old = order(refund, placed=-300 * DAY, updated_at=changed)
    assert asked(old) == []
    assert asked(replace(old, updated_at=NOW)) == [("refunded", "")]  # then its time is its own
    assert asked(order(refund, placed=-20 * DAY, updated_at=changed)) == [("refunded", "")]


@pytest.mark.parametrize("reason", ["status", "date", "event", "refunded"])
def test_who_cancelled_is_not_thanked_for_the_order(reason: str) -> None:
    events = [event(OrderStep.PAID, 2 * HOUR), event(OrderStep.SHIPPED, reference="p")]
    facts: dict[str, Any] = {}
    if reason == "event":
        events.append(event(OrderStep.CANCELLED))
    elif reason == "date":
        facts["cancelled_at"] = NOW
    else:
        facts["status"] = OrderStatus.CANCELLED if reason == "status" else OrderStatus.REFUNDED
    assert asked(order(*events, **facts)) == ([("cancelled", "")] if reason in {"date", "event"} else [])


def test_a_cancellation_and_its_refund_are_both_told() -> None:
    done = order(event(OrderStep.CANCELLED), event(OrderStep.REFUNDED, reference="r"), cancelled_at=NOW - HOUR)
    assert asked(done) == [("cancelled", ""), ("refunded", "r")]


def test_a_payment_at_the_till_is_told_by_the_confirmation() -> None:
    at_once, later = order(event(OrderStep.PAID)), order(event(OrderStep.PAID, HOUR))
    assert asked(at_once) == [("placed", "")]
    assert asked(later) == [("placed", ""), ("paid", "")]
    assert asked(at_once, replace(RULES, receipt_after=timedelta())) == [("placed", ""), ("paid", "")]
    only = {Step.PAID: "payment-received"}
    assert asked(at_once, replace(RULES, templates=only)) == [("paid", "")]


def test_several_payments_are_one_receipt() -> None:
    paid = order(event(OrderStep.PAID, HOUR, "capture 2"), event(OrderStep.PAID, HOUR, "capture 1"))
    assert asked(paid) == [("placed", ""), ("paid", "")]


def test_later_news_overtake_earlier_ones() -> None:
    shipped = event(OrderStep.SHIPPED, 2 * HOUR, "p1")
    assert asked(order(event(OrderStep.PAID, HOUR), shipped)) == [("placed", ""), ("shipped", "p1")]
    by_invoice = order(shipped, event(OrderStep.PAID, 3 * HOUR))
    assert asked(by_invoice, now=NOW + 3 * HOUR) == [("placed", ""), ("shipped", "p1"), ("paid", "")]
    arrived = order(shipped, event(OrderStep.SHIPPED, 2 * HOUR, "p2"), event(OrderStep.DELIVERED, 3 * HOUR, "p1"))
    assert asked(arrived, now=NOW + 3 * HOUR) == [("placed", ""), ("shipped", "p2"), ("delivered", "p1")]


def test_a_parcel_that_gets_a_second_one_beside_it_is_told_once() -> None:
    alone = order(event(OrderStep.SHIPPED, reference="7"))
    both = order(event(OrderStep.SHIPPED, reference="7-1"), event(OrderStep.SHIPPED, reference="7-2"))
    assert asked(alone) == [("placed", ""), ("shipped", "7")]
    assert asked(both) == [("placed", ""), ("shipped", "7"), ("shipped", "7-2")]
    assert [it.reference for it in triggers.wanted(both, RULES, NOW)] == ["", "7-1", "7-2"]
    other = order(event(OrderStep.SHIPPED, reference="7"), event(OrderStep.SHIPPED, reference="7-1"))
    assert asked(other) == [("placed", ""), ("shipped", "7"), ("shipped", "7-1")]
