from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from data import bulk, database, orders, tables
from data.features import compute, frame, reading, refresh
from domain import money
from domain.features import BY_NAME, STORED
from domain.orders import Customer, Deletion, Order, OrderKind, OrderLine, OrderStatus
from tests.conftest import PEPPER
from tests.data.test_features_compute import naive

AS_OF = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOW = AS_OF + timedelta(hours=1)
NAMES = [feature.name for feature in STORED]
ZONE = "Europe/Berlin"


def load_random_shop(engine: sa.Engine, account_id: str, *, orders: int = 400, first_id: int = 1) -> None:
    """A shop of 60 customers whose ids start at `first_id`, the same in both databases."""
    rng = np.random.default_rng(7)
    parties = [
        (first_id + number, account_id, f"c{number}", [None, "DE", "US"][number % 3], AS_OF, AS_OF)
        for number in range(60)
    ]
    totals = rng.integers(0, 900_0000, orders)
    rows, lines = [], []
    for number, total in enumerate(totals.tolist()):
        order_id = first_id + number
        placed_at = AS_OF - timedelta(microseconds=int(rng.integers(-(10**11), 6 * 10**13)))
        status = "cancelled" if number % 11 == 0 else "paid"
        refunded = Decimal(total if number % 7 == 0 else total // 3 if number % 5 == 0 else 0).scaleb(-4)
        cancelled_at = AS_OF if number % 13 == 0 else None
        amounts = (Decimal(total).scaleb(-4), refunded)
        party_id = first_id + int(rng.integers(0, 50))
        rows.append((order_id, account_id, "csv", str(number), party_id, status, status, "USD", *amounts))
        rows[-1] += (placed_at, placed_at, cancelled_at, number % 17 == 0, "hash")
        for line_no in range(int(rng.integers(0, 3))):
            category = ["books", "tea", "wine", None][int(rng.integers(0, 4))]
            lines.append((order_id, line_no, "sku", category, int(rng.integers(1, 5)), Decimal(1)))
    order_columns = "id account_id channel external_id party_id status channel_status currency total refunded"
    order_columns += " placed_at updated_at cancelled_at is_test content_hash"
    with database.write(engine) as connection:
        party_columns = "id account_id external_id country created_at updated_at"
        bulk.insert_rows(connection, tables.parties, party_columns.split(), parties)
        bulk.insert_rows(connection, tables.orders, order_columns.split(), rows)
        line_columns = "order_id line_no sku category quantity total"
        bulk.insert_rows(connection, tables.order_lines, line_columns.split(), lines)


def stored(engine: sa.Engine, account_id: str) -> list[Any]:
    table = tables.customer_features
    with database.read(engine) as connection:
        select = sa.select(table).where(table.c.account_id == account_id).order_by(table.c.party_id)
        return [tuple(row) for row in connection.execute(select)]


def another_account(engine: sa.Engine) -> str:
    with database.write(engine) as connection:
        row = dict(connection.execute(sa.select(tables.accounts)).mappings().one())
        connection.execute(tables.accounts.insert().values(row | {"id": "other"}))
    return "other"


def test_what_is_read_back_is_what_was_computed_to_the_last_digit(engine: sa.Engine, account_id: str) -> None:
    load_random_shop(engine, account_id)
    report = refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW)
    computed = compute.features(reading.read(engine, account_id, as_of=AS_OF), as_of=AS_OF, zone=ZONE)
    back = frame.read_frame(engine, account_id=account_id, columns=NAMES)
    pd.testing.assert_frame_equal(back, computed, check_exact=True)
    assert (report.customers, report.orders) == (len(computed), computed["orders"].sum())
    assert 0 < report.customers <= 50
    assert set(back["country"].dropna()) == {"DE", "US"}
    assert back["country"].isna().any()
    assert back["favourite_category"].notna().any()


def test_both_databases_agree_to_the_last_digit(tmp_path, engine: sa.Engine, account_id: str) -> None:
    """Each engine against SQLite: for PostgreSQL this is the comparison, for SQLite a repetition."""
    reference = database.engine_for(f"sqlite:///{tmp_path}/reference.db")
    tables.metadata.create_all(reference)
    with database.read(engine) as connection:
        account = dict(connection.execute(sa.select(tables.accounts)).mappings().one())
    with database.write(reference) as connection:
        connection.execute(tables.accounts.insert().values(account))
    results = []
    for store in (engine, reference):
        load_random_shop(store, account_id)
        refresh.refresh(store, account_id=account_id, as_of=AS_OF, now=NOW)
        results.append(frame.read_frame(store, account_id=account_id, columns=NAMES))
    reference.dispose()
    pd.testing.assert_frame_equal(*results, check_exact=True)


def test_a_second_refresh_changes_nothing(engine: sa.Engine, account_id: str) -> None:
    load_random_shop(engine, account_id)
    first = refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW)
    rows = stored(engine, account_id)
    again = refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW)
    assert (again.touched, again.customers, again.orders) == (0, first.customers, first.orders)
    assert refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW, full=True).touched == first.touched
    assert stored(engine, account_id) == rows


@pytest.mark.parametrize("values", [{"status": "cancelled"}, {"cancelled_at": AS_OF}, {"is_test": True}])
def test_an_order_is_left_out_however_the_channel_says_so(engine: sa.Engine, account_id: str, values: dict) -> None:
    load_random_shop(engine, account_id)
    with database.write(engine) as connection:
        connection.execute(tables.orders.update().values(status="paid", cancelled_at=None, is_test=False))
        connection.execute(tables.orders.update().values(values).where(tables.orders.c.id > 1))
    assert refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW).orders == 1


def test_customers_who_lost_their_orders_lose_their_row(engine: sa.Engine, account_id: str) -> None:
    load_random_shop(engine, account_id)
    refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW)
    with database.write(engine) as connection:
        connection.execute(tables.orders.update().values(status="cancelled"))
    report = refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW, full=True)
    assert (report.customers, report.orders, stored(engine, account_id)) == (0, 0, [])


def test_a_refresh_leaves_other_accounts_alone(engine: sa.Engine, account_id: str) -> None:
    other = another_account(engine)
    load_random_shop(engine, account_id)
    load_random_shop(engine, other, orders=30, first_id=10_000)
    refresh.refresh(engine, account_id=other, as_of=AS_OF, now=NOW)
    before = stored(engine, other)
    assert before
    refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW)
    assert stored(engine, other) == before
    assert frame.read_frame(engine, account_id=other, columns=["orders"])["party_id"].min() >= 10_000


def test_the_watermark_is_the_newest_refresh_of_the_account(engine: sa.Engine, account_id: str) -> None:
    other = another_account(engine)
    with database.read(engine) as connection:
        assert frame.watermark(connection, account_id) is None
    refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW)
    refresh.refresh(engine, account_id=account_id, as_of=AS_OF + timedelta(days=1), now=NOW)
    refresh.refresh(engine, account_id=other, as_of=AS_OF + timedelta(days=9), now=NOW)
    with database.read(engine) as connection:
        assert frame.watermark(connection, account_id) == AS_OF + timedelta(days=1)


def test_a_frame_holds_the_asked_columns_and_no_other(engine: sa.Engine, account_id: str) -> None:
    with pytest.raises(frame.NoFeatures, match="campaigns features refresh"):
        frame.read_frame(engine, account_id=account_id, columns=["orders"])
    for load in (lambda: None, lambda: load_random_shop(engine, account_id)):
        load()
        refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW, full=True)
        whole = frame.read_frame(engine, account_id=account_id, columns=list(BY_NAME))
        assert {name: str(whole[name].dtype) for name in BY_NAME} == {
            name: feature.type.dtype for name, feature in BY_NAME.items()
        }
    few = frame.read_frame(engine, account_id=account_id, columns=("country", "net_revenue"))
    assert list(few.columns) == ["party_id", "country", "net_revenue"]


def test_an_unknown_feature_is_named_with_the_nearest(engine: sa.Engine, account_id: str) -> None:
    with pytest.raises(frame.UnknownFeature, match="'net_revnue': did you mean 'net_revenue'"):
        frame.read_frame(engine, account_id=account_id, columns=["net_revnue"])


def a_life(dice: Random, number: int) -> tuple[Order, bool]:
    """One order of one of ten people, whoever of their numbers placed it; and whether its channel deletes it later."""
    person = dice.randrange(10)
    # As a guest in any case of letters, or under a number, which is each person's own.
    email = f"Person{person}@example.com" if dice.random() < 0.5 else f"person{person}@EXAMPLE.com"
    customer = Customer(dice.choice(["", f"n{person}"]), email, country=f"Q{person}", locale="de-AT")
    kind = dice.choice([OrderKind.SALE] * 6 + [OrderKind.CREDIT, OrderKind.REPLACEMENT])
    total = Decimal(0) if kind is OrderKind.CREDIT else Decimal(dice.randrange(0, 90000)).scaleb(-2)
    back = Decimal(dice.randrange(0, 3000)).scaleb(-2) if kind is OrderKind.CREDIT else total / dice.choice([1, 2, 4])
    refunded = (back if dice.random() < 0.3 or kind is OrderKind.CREDIT else Decimal(0)).quantize(Decimal("0.01"))
    status = dice.choice([OrderStatus.PAID] * 5 + [OrderStatus.CANCELLED, OrderStatus.REFUNDED])
    placed_at = AS_OF - timedelta(microseconds=dice.randrange(-(10**11), 4 * 10**13))
    abroad = dice.random() < 0.2  # sold in euros, and the shop says what that is in its own money
    amounts = {"currency": "EUR", "shop_currency": "USD", "shop_total": total * 2, "shop_refunded": refunded * 2}
    kind_of_tea = dice.choice([None, "tea", "cups"])
    lines = (OrderLine(1, "SKU", None, kind_of_tea, dice.randrange(0, 4), total, brand=dice.choice([None, "own"])),)
    order = Order(
        external_id=str(number),
        customer=customer,
        status=status,
        channel_status=status,
        total=total,
        refunded=refunded,
        placed_at=placed_at,
        updated_at=placed_at,
        cancelled_at=placed_at if status is OrderStatus.REFUNDED and dice.random() < 0.5 else None,
        is_test=dice.random() < 0.1,
        lines=lines,
        kind=kind,
        discount=dice.choice([None, Decimal(0), Decimal(1)]),
        coupons=dice.choice([(), ("SPRING",)]),
        **(amounts if abroad else {"currency": "USD"}),
    )
    return order, dice.random() < 0.1


def plainly(orders: list[tuple[Order, bool]]) -> dict[str, dict]:
    """What the features of each mailbox are to be, said in plain Python."""
    rows, lines = [], []
    for order, _ in orders:
        foreign = order.shop_total is not None
        void = order.status is OrderStatus.CANCELLED or order.cancelled_at is not None
        rows.append(
            {
                "order_id": int(order.external_id),
                "party_id": order.customer.email.lower(),
                "total": money.to_units(order.shop_total if foreign else order.total),
                "refunded": money.to_units(order.shop_refunded if foreign else order.refunded),
                "placed_at": order.placed_at,
                "cancelled": void,
                "is_test": order.is_test or order.kind is OrderKind.REPLACEMENT,
                "is_credit": order.kind is OrderKind.CREDIT,
                "discounted": bool(order.discount),
                "coupon": bool(order.coupons),
                "channel": "web",
            }
        )
        lines += [
            {"order_id": rows[-1]["order_id"], "category": one.category, "brand": one.brand, "quantity": one.quantity}
            for one in order.lines
        ]
    customers = [
        {"party_id": order.customer.email.lower(), "country": order.customer.country, "language": "de"}
        for order, _ in orders
    ]
    return naive([row for row in rows if row["order_id"] not in _deleted(orders)], lines, customers, [], AS_OF, ZONE)


def _deleted(orders: list[tuple[Order, bool]]) -> set[int]:
    """A deleted order was not called off: it is as if it had never been."""
    return {int(order.external_id) for order, deleted in orders if deleted}


@pytest.mark.parametrize("seed", range(4))
def test_kinds_deletions_currencies_and_persons_agree_with_plain_python(
    engine: sa.Engine, account_id: str, seed: int
) -> None:
    dice = Random(seed)
    bought = [a_life(dice, number) for number in range(150)]
    gone = [Deletion(order.external_id, NOW) for order, deleted in bought if deleted]
    items = [order for order, _ in bought] + gone
    dice.shuffle(items)
    with database.write(engine) as connection:
        orders.take_in(connection, items, orders.Source(account_id, "web", "web", PEPPER), now=NOW)
    refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW)
    table, party = tables.customer_features, tables.parties
    with database.read(engine) as connection:
        query = sa.select(party.c.email, *(table.c[name] for name in NAMES)).join_from(table, party)
        found = {row["email"].lower(): dict(row) for row in connection.execute(query).mappings()}
    expected = plainly(bought)
    assert set(found) == set(expected)
    for email, row in expected.items():
        told = {name: float(value) if isinstance(value, Decimal) else value for name, value in found[email].items()}
        assert {name: told[name] for name in NAMES} == row


def test_a_guest_who_registers_moves_with_all_orders_at_the_next_refresh(engine: sa.Engine, account_id: str) -> None:
    """Until then the guest's row stands, and he has the mailbox still: nobody is lost and nobody is there twice."""
    source = orders.Source(account_id, "web", "web", PEPPER)

    def buy(number: str, customer: str) -> None:
        order = replace(a_life(Random(1), 1)[0], external_id=number, status=OrderStatus.PAID, kind=OrderKind.SALE)
        order = replace(order, customer=Customer(customer, "anna@example.com"), placed_at=AS_OF, is_test=False)
        with database.write(engine) as connection:
            orders.take_in(connection, [replace(order, cancelled_at=None)], source, now=NOW)

    def people() -> list[tuple[str, int]]:
        table, party = tables.customer_features, tables.parties
        with database.read(engine) as connection:
            query = sa.select(party.c.numbering, table.c.orders).join_from(table, party)
            return [tuple(row) for row in connection.execute(query)]

    buy("1", "")
    refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW)
    buy("2", "7")
    assert people() == [("~guest", 1)]
    refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW)
    assert people() == [("web", 2)]


def test_the_country_of_a_person_is_any_that_is_known(engine: sa.Engine, account_id: str) -> None:
    said = [("web", "7", None), ("app", "", "DE"), ("till", "3", "AT"), ("shop", "1", None)]
    plain = replace(
        a_life(Random(1), 1)[0], status=OrderStatus.PAID, kind=OrderKind.SALE, is_test=False, placed_at=AS_OF
    )
    for channel, number, country in said:
        customer = Customer(number, "anna@example.com", country=country)
        order = replace(plain, customer=customer, cancelled_at=None, updated_at=AS_OF)
        with database.write(engine) as connection:
            orders.take_in(connection, [order], orders.Source(account_id, channel, channel, PEPPER), now=NOW)
    refresh.refresh(engine, account_id=account_id, as_of=AS_OF, now=NOW)
    found = frame.read_frame(engine, account_id=account_id, columns=["orders", "country"])
    assert found[["orders", "country"]].to_numpy().tolist() == [[4, "AT"]]
