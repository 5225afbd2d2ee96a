"""Conditions in words which a support agent can read out."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from domain import money
from domain.features import BY_NAME, FeatureType
from segments.conditions_of_code import Comparison, Leaf, Quantile

_FEW = 6  # values that one can still read out
_SAME = 1e-9  # of an amount: what floats differ by
_HALF = 0.5
_PARTS = {0.01: "hundredth", 0.05: "twentieth", 0.1: "tenth", 0.2: "fifth", 0.25: "quarter", 0.3333: "third"}


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


def stop_less(sentence: str) -> str:
    """A description as the beginning of a line that goes on."""
    return sentence.strip().removesuffix(".")


def leaf(one: Leaf, values: Mapping[str, Any], row: Any, currency: str = "") -> str:
    """The condition, with the customer's values. `currency`: of amounts of money; empty where it need not be said."""
    if one.comparison is not None:
        return _compared(one.comparison, values, row, currency)
    told = ", ".join(f"{label(name)}: {_known(name, value, currency)}" for name, value in values.items())
    return f"a condition reckoned from {told}" if told else "a condition that is the same for every customer"


def _known(name: str, value: Any, currency: str) -> str:
    means = BY_NAME[name].null_means
    if value is None and means not in {"", "not known"}:
        return f"not known ({means})"
    return _amount(value, currency) if BY_NAME[name].type is FeatureType.MONEY else shown(value)


def _amount(value: Any, currency: str) -> str:
    """In full where rounding would change it: a bound must not look as if it were reached."""
    if not currency or not isinstance(value, (int, float)):
        return shown(value)
    places = money.digits(currency)
    exact = abs(round(value, places) - value) < _SAME
    return f"{value:.{places}f} {currency}" if exact else f"{shown(value)} {currency}"


def _compared(one: Comparison, values: Mapping[str, Any], row: Any, currency: str) -> str:
    value = values[one.feature]
    if one.operator == "isin":
        return _among(one, value, row, currency)
    bounds = [_bound(one, number, row, currency) for number in range(len(one.bounds))]
    match one.operator:
        case "notna":
            must = "must be known"
        case "isna":
            must = "must not be known"
        case "between":
            must = f"must be between {bounds[0]} and {bounds[1]}, both included"
        case "is" | "is not":
            must = f"must {'not ' if one.operator == 'is not' else ''}be {bounds[0]}"
        case _:
            must = f"must be {one.operator} {bounds[0]}"
    return f"{label(one.feature)}: {_known(one.feature, value, currency)}, {must}"


def _among(one: Comparison, value: Any, row: Any, currency: str) -> str:
    among = _own(one.bounds[0], row)
    if one.feature == "rfm" and value is not None:
        which = "which is" if value in among else "which must be"
        return f"RFM scores {'-'.join(str(int(value)))} (recency, frequency, money), {which} one of this group's"
    few = f"one of: {shown(among)}" if len(among) <= _FEW else f"one of {len(among)} values"
    return f"{label(one.feature)}: {_known(one.feature, value, currency)}, must be {few}"


def _own(value: Any, row: Any) -> Any:
    return value.loc[row] if isinstance(value, pd.Series) else value


def _bound(one: Comparison, number: int, row: Any, currency: str) -> str:
    own, quantile = plain(_own(one.bounds[number], row)), one.quantiles[number]
    told = _amount(own, currency) if BY_NAME[one.feature].type is FeatureType.MONEY else shown(own)
    return told if quantile is None else f"{told}, {_place(quantile, one.operator)}"


def _place(quantile: Quantile, operator: str) -> str:
    """`the bound of the shop's top tenth`."""
    whose, of = ("the shop's ", "") if quantile.of_shop else ("the ", " of those whom it compares")
    share = quantile.share
    if share == _HALF:
        half = {"at most": "lower", "less than": "lower", "at least": "upper", "more than": "upper"}.get(operator)
        return f"the bound of {whose}{half} half{of}" if half else f"{whose}median{of}"
    if share in {0, 1}:
        return f"{whose}{'largest' if share else 'smallest'} value{of}"
    side, part = ("top", 1 - share) if share > _HALF else ("bottom", share)
    words = _PARTS.get(round(part, 4)) or f"{shown(round(100 * part, 4))} percent"
    return f"the bound of {whose}{side} {words}{of}"
