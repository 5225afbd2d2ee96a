"""The validation gate: Great Expectations judges, and the verdict is told in sentences.

The only module that imports great_expectations. That import costs four CPU seconds and 200 MB, so nothing may import
this module at its own top: import it inside the function that validates.

It judges aggregate rows only (a million rows for the price of one): orders and audience as the database counted them,
features as numpy did, drift as indices, a batch of intake as shares. Failing rows are found by our own masks and
bounded selects: GX's own COMPLETE result format took 31 s on bad data.
"""

import gc
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from data.expectations import audience, intake
from data.expectations.subject import Rule, Subject, no_faults
from data.intake.thresholds import Thresholds
from domain.gate_policy import GatePolicy
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


def check_audience(
    engine: sa.Engine,
    run_id: str,
    *,
    required_variables: Sequence[str],
    variable_columns: Mapping[str, sa.ColumnElement[Any]],
    previous_planned: int | None,
    shrink_percent: int,
    now: datetime,
    members: int = 0,
    trailing_members: Sequence[int] = (),
    least_members: int = GatePolicy.least_members,
) -> Validation:
    """Judge a frozen audience. Failing ids are party ids.

    `required_variables` are those for which the template has no fallback; `variable_columns` says where each comes
    from (parties, customer_features or accounts). `previous_planned`: the size of the campaign's last run, if any.
    `members`, `trailing_members`: the size of the segment now and at earlier times, if it is to be compared.
    """
    known = {name: variable_columns[name] for name in required_variables if name in variable_columns}
    unknown = [name for name in required_variables if name not in variable_columns]
    facts = audience.facts(engine, run_id, variables=known, now=now)
    facts.row.update(unknown_variables=len(unknown), members=members)
    planned = f"{facts.row['rows']:,} people"
    rules = [
        Rule("There is somebody to mail", "rows", minimum=1, observed=planned),
        *no_faults(facts, "people"),
        Rule(
            "The template asks for nothing that we do not know of customers",
            "unknown_variables",
            maximum=0,
            observed=f"no source for {', '.join(unknown)}" if unknown else "",
        ),
    ]
    if previous_planned:
        sentence = f"The audience is within {shrink_percent} % of the {previous_planned:,} people of the last run"
        rules.append(audience.band("rows", sentence, previous_planned, shrink_percent, planned))
    if usual := audience.usual_size(members, trailing_members, percent=shrink_percent, least=least_members):
        rules.append(usual)
    return judge(Subject("audience", facts.row, tuple(rules)))


def check_intake(*, orders: int, refused: int, fired: Mapping[str, int], thresholds: Thresholds) -> Validation:
    """Judge a batch of at least one order: the share that was refused, and the share on which each rule fired.

    It is asked for every batch, hence one definition for all and the cheapest expectation of one row: 4 ms of CPU and 2
    for each rule that fired and has a limit, where a new context and an expectation of values take 17 and 5.
    """
    limits = list(intake.limits(refused, fired, thresholds))
    rules = (
        Rule(
            limit.sentence,
            limit.column,
            maximum=limit.most,
            observed=intake.observed(limit.count, orders),
            failing_count=limit.count,
        )
        for limit in limits
    )
    row = {limit.column: limit.count / orders for limit in limits}
    return judge(Subject("intake", row, tuple(rules)), _definition_of_intake())


def judge(subject: Subject, definition: Any = None) -> Validation:
    """Let GX validate the whole suite at once, and tell each result in our words.

    `definition`: one that is used again.
    """
    with _ONE_AT_A_TIME:
        definition = definition or _definition(_context(), subject.gate)  # before the suite, which asks for a context
        batch = definition.get_batch({"dataframe": _frame(subject)})
        results = batch.validate(_suite(subject), result_format=_RESULT_FORMAT).results
    return _told(subject, results)


def judge_with_docs(subjects: Sequence[Subject], folder: Path) -> list[Validation]:
    """Judge, and write Data Docs to the folder: index.html there opens in a browser without a server.

    They hold counts, bounds and names of columns. No row of anybody, and no id, ever reaches them. Pages of the same
    names are replaced, and whatever else is in the folder stays: GX itself would empty it.
    """
    with _ONE_AT_A_TIME, tempfile.TemporaryDirectory() as site:
        context = _context()
        backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": site}
        context.add_data_docs_site("docs", {"class_name": "SiteBuilder", "store_backend": backend})
        found = [_told(subject, _kept(context, subject).results) for subject in subjects]
        context.build_data_docs(site_names=["docs"])
        for page in (page for page in Path(site).rglob("*") if page.is_file()):
            place = folder / page.relative_to(site)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(page, place)
    return found


def _kept(context: Any, subject: Subject) -> Any:
    """Validate so that the context keeps suite and result."""
    suite = context.suites.add(_suite(subject))
    definition = gx.ValidationDefinition(name=subject.gate, data=_definition(context, subject.gate), suite=suite)
    kept = context.validation_definitions.add(definition)
    return kept.run(batch_parameters={"dataframe": _frame(subject)}, result_format=_RESULT_FORMAT)


def _context() -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _definition(context: Any, name: str) -> Any:
    """A place in GX to which a frame can be given."""
    asset = context.data_sources.add_pandas(f"{name}_rows").add_dataframe_asset(name)
    return asset.add_batch_definition_whole_dataframe("whole")


@lru_cache(maxsize=1)
def _definition_of_intake() -> Any:
    return _definition(_context(), "intake")


def _frame(subject: Subject) -> pd.DataFrame:
    return pd.DataFrame([{rule.column: subject.row[rule.column] for rule in subject.rules}])


def _suite(subject: Subject) -> Any:
    suite = gx.ExpectationSuite(name=subject.gate)
    for number, rule in enumerate(subject.rules):
        expectation = _expectation(rule)
        expectation.meta, expectation.description = {"rule": number}, rule.sentence
        suite.add_expectation(expectation)
    return suite


def _expectation(rule: Rule) -> Any:
    """The cheapest one of a single row."""
    if rule.among:
        return gxe.ExpectColumnDistinctValuesToBeInSet(column=rule.column, value_set=list(rule.among))
    if rule.minimum is None:
        return gxe.ExpectColumnMaxToBeBetween(column=rule.column, max_value=rule.maximum)
    if rule.maximum is None:
        return gxe.ExpectColumnMinToBeBetween(column=rule.column, min_value=rule.minimum)
    return gxe.ExpectColumnMaxToBeBetween(column=rule.column, min_value=rule.minimum, max_value=rule.maximum)


def _told(subject: Subject, results: Sequence[Any]) -> Validation:
    passed = {result.expectation_config.meta["rule"]: bool(result.success) for result in results}
    return Validation(subject.gate, tuple(_check(rule, passed[number]) for number, rule in enumerate(subject.rules)))


def _check(rule: Rule, passed: bool) -> Check:
    if passed:
        return Check(rule.sentence, passed, rule.observed)
    return Check(rule.sentence, passed, rule.observed, rule.failing_ids, rule.failing_count)
