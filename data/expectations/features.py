"""What must hold of a frame of features, generated from their contract, as one aggregate row.

Each column is looked through a few times by numpy, and row by row only where a rule fails: expectations of Great
Expectations on the values of a million rows take seconds for a few columns, and there are some fifty.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.expectations.conditions import SAMPLE
from data.expectations.subject import Rule, Subject
from domain.features import BY_NAME, Feature, FeatureType

_WORDS = {
    FeatureType.COUNT: "a whole number",
    FeatureType.NUMBER: "a number",
    FeatureType.MONEY: "an amount of money",
    FeatureType.INSTANT: "a point in time",
    FeatureType.TEXT: "a text",
}
_HIGHEST = sys.float_info.max  # what is above or below is infinite
_FINITE = {FeatureType.NUMBER, FeatureType.MONEY}


def subject(frame: pd.DataFrame, columns: Sequence[str]) -> Subject:
    """party_id and these columns of the contract. Failing ids are party ids."""
    wanted = ["party_id", *columns]
    row: dict[str, Any] = {"rows": len(frame)}
    rules = [
        _columns(frame, wanted, row),
        Rule("There are customers", "rows", minimum=1, observed=f"{len(frame):,} customers"),
    ]
    if "party_id" in frame.columns:
        rules.append(_once(frame, row))
        for name in columns:
            if name in frame.columns:
                rules += _of_feature(frame, BY_NAME[name], row)
    return Subject("features", row, tuple(rules))


def _columns(frame: pd.DataFrame, wanted: Sequence[str], row: dict[str, Any]) -> Rule:
    missing = [name for name in wanted if name not in frame.columns]
    surplus = [str(name) for name in frame.columns if name not in wanted]
    found = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"not in it: {', '.join(surplus)}"] * bool(surplus)
    row["columns: amiss"] = len(missing) + len(surplus)
    sentence = "The frame has exactly the columns of the feature contract that were asked for"
    return Rule(sentence, "columns: amiss", maximum=0, observed="; ".join(found))


def _once(frame: pd.DataFrame, row: dict[str, Any]) -> Rule:
    ids = frame["party_id"].to_numpy()
    # Frames come in the order of their ids: then equal ones are neighbours.
    ordered = ids if (ids[1:] >= ids[:-1]).all() else np.sort(ids)
    twice = bool((ordered[1:] == ordered[:-1]).any())
    faulty = frame["party_id"].duplicated(keep=False).to_numpy() if twice else np.zeros(len(ids), bool)
    return _counted("Every customer has one row", "party_id: more than once", faulty, frame, row)


def _of_feature(frame: pd.DataFrame, feature: Feature, row: dict[str, Any]) -> Iterator[Rule]:
    """Type, null rule and bounds, as the contract says them."""
    name, values = feature.name, frame[feature.name]
    held = f"{name}: held as"
    row[held] = str(values.dtype)
    yield Rule(
        f"{name} ({feature.meaning}) is {_WORDS[feature.type]}",
        held,
        among=(feature.type.dtype,),
        observed=f"held as {values.dtype}",
    )
    if not feature.nullable:
        yield _counted(f"{name} is known for every customer", f"{name}: unknown", _unknown(values), frame, row)
    # Bounds of a column of the wrong type mean nothing; the rule of the type fails already.
    if (sentence := _bounds(feature)) and pd.api.types.is_numeric_dtype(values.dtype):
        low = -_HIGHEST if feature.minimum is None else feature.minimum
        high = _HIGHEST if feature.maximum is None else feature.maximum
        yield _counted(sentence, f"{name}: out of bounds", _outside(values.to_numpy(), low, high), frame, row)


def _bounds(feature: Feature) -> str:
    """The rule of the bounds in words; empty where any value will do."""
    said = [f"never below {feature.minimum:g}"] if feature.minimum is not None else []
    if feature.maximum is not None:
        said.append(f"never above {feature.maximum:g}")
    elif feature.type in _FINITE:
        said.append("finite")
    return f"{feature.name} is {' and '.join(said)}" if said else ""


def _unknown(values: "pd.Series[Any]") -> npt.NDArray[np.bool_]:
    if values.dtype.kind in "iub":
        return np.zeros(len(values), bool)
    return values.isna().to_numpy()


def _outside(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.bool_]:
    """Unknown values are inside: comparisons with them are false."""
    faulty: npt.NDArray[np.bool_] = (values < low) | (values > high)
    return faulty


def _counted(
    sentence: str, column: str, faulty: npt.NDArray[np.bool_], frame: pd.DataFrame, row: dict[str, Any]
) -> Rule:
    row[column] = count = int(np.count_nonzero(faulty))
    sample = frame["party_id"].to_numpy()[np.flatnonzero(faulty)[:SAMPLE]] if count else ()
    return Rule(
        sentence,
        column,
        maximum=0,
        observed=f"{count:,} of {len(frame):,} customers fail" if count else "",
        failing_ids=tuple(str(party_id) for party_id in sample),
        failing_count=count,
    )
