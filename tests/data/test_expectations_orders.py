from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from data import database, tables
from domain.validation import Check, Validation
from tests.data import judged

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
_CURRENCY = "Every order that counts is in the currency of the account, or says what it is in it, or has a dated rate"


@pytest.fixture
def party_id(engine: sa.Engine, account_id: str) -> int:
    with database.write(engine) as connection:
        row = {"account_id": account_id, "external_id": "c1", "created_at": NOW, "updated_at": NOW}
        return connection.execute(tables.parties.insert().values(row)).inserted_primary_key[0]


def add(engine: sa.Engine, party_id: int, *, lines: int = 1, **values) -> str:
    row = {
        "account_id": "shop",
        "channel": "csv",
        "external_id": str(values),
        "party_id": party_id,
        "status": "paid",
        "channel_status": "paid",
        "currency": "USD",
        "total": Decimal("19.90"),
        "refunded": Decimal(0),
        "placed_at": NOW - DAY,
        "updated_at": NOW,
        "is_test": False,
        "content_hash": "x",
    }
    with database.write(engine) as connection:
        made = connection.execute(tables.orders.insert().values(row | values)).inserted_primary_key[0]
        for number in range(lines):
            line = {"order_id": made, "line_no": number, "sku": "s", "quantity": 1, "total": Decimal("19.90")}
            connection.execute(tables.order_lines.insert().values(line))
    return f"csv {(row | values)['external_id']}"


def check(engine: sa.Engine) -> Validation:
    return judged.of_orders(engine, account_id="shop", now=NOW, newest_within_days=14)


def only_failure(engine: sa.Engine) -> Check:
    (failure,) = check(engine).failures()
    return failure


def test_sound_orders_pass(engine: sa.Engine, party_id: int) -> None:
    add(engine, party_id, lines=2)
    add(engine, party_id, external_id="2", refunded=Decimal("19.90"), placed_at=NOW)
    validation = check(engine)
    assert validation.passed, validation.failures()
    assert validation.gate == "orders"
    observed = {check.sentence: check.observed for check in validation.checks}
    assert observed["There are orders"] == "2 orders"
    assert observed["Orders still arrive: the latest is at most 14 days old"] == "0 days old"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"total": Decimal("-0.01"), "refunded": Decimal(-1)}, "No order's total is below zero"),
        ({"refunded": Decimal("19.91")}, "No more was refunded on an order than was paid"),
        ({"placed_at": NOW + DAY + timedelta(microseconds=1)}, "No order was placed in the future"),
        ({"currency": "EUR"}, _CURRENCY),
        ({"currency": "EUR", "shop_currency": "GBP", "shop_total": Decimal(1)}, _CURRENCY),
        ({"currency": "EUR", "shop_currency": "USD"}, _CURRENCY),
    ],
)
def test_a_fault_is_told_with_the_orders_that_have_it(
    engine: sa.Engine, party_id: int, fault: dict, sentence: str
) -> None:
    add(engine, party_id)
    faulty = [add(engine, party_id, **fault, external_id=f"f{number}") for number in range(2)]
    failure = only_failure(engine)
    assert failure.sentence == sentence
    assert failure.observed == "2 of 3 orders fail"
    assert (failure.failing_ids, failure.failing_count) == (tuple(faulty), 2)


def test_without_orders_nothing_is_sent(engine: sa.Engine, account_id: str) -> None:
    failure = only_failure(engine)
    assert (failure.sentence, failure.observed) == ("There are orders", "0 orders")


def test_orders_that_stopped_arriving_are_noticed(engine: sa.Engine, party_id: int) -> None:
    add(engine, party_id, placed_at=NOW - 15 * DAY)
    failure = only_failure(engine)
    assert failure.sentence == "Orders still arrive: the latest is at most 14 days old"
    assert failure.observed == "15 days old"
    assert judged.of_orders(engine, account_id="shop", now=NOW, newest_within_days=15).passed


def test_only_a_sample_of_the_failing_ids_is_fetched(engine: sa.Engine, party_id: int) -> None:
    for number in range(25):
        add(engine, party_id, currency="EUR", external_id=str(number))
    failure = only_failure(engine)
    assert failure.failing_count == 25
    assert len(failure.failing_ids) == 20


def test_orders_of_another_account_are_not_judged(engine: sa.Engine, party_id: int) -> None:
    add(engine, party_id)
    with database.write(engine) as connection:
        row = dict(connection.execute(sa.select(tables.accounts)).mappings().one())
        connection.execute(tables.accounts.insert().values(row | {"id": "other"}))
    add(engine, party_id, account_id="other", currency="EUR", external_id="theirs")
    assert check(engine).passed


@pytest.mark.parametrize(
    "values",
    [
        {"currency": "EUR", "shop_currency": "USD", "shop_total": Decimal("21.50")},
        {"currency": "EUR", "status": "cancelled"},
        {"currency": "EUR", "deleted_at": NOW},
        {"currency": "EUR", "is_test": True},
        {"currency": "EUR", "kind": "replacement"},
        {"kind": "credit", "total": Decimal(0), "refunded": Decimal(5)},
        {"placed_at": NOW + DAY},
        {"lines": 0},
    ],
)
def test_what_spoils_no_figure_stops_no_campaign(engine: sa.Engine, party_id: int, values: dict) -> None:
    add(engine, party_id, external_id="sound")
    add(engine, party_id, external_id="other", **values)
    assert check(engine).passed, check(engine).failures()
