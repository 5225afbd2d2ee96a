from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from data import database
from data.expectations import gate
from data.intake import history, thresholds, verdict
from data.intake.history import Counts
from domain.validation import Validation
from tests.conftest import NOW
from tests.data.intake.past import batch, second_account

HOUR = timedelta(hours=1)
LIMITS = thresholds.parse("defaults: {of_at_least: 200, rules: {email_missing: {share: 0.5}}}", "x").of("shop", "csv")


def judged(now: Counts, window: Counts = Counts()) -> Validation | None:  # noqa: B008 - a tuple
    return verdict.verdict(now, window, LIMITS, gate.check_intake)


def test_too_few_orders_say_nothing() -> None:
    assert judged(Counts(199, 199)) is None
    assert judged(Counts(1, 1), Counts(198, 198)) is None
    assert judged(Counts(), Counts(1000, 1000)) is None


def test_a_trickle_is_judged_with_what_came_before_it() -> None:
    last = judged(Counts(1, 1, {"email_missing": 1}), Counts(199, 10, {"email_missing": 5, "sku_missing": 2}))
    assert last is not None
    assert not last.passed
    assert last.checks[0].observed == "11 of 200 orders, 5.5 %"
    assert last.checks[1].observed == "6 of 200 orders, 3 %"


def test_a_large_batch_is_judged_alone() -> None:
    sound_morning = Counts(100_000)
    drifted = judged(Counts(200, 11), sound_morning)
    assert drifted is not None
    assert not drifted.passed
    bad_morning = Counts(1000, 900)
    mended = judged(Counts(200, 0), bad_morning)
    assert mended is not None
    assert mended.passed


@given(st.tuples(*[st.integers(0, 500)] * 2), st.tuples(*[st.integers(0, 500)] * 2))
def test_it_is_judged_on_enough_orders_or_not_at_all(now: tuple[int, int], before: tuple[int, int]) -> None:
    counts = verdict.judged(Counts(*now), Counts(*before), LIMITS)
    if counts is None:
        assert now[0] == 0 or now[0] + before[0] < 200
    else:
        assert counts.orders >= 200
        assert counts.orders == now[0] + (before[0] if now[0] < 200 else 0)


@pytest.fixture
def recent(engine: sa.Engine, account_id: str):
    def of(since=NOW - 24 * HOUR, **options) -> Counts:
        with database.read(engine) as connection:
            return history.recent(connection, "shop", "csv", since, **options)

    return of


def test_the_window_is_the_sum_of_its_batches(engine: sa.Engine, recent) -> None:
    assert recent() == Counts()
    batch(engine, 10, 2, at=NOW - HOUR, email_missing=3)
    batch(engine, 5, 1, at=NOW - 2 * HOUR, email_missing=1, sku_missing=1)
    batch(engine, 7, 7, at=NOW - 25 * HOUR)
    batch(engine, 7, 7, channel="till")
    second_account(engine)
    batch(engine, 7, 7, account_id="other")
    assert recent() == Counts(15, 3, {"email_missing": 4, "sku_missing": 1})


def test_what_was_waived_by_a_release_is_not_held_against_what_comes_then(engine: sa.Engine, recent) -> None:
    released = NOW - 3 * HOUR
    batch(engine, 300, 200, at=NOW - HOUR, received=released - HOUR)  # drained after the release
    batch(engine, 300, 200, at=NOW - HOUR, received=released)
    batch(engine, 4, 1, at=NOW - HOUR)
    assert recent(released) == Counts(4, 1)


def test_a_feed_that_drifts_is_judged_by_its_last_orders(engine: sa.Engine, recent) -> None:
    batch(engine, 5000, 0, at=NOW - 5 * HOUR)
    for minute in range(30):
        batch(engine, 10, 10, at=NOW - timedelta(minutes=minute))
    assert recent() == Counts(5300, 300)
    assert recent(at_least=200) == Counts(200, 200)
    assert recent(at_least=305) == Counts(5300, 300)


def test_batches_without_orders_do_not_use_up_the_window(engine: sa.Engine, recent) -> None:
    batch(engine, 3, 3, at=NOW - HOUR)
    for _ in range(5):
        batch(engine, 0)
    assert recent(at_least=3) == Counts(3, 3)
