"""Between two audiences: an order that reached us late, and one that changed."""

from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa

from data import database, tables
from domain.differences import Cause
from tests.data.living_shop import START, Shop, five_customers, order
from tests.tasks.test_diffs import DAY, compared, freeze, later, only

pytestmark = pytest.mark.usefixtures("account_id")


@pytest.fixture
def here(engine: sa.Engine) -> Shop:
    return five_customers(engine)


def test_an_export_that_comes_late_is_no_change(here: Shop) -> None:
    """Its state is of after the first run, as an export's is: nobody had seen the order before."""
    before = freeze(here, "spent-at-least", arguments={"amount": "500"})
    later(here, 1)
    late = order(1001, START - 10 * DAY, customer=3, updated_at=START + DAY / 2, total=Decimal(600))
    here.take_in(late)
    later(here, 1)
    here.take_in(replace(late, updated_at=here.now, total=Decimal(700)))
    customer, cause, sentence = only(compared(here, before, "spent-at-least", arguments={"amount": "500"}))
    assert (customer, cause) == ("web/c3", Cause.NEW_ORDER)
    assert sentence.startswith(
        "entered: order web 1001 reached us only on 2 June 2026; it was placed on 22 May 2026 – "
    )
    assert "→ 7" in sentence


def test_an_order_of_before_the_column_is_judged_by_its_other_times(here: Shop) -> None:
    before = freeze(here, "all-customers")
    later(here, 1)
    here.take_in(order(3, START - 89 * DAY, customer=3, updated_at=here.now, is_test=True))
    with database.write(here.engine) as connection:
        connection.execute(sa.update(tables.orders).values(first_recorded_at=None))
    customer, cause, _ = only(compared(here, before, "all-customers"))
    assert (customer, cause) == ("web/c3", Cause.ORDER_CHANGED)
