"""Conditions in words which a support agent can read out."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from domain.features import BY_NAME
from segments.conditions_of_code import Comparison, Leaf


def label(name: str) -> str:
    """What a feature is called in a sentence: its meaning, as far as that fits into one."""
    meaning = re.split(r"[:;,]", BY_NAME[name].meaning)[0].removeprefix("whole ").strip()
    if meaning.startswith(("the same", "its ", "the three")):
        windowed = re.sub(r"_(\d+)d$", r" in the last \1 days", name)
        return windowed.replace("_", " ")
    return meaning


def plain(value: Any) -> Any:
    """A value of a frame as Python's own; None where it is not known."""
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def shown(value: Any) -> str:
    """A value for people."""
    value = plain(value) if pd.api.types.is_scalar(value) else value
    if value is None:
        return "not known"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if value.tzinfo else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        short = f"{value:.4f}".rstrip("0").rstrip(".")
        return short if float(short) == round(value, 10) else repr(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(sorted(map(shown, value))) or "none"
    return str(value)


def leaf(one: Leaf, values: Mapping[str, Any], row: Any) -> str:
    """The condition, with the customer's values."""
    if one.comparison is not None:
        return _compared(one.comparison, values, row)
    told = ", ".join(f"{label(name)}: {_known(name, value)}" for name, value in values.items())
    return f"{one.source} ({told})" if told else one.source


def _known(name: str, value: Any) -> str:
    means = BY_NAME[name].null_means
    return f"not known ({means})" if value is None and means not in {"", "not known"} else shown(value)


def _compared(one: Comparison, values: Mapping[str, Any], row: Any) -> str:
    bounds = [_bound(value, source, row) for value, source in zip(one.values, one.sources, strict=True)]
    match one.operator:
        case "notna":
            must = "must be known"
        case "isna":
            must = "must not be known"
        case "between":
            must = f"must be between {bounds[0]} and {bounds[1]}, both included"
        case "isin":
            must = f"must be one of: {bounds[0]}"
        case "is" | "is not":
            must = f"must {'not ' if one.operator == 'is not' else ''}be {bounds[0]}"
        case _:
            must = f"must be {one.operator} {bounds[0]}"
    return f"{label(one.feature)}: {_known(one.feature, values[one.feature])}, {must}"


def _bound(value: Any, source: str, row: Any) -> str:
    own = value.loc[row] if isinstance(value, pd.Series) else value
    return f"{shown(own)} (reckoned: {source})" if source else shown(own)
