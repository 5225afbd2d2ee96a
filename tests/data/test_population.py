"""The customers as a segment is asked about them: one account's, as of one refresh, and nothing can be written."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
import sqlalchemy as sa

from data import accounts, database, tables
from data.features import frame, population, refresh
from data.features.population import Customers
from domain.features import BY_NAME
from domain.orders import OrderKind, OrderStatus
from tests.data.living_shop import Shop, order, shop

pytestmark = pytest.mark.usefixtures("account_id")


@pytest.fixture
def here(engine: sa.Engine) -> Shop:
    """Five customers; the first one ordered twice."""
    found = shop(engine)
    found.take_in(*(order(n, found.now - timedelta(days=n), customer=n) for n in range(1, 6)))
    found.take_in(order(9, found.now - timedelta(days=90), customer=1))
    found.refresh()
    return found


def test_columns_are_read_once_and_belong_to_the_same_rows(here: Shop) -> None:
    customers = Customers(here.engine, here.account_id)
    first = customers.frame(["orders"])
    both = customers.frame(["orders", "days_since_last_order"])
    assert both["party_id"].tolist() == first["party_id"].tolist()
    assert both[["orders", "days_since_last_order"]].to_numpy().tolist() == [[2, 1], [1, 2], [1, 3], [1, 4], [1, 5]]
    with pytest.raises(frame.UnknownFeature, match="did you mean 'orders'"):
        customers.frame(["oders"])


def test_every_feature_of_the_contract_can_be_read(here: Shop) -> None:
    whole = Customers(here.engine, here.account_id).frame(list(BY_NAME))
    assert {name: str(whole[name].dtype) for name in BY_NAME} == {one: BY_NAME[one].type.dtype for one in BY_NAME}
    assert whole["rfm"].tolist()[0] == 100 * whole["r_score"][0] + 10 * whole["f_score"][0] + whole["m_score"][0]


def test_equal_values_have_equal_scores(here: Shop) -> None:
    scores = Customers(here.engine, here.account_id).frame(["orders", "f_score"])
    assert scores.groupby("orders")["f_score"].nunique().tolist() == [1, 1]


def test_a_select_sees_persons_and_counted_orders_of_its_account_only(here: Shop, engine: sa.Engine) -> None:
    other = shop(engine)
    other.take_in(order(1, other.now, customer=1))
    other.refresh()
    here.take_in(
        order(20, here.now, customer=2, is_test=True),
        order(21, here.now, customer=2, status=OrderStatus.CANCELLED),
        order(22, here.now, customer=2, kind=OrderKind.REPLACEMENT),
        order(23, here.now, customer=2, kind=OrderKind.CREDIT, total=Decimal(0), refunded=Decimal(5)),
        order(24, here.now + timedelta(hours=1), customer=2),
    )
    customers = Customers(here.engine, here.account_id)
    orders = customers.shop.orders.c
    counted = customers.chosen(sa.select(orders.order_id))
    with database.read(engine) as connection:
        mine = tables.orders.c
        known = connection.scalars(
            sa.select(mine.id).where(mine.account_id == here.account_id, mine.external_id.in_(list("123459")))
        ).all()
    assert counted.tolist() == sorted(known)
    assert customers.chosen(sa.select(orders.party_id)).tolist() == customers.frame([])["party_id"].tolist()


def test_a_select_can_write_nothing(here: Shop) -> None:
    customers = Customers(here.engine, here.account_id)
    deleting = sa.text("DELETE FROM orders RETURNING party_id").columns(sa.column("party_id", sa.BigInteger))
    for wrong in (deleting, sa.select(sa.func.no_such_function(customers.shop.orders.c.party_id))):
        with pytest.raises(population.BadSelect):
            customers.chosen(wrong)  # type: ignore[arg-type]
    with database.read(here.engine) as connection:
        count = sa.select(sa.func.count()).where(tables.orders.c.account_id == here.account_id)
        assert connection.scalar(count) == 6
    here.take_in(order(30, here.now, customer=3))  # and the connection that it used writes again


def test_a_select_that_takes_too_long_is_ended(here: Shop) -> None:
    customers = Customers(here.engine, here.account_id, seconds=0.3)
    number = sa.select(sa.literal(1, sa.BigInteger).label("n")).cte("number", recursive=True)
    endless = number.union_all(sa.select(number.c.n + 1).where(number.c.n < 10**12))
    with pytest.raises(population.TooSlow, match=r"took longer than 0\.3 seconds"):
        customers.chosen(sa.select(sa.func.max(endless.c.n)))
    assert len(customers.chosen(sa.select(customers.shop.orders.c.party_id))) == 5


def test_two_refreshes_are_never_mixed(here: Shop) -> None:
    customers = Customers(here.engine, here.account_id)
    customers.frame(["orders"])
    here.take_in(order(40, here.now, customer=4))
    here.refresh()
    with pytest.raises(population.FeaturesMoved, match="start again"):
        customers.frame(["net_revenue"])
    with pytest.raises(population.FeaturesMoved, match="start again"):
        customers.chosen(sa.select(customers.shop.customers.c.party_id))
    assert customers.frame(["orders"])["orders"].tolist() == [2, 1, 1, 1, 1]  # what was read stays as it was


def test_nobody_is_no_mistake(engine: sa.Engine) -> None:
    empty = shop(engine)
    with pytest.raises(frame.NoFeatures, match="campaigns features refresh"):
        Customers(engine, empty.account_id)
    empty.refresh()
    customers = Customers(engine, empty.account_id)
    assert customers.frame(["orders"]).empty
    assert customers.frame(["orders", "country"]).empty
    assert customers.chosen(sa.select(customers.shop.orders.c.party_id)).tolist() == []


def test_money_of_a_foreign_order_is_the_shops_own_where_the_channel_tells_it(engine: sa.Engine) -> None:
    here = shop(engine)
    with database.write(engine) as connection:
        accounts.change(connection, replace(accounts.get(connection, here.account_id), currency="USD"))
    here.take_in(
        order(1, here.now, currency="EUR", shop_currency="USD", shop_total=Decimal(40), shop_refunded=Decimal(0)),
        order(2, here.now, customer=2, currency="EUR"),
    )
    refresh.refresh(engine, account_id=here.account_id, as_of=here.now, now=here.now)
    customers = Customers(engine, here.account_id)
    orders = customers.shop.orders.c
    dear = customers.chosen(sa.select(orders.party_id).where(orders.net >= 40))
    assert np.isin(customers.frame([])["party_id"], dear).tolist() == [True, False]
