"""One document must never stop the drain: whatever it holds, it ends as orders or as letters, and the next one is read."""

import json
from copy import deepcopy
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database, tables
from data.intake import thresholds
from tests.data.intake import feed, raw, state

pytestmark = pytest.mark.usefixtures("account_id")
CHANNELS = {
    "shopify": raw.shopify(refunds=[{"id": 1, "transactions": [], "refund_line_items": []}]),
    "woocommerce": raw.woocommerce(refunds=[{"id": 1, "total": "-1.00"}]),
    "amazon": raw.amazon(),
    "adobe": raw.adobe(),
    "medusa": raw.medusa(),
}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": [value]}
    return value


HALF = "\ud83d"  # the first half of an emoji
NASTY = [
    HALF,
    "\0",
    f"{HALF}@example.com",
    10**15,
    10**30,
    -1,
    2.5,
    nested(40),
    nested(330),
    "x" * 100_000,
    [],
    {},
    None,
]
NASTY += [True, "999999999999", "0.00001", "NaN", "1e400", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00-14:00"]


def swallowed(engine: sa.Engine, channel: str, *bodies: Any) -> None:
    """Drain them, a sound one behind them, and see that nothing waits any more."""
    number = 987654
    sound = {"shopify": raw.shopify, "woocommerce": raw.woocommerce, "adobe": raw.adobe}.get(channel)
    last = sound(number) if sound else {"amazon": raw.amazon, "medusa": raw.medusa}[channel](str(number))
    for body in bodies:
        state.take(engine, channel, body)
    state.take(engine, channel, last)
    with database.read(engine) as connection:
        states = set(connection.scalars(sa.select(tables.intake_records.c.state)))
        known = set(connection.scalars(sa.select(tables.orders.c.external_id)))
    assert states <= {"done", "dead"}
    assert str(number) in known


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way] * bool(way) + [found for step, one in inside for found in places(one, (*way, step))]


def put(value: Any, way: tuple[Any, ...], what: Any) -> Any:
    copy = deepcopy(value)
    at = copy
    for step in way[:-1]:
        at = at[step]
    at[way[-1]] = what
    return copy


spoilt = st.sampled_from(sorted(CHANNELS)).flatmap(
    lambda channel: st.tuples(
        st.just(channel),
        st.lists(
            st.tuples(st.sampled_from(sorted(places(CHANNELS[channel]), key=repr)), st.sampled_from(NASTY)),
            min_size=1,
            max_size=2,
            unique_by=lambda one: one[0][0],
        ),
    )
)


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(spoilt=spoilt)
def test_any_value_anywhere_ends_as_an_order_or_a_letter(engine: sa.Engine, spoilt: tuple[str, Any]) -> None:
    channel, changes = spoilt
    order = CHANNELS[channel]
    for way, what in changes:
        order = put(order, way, what)
    swallowed(engine, channel, order)
    state.no_personal_data([letter.reason for letter in feed.letters(engine)], "anna")


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(raw.medusa(total=1)).replace('"total": 1,', '"total": 1e999,').encode(),
        json.dumps(raw.medusa(status="lost", metadata={HALF: [HALF, "\0"]})).encode(),
        json.dumps(raw.medusa(status="lost", metadata=nested(300))).encode(),
        json.dumps(raw.medusa(display_id=int("9" * 4000))).encode(),
        b'{"id": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b"",
        b"\xff\xfe",
        b"null",
        b"[null, 3, []]",
    ],
    ids=range(10),
)
def test_documents_that_json_allows_and_databases_do_not(engine: sa.Engine, body: bytes) -> None:
    swallowed(engine, "medusa", body)


def test_a_line_that_costs_more_than_a_database_can_count_is_a_letter(engine: sa.Engine) -> None:
    lines = [{"id": 1, "sku": "TEA", "title": "Tea", "quantity": 1_000_000, "price": "999999999999"}]
    swallowed(engine, "shopify", raw.shopify(line_items=lines))
    assert [letter.rule for letter in feed.letters(engine)] == ["not_storable"]


def test_no_statement_grows_with_its_document(engine: sa.Engine) -> None:
    """SQLite takes 32,766 parameters and PostgreSQL 65,535, and one document may hold more orders than that."""
    most = [0]

    @sa.event.listens_for(engine, "before_cursor_execute")
    def count(_connection, _cursor, _statement, parameters, _context, executemany) -> None:
        most[0] = max(most[0], 0 if executemany else len(parameters))

    refused = [feed.row(str(number), status="teleported", email=f"b{number}@example.com") for number in range(3000)]
    sound = [feed.row(str(number)) for number in range(3000, 9000)]
    feed.keep(engine, feed.document(refused + sound))
    feed.drained(engine, book=thresholds.parse("defaults: {refuse_share: 1}", "lenient"))
    assert feed.count(engine, tables.orders) == 6000
    assert len(feed.letters(engine)) == 3000
    assert most[0] < 3000
