"""Parameters of a segment: what one may ask of it, such as which category."""

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import FunctionType
from typing import TypeAlias

Value: TypeAlias = str | int | float

_TYPES: Mapping[str, type[Value]] = {"str": str, "int": int, "float": float}
_WORDS = {str: "a text of one line", int: "a whole number, such as 3", float: "a number, such as 2.5"}
_LONGEST = 200
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,15}(\.[0-9]{0,15})?|\.[0-9]{1,15})")
_MOST = 10**9  # a database has no room for ten-thousandths of far more
# What a parameter of this name may be, wherever it is; any other number is 0 to _MOST, unless it says so at the end of its
# line of the docstring: "the season's first month, 1 to 12".
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "days": (0, 36_500),
    "share": (0, 1),
    "weekday": (1, 7),
    "hour": (0, 23),
    "month": (1, 12),
    "years": (0, 100),
    **dict.fromkeys(("orders", "categories", "channels"), (1, _MOST)),  # "at least none" is everybody
}
_SAID = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?) to (-?[0-9]+(?:\.[0-9]+)?)\)?$")
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}")
_CODES = {
    "country": (_COUNTRY, str.upper, "two letters of ISO 3166, such as DE"),
    "language": (_LANGUAGE, str.lower, "a code of ISO 639, such as de"),
}


class ArgumentError(ValueError):
    """A segment was asked with a wrong argument; the message says which, and what it must be."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One keyword-only argument of a segment's function. `meaning` is its line of the docstring."""

    name: str
    type: type[Value]
    default: Value
    meaning: str

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the most that a number may be: as its meaning ends with, or by its name."""
        if said := _SAID.search(self.meaning):
            return float(said[1]), float(said[2])
        return _BOUNDS.get(self.name, (0, _MOST))

    @property
    def is_share(self) -> bool:
        """Between nothing and all: it may be written in percent too."""
        return self.type is float and self.bounds == (0, 1)

    @property
    def must_be(self) -> str:
        """What an argument must be, in words."""
        if self.type is str:
            return _CODES[self.name][2] if self.name in _CODES else _WORDS[str]
        if self.is_share:
            return "a number from 0 to 1, such as 0.5 or 50%"
        least, most = self.bounds
        return f"{_WORDS[self.type].partition(',')[0]} from {least:,.15g} to {most:,.15g}"

    def read(self, given: object) -> Value | None:
        """The value, of text as a person writes it too; None where it may not be."""
        if self.type is str:
            return self._read_text(given)
        found = given
        if isinstance(given, str):
            text = given.strip()
            percent = self.is_share and text.endswith("%")
            digits = text.removesuffix("%").rstrip() if percent else text
            pattern = _WHOLE if self.type is int else _NUMBER
            if not pattern.fullmatch(digits):
                return None
            found = float(Decimal(digits) / 100) if percent else self.type(digits)
        if not _fits(self.type, found) or not isinstance(found, (int, float)):
            return None
        least, most = self.bounds
        return self.type(found) if least <= found <= most else None

    def _read_text(self, given: object) -> Value | None:
        if not isinstance(given, str) or not _fits(str, given):
            return None
        if self.name not in _CODES:
            return given
        pattern, spelt, _ = _CODES[self.name]
        return spelt(given.strip()) if pattern.fullmatch(given.strip()) else None


def of(function: FunctionType) -> tuple[tuple[Parameter, ...], list[str]]:
    """The parameters of a function, and what is wrong with how they are written."""
    found: list[Parameter] = []
    complaints: list[str] = []
    for one in inspect.signature(function).parameters.values():
        if one.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        kind = one.annotation if one.annotation in _TYPES.values() else _TYPES.get(str(one.annotation))
        meaning = _meaning(function, one.name)
        wrong = _complaints(one, kind, meaning)
        complaints += wrong
        if kind is None or wrong:
            continue
        made = Parameter(one.name, kind, kind(one.default), meaning)
        found.append(made)
        if one.default != "" and made.read(made.default) is None:  # no text: until one is chosen
            complaints.append(f"has a parameter {one.name!r} whose default is not {made.must_be}")
    return tuple(found), complaints


def _meaning(function: FunctionType, name: str) -> str:
    line = re.search(rf"^{name}:\s*(\S.*)$", inspect.getdoc(function) or "", re.MULTILINE)
    return line[1].strip() if line else ""


def _complaints(one: inspect.Parameter, kind: type[Value] | None, meaning: str) -> list[str]:
    complaints = []
    if kind is None:
        complaints.append(f"has a parameter {one.name!r} that is neither str nor int nor float: annotate it")
    if one.default is inspect.Parameter.empty:
        complaints.append(f"has a parameter {one.name!r} without a default: its examples and the form begin with it")
    elif kind is not None and not _fits(kind, one.default):
        complaints.append(f"has a parameter {one.name!r} whose default is not {_WORDS[kind]}")
    if not meaning:
        complaints.append(f"has no line '{one.name}: …' in its docstring that says what the parameter means")
    return complaints


def _fits(kind: type[Value], value: object) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return type(value) is kind and (not isinstance(value, str) or _one_line(value))


def _one_line(text: str) -> bool:
    return len(text) <= _LONGEST and text.isprintable()


def values(asked: str, parameters: Sequence[Parameter], arguments: Mapping[str, Value]) -> dict[str, Value]:
    """The arguments by name with their types, defaults where nothing is said. Raises ArgumentError.

    `asked`: who is asked, for the sentence. An argument is text as a person writes it, or a value of the type.
    """
    if unknown := [name for name in arguments if name not in {one.name for one in parameters}]:
        there = f"it has {', '.join(one.name for one in parameters)}" if parameters else "it has none"
        raise ArgumentError(f"segment {asked!r} has no parameter {' and '.join(map(repr, unknown))}: {there}")
    return {
        one.name: _value(asked, one, arguments[one.name]) if one.name in arguments else one.default
        for one in parameters
    }


def _value(asked: str, parameter: Parameter, given: Value) -> Value:
    """The value is not quoted in the sentence: nobody knows what was pasted into the field."""
    if (found := parameter.read(given)) is None:
        raise ArgumentError(
            f"parameter {parameter.name!r} of segment {asked!r} ({parameter.meaning}) must be {parameter.must_be}"
        )
    return found
