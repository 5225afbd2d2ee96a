"""Parameters of a segment: what one may ask of it, such as which category."""

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import TypeAlias

Value: TypeAlias = str | int | float

_TYPES: Mapping[str, type[Value]] = {"str": str, "int": int, "float": float}
_WORDS = {str: "a text of one line", int: "a whole number, such as 3", float: "a number, such as 2.5"}
_LONGEST = 200
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,15}(\.[0-9]{0,15})?|\.[0-9]{1,15})")


class ArgumentError(ValueError):
    """A segment was asked with a wrong argument; the message says which, and what it must be."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One keyword-only argument of a segment's function. `meaning` is its line of the docstring."""

    name: str
    type: type[Value]
    default: Value
    meaning: str


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
        if kind is not None and not wrong:
            found.append(Parameter(one.name, kind, kind(one.default), meaning))
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
    found: Value | None = given if _fits(parameter.type, given) else None
    if isinstance(given, str) and parameter.type is not str:
        pattern = _WHOLE if parameter.type is int else _NUMBER
        found = parameter.type(given.strip()) if pattern.fullmatch(given.strip()) else None
    if found is None:
        raise ArgumentError(
            f"parameter {parameter.name!r} of segment {asked!r} ({parameter.meaning}) must be {_WORDS[parameter.type]}"
        )
    return parameter.type(found)
