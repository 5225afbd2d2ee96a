from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database, orders, tables
from domain.orders import Customer, Order, OrderStatus
from tests.conftest import NOW, PEPPER

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("account_id")


def bought(external_id: str, number: str, email: str | None, *, day: int = 0) -> Order:
    at = AT + timedelta(days=day)
    amounts = {"total": Decimal(10), "refunded": Decimal(0), "lines": ()}
    times = {"placed_at": at, "updated_at": at, "cancelled_at": None}
    word = {"status": OrderStatus.PAID, "channel_status": "paid", "currency": "USD", "is_test": False}
    return Order(external_id, Customer(number, email), **amounts, **times, **word)


def load(engine: sa.Engine, channel: str, *bought: Order, numbering: str | None = None) -> None:
    source = orders.Source("shop", channel, channel if numbering is None else numbering, PEPPER)
    with database.write(engine) as connection:
        orders.take_in(connection, bought, source, now=NOW)


def persons(engine: sa.Engine) -> set[frozenset[str]]:
    """Which orders (channel/id) are one person's."""
    order, party = tables.orders.c, tables.parties.c
    found: dict[int, set[str]] = {}
    with database.read(engine) as connection:
        query = sa.select(order.channel, order.external_id, sa.func.coalesce(party.person_id, party.id).label("person"))
        for row in connection.execute(query.join_from(tables.orders, tables.parties, party.id == order.party_id)):
            found.setdefault(row.person, set()).add(f"{row.channel}/{row.external_id}")
    return {frozenset(one) for one in found.values()}


def test_one_person_over_channels_letter_cases_and_registration(engine: sa.Engine) -> None:
    load(engine, "woo", bought("1", "", "Anna.Ling@Example.com"))
    load(engine, "woo", bought("2", "7", "anna.ling@example.com", day=1))
    load(engine, "shopify", bought("1", "7", "ANNA.LING@EXAMPLE.COM"), bought("2", "8", "bo@example.com"))
    assert persons(engine) == {frozenset({"woo/1", "woo/2", "shopify/1"}), frozenset({"shopify/2"})}
    party = tables.parties.c
    with database.read(engine) as connection:
        stands = connection.execute(sa.select(party.numbering, party.external_id).where(party.person_id.is_(None)))
        # A registered one, though the guest came first; of two the first by numbering and number.
        assert {tuple(row) for row in stands} == {("shopify", "7"), ("shopify", "8")}


def test_equal_numbers_of_two_channels_are_nobody_in_common(engine: sa.Engine) -> None:
    load(engine, "woo", bought("1", "7", "a@example.com"))
    load(engine, "shopify", bought("1", "7", "b@example.com"))
    assert len(persons(engine)) == 2


def test_two_customers_of_one_numbering_are_believed_to_be_two(engine: sa.Engine) -> None:
    load(engine, "woo", bought("1", "7", "us@example.com"), bought("2", "", "US@example.com"))
    assert len(persons(engine)) == 1
    load(engine, "woo", bought("3", "8", "us@example.com"))
    assert len(persons(engine)) == 3


def test_who_moves_to_another_mailbox_leaves_the_person_of_the_old_one(engine: sa.Engine) -> None:
    load(engine, "woo", bought("1", "7", "old@example.com"))
    load(engine, "shopify", bought("1", "9", "old@example.com"))
    load(engine, "woo", bought("2", "7", "new@example.com", day=2))
    assert persons(engine) == {frozenset({"woo/1", "woo/2"}), frozenset({"shopify/1"})}


def test_nobody_without_an_address_is_anybody_elses_person(engine: sa.Engine) -> None:
    load(engine, "amazon", bought("1", "", None), bought("2", "", None))
    load(engine, "till", bought("1", "", None))
    assert len(persons(engine)) == 3


def test_a_dummy_address_of_a_till_joins_nobody(engine: sa.Engine) -> None:
    for till in range(60):
        load(engine, f"till-{till}", bought("1", "1", "nobody@shop.example.com"))
    assert len(persons(engine)) == 60


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["woo", "shopify"]),
            st.sampled_from(["", "7", "8"]),
            st.sampled_from([None, "a@example.com", "A@example.com", "b@example.com", "no address"]),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_order_of_arrival_finds_the_same_persons(engine: sa.Engine, told: list[tuple]) -> None:
    items = [(channel, bought(str(n), number, email, day=day)) for n, (channel, number, email, day) in enumerate(told)]
    ends = set()
    for arrival in permutations(items):
        for channel, order in arrival:
            load(engine, channel, order)
        party = tables.parties.c
        first = tables.parties.alias()
        stands = tables.parties.outerjoin(first, first.c.id == party.person_id)
        known = sa.select(party.numbering, party.external_id, party.email, party.updated_at, party.address_at)
        known = known.add_columns(first.c.numbering, first.c.external_id).select_from(stands)
        with database.write(engine) as connection:
            people = frozenset(tuple(row) for row in connection.execute(known))
            ends.add((frozenset(persons(engine)), people))
            connection.execute(sa.delete(tables.orders))
            connection.execute(sa.update(tables.parties).values(person_id=None))
            connection.execute(sa.delete(tables.parties))
    assert len(ends) == 1


def test_features_are_of_persons(engine: sa.Engine) -> None:
    from data.features import refresh

    load(engine, "woo", bought("1", "", "anna@example.com"), bought("2", "7", "Anna@example.com", day=1))
    load(engine, "shopify", replace(bought("9", "1", "anna@example.com"), total=Decimal(30)))
    refresh.refresh(engine, account_id="shop", as_of=NOW, now=NOW)
    features = tables.customer_features.c
    with database.read(engine) as connection:
        row = connection.execute(sa.select(features.party_id, features.orders, features.net_revenue)).one()
        number = connection.scalar(sa.select(tables.parties.c.external_id).where(tables.parties.c.id == row.party_id))
    assert (number, row.orders, row.net_revenue) == ("1", 3, Decimal(50))
