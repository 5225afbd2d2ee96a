"""The decorator by which a function becomes a segment, and the list of all that there are."""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import cast

import segments
from segments.definition import DefinitionError, Example, Members, Predicate, Segment, define

__all__ = ["Members", "UnknownSegment", "get", "load", "segment"]

_segments: dict[str, Segment] = {}


class UnknownSegment(LookupError):
    """No segment of that name; the message offers the nearest."""


def segment(
    name: str, *, owner: str, needs: Iterable[str], inside: Iterable[Example], outside: Iterable[Example]
) -> Callable[[Predicate], Predicate]:
    """Register a pure function (customers, as_of) -> one boolean a customer. docs/add-a-segment.md shows how.

    `needs` are columns of domain/features.py, and the function sees no others. `inside` and `outside` are example
    customers that must be in and out; a test runs them. Raises DefinitionError.
    """

    def register(function: Predicate) -> Predicate:
        made = define(
            cast("FunctionType", function), name=name, owner=owner, needs=needs, inside=inside, outside=outside
        )
        if (other := _segments.get(name)) is not None:
            raise DefinitionError(
                f"{made.file}:{made.line}: there is a segment {name!r} already, in {other.file}:{other.line}"
            )
        _segments[name] = made
        return function

    return register


def load() -> dict[str, Segment]:
    """All segments by name, in alphabetical order: every module of this room is imported once."""
    for module in pkgutil.iter_modules(segments.__path__):
        importlib.import_module(f"{segments.__name__}.{module.name}")
    return dict(sorted(_segments.items()))


def get(name: str) -> Segment:
    """One segment. Raises UnknownSegment."""
    every = load()
    if name not in every:
        near = difflib.get_close_matches(name, every, 3)
        hint = f": did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(every)}"
        raise UnknownSegment(f"there is no segment {name!r}{hint}")
    return every[name]
