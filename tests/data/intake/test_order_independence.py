"""Whatever order a set of events arrives in, and however it is cut into documents and drains: one end of every table."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database, tables
from data.channels.channel import Origin
from data.channels.connections import Connections
from data.intake.records import Incoming
from tests.conftest import NOW
from tests.data.intake import feed, raw, state

pytestmark = pytest.mark.usefixtures("account_id")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
CONNECTIONS = Connections.model_validate(
    {
        "connections": [
            {"account": "shop", "channel": one, "options": {"consent_wording": "v1"}}
            for one in ("shopify", "woocommerce")
        ]
    }
)
SHARED = "Anna@Example.com"
patient = settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)


@dataclass(frozen=True)
class Event:
    """One thing that a channel tells. `body` is one order; `observed_at` None is that of a file."""

    channel: str
    body: Any
    topic: str = ""
    observed_at: datetime | None = None

    @property
    def about(self) -> tuple[Any, ...]:
        return self.channel, self.topic, self.observed_at


def emptied(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        connection.execute(sa.update(tables.parties).values(person_id=None))
        for table in reversed(tables.metadata.sorted_tables):
            if table is not tables.accounts:
                connection.execute(sa.delete(table))


def fed(engine: sa.Engine, events: list[Event], dice: Random) -> dict[str, Any]:
    """Feed them in that order, cut at random into documents and drains; the state at the end."""
    emptied(engine)
    waiting = list(events)
    while waiting:
        together = [waiting.pop(0)]
        while waiting and waiting[0].about == together[0].about and dice.random() < 0.5:
            together.append(waiting.pop(0))
        one = together[0]
        bodies = [event.body for event in together]
        state_of = Incoming(feed_body(bodies), Origin.FILE, one.topic or "file", NOW, one.topic, one.observed_at)
        feed.keep(engine, state_of, channel=one.channel)
        if dice.random() < 0.6:
            feed.drained(engine, connections=CONNECTIONS)
    feed.drained(engine, connections=CONNECTIONS)
    end: dict[str, Any] = state.whole(engine)
    # One raw order may be kept once a document that it stands in.
    end["open letters"] = {tuple(row.values()) for row in end["open letters"]}
    return end


def feed_body(bodies: list[Any]) -> bytes:
    import orjson

    return orjson.dumps(bodies if len(bodies) > 1 else bodies[0])


def same_end(engine: sa.Engine, arrivals: list[list[Event]], dice: Random) -> dict[str, Any]:
    first = fed(engine, arrivals[0], dice)
    for arrival in arrivals[1:]:
        end = fed(engine, arrival, dice)
        for name, rows in first.items():
            assert end[name] == rows, name
    return first


# What one state of the order may say. The keys of two differ, so one may be told at two versions and two at none.
CUSTOMERS: list[dict[str, Any]] = [
    {"customer": None, "email": "anna@example.com"},
    {"customer": None, "email": "ANNA@example.com"},
    {"customer": None, "email": None},
    {"customer": raw.consenting("subscribed", "2026-02-01T00:00:00Z")},
    {"customer": raw.consenting("unsubscribed", "2026-02-02T00:00:00Z", first_name="Ann")},
    {"customer": raw.consenting("subscribed", "2026-02-03T00:00:00Z", id=8), "email": "bo@example.com"},
    {"customer": raw.consenting("redacted", "2026-02-04T00:00:00Z", id=8, email=None), "email": None},
]
WORDS: list[dict[str, Any]] = [
    {"financial_status": "pending"},
    {"financial_status": "paid"},
    {"financial_status": "paid", "total_price": "25.00", "current_total_price": "25.00"},
    {"financial_status": "refunded", "cancelled_at": "2026-03-01T12:09:00Z"},
    {"financial_status": "no such word"},
]
# Shopify counts in seconds; two states of one second are told apart by when they were seen, and a file says nothing.
versions = st.tuples(st.integers(0, 2), st.sampled_from([None, 0, 1]))
contents = st.tuples(st.sampled_from(range(len(CUSTOMERS))), st.sampled_from(range(len(WORDS))))


def told(version: tuple[int, int | None], content: tuple[int, int], topic: str) -> Event:
    minute, seconds = version
    at = START + minute * MINUTE
    body = raw.shopify(updated_at=at.isoformat(), **CUSTOMERS[content[0]], **WORDS[content[1]])
    return Event("shopify", body, topic, None if seconds is None else at + seconds * SECOND)


@st.composite
def shopify_events(draw: st.DrawFn) -> list[Event]:
    """Up to six: states (each version says one thing), redeliveries under other topics, deletions."""
    says: dict[tuple[int, int | None], tuple[int, int]] = {}
    events = []
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.integers(0, 5)) == 0:
            gone = START + draw(st.integers(0, 2)) * MINUTE + draw(st.integers(-1, 1)) * SECOND
            events.append(Event("shopify", {"id": 1001}, "orders/delete", gone))
            continue
        version = draw(versions)
        content = says.setdefault(version, draw(contents))
        events.append(told(version, content, draw(st.sampled_from(["orders/updated", "orders/create"]))))
    return events


@st.composite
def woocommerce_events(draw: st.DrawFn) -> list[Event]:
    """Another channel's order of the same mailbox, or of one that is alike."""
    events = []
    for minute in draw(st.lists(st.integers(0, 2), max_size=2, unique=True)):
        at = (START + minute * MINUTE).isoformat()[:19]
        status = draw(st.sampled_from(["processing", "cancelled", "trash"]))
        customer = draw(st.sampled_from([0, 7]))
        email = draw(st.sampled_from([SHARED, "bo@example.com"]))
        body = raw.woocommerce(
            1001, status=status, date_modified_gmt=at, customer_id=customer, billing=raw.billed(email)
        )
        events.append(Event("woocommerce", body))
    return events


@patient
@given(shopify=shopify_events(), woocommerce=woocommerce_events(), dice=st.randoms(use_true_random=False))
def test_any_arrival_ends_the_same(
    engine: sa.Engine, shopify: list[Event], woocommerce: list[Event], dice: Random
) -> None:
    events = shopify + woocommerce
    arrivals = [events, events[::-1], *(dice.sample(events, len(events)) for _ in range(3))]
    same_end(engine, arrivals, dice)


def test_the_life_of_an_order_in_many_arrivals(engine: sa.Engine) -> None:
    """A guest orders, registers, withdraws, is seen unchanged again; the order is deleted and comes back."""
    life = [
        told((0, 0), (0, 0), "orders/create"),
        told((0, 1), (3, 1), "orders/updated"),
        Event("shopify", {"id": 1001}, "orders/delete", START + MINUTE),
        told((2, 0), (4, 2), "orders/updated"),
        Event("woocommerce", raw.woocommerce(1001, customer_id=0, billing=raw.billed(SHARED))),
    ]
    arrivals = Random(7).sample([list(one) for one in permutations(life)], 40)
    end = same_end(engine, arrivals, Random(7))
    assert state.pick(end["orders"][0], "status", "total", "deleted_at") == ("paid", 25, None)
    assert [row["status"] for row in end["consents"]] == ["granted", "withdrawn"]
    (person,) = end["customer_features"]
    assert state.pick(person, "numbering", "external_id", "orders", "net_revenue") == ("shopify", "7", 2, 45)


@pytest.mark.parametrize("redelivered", [0, 1])
def test_two_contents_of_one_version_make_one_letter_in_any_order(engine: sa.Engine, redelivered: int) -> None:
    rivals = [told((0, 0), (3, 0), "orders/create"), told((0, 0), (3, 2), "orders/create")]
    again = told((0, 0), (3, 2 * redelivered), "orders/updated")
    for arrival in permutations([*rivals, again]):
        end = fed(engine, list(arrival), Random(1))
        assert [state.pick(row, "updated_at", "observed_at") for row in end["orders"]] == [(START, START)]
        assert [(one.rule, one.external_id, one.state) for one in feed.letters(engine)] == [
            ("conflict", "1001", "open")
        ]
        assert len(end["consents"]) == 1
    newer = told((1, 0), (3, 1), "orders/updated")
    for arrival in permutations([*rivals, newer]):
        end = fed(engine, list(arrival), Random(1))
        assert [row["status"] for row in end["orders"]] == ["paid"]
        assert end["open letters"] == set()


RIVALS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "guest": (CUSTOMERS[0], CUSTOMERS[0] | {"email": "bo@example.com"}),
    "guest without an address": (CUSTOMERS[0], CUSTOMERS[2]),
    "registered": (CUSTOMERS[0], CUSTOMERS[3]),
    "the channel's own word": ({"financial_status": "pending"}, {"financial_status": "authorized"}),
    "number": ({"name": "#1"}, {"name": "#2"}),
    "tracking": tuple(
        {"fulfillments": [{"id": 1, "status": "success", "created_at": f"{raw.AT}Z", "tracking_company": one}]}
        for one in ("DHL", "UPS")
    ),
    "brand": tuple({"line_items": [raw.shopify()["line_items"][0] | {"vendor": one}]} for one in ("A", "B")),
}


@pytest.mark.parametrize("seconds", [(None, None), (0, 1)], ids=["one version", "seen apart"])
@pytest.mark.parametrize("name", RIVALS)
def test_every_part_of_an_order_makes_another_content_of_it(engine: sa.Engine, name: str, seconds: Any) -> None:
    """Of one version it is a conflict; seen apart, the later one holds."""
    events = [
        replace(told((0, second), (3, 1), "orders/updated"), body=raw.shopify(**CUSTOMERS[3]) | says)
        for second, says in zip(seconds, RIVALS[name], strict=True)
    ]
    ends = [fed(engine, arrival, Random(1)) for arrival in (events, events[::-1])]
    if seconds == (None, None):
        assert [one["open letters"] for one in ends] == [{("shopify", "1001", "conflict", START)}] * 2
        assert ends[0]["parties"] == ends[1]["parties"]
    else:
        assert ends[0] == ends[1]
        assert ends[0]["open letters"] == set()


def test_an_erased_customer_is_blank_whatever_came_first(engine: sa.Engine) -> None:
    known = told((0, 0), (5, 1), "orders/create")
    known = replace(known, body=known.body | {"customer_locale": "de", "billing_address": {"country_code": "DE"}})
    later = replace(known, body=known.body | {"id": 1002, "processed_at": "2026-03-09T12:00:00Z"})
    events = [known, told((1, 0), (6, 1), "orders/updated"), later]
    end = same_end(engine, [list(one) for one in permutations(events)], Random(3))
    (party,) = end["parties"]
    assert {name: value for name, value in party.items() if value is not None} == {
        "account_id": "shop",
        "numbering": "shopify",
        "external_id": "8",
        "relay": False,
        "updated_at": NOW,
        "erased_at": NOW,
    }
    assert [row["total"] for row in end["orders"]] == [20, 20]


def test_a_bad_state_waits_for_a_person_only_while_it_is_the_newest(engine: sa.Engine) -> None:
    good, bad = told((0, 0), (3, 1), "orders/updated"), told((0, 1), (3, 4), "orders/updated")
    for arrival in permutations([good, bad]):
        assert len(fed(engine, list(arrival), Random(1))["open letters"]) == 1
    for over in (told((1, 0), (3, 1), ""), Event("shopify", {"id": 1001}, "orders/delete", START)):
        for arrival in permutations([good, bad, over]):
            assert fed(engine, list(arrival), Random(1))["open letters"] == set()


def test_who_is_seen_again_between_two_states_is_the_older_one(engine: sa.Engine) -> None:
    """All in one drain: that the held state was seen again must not be noted on the one that replaced it."""
    held, again = told((0, None), (3, 1), "a"), told((0, 0), (3, 1), "orders/updated")
    other, stale = told((0, 1), (3, 2), "orders/updated"), told((0, 0), (3, 0), "")
    assert held.body == again.body
    fed(engine, [held], Random(1))
    for event in (again, other):
        about = (event.topic, event.observed_at)
        feed.keep(engine, Incoming(feed_body([event.body]), Origin.FILE, "f", NOW, *about), channel="shopify")
    feed.drained(engine)
    assert state.only(engine, "orders")["observed_at"] == other.observed_at
    seen = START + timedelta(milliseconds=500)
    feed.keep(engine, Incoming(feed_body([stale.body]), Origin.FILE, "f", NOW, "", seen), channel="shopify")
    feed.drained(engine)
    assert state.only(engine, "orders")["total"] == 25
