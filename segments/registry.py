"""The decorator by which a function becomes a segment, and the list of all that there are."""

import difflib
import importlib
import importlib.util
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

import segments
from segments import checks, examples, expression
from segments.combined import CombinedSegment, combine
from segments.definition import Example, Members, Segment, place_of
from segments.expression import Expression, ExpressionError, Named
from segments.faults import DefinitionError
from segments.parameters import ArgumentError

__all__ = [
    "Fault",
    "Members",
    "UnknownSegment",
    "combined",
    "failing",
    "faults",
    "get",
    "load",
    "parse",
    "segment",
    "written",
]

Function = TypeVar("Function", bound=Callable[..., Any])


class UnknownSegment(LookupError):
    """No segment of that name; the message offers the nearest."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A definition, or a whole file, that cannot be used. `sentence` names file and line."""

    file: str
    sentence: str
    name: str | None = None  # None: of a file


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    owner: str
    description: str
    expression: Expression
    file: str
    line: int


@dataclass(slots=True)
class _Room:
    """What the files of this room have told so far."""

    sound: dict[str, Segment] = field(default_factory=dict)
    rules: dict[str, _Rule] = field(default_factory=dict)  # combined ones whose parts were not looked up yet
    faults: list[Fault] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)  # modules
    failing: dict[str, Segment] = field(default_factory=dict)  # well written, but not what their examples say
    judged: set[str] = field(default_factory=set)  # names whose examples were put to the test


_room = _Room()


def segment(
    name: str,
    *,
    owner: str = "",  # has to be said, as the examples have: what is missing is a fault of this one, not of its file
    needs: Iterable[str] = (),
    inside: Iterable[Example] = (),
    outside: Iterable[Example] = (),
) -> Callable[[Function], Function]:
    """Make a segment of a pure function. docs/add-a-segment.md shows how.

    Of `(customers, as_of)`: a frame of the columns that it `needs`, to one boolean a customer. Of `(shop, as_of)`: to a
    select of party ids. Arguments behind a `*` are its parameters. `inside` and `outside` are example customers.
    What is wrong is kept as a fault, so that one definition does not take the others with it: `get` raises it.
    """

    def register(function: Function) -> Function:
        plain = cast("FunctionType", function)
        file, line = place_of(plain.__code__.co_filename), plain.__code__.co_firstlineno
        try:
            made = checks.define(plain, name=name, owner=owner, needs=needs, inside=inside, outside=outside)
        except DefinitionError as error:
            _room.faults.append(Fault(file, str(error), name))
        else:
            if _is_new(name, file, line):
                _room.sound[name] = made
        return function

    return register


def combined(name: str, *, owner: str = "", rule: str = "", description: str = "") -> None:
    """A segment made of others: `vip and not high-refunders`, with brackets, or, and `category-fans(category="books")`.

    What is wrong is kept as a fault: `get` raises it.
    """
    caller = sys._getframe(1)
    file, line = place_of(caller.f_code.co_filename), caller.f_lineno
    complaints = checks.complaints_of_words(name, owner)
    if not description.strip():
        complaints.append("has no description: it is what a marketer chooses by")
    try:
        read = expression.parse(rule)
    except ExpressionError as error:
        complaints.append(f"has a rule that cannot be read: {error}")
    if complaints:
        _room.faults.append(Fault(file, f"{file}:{line}: segment {name!r} {'; it '.join(complaints)}", name))
    elif _is_new(name, file, line):
        _room.rules[name] = _Rule(name, owner, description, read, file, line)


def _is_new(name: str, file: str, line: int) -> bool:
    """Of two segments of one name neither counts: nobody could say which one was meant."""
    other = _room.sound.pop(name, None) or _room.rules.pop(name, None)
    if other is not None:
        places = f"{other.file}:{other.line} and {file}:{line}"
        _room.faults.append(Fault(file, f"two segments are called {name!r}: {places}; rename one of them", name))
    return other is None and not any(fault.name == name for fault in _room.faults)


def load() -> dict[str, Segment]:
    """All sound segments by name, in alphabetical order: every module of this room is imported once.

    Those over the frame are put to the test of their own examples, once in a process; those that look through orders
    need a shop for that, and are judged by `campaigns segments check` and the tests. What is wrong is told by `faults`.
    """
    for module in pkgutil.iter_modules(segments.__path__):
        name = f"{segments.__name__}.{module.name}"
        if name not in sys.modules and name not in _room.unreadable:
            _read(name)
    for name in _room.sound.keys() - _room.judged:
        _judge(_room.sound[name])
    for name in list(_room.rules):
        if name in _room.rules:
            _settle(name)
    return dict(sorted(_room.sound.items()))


def faults() -> tuple[Fault, ...]:
    """What is wrong in this room, by file."""
    load()
    return tuple(sorted(_room.faults, key=lambda fault: (fault.file, fault.sentence)))


def failing() -> dict[str, Segment]:
    """Segments that are not what their own examples say, by name: nobody can use them until that is mended."""
    load()
    return dict(_room.failing)


def _judge(one: Segment) -> None:
    _room.judged.add(one.name)
    if complaints := examples.judged(one, None).complaints:
        _room.failing[one.name] = _room.sound.pop(one.name)
        _room.faults += [Fault(one.file, sentence, one.name) for sentence in complaints]


def _read(name: str) -> None:
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (a file may do anything when it is read; others go on)
        _room.unreadable.add(name)
        spec = importlib.util.find_spec(name)
        path = str(spec.origin) if spec is not None else name
        file = place_of(path)
        for told in (_room.sound, _room.rules):
            for lost in [one.name for one in told.values() if one.file == file]:
                del told[lost]
        said = error.msg if isinstance(error, SyntaxError) else error
        _room.faults.append(Fault(file, f"{file}:{_line(path, error)}: {type(error).__name__}: {said}"))


def _line(path: str, error: BaseException) -> int:
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno or 1
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == path]
    return (lines[-1] if lines else None) or 1


def _settle(name: str) -> None:
    """Combined ones are made once all files are read: their parts may stand in any of them."""
    rule = _room.rules[name]
    try:
        _made(rule, ())
    except (DefinitionError, UnknownSegment, ArgumentError) as error:
        del _room.rules[name]
        _room.faults.append(Fault(rule.file, f"{rule.file}:{rule.line}: segment {name!r}: {error}", name))


def _made(rule: _Rule, within: tuple[str, ...]) -> Segment:
    path = (*within, rule.name)
    if rule.name in within:
        raise DefinitionError(f"it is made of itself: {' → '.join(path[path.index(rule.name) :])}")

    def find(part: str) -> Segment:
        return _made(_room.rules[part], path) if part in _room.rules else _find(part)

    made = combine(
        rule.expression,
        find,
        name=rule.name,
        owner=rule.owner,
        description=rule.description,
        file=rule.file,
        line=rule.line,
    )
    _room.sound[rule.name] = made
    del _room.rules[rule.name]
    return made


def get(name: str) -> Segment:
    """One segment. Raises UnknownSegment, or DefinitionError with what is wrong with it."""
    load()
    return _find(name)


def written(name: str) -> Segment:
    """The same, though its examples fail: for those who put it to the test. Raises what `get` raises otherwise."""
    load()
    return _room.failing.get(name) or get(name)


def _find(name: str) -> Segment:
    if name in _room.sound:
        return _room.sound[name]
    told = [fault.sentence for fault in _room.faults if fault.name == name or _may_hold(fault, name)]
    if told:
        raise DefinitionError("; ".join(told))
    small = name.casefold()
    near = [small] if small in _room.sound else difflib.get_close_matches(small, _room.sound, 3)
    hint = f": did you mean {' or '.join(near)}?" if near else "; `campaigns segments list` has all"
    raise UnknownSegment(f"there is no segment {name!r}{hint}")


def _may_hold(fault: Fault, name: str) -> bool:
    """Whether a file that cannot be read says the name."""
    path = Path(segments.__path__[0]).parent / fault.file
    text = path.read_text("utf-8", "replace") if fault.name is None and path.is_file() else ""
    return re.search(rf"""["']{re.escape(name)}["']""", text) is not None


def parse(text: str) -> Segment:
    """The segment that a name or an expression is: `vip`, or `vip and not category-fans(category="books")`.

    Raises ExpressionError, UnknownSegment, DefinitionError, ArgumentError.
    """
    read = expression.parse(text)
    if isinstance(read, Named) and not read.arguments:
        return get(read.name)
    load()
    return _unnamed(read)


def _unnamed(read: Expression) -> CombinedSegment:
    words = str(read)
    return combine(read, _find, name=words, owner="whoever wrote it", description=words, file="an expression", line=1)
