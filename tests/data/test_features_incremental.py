"""A refresh of those who changed gives what a refresh of all would, to the last digit, whatever happened between."""

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import accounts, database
from data.features import compute, frame, reading, refresh, scale
from domain.features import STORED
from domain.orders import Deletion
from tests.data.living_shop import START, STEPS, Shop, made, order, shop

NAMES = [feature.name for feature in STORED]
pytestmark = pytest.mark.usefixtures("account_id")


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


# PostgreSQL needs a connection for each bulk read, so there are fewer examples there.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=2, max_size=12))
def test_incremental_equals_full_whatever_happened(engine: sa.Engine, steps: list[tuple[str, Any]]) -> None:
    _live_through(engine, steps)


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=2, max_size=6))
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
