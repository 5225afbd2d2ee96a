"""Real purchases (CDNOW) against the published definitions of lifetimes' summary_data_from_transaction_data.

lifetimes 0.11.3, docs "Quickstart" and the function's docstring, with freq="D" and monetary_value_col:

- frequency: the number of repeat purchases: days with a purchase, less the first one.
- recency: the customer's age when they last purchased: the last day less the first day.
- T: the age at the end of the period: the end less the first day.
- monetary_value: the mean of what was spent on a day with a purchase, the first day left out; 0 where there is no other.

Ours relate to them like this. `mean_days_between_orders` x (`orders` - 1) is recency, exactly, whatever the number of
orders a day. T is days_since_first_order, exactly, as of the end of the period (we reckon to the instant, CDNOW's
purchases are all at noon). `orders` - 1 is frequency where nobody ordered twice on one day, else it is larger by the
number of further orders on those days; `net_revenue` - the first day's is monetary_value x frequency, exactly. The library is never
imported: the package carries the data.
"""

import sys
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from data import database, tables
from data.features import compute, reading
from data.samples import cdnow
from tests.conftest import NOW

END = NOW.replace(hour=12)
ZERO = Decimal(0)


@pytest.fixture(scope="module")
def purchases() -> dict[int, list[tuple[date, Decimal]]]:
    found = defaultdict(list)
    for one in cdnow._purchases(cdnow._master_file()):
        found[one.customer].append((one.day, Decimal(one.dollars)))
    return dict(found)


def published(bought: list[tuple[date, Decimal]], end: date) -> tuple[int, int, int, Decimal]:
    """frequency, recency, T, and monetary_value x frequency: a sum of cents instead of a rounded mean."""
    days = sorted({day for day, _ in bought})
    repeats = sum((dollars for day, dollars in bought if day != days[0]), ZERO)
    return len(days) - 1, (days[-1] - days[0]).days, (end - days[0]).days, repeats


def stored(engine: sa.Engine, purchases: dict[int, list[tuple[date, Decimal]]]) -> None:
    noon = {day: datetime.combine(day, END.timetz()) for bought in purchases.values() for day, _ in bought}
    rows = [(customer, day, dollars) for customer, bought in purchases.items() for day, dollars in bought]
    with database.write(engine) as connection:
        person = {"account_id": "shop", "created_at": END, "updated_at": END}
        parties = [{**person, "id": one, "external_id": str(one)} for one in purchases]
        connection.execute(tables.parties.insert(), parties)
        same = {"account_id": "shop", "channel": "csv", "status": "completed", "channel_status": "completed"}
        same |= {"currency": "USD", "refunded": ZERO, "updated_at": END, "is_test": False, "content_hash": "x"}
        orders = [
            {**same, "external_id": str(number), "party_id": customer, "total": dollars, "placed_at": noon[day]}
            for number, (customer, day, dollars) in enumerate(rows)
        ]
        connection.execute(tables.orders.insert(), orders)


@pytest.mark.slow
def test_no_customer_differs(engine: sa.Engine, account_id: str, purchases) -> None:
    stored(engine, purchases)
    end = datetime(1998, 7, 1, 12, tzinfo=END.tzinfo)
    facts = reading.read(engine, account_id, as_of=end)
    rows = compute.features(facts, as_of=end, zone="UTC").to_dict("records")
    assert len(rows) == len(purchases) == 23_570
    assert "lifetimes" not in sys.modules
    twice_a_day = 0
    for row in rows:
        bought = purchases[row["party_id"]]
        frequency, recency, age, repeats = published(bought, end.date())
        first, last = row["first_order_at"].date(), row["last_order_at"].date()
        more = len(bought) - len({day for day, _ in bought})
        twice_a_day += bool(more)
        assert row["orders"] - 1 == frequency + more
        assert (last - first).days == recency
        assert row["orders"] == 1 or row["mean_days_between_orders"] * (row["orders"] - 1) == pytest.approx(recency)
        assert (end - row["first_order_at"]) // timedelta(days=1) == age
        on_first = sum((dollars for day, dollars in bought if day == first), ZERO)
        assert round(Decimal(row["net_revenue"]), 4) - on_first == repeats
    assert twice_a_day == 1157
