import ast
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from data.expectations import features
from domain.features import BY_NAME, FEATURES, Feature, FeatureType
from domain.validation import Check
from tests.data import judged

ROOT = Path(__file__).parents[2]
ROOMS = ("flows", "tasks", "domain", "segments", "data", "providers", "gateway", "cli")
AT = datetime(2026, 6, 1, tzinfo=UTC)
SANE = {FeatureType.COUNT: 1, FeatureType.NUMBER: 0.5, FeatureType.MONEY: 9.99, FeatureType.INSTANT: AT}


def _sane_value(feature: Feature):
    value = SANE.get(feature.type, "x")
    return value if feature.minimum is None else max(value, feature.minimum)


def sane(customers: int = 30, features=FEATURES) -> pd.DataFrame:
    columns = {feature.name: [_sane_value(feature)] * customers for feature in features}
    frame = pd.DataFrame({"party_id": range(100, 100 + customers), **columns})
    return frame.astype({feature.name: feature.type.dtype for feature in features})


def only(name: str) -> pd.DataFrame:
    return sane(features=[BY_NAME[name]])


def failures(frame: pd.DataFrame) -> tuple[Check, ...]:
    """Of the columns that the frame has."""
    return judged.of_features(frame, [name for name in frame.columns if name != "party_id"]).failures()


def only_failure(frame: pd.DataFrame) -> Check:
    (failure,) = failures(frame)
    return failure


def test_great_expectations_is_paid_for_by_those_who_validate_only() -> None:
    """Four seconds and 200 MB: one module imports it, and nobody imports that module at the top."""
    importers, early = set(), set()
    for path in (file for room in ROOMS for file in (ROOT / room).rglob("*.py")):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                text = ast.unparse(node)
                importers |= {str(path.relative_to(ROOT))} if "great_expectations" in text else set()
                at_top = node in tree.body and "data.expectations" in text and "gate" in text
                early |= {str(path.relative_to(ROOT))} if at_top else set()
    assert importers == {"data/expectations/gate.py"}
    assert early == set()


def test_a_sane_frame_passes_every_rule_of_the_contract() -> None:
    validation = judged.of_features(sane())
    assert validation.passed, validation.failures()
    assert validation.gate == "features"
    sentences = " ".join(check.sentence for check in validation.checks)
    assert all(f"{feature.name} ({feature.meaning}) is a" in sentences for feature in FEATURES)
    assert "net_revenue (totals of counted orders less refunds and credits) is an amount of money" in sentences


def test_what_the_contract_lets_be_unknown_may_be_unknown() -> None:
    frame = sane()
    for feature in FEATURES:
        if feature.nullable:
            frame.loc[3:9, feature.name] = None
    assert judged.of_features(frame).passed


@pytest.mark.parametrize("feature", [feature for feature in FEATURES if not feature.nullable], ids=lambda f: f.name)
def test_what_must_be_known_is_missed(feature) -> None:
    frame = only(feature.name)
    frame[feature.name] = frame[feature.name].where(frame["party_id"] != 104)
    failure = next(check for check in failures(frame) if "is known" in check.sentence)
    assert failure.sentence == f"{feature.name} is known for every customer"
    assert (failure.failing_ids, failure.failing_count) == (("104",), 1)
    assert failure.observed == "1 of 30 customers fail"


@pytest.mark.parametrize(
    ("name", "value"),
    [(feature.name, feature.minimum - 1) for feature in FEATURES if feature.minimum is not None]
    + [(feature.name, feature.maximum + 1) for feature in FEATURES if feature.maximum is not None],
)
def test_a_value_out_of_bounds_is_found(name: str, value: float) -> None:
    frame, minimum = only(name), BY_NAME[name].minimum
    frame.loc[[2, 5], name] = int(value) if FeatureType.COUNT.dtype == str(frame[name].dtype) else value
    failure = only_failure(frame)
    assert failure.sentence.startswith(f"{name} is never below {minimum:g}")
    assert (failure.failing_ids, failure.failing_count) == (("102", "105"), 2)


@pytest.mark.parametrize(
    "feature",
    [one for one in FEATURES if one.type in {FeatureType.MONEY, FeatureType.NUMBER}],
    ids=lambda feature: feature.name,
)
@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_a_division_by_zero_is_found(feature, value: float) -> None:
    frame = only(feature.name)
    frame.loc[2, feature.name] = value
    assert only_failure(frame).failing_ids == ("102",)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_column_of_the_wrong_type_is_found(feature) -> None:
    frame = only(feature.name)
    frame[feature.name] = pd.Series([object()] * len(frame), dtype=object)
    failure = only_failure(frame)
    assert failure.sentence == f"{feature.name} ({feature.meaning}) is {features._WORDS[feature.type]}"
    assert failure.observed == "held as object"


def test_a_naive_instant_is_the_wrong_type() -> None:
    frame = only("first_order_at")
    frame["first_order_at"] = frame["first_order_at"].dt.tz_localize(None)
    assert only_failure(frame).sentence.endswith("is a point in time")


@pytest.mark.parametrize("place", [1, 7, 29], ids=["neighbours", "apart", "last"])
def test_a_customer_with_two_rows_is_found(place: int) -> None:
    frame = only("orders")
    frame.loc[place, "party_id"] = 100
    failure = only_failure(frame)
    assert failure.sentence == "Every customer has one row"
    assert (failure.failing_ids, failure.failing_count) == (("100", "100"), 2)


def test_columns_missing_and_surplus_are_named() -> None:
    frame = sane().drop(columns="orders_30d").assign(shoe_size=42)
    (failure,) = judged.of_features(frame).failures()
    assert failure.observed == "missing: orders_30d; not in it: shoe_size"
    assert not judged.of_features(sane().drop(columns="party_id")).passed


def test_the_run_has_judged_what_it_needs_and_no_more() -> None:
    frame = only("refund_rate")
    validation = judged.of_features(frame, ["refund_rate"])
    assert validation.passed
    assert {check.sentence.split()[0] for check in validation.checks} == {"The", "There", "Every", "refund_rate"}
    (failure,) = judged.of_features(frame.assign(orders=1), ["refund_rate"]).failures()
    assert failure.observed == "not in it: orders"
    assert judged.of_features(frame[["party_id"]], []).passed


def test_a_frame_of_nobody_fails() -> None:
    failure = only_failure(sane().head(0))
    assert (failure.sentence, failure.observed) == ("There are customers", "0 customers")


def test_only_a_sample_of_the_failing_ids_is_kept() -> None:
    failure = only_failure(sane(500, [BY_NAME["refund_rate"]]).assign(refund_rate=-1.0))
    assert failure.failing_count == 500
    assert failure.failing_ids == tuple(str(number) for number in range(100, 120))


def test_a_sample_comes_in_the_order_of_the_frame() -> None:
    frame = only("refund_rate").iloc[::-1].reset_index(drop=True)
    assert only_failure(frame.assign(refund_rate=-1.0)).failing_ids[:2] == ("129", "128")
