"""The validation gate: Great Expectations judges, and the verdict is told in sentences.

The only module that imports great_expectations. That import costs four CPU seconds and 200 MB, so nothing may import
this module at its own top: import it inside the function that validates.

Orders and audience are judged on one aggregate row that the database counted (a million rows for the price of one), a
batch of intake on one row of shares, features on their frame by expectations generated from domain/features.py. Failing
rows are found by our own masks and bounded selects: GX's own COMPLETE result format took 31 s on bad data.
"""

import gc
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

import pandas as pd
import sqlalchemy as sa

from data import database
from data.expectations import audience, intake, orders
from data.expectations.conditions import SAMPLE, Facts
from data.intake.thresholds import Thresholds
from domain.features import FEATURES, Feature, FeatureType
from domain.validation import Check, Validation

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import; it would call home
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it imports sre_constants
    import great_expectations as gx
    from great_expectations import expectations as gxe
    from great_expectations.data_context.types.base import ProgressBarsConfig

# Its hundred thousands of objects live as long as the process: the collector need not look at them each time. A load of
# orders takes a tenth less CPU so.
gc.freeze()

# A frame belongs to a definition by the latter's name, so two threads in one would be told each other's results.
_ONE_AT_A_TIME = threading.Lock()
# No values in results: they would carry data into whatever keeps the result.
_RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}
_WORDS = {
    FeatureType.COUNT: "a whole number",
    FeatureType.NUMBER: "a number",
    FeatureType.MONEY: "an amount of money",
    FeatureType.INSTANT: "a point in time",
    FeatureType.TEXT: "a text",
}
# How GX names the types that the contract asks for.
_GX_TYPES = {
    FeatureType.COUNT: "int64",
    FeatureType.NUMBER: "float64",
    FeatureType.MONEY: "float64",
    FeatureType.INSTANT: "Timestamp",
    FeatureType.TEXT: "str",
}
_Failing = tuple[int, tuple[str, ...]]


def _nothing() -> _Failing:
    return 0, ()


@dataclass(frozen=True, slots=True)
class _Rule:
    """One expectation, its sentence, and how many rows fail, with a sample of their ids (asked only if it fails)."""

    sentence: str
    expectation: Any
    observed: str = ""
    failing: Callable[[], _Failing] = _nothing


def check_orders(engine: sa.Engine, *, account_id: str, now: datetime, newest_within_days: int) -> Validation:
    """Judge the orders of an account. Failing ids are channel and order number."""
    with database.read(engine) as connection:
        facts = orders.facts(connection, account_id=account_id, now=now)
    count, newest = facts.row["rows"], facts.row.pop("newest")
    rules = [
        _Rule("There are orders", _between("rows", minimum=1), f"{count:,} orders"),
        *_no_faults(facts, "orders"),
    ]
    if newest is not None:
        facts.row["newest_age_days"] = age = (now - newest).days
        sentence = f"Orders still arrive: the latest is at most {newest_within_days} days old"
        rules.append(_Rule(sentence, _between("newest_age_days", maximum=newest_within_days), f"{age} days old"))
    return _judge("orders", pd.DataFrame([facts.row]), rules)


def check_audience(
    engine: sa.Engine,
    run_id: str,
    *,
    required_variables: Sequence[str],
    variable_columns: Mapping[str, sa.ColumnElement[Any]],
    previous_planned: int | None,
    shrink_percent: int,
    now: datetime,
) -> Validation:
    """Judge a frozen audience. Failing ids are party ids.

    `required_variables` are those for which the template has no fallback; `variable_columns` says where each comes
    from (parties, customer_features or accounts). `previous_planned`: the size of the campaign's last run, if any.
    """
    known = {name: variable_columns[name] for name in required_variables if name in variable_columns}
    unknown = [name for name in required_variables if name not in variable_columns]
    facts = audience.facts(engine, run_id, variables=known, now=now)
    facts.row["unknown_variables"] = len(unknown)
    planned = f"{facts.row['rows']:,} people"
    rules = [
        _Rule("There is somebody to mail", _between("rows", minimum=1), planned),
        *_no_faults(facts, "people"),
        _Rule(
            "The template asks for nothing that we do not know of customers",
            _between("unknown_variables", maximum=0),
            f"no source for {', '.join(unknown)}" if unknown else "",
        ),
    ]
    if previous_planned:
        sentence = f"The audience is within {shrink_percent} % of the {previous_planned:,} people of the last run"
        slack = previous_planned * shrink_percent / 100
        band = _between("rows", minimum=previous_planned - slack, maximum=previous_planned + slack)
        rules.append(_Rule(sentence, band, planned))
    return _judge("audience", pd.DataFrame([facts.row]), rules)


def check_intake(*, orders: int, refused: int, fired: Mapping[str, int], thresholds: Thresholds) -> Validation:
    """Judge a batch of at least one order: the share that was refused, and the share on which each rule fired.

    It is asked for every batch, hence one definition for all and the cheapest expectation of one row: 4 ms of CPU and 2
    for each rule that fired and has a limit, where a new context and an expectation of values take 17 and 5.
    """
    limits = list(intake.limits(refused, fired, thresholds))
    frame = pd.DataFrame([{limit.column: limit.count / orders for limit in limits}])
    rules = [
        _Rule(
            limit.sentence,
            gxe.ExpectColumnMaxToBeBetween(column=limit.column, max_value=limit.most),
            intake.observed(limit.count, orders),
            partial(_as_found, limit.count, ()),
        )
        for limit in limits
    ]
    return _judge("intake", frame, rules, _definition_of_intake())


def check_features(frame: pd.DataFrame) -> Validation:
    """Judge a frame of features (party_id and all columns of the contract). Failing ids are party ids."""
    columns = ["party_id", *(feature.name for feature in FEATURES)]
    missing = [name for name in columns if name not in frame.columns]
    surplus = [str(name) for name in frame.columns if name not in columns]
    found = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"not in it: {', '.join(surplus)}"] * bool(surplus)
    rules = [
        _Rule(
            "The frame has exactly the columns of the feature contract",
            gxe.ExpectTableColumnsToMatchSet(column_set=columns, exact_match=True),
            "; ".join(found),
        ),
        _Rule("There are customers", gxe.ExpectTableRowCountToBeBetween(min_value=1), f"{len(frame):,} customers"),
    ]
    if "party_id" in frame.columns:
        rules.append(
            _Rule(
                "Every customer has one row",
                gxe.ExpectColumnValuesToBeUnique(column="party_id"),
                failing=_rows_where(frame, lambda column: column.duplicated(keep=False), "party_id"),
            )
        )
        present = (feature for feature in FEATURES if feature.name in frame.columns)
        rules += [rule for feature in present for rule in _of_feature(frame, feature)]
    return _judge("features", frame, rules)


def _of_feature(frame: pd.DataFrame, feature: Feature) -> Iterator[_Rule]:
    """Type, null rule and bounds, as the contract says them."""
    name, minimum, maximum = feature.name, feature.minimum, feature.maximum
    yield _Rule(
        f"{name} ({feature.meaning}) is {_WORDS[feature.type]}",
        gxe.ExpectColumnValuesToBeOfType(column=name, type_=_GX_TYPES[feature.type]),
        f"held as {frame[name].dtype}",
    )
    if not feature.nullable:
        yield _Rule(
            f"{name} is known for every customer",
            gxe.ExpectColumnValuesToNotBeNull(column=name),
            failing=_rows_where(frame, pd.Series.isna, name),
        )
    # Bounds of a column of the wrong type mean nothing; the rule of the type fails already.
    if (minimum is not None or maximum is not None) and pd.api.types.is_numeric_dtype(frame[name]):
        low = float("-inf") if minimum is None else minimum
        high = float("inf") if maximum is None else maximum
        yield _Rule(
            f"{name} is never below {low:g}" + (f" and never above {high:g}" if maximum is not None else ""),
            _between(name, minimum=minimum, maximum=maximum),
            failing=_rows_where(frame, lambda column: (column < low) | (column > high), name),
        )


def _rows_where(
    frame: pd.DataFrame, is_faulty: Callable[["pd.Series[Any]"], "pd.Series[bool]"], column: str
) -> Callable[[], _Failing]:
    def failing() -> _Failing:
        faulty = frame["party_id"][is_faulty(frame[column])]
        return len(faulty), tuple(str(party_id) for party_id in faulty.head(SAMPLE))

    return failing


def _no_faults(facts: Facts, noun: str) -> Iterator[_Rule]:
    for name, sentence in facts.sentences.items():
        count, sample = facts.row[name], facts.samples.get(name, ())
        observed = f"{count:,} of {facts.row['rows']:,} {noun} fail" if count else ""
        yield _Rule(sentence, _between(name, maximum=0), observed, partial(_as_found, count, sample))


def _as_found(count: int, sample: tuple[str, ...]) -> _Failing:
    return count, sample


def _between(column: str, *, minimum: float | None = None, maximum: float | None = None) -> Any:
    return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=minimum, max_value=maximum)


def _definition(name: str) -> Any:
    """A place in GX to which a frame can be given."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("memory").add_dataframe_asset(name)
    return asset.add_batch_definition_whole_dataframe("whole")


@lru_cache(maxsize=1)
def _definition_of_intake() -> Any:
    return _definition("intake")


def _judge(gate: str, frame: pd.DataFrame, rules: Sequence[_Rule], definition: Any = None) -> Validation:
    """Let GX validate the whole suite at once, and tell each result in our words.

    `definition`: one that is used again. It holds on to its last frame, so large ones get a new one.
    """
    with _ONE_AT_A_TIME:
        definition = definition or _definition(gate)  # before the suite, which asks for a context
        suite = gx.ExpectationSuite(name=gate)
        for number, rule in enumerate(rules):
            rule.expectation.meta = {"rule": number}
            suite.add_expectation(rule.expectation)
        batch = definition.get_batch({"dataframe": frame})
        results = batch.validate(suite, result_format=_RESULT_FORMAT).results
    passed = {result.expectation_config.meta["rule"]: bool(result.success) for result in results}
    return Validation(gate, tuple(_told(rule, passed[number], len(frame)) for number, rule in enumerate(rules)))


def _told(rule: _Rule, passed: bool, rows: int) -> Check:
    count, ids = (0, ()) if passed else rule.failing()
    observed = rule.observed or (f"{count:,} of {rows:,} customers fail" if count else "")
    return Check(rule.sentence, passed, observed, failing_ids=ids, failing_count=count)
