"""A refresh of those who changed gives what a refresh of all would, to the last digit, whatever happened between."""

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import accounts, database, orders, tables
from data.features import compute, frame, reading, refresh, scale
from domain.features import STORED
from domain.orders import Customer, Deletion, Order, OrderKind, OrderLine, OrderStatus
from tests.conftest import PEPPER
from tests.data import ledger_rows

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
NAMES = [feature.name for feature in STORED]
_names = itertools.count()
pytestmark = pytest.mark.usefixtures("account_id")


@dataclass
class Shop:
    """One account, so that examples do not meet; `now` is its clock."""

    engine: sa.Engine
    account_id: str
    now: datetime = START
    version: int = 0

    def take_in(self, *items: Order | Deletion, channel: str = "web") -> None:
        source = orders.Source(account_id=self.account_id, channel=channel, numbering=channel, pepper=PEPPER)
        with database.write(self.engine) as connection:
            orders.take_in(connection, list(items), source, now=self.now)

    def refresh(self, **how: Any) -> refresh.RefreshReport:
        return refresh.refresh(self.engine, account_id=self.account_id, as_of=self.now, now=self.now, **how)

    def people(self) -> list[int]:
        table = tables.customer_features.c
        with database.read(self.engine) as connection:
            return list(
                connection.scalars(
                    sa.select(table.party_id).where(table.account_id == self.account_id).order_by(table.party_id)
                )
            )

    def mail(self) -> str | None:
        """A campaign to every other customer, accepted now."""
        people = self.people()[::2]
        if not people:
            return None
        run_id = f"r{next(_names)}"
        batch = ledger_rows.BatchRow(0, len(people) - 1, finished_at=self.now)
        with database.write(self.engine) as connection:
            ledger_rows.add_run(connection, self.account_id, people, [batch], run_id=run_id)
        return run_id

    def hear(self, run_id: str) -> None:
        """The first of them opened it, and the ESP told so now."""
        message, event = tables.message_delivery, tables.delivery_events
        with database.write(self.engine) as connection:
            body = {"provider": "sendgrid", "body_hash": f"{run_id}{self.now}", "body": b"", "state": "done"}
            inbox = tables.webhook_inbox.insert().values(**body, received_at=self.now, processed_at=self.now, strikes=0)
            inbox_id = connection.execute(inbox.returning(tables.webhook_inbox.c.id)).scalar_one()
            heard = {"run_id": run_id, "ordinal": 0}
            connection.execute(
                event.insert().values(
                    **heard,
                    inbox_id=inbox_id,
                    position=0,
                    provider="sendgrid",
                    dedupe_key=f"{run_id}{self.now}",
                    kind="opened",
                    occurred_at=self.now,
                    machine=False,
                )
            )
            connection.execute(message.delete().where(message.c.run_id == run_id))
            connection.execute(
                message.insert().values(**heard, seen=1, severity=0, human_opened_at=self.now, clicked_at=self.now)
            )


def shop(engine: sa.Engine) -> Shop:
    account_id = f"shop{next(_names)}"
    with database.write(engine) as connection:
        accounts.ensure(connection, replace(accounts.get(connection, "shop"), id=account_id), now=START)
    return Shop(engine, account_id)


def kept(engine: sa.Engine, account_id: str) -> pd.DataFrame:
    return frame.read_stored(engine, account_id=account_id, columns=NAMES)


def reckoned(shop: Shop) -> pd.DataFrame:
    facts = reading.read(shop.engine, shop.account_id, as_of=shop.now)
    with database.read(shop.engine) as connection:
        zone = accounts.get(connection, shop.account_id).timezone
    return compute.features(facts, as_of=shop.now, zone=zone)


def check(shop: Shop) -> None:
    """The table is what a reckoning of everybody gives now, and the scale is that of all."""
    expected = reckoned(shop)
    pd.testing.assert_frame_equal(kept(shop.engine, shop.account_id), expected[["party_id", *NAMES]], check_exact=True)
    with database.read(shop.engine) as connection:
        newest = frame.newest(connection, shop.account_id)
    assert newest is not None
    assert newest.scale == scale.measure(expected)


def order(number: int, placed_at: datetime, customer: int = 1, **about: Any) -> Order:
    who = Customer(f"c{customer}", about.pop("email", f"c{customer}@example.com"), country=about.pop("country", "DE"))
    values: dict[str, Any] = {
        "status": OrderStatus.PAID,
        "channel_status": "paid",
        "currency": "USD",
        "total": Decimal("30.00"),
        "refunded": Decimal(0),
        "updated_at": placed_at,
        "cancelled_at": None,
        "is_test": False,
        "lines": (OrderLine(1, "TEA", "Tea", "Tea", 2, Decimal("20.00")),),
    }
    return Order(external_id=str(number), customer=who, placed_at=placed_at, **(values | about))


_orders = st.fixed_dictionaries(
    {
        "number": st.integers(1, 12),
        "customer": st.integers(1, 4),
        "days_ago": st.sampled_from([-1, 0, 0, 1, 6, 7, 8, 29, 30, 31, 89, 90, 179, 200, 364, 365, 366, 800]),
        "total": st.decimals(0, 500, places=2),
        "refunded_share": st.sampled_from([0, 0, 1, 2]),
        "status": st.sampled_from(list(OrderStatus)),
        "kind": st.sampled_from([OrderKind.SALE, OrderKind.SALE, OrderKind.CREDIT, OrderKind.REPLACEMENT]),
        "is_test": st.sampled_from([False, False, False, True]),
        "category": st.sampled_from([None, "Tea", "Cups"]),
        "brand": st.sampled_from([None, "Own", "Other"]),
        "coupons": st.sampled_from([(), ("SPRING",)]),
        "channel": st.sampled_from(["web", "till"]),
        # One mailbox for several numbers, so that persons join and part.
        "mailbox": st.sampled_from(["own", "own", "shared"]),
        "country": st.sampled_from([None, "DE", "US"]),
    }
)
_steps = st.one_of(
    st.tuples(st.just("orders"), st.lists(_orders, min_size=1, max_size=4)),
    st.tuples(st.just("delete"), st.integers(1, 12)),
    st.tuples(st.just("wait"), st.sampled_from([1, 24, 6 * 24, 31 * 24, 100 * 24, 366 * 24])),
    st.tuples(st.just("mail"), st.none()),
    st.tuples(st.just("refresh"), st.none()),
)


def made(shop: Shop, one: dict[str, Any]) -> Order:
    shop.version += 1
    placed_at = shop.now.replace(hour=12, minute=0) - timedelta(days=one["days_ago"])
    line = OrderLine(1, "sku", None, one["category"], 1 + one["number"] % 3, one["total"], brand=one["brand"])
    return order(
        one["number"],
        placed_at,
        one["customer"],
        email="all@example.com" if one["mailbox"] == "shared" else f"c{one['customer']}@example.com",
        country=one["country"],
        total=one["total"],
        refunded=(one["total"] * one["refunded_share"] / 2).quantize(Decimal("0.01")),
        status=one["status"],
        kind=one["kind"],
        is_test=one["is_test"],
        coupons=one["coupons"],
        lines=(line,),
        updated_at=START + timedelta(days=1000, seconds=shop.version),
    )


# PostgreSQL needs a connection for each bulk read, so there are fewer examples there.
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(_steps, min_size=2, max_size=12))
def test_incremental_equals_full_whatever_happened(engine: sa.Engine, steps: list[tuple[str, Any]]) -> None:
    _live_through(engine, steps)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(_steps, min_size=2, max_size=6))
def test_the_same_on_postgresql(engine: sa.Engine, steps: list[tuple[str, Any]]) -> None:
    _live_through(engine, steps)


def _live_through(engine: sa.Engine, steps: list[tuple[str, Any]]) -> None:
    here = shop(engine)
    here.take_in(order(100, START - timedelta(days=29), customer=9))
    here.refresh()
    run_id = None
    for kind, what in [*steps, ("refresh", None)]:
        if kind == "orders":
            for one in what:
                here.take_in(made(here, one), channel=one["channel"])
        elif kind == "delete":
            here.take_in(Deletion(str(what), START + timedelta(days=2000)))
        elif kind == "wait":
            here.now += timedelta(hours=what)
        elif kind == "mail":
            if run_id is not None:
                here.hear(run_id)
            run_id = here.mail()
        else:
            here.refresh()
            check(here)


# --- what is touched, and what is not -------------------------------------------------------------------------------


def several(engine: sa.Engine) -> Shop:
    """Twenty customers who ordered 400 days ago, and are in no window any more."""
    here = shop(engine)
    here.take_in(*(order(n, START - timedelta(days=400), customer=n) for n in range(1, 21)))
    assert here.refresh().full
    return here


def test_only_who_changed_is_reckoned_anew(engine: sa.Engine) -> None:
    here = several(engine)
    here.now += timedelta(days=1)
    report = here.refresh()
    assert (report.full, report.touched, report.customers) == (False, 0, 20)
    here.take_in(order(50, here.now, customer=3))
    report = here.refresh()
    assert (report.full, report.touched, report.customers, report.orders) == (False, 1, 20, 21)
    check(here)


@pytest.mark.parametrize("days", [7, 30, 90, 180, 365])
def test_an_order_that_leaves_a_window_changes_who_bought_nothing_new(engine: sa.Engine, days: int) -> None:
    here = several(engine)
    here.take_in(order(50, here.now - timedelta(days=days - 1), customer=3))
    here.refresh()
    here.now += timedelta(days=1)
    report = here.refresh()
    assert (report.full, report.touched) == (False, 1)
    check(here)


def test_marks_that_come_while_it_works_are_left_for_the_next(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = several(engine)
    here.take_in(order(50, here.now, customer=3))
    read = reading.read

    def and_meanwhile(*args: Any, **about: Any) -> Any:
        facts = read(*args, **about)
        here.take_in(order(51, here.now, customer=4))
        return facts

    monkeypatch.setattr(reading, "read", and_meanwhile)
    assert here.refresh().touched == 1
    monkeypatch.undo()
    assert here.refresh().touched >= 1
    check(here)


def test_of_two_at_once_one_is_refused_and_nothing_of_it_is_written(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = several(engine)
    here.take_in(order(50, here.now, customer=3))
    read = reading.read

    def and_another(*args: Any, **about: Any) -> Any:
        facts = read(*args, **about)
        monkeypatch.undo()
        here.take_in(order(51, here.now, customer=4))
        assert not here.refresh().full
        return facts

    monkeypatch.setattr(reading, "read", and_another)
    with pytest.raises(refresh.Overtaken, match="nothing was written here"):
        here.refresh()
    check(here)


def test_everybody_is_reckoned_anew_where_there_is_a_reason(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    here = several(engine)
    assert "asked for" in here.refresh(full=True).reason
    monkeypatch.setattr(refresh, "source_hash", lambda: "other code")
    assert "the way to reckon" in here.refresh().reason
    here.now -= timedelta(days=1)
    assert "back in time" in here.refresh().reason
    here.now += timedelta(days=1)
    here.take_in(*(order(60 + n, here.now, customer=n) for n in range(1, 11)))
    assert "10 customers changed" in here.refresh().reason
    check(here)


def test_a_failed_refresh_leaves_what_was_there(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    here = several(engine)
    before = kept(engine, here.account_id)
    here.take_in(order(50, here.now, customer=3))

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(refresh.stored, "replace", fails)
    with pytest.raises(OSError, match="disk is full"):
        here.refresh()
    pd.testing.assert_frame_equal(kept(engine, here.account_id), before, check_exact=True)
    monkeypatch.undo()
    assert here.refresh().touched == 1
    check(here)


def test_accounts_do_not_touch_each_other(engine: sa.Engine) -> None:
    here, there = several(engine), several(engine)
    there.take_in(order(50, there.now, customer=3))
    assert here.refresh().touched == 0
    assert there.refresh().touched == 1
    check(here)
    check(there)
