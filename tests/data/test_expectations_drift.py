import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from data import database, tables
from data.expectations import drift
from data.features import profile
from data.features.frame import NoFeatures
from domain.features import BY_NAME
from domain.gate_policy import GatePolicy
from domain.validation import Validation
from tests.conftest import NOW
from tests.data import judged

pytestmark = pytest.mark.usefixtures("account_id")
POLICY = GatePolicy(least_customers=100, trailing=3)


def shop(customers: int = 1000, *, orders: int = 1, known: float = 1.0) -> pd.DataFrame:
    gap = np.where(np.arange(customers) < known * customers, 10.0, np.nan)
    columns = {"orders": np.arange(customers) % 7 + orders, "last_gap_days": gap, "country": ["DE"] * customers}
    return pd.DataFrame(columns).astype({name: BY_NAME[name].type.dtype for name in columns})


def refreshed(engine: sa.Engine, *frames: pd.DataFrame | None, customers: int | None = None) -> None:
    """A refresh of each frame, the oldest first; None: one that kept no profile."""
    table = tables.feature_refreshes
    with database.write(engine) as connection:
        for one in frames:
            follows = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
            count = customers or (0 if one is None else len(one))
            row = {"account_id": "shop", "follows": follows, "as_of": NOW + timedelta(follows), "full": True}
            row |= {"reason": "test", "touched": 0, "customers": count, "orders": 1, "code": "c", "scale": {}}
            row |= {"profile": {} if one is None else profile.profile(one), "conversion": {}, "finished_at": NOW}
            connection.execute(table.insert().values(row))


def check(engine: sa.Engine, *columns: str, policy: GatePolicy = POLICY) -> Validation:
    wanted = columns or ("orders", "last_gap_days", "country")
    return judged.of_drift(engine, account_id="shop", columns=wanted, policy=policy)


def failures(engine: sa.Engine, *columns: str, policy: GatePolicy = POLICY) -> list[tuple[str, str]]:
    return [(one.sentence, one.observed) for one in check(engine, *columns, policy=policy).failures()]


def test_the_first_refresh_is_compared_with_nothing(engine: sa.Engine) -> None:
    for frames in ((), (shop(),)):
        refreshed(engine, *frames)
        (only,) = check(engine).checks
        assert only.passed
        assert only.observed == "it is the first: with nothing"


def test_an_older_refresh_without_a_profile_is_passed_over(engine: sa.Engine) -> None:
    refreshed(engine, None, shop(), None, shop(orders=9))
    assert len(failures(engine)) == 1


def test_a_night_like_the_others_passes_each_check(engine: sa.Engine) -> None:
    refreshed(engine, *[shop()] * 5)
    found = check(engine)
    assert found.passed
    assert found.gate == "drift"
    assert len(found.checks) == 1 + 1 + 3 + 3
    assert found.checks[0].observed == "with the median of 3"


def test_a_feature_that_is_spread_otherwise_is_told_with_its_medians(engine: sa.Engine) -> None:
    refreshed(engine, shop(), shop(), shop(orders=5))
    ((sentence, observed),) = failures(engine)
    assert sentence == "orders is spread as usual: its population stability index is at most 0.25"
    assert observed.startswith("index ")
    assert observed.endswith("; median 8, usually 4")


def test_values_that_went_missing_are_told(engine: sa.Engine) -> None:
    refreshed(engine, shop(), shop(known=0.89))
    assert failures(engine) == [
        ("last_gap_days is unknown within 10 points of the usual 0.0% of customers", "unknown of 11.0%"),
    ]
    refreshed(engine, shop(known=0.9))
    assert failures(engine) == []


@pytest.mark.parametrize(("now", "passes"), [(500, True), (499, False), (1500, True), (1501, False), (3, False)])
def test_customers_who_vanish_or_multiply_are_told(engine: sa.Engine, now: int, passes: bool) -> None:
    refreshed(engine, shop())
    refreshed(engine, shop(), customers=now)
    found = failures(engine)
    assert found == (
        [] if passes else [("The number of customers is within 50 % of the usual 1,000", f"{now:,} customers")]
    )


def test_a_run_is_not_stopped_by_features_that_it_does_not_need(engine: sa.Engine) -> None:
    refreshed(engine, shop(), shop(orders=5))
    assert failures(engine, "country", "last_gap_days") == []
    assert len(failures(engine, "orders")) == 1


def test_a_small_shop_does_not_alarm(engine: sa.Engine) -> None:
    refreshed(engine, shop(99), shop(9, orders=9, known=0.1))
    assert check(engine).passed
    refreshed(engine, shop(100), shop(100, orders=9))
    assert not check(engine, policy=GatePolicy(least_customers=9, trailing=1)).passed


def test_only_the_trailing_ones_count_and_a_new_usual_is_learnt(engine: sa.Engine) -> None:
    refreshed(engine, shop(), shop(), shop(), shop(orders=5))
    assert not check(engine).passed
    refreshed(engine, shop(orders=5))
    assert not check(engine).passed
    refreshed(engine, shop(orders=5))
    assert check(engine).passed


def test_what_somebody_accepted_is_compared_with_none_and_later_ones_with_it(engine: sa.Engine) -> None:
    refreshed(engine, shop(), shop(), shop(orders=5))
    with database.write(engine) as connection:
        newest = drift.accept(connection, "shop")
    (only,) = check(engine).checks
    assert only.passed
    refreshed(engine, shop(orders=5))
    assert check(engine).passed
    refreshed(engine, shop())
    assert not check(engine).passed
    assert newest == 3
    with database.write(engine) as connection, pytest.raises(NoFeatures, match="features refresh"):
        drift.accept(connection, "nobody")


def test_another_accounts_refreshes_are_not_looked_at(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        row = dict(connection.execute(sa.select(tables.accounts)).mappings().one())
        connection.execute(tables.accounts.insert().values(row | {"id": "other"}))
    refreshed(engine, shop(), shop(), shop(orders=5))
    found = judged.of_drift(engine, account_id="other", columns=["orders"], policy=POLICY)
    assert json.dumps(found.as_json()).count("sentence") == 1
