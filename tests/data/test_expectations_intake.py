import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from data.expectations import gate
from data.intake import thresholds
from tests.data import judged

LIMITS = thresholds.parse(
    """
defaults:
  refuse_share: 0.05
  rules:
    email_missing: {share: 0.5}
    sku_missing: {share: 0}
    country_missing: {share: 1}
    status_unknown: {share: 0.02}
""",
    "intake.yaml",
).of("shop", "csv")


def check(orders: int, refused: int = 0, **fired: int) -> gate.Validation:
    return gate.check_intake(orders=orders, refused=refused, fired=fired, thresholds=LIMITS)


def test_a_sound_batch_passes() -> None:
    validation = check(1000)
    assert validation.gate == "intake"
    assert [(one.sentence, one.passed, one.observed) for one in validation.checks] == [
        ("At most 5 % of the orders are refused", True, "0 of 1,000 orders, 0 %")
    ]


@pytest.mark.parametrize(("orders", "refused", "passed"), [(200, 10, True), (200, 11, False), (1, 1, False)])
def test_the_share_of_refused_orders_may_be_met_and_not_passed(orders: int, refused: int, passed: bool) -> None:
    assert check(orders, refused).passed is passed


def test_each_rule_has_its_own_share() -> None:
    assert check(300, 15, email_missing=150, status_unknown=6).passed
    (failure,) = check(300, 15, email_missing=151, status_unknown=6).failures()
    assert failure.sentence == "email_missing fires on at most 50 % of the orders (orders without an address)"
    assert (failure.observed, failure.failing_count) == ("151 of 300 orders, 50.33 %", 151)


def test_an_adapters_rule_can_have_a_share_too() -> None:
    (failure,) = check(300, 7, status_unknown=7).failures()
    assert failure.sentence == "status_unknown fires on at most 2 % of the orders (orders that cannot be read)"


def test_a_share_of_nothing_allows_nothing() -> None:
    assert not check(1000, sku_missing=1).passed


def test_a_rule_that_is_never_a_reason_is_not_asked() -> None:
    assert check(10, country_missing=10, unheard_of=10).passed
    assert len(check(10, country_missing=10, unheard_of=10).checks) == 1


def test_all_that_fails_is_told() -> None:
    assert len(check(100, 100, email_missing=100, sku_missing=100, status_unknown=100).failures()) == 4


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns a hundred times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 100)
    yield
    sys.setswitchinterval(usual)


def test_judging_at_once_in_many_threads_mixes_nothing_up(eager_threads: None) -> None:
    cases = [(refused, refused <= 50) for refused in (0, 900, 50, 51)] * 25
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda case: check(1000, case[0]).passed, cases))
    assert results == [passed for _, passed in cases]


def test_other_gates_in_between_change_nothing() -> None:
    assert check(1000).passed
    assert not judged.of_features(pd.DataFrame({"party_id": [1]})).passed
    assert [check(1000, refused).passed for refused in (0, 51, 50)] == [True, False, True]
