"""The outbox: an order's change and what it asks for are one, by whatever way it comes and however often."""

from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database, dead_letters, orders, tables
from data.channels.channel import Delivery, Element, Origin
from data.channels.connections import Connection
from data.intake import convert, letters, patches
from data.intake.records import Incoming
from domain import triggers
from domain.orders import Order
from domain.transactional import id_of
from tests.conftest import NOW
from tests.data.intake import feed, mailing, raw, state
from tests.data.intake.mailing import MINUTE, book, intents, order, parcel
from tests.data.intake.test_order_independence import emptied

pytestmark = pytest.mark.usefixtures("account_id")
patient = settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)


def take(engine: sa.Engine, *bodies: Any, rules: Any = None, **about: Any) -> None:
    """Bring them in, with the rules."""
    channel = about.pop("channel", "shopify")
    state.take(engine, channel, *bodies, triggers=rules or book(), **about)


def rows(engine: sa.Engine) -> list[Any]:
    with database.read(engine) as connection:
        table = tables.transactional_messages
        return list(connection.execute(sa.select(table).order_by(table.c.id)))


def test_a_new_order_asks_for_its_confirmation_and_says_what_the_dispatcher_needs(engine: sa.Engine) -> None:
    take(engine, order())
    (one,) = rows(engine)
    assert (one.account_id, one.template, one.asked_by, one.step, one.state) == (
        *("shop", "order-confirmation", "order", "placed", "planned"),
    )
    assert (one.urgency, one.asked_at, one.email, one.variables) == (1, NOW, None, None)
    assert intents(engine) == [("1001", "placed", "")]


def test_each_change_asks_for_its_mail_once_whatever_is_replayed(engine: sa.Engine) -> None:
    life = [
        order(),
        order(minute=70, financial_status="paid", transactions=[paid(70)]),
        order(minute=80, financial_status="paid", transactions=[paid(70)], fulfillments=[parcel(7, 80)]),
        order(minute=90, financial_status="paid", transactions=[paid(70)], fulfillments=[parcel(7, 80, delivered=90)]),
    ]
    now = NOW + timedelta(hours=1)
    for _ in range(2):
        for one in life:
            take(engine, one, now=now)
    told = [(step, reference) for _, step, reference in intents(engine)]
    assert told == [("delivered", "7"), ("paid", ""), ("placed", ""), ("shipped", "7")]
    before = [(row.id, row.asked_at) for row in rows(engine)]
    take(engine, *life, now=now + timedelta(hours=2), origin=Origin.PULL)
    assert [(row.id, row.asked_at) for row in rows(engine)] == before


def paid(minute: int) -> dict[str, Any]:
    at = NOW - timedelta(hours=1) + minute * MINUTE
    return {"kind": "sale", "status": "success", "amount": "20.00", "currency": "USD", "processed_at": at.isoformat()}


def test_without_rules_nothing_is_asked_for(engine: sa.Engine) -> None:
    state.take(engine, "shopify", order())
    take(engine, order(1002), rules=book({"shopify": "none"}))
    take(engine, order(1003, test=True))
    assert rows(engine) == []
    assert feed.count(engine, tables.orders) == 3


def test_amazon_is_never_mailed_whatever_a_person_writes(engine: sa.Engine) -> None:
    now = datetime.fromisoformat(f"{raw.AT}+00:00") + timedelta(hours=1)
    about = {"channel": "amazon", "now": now}
    take(engine, raw.amazon(), rules=book(since=now - timedelta(days=9)), **about)
    take(engine, raw.amazon("302-2"), rules=book({"amazon": mailing.MESSAGES}, since=now - timedelta(days=9)), **about)
    assert (feed.count(engine, tables.orders), rows(engine)) == (2, [])


def test_files_and_pulls_ask_as_pushes_do(engine: sa.Engine) -> None:
    at = {"placed_at": (NOW - 5 * MINUTE).isoformat(), "updated_at": (NOW - 5 * MINUTE).isoformat()}
    feed.keep(engine, feed.document([feed.row("1", **at), feed.row("2")]))  # the second is of half a year ago
    feed.drained(engine, triggers=book())
    take(engine, order(3), origin=Origin.PULL)
    assert intents(engine) == [("1", "placed", ""), ("3", "placed", "")]


def test_a_dead_letter_that_is_released_asks_too_and_a_dry_run_does_not(engine: sa.Engine) -> None:
    take(engine, order(currency="XXXX"))
    with database.read(engine) as connection:
        found = dead_letters.listing(connection, "shop", now=NOW)
    with database.write(engine) as connection:
        patches.keep(connection, found[0], {"currency": "USD"}, by="jo", now=NOW)
        found = dead_letters.listing(connection, "shop", now=NOW)
    intake = feed.intake(engine, triggers=book())
    assert [one.result for one in letters.replay(intake, found, by="jo", dry_run=True)] == ["loaded"]
    assert intents(engine) == []
    assert [one.result for one in letters.replay(intake, found, by="jo")] == ["loaded"]
    assert intents(engine) == [("1001", "placed", "")]


def test_an_order_that_was_deleted_asks_for_nothing(engine: sa.Engine) -> None:
    state.take(engine, "shopify", {"id": 1001}, topic="orders/delete", observed_at=NOW)
    take(engine, order())
    assert (feed.count(engine, tables.orders), intents(engine)) == (1, [])


def test_the_intent_is_undone_with_its_order(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(orders.parties, "record_consents", failing)  # what comes after the intents
    take(engine, order())
    assert (feed.count(engine, tables.orders), rows(engine)) == (0, [])
    monkeypatch.undo()
    feed.drained(engine, triggers=book())
    assert intents(engine) == [("1001", "placed", "")]


STATES: list[dict[str, Any]] = [
    order(minute=0),
    order(minute=5, note="call me", financial_status="authorized"),
    order(minute=61, financial_status="paid", transactions=[paid(60)]),
    order(minute=65, financial_status="paid", transactions=[paid(60)], fulfillments=[parcel(7, 64)]),
    order(minute=70, financial_status="paid", transactions=[paid(60)], fulfillments=[parcel(7, 64, tracking=2)]),
    order(
        minute=75,
        financial_status="paid",
        transactions=[paid(60)],
        fulfillments=[parcel(7, 64, tracking=2), parcel(8, 74)],
    ),
    order(
        minute=80,
        financial_status="paid",
        transactions=[paid(60)],
        fulfillments=[parcel(7, 64, tracking=2), parcel(8, 74, delivered=79)],
    ),
]
LATER = NOW + timedelta(hours=1)


@cache
def ids_of(number: int) -> frozenset[str]:
    """What one of these states asks for, alone."""
    reader = convert.reader(Connection(account="shop", channel="shopify"), feed.BOOK.of("shop", "shopify"), "USD")
    element = Element(1, STATES[number], 1)
    delivery = Delivery(Origin.PUSH, NOW, "", None, reader.zone, {})
    found = convert.judged(element, reader, delivery, LATER)
    assert isinstance(found, tuple)
    (one, _), rules = found, book().of("shop", "shopify", "shopify")
    assert rules is not None
    assert isinstance(one, Order)
    return frozenset(
        id_of("shop", "shopify", "1001", it.step, it.key) for it in triggers.wanted(one, rules.rules, LATER)
    )


@patient
@given(
    arrivals=st.lists(st.sampled_from(range(len(STATES))), min_size=1, max_size=14),
    dice=st.randoms(use_true_random=False),
)
def test_any_replay_repetition_and_order_of_states_gives_each_intent_once(
    engine: sa.Engine, arrivals: list[int], dice: Random
) -> None:
    emptied(engine)
    for place, one in enumerate(arrivals):
        body = STATES[one] | {"place": place % 5}  # the same state may come as another document, or the same
        incoming = Incoming(orjson.dumps(body), Origin.FILE, "file", NOW)
        feed.keep(engine, incoming, channel="shopify")
        if dice.random() < 0.5:
            feed.drained(engine, triggers=book(), now=LATER)
    feed.drained(engine, triggers=book(), now=LATER)
    found = [row.id for row in rows(engine)]
    # All that its newest state asks for was asked for, and nothing but what a state of it asks for: ids stand once.
    assert ids_of(max(arrivals)) <= set(found) <= frozenset.union(*map(ids_of, arrivals))
    told = [(step, reference.removesuffix("-1")) for _, step, reference in intents(engine)]
    assert len(told) == len(set(told))


def test_the_states_ask_for_what_their_customer_is_to_hear() -> None:
    assert [len(ids_of(one)) for one in range(len(STATES))] == [1, 1, 2, 2, 3, 4, 4]
    assert len(frozenset.union(*map(ids_of, range(len(STATES))))) == 6
