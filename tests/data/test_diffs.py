"""What is on record between two frozen audiences, and customers reckoned again as of an earlier instant."""

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database, diffs, past_customers, tables
from data.features.population import Customers
from data.past_customers import Known, PastCustomers
from domain.features import FEATURES, Origin
from domain.orders import Customer, Deletion, OrderEvent, OrderStep
from tests.data import frozen
from tests.data.living_shop import START, Shop, order, shop

pytestmark = pytest.mark.usefixtures("account_id")
DAY = timedelta(days=1)
NAMES = [one.name for one in FEATURES if one.origin is not Origin.LIVE]


@pytest.fixture
def here(engine: sa.Engine) -> Shop:
    found = shop(engine)
    found.take_in(*(order(n, START - n * 40 * DAY, customer=n % 4) for n in range(1, 12)))
    found.refresh()
    return found


def past(here: Shop, at: Any, frozen_at: Any) -> PastCustomers:
    with database.read(here.engine) as connection:
        scale = past_customers.scale_at(connection, here.account_id, at, frozen_at)
    assert scale is not None
    known = Known.read(here.engine, here.account_id, np.array(here.people()), as_of=at)
    return PastCustomers(known, as_of=at, scale=scale)


def test_who_ordered_more_since_is_reckoned_as_he_was(here: Shop) -> None:
    """To the last digit what was read then, derived columns and scores included."""
    then = Customers(here.engine, here.account_id).frame(NAMES)
    here.now += DAY
    run_id = here.mail()
    assert run_id is not None
    here.now += 99 * DAY
    here.take_in(*(order(100 + n, here.now - n * DAY, customer=n % 4) for n in range(6)))
    here.hear(run_id)
    here.refresh()
    pd.testing.assert_frame_equal(past(here, START, START).frame(NAMES), then, check_exact=True)
    now = Customers(here.engine, here.account_id).frame(NAMES)
    pd.testing.assert_frame_equal(past(here, here.now, here.now).frame(NAMES), now, check_exact=True)
    person = int(now["party_id"][1])
    one = past(here, here.now, here.now).only(person).frame(NAMES)
    pd.testing.assert_frame_equal(one, now[now["party_id"] == person].reset_index(drop=True), check_exact=True)


def test_the_scale_is_that_of_the_refresh_before_the_freeze(here: Shop) -> None:
    with database.read(here.engine) as connection:
        assert past_customers.scale_at(connection, here.account_id, START, START - DAY) is None
        assert past_customers.scale_at(connection, here.account_id, START + DAY, START + DAY) is None


def test_without_what_was_ordered_since(here: Shop) -> None:
    before = past(here, START, START)
    here.now += DAY
    here.take_in(order(100, here.now, customer=1))
    here.refresh()
    known = Known.read(here.engine, here.account_id, np.array(here.people()), as_of=here.now)
    with database.read(here.engine) as connection:
        scale = past_customers.scale_at(connection, here.account_id, here.now, here.now)
    assert scale is not None
    without = PastCustomers(known, as_of=here.now, scale=scale, until=START)
    columns = ["orders", "net_revenue", "last_order_at"]
    pd.testing.assert_frame_equal(without.frame(columns), before.frame(columns), check_exact=True)
    assert without.as_of == here.now
    orders = without.shop.orders
    assert here.now not in set(_column(here, sa.select(orders.c.placed_at)))


def _column(here: Shop, select: Any) -> list[Any]:
    with database.read(here.engine) as connection:
        return list(connection.scalars(select))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.sets(st.integers(0, 9)), after=st.sets(st.integers(0, 9)))
def test_entered_and_left_are_the_differences_of_the_sets(engine: sa.Engine, before: set[int], after: set[int]) -> None:
    with database.write(engine) as connection:
        for table in (tables.audience, tables.campaign_runs, tables.customer_features, tables.consents, tables.parties):
            connection.execute(table.delete())
        ids = frozen.consenting_parties(connection, 10)
        one = frozen.freeze(connection, [ids[n] for n in sorted(before)], live=False, holdout_percent=50)
        other = frozen.freeze(connection, [ids[n] for n in sorted(after)], live=False, limit=3)
        found = diffs.changed(connection, one.id, other.id)
    assert set(found.entered.tolist()) == {ids[n] for n in after - before}
    assert set(found.left.tolist()) == {ids[n] for n in before - after}
    assert (found.before, found.after) == (len(before), len(after))


def test_orders_of_a_person_whichever_number_they_came_under(here: Shop) -> None:
    here.now += DAY
    here.take_in(order(1, here.now, customer=1, email="c1@example.com"), channel="app")
    here.take_in(Deletion("2", here.now))
    refund = OrderEvent(OrderStep.REFUNDED, here.now, reference="r")
    here.take_in(order(3, START - 120 * DAY, customer=3, updated_at=here.now, events=(refund,)))
    here.refresh()
    with database.read(here.engine) as connection:
        found = diffs.orders_since(connection, np.array(here.people()), START)
        numbers = diffs.numbers(connection, here.account_id, np.array(here.people()))
    told = {(one.channel, one.number): one for one in found}
    assert told.keys() == {("app", "1"), ("web", "2"), ("web", "3")}
    assert told["web", "2"].deleted_at == here.now
    assert told["web", "3"].refunded_at == here.now
    (person,) = {one.person for one in numbers if one.number == "c1"}
    assert {(one.numbering, one.number) for one in numbers if one.person == person} == {("app", "c1"), ("web", "c1")}
    assert told["app", "1"].person == person


def test_a_guest_is_known_by_the_latest_order(here: Shop) -> None:
    for number in ("77", "78"):
        placed = order(int(number), START + timedelta(hours=int(number)))
        here.take_in(type(placed)(**{**_fields(placed), "customer": Customer("", "guest@example.com")}))
    table = tables.parties.c
    (guest,) = _column(here, sa.select(table.id).where(table.numbering == "~guest"))
    with database.read(here.engine) as connection:
        assert diffs.newest_orders(connection, np.array([guest])) == {guest: "web 78"}


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}
