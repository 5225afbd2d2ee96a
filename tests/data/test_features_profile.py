"""Profiles and the population stability index, against its definition reckoned on the customers themselves."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from data.features import profile
from data.features.profile import Change, Kind
from domain.features import BY_NAME, STORED

RNG = np.random.default_rng(7)


def frame(**columns: object) -> pd.DataFrame:
    made = pd.DataFrame(columns)
    return made.astype({name: BY_NAME[name].type.dtype for name in made})


def index(before: pd.DataFrame, after: pd.DataFrame, column: str) -> float:
    (found,) = [one for one in changes(before, after) if (one.column, one.kind) == (column, Kind.DISTRIBUTION)]
    return found.amount


def changes(before: pd.DataFrame, after: pd.DataFrame) -> list[Change]:
    kept = json.loads(json.dumps(profile.profile(before)))
    return profile.drift(kept, profile.profile(after))


def by_definition(before: np.ndarray, after: np.ndarray) -> float:
    edges = np.unique(np.quantile(before, np.arange(1, 10) / 10, method="inverted_cdf"))
    shares = [
        np.maximum(np.bincount(np.searchsorted(edges, side, "left"), minlength=len(edges) + 1) / len(side), 1e-4)
        for side in (before, after)
    ]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (RNG.geometric(0.4, 5000), RNG.geometric(0.4, 7000)),
        (RNG.geometric(0.4, 5000), RNG.geometric(0.2, 7000)),
        (np.zeros(900), RNG.integers(0, 2, 900)),
        (RNG.integers(0, 24, 3000), np.full(3000, 12)),
    ],
    ids=["the same", "more orders", "one value", "to one value"],
)
def test_of_counts_the_index_is_exact(before: np.ndarray, after: np.ndarray) -> None:
    found = index(frame(orders=before), frame(orders=after), "orders")
    told = by_definition(before, after)
    # Where a bin's edge is no decile of the other side, its share is read off a straight line.
    assert found == pytest.approx(told, rel=0.15, abs=0.01)
    assert (found > 0.25) == (told > 0.25)


@pytest.mark.parametrize("factor", [1.0, 1.3, 2.0, 10.0])
def test_of_amounts_the_index_is_near_enough(factor: float) -> None:
    before, after = RNG.lognormal(3, 1, 20_000), RNG.lognormal(3, 1, 20_000) * factor
    found = index(frame(net_revenue=before), frame(net_revenue=after), "net_revenue")
    assert found == pytest.approx(by_definition(before, after), rel=0.25, abs=0.01)


def test_the_same_customers_have_not_drifted() -> None:
    one = frame(
        orders=[1, 1, 2, 9], net_revenue=[1.5, 2, 3, 4], country=["DE", None, "FR", "DE"], last_gap_days=[1] * 4
    )
    assert {found.amount for found in changes(one, one.sample(frac=1, random_state=3))} == {0}


def test_countries_are_compared_by_their_shares() -> None:
    before = frame(country=["DE"] * 60 + ["FR"] * 40)
    after = frame(country=["DE"] * 40 + ["FR"] * 60)
    assert index(before, after, "country") == pytest.approx(2 * 0.2 * math.log(1.5))
    (found,) = [one for one in changes(before, after) if one.kind is Kind.DISTRIBUTION]
    assert (found.before, found.after, found.middle) == (0.6, 0.4, "the share of DE is")


def test_a_value_written_otherwise_is_a_great_drift_among_however_many() -> None:
    rare = [f"c{number}" for number in range(70) for _ in range(1)]
    before, after = frame(country=["DE"] * 30 + rare), frame(country=["de"] * 30 + rare)
    assert index(before, after, "country") > 0.25


def test_a_value_that_falls_out_of_the_commonest_is_none_that_vanished() -> None:
    names = [f"c{number:02}" for number in range(40)]
    before = frame(country=np.repeat(names, [100] * 19 + [11] + [10] * 20))
    after = frame(country=np.repeat(names, [100] * 19 + [10] + [11] + [10] * 19))
    assert index(before, after, "country") < 0.01


def test_nulls_are_counted_and_kept_out_of_the_deciles() -> None:
    before, after = frame(last_gap_days=[5.0] * 10), frame(last_gap_days=[5.0] * 6 + [None] * 4)
    (unknown,) = [one for one in changes(before, after) if one.kind is Kind.UNKNOWN]
    assert (unknown.before, unknown.after) == (0, 0.4)
    assert unknown.amount == pytest.approx(0.4)
    (spread,) = [one for one in changes(before, after) if one.kind is Kind.DISTRIBUTION]
    assert (spread.amount, spread.known) == (0, 6)


def test_what_our_own_campaigns_change_is_no_drift() -> None:
    before, after = frame(mails_30d=[0] * 9, mails_90d=[0] * 9), frame(mails_30d=[4] * 9, mails_90d=[4] * 9)
    assert {one.kind for one in changes(before, after)} == {Kind.CUSTOMERS}


def test_a_profile_is_plain_json_of_any_frame() -> None:
    every = {one.name: pd.Series([None] * 3 if one.nullable else [0] * 3) for one in STORED if one.type != "text"}
    texts = {one.name: pd.Series([None, "a|b", "é"], dtype="str") for one in STORED if one.type == "text"}
    for rows in (3, 0):
        kept = profile.profile(pd.DataFrame({**every, **texts}).head(rows))
        assert json.loads(json.dumps(kept, allow_nan=False)) == kept
        assert set(kept["columns"]) == {one.name for one in STORED}
        assert kept["customers"] == rows
    assert profile.profile(frame(overdue=[1.0]))["columns"] == {}, "only stored columns"
    infinite = profile.profile(frame(net_revenue=[math.inf, -math.inf, 2.0]))
    assert infinite["columns"]["net_revenue"]["deciles"] == [2.0] * 11


def test_the_usual_is_the_median_so_one_odd_night_is_nothing() -> None:
    usual = [profile.profile(frame(orders=[1] * 9))] * 4
    odd = profile.profile(frame(orders=[7] * 18))
    newest = profile.profile(frame(orders=[1] * 9))
    assert {one.amount for one in profile.against([odd, *usual, odd], newest)} == {0}
    assert max(one.amount for one in profile.against(usual, odd)) > 1
    assert profile.against([], newest) == []
