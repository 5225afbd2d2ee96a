"""The examples of a segment put to the test: who should be in is in, and who should be out is out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from domain.example_orders import ExampleOrder, order_of
from segments.definition import Example, FrameSegment, Segment, SelectSegment
from segments.faults import EvaluationError
from segments.population import Population

AS_OF = datetime(2026, 6, 15, 12, tzinfo=UTC)
TO_FILL_IN = "FILL IN"

# Opens a small shop of these customers, each a list of orders, as of an instant; their party ids are 1, 2, 3 and so on.
OpenShop: TypeAlias = Callable[[Sequence[Sequence[ExampleOrder]], datetime], AbstractContextManager[Population]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a segment said of one of its examples. `number` counts from 1 on each side."""

    example: Example
    number: int
    should_be_in: bool
    is_in: bool

    @property
    def is_right(self) -> bool:
        """Whether the segment and its author agree."""
        return self.is_in is self.should_be_in

    def __str__(self) -> str:
        side, said = ("inside", "in") if self.should_be_in else ("outside", "out")
        told = "is" if self.is_right else f"should be {said}, but is {'in' if self.is_in else 'out'}"
        return f"example {self.number} of {side} {told}{f' {said}' if self.is_right else ''}: {in_words(self.example)}"


@dataclass(frozen=True, slots=True)
class Judged:
    """All verdicts of a segment, and what is not right yet: sentences with file and line."""

    verdicts: tuple[Verdict, ...]
    complaints: tuple[str, ...]


def judged(segment: Segment, open_shop: OpenShop | None) -> Judged:
    """Put a segment's examples to the test. What it fails with is a complaint too.

    Without a shop those of a segment that looks through orders are left out.
    """
    try:
        found = tuple(verdicts(segment, open_shop))
    except EvaluationError as error:
        return Judged((), (str(error),))
    wrong = [str(verdict) for verdict in found if not verdict.is_right]
    if segment.description.startswith(TO_FILL_IN):
        wrong.append("the first line of its docstring is still to be filled in: a marketer chooses by it")
    wrong += [
        f"the meaning of parameter {one.name!r} is still to be filled in"
        for one in segment.parameters
        if one.meaning.startswith(TO_FILL_IN)
    ]
    return Judged(found, tuple(f"{segment.file}:{segment.line}: segment {segment.name!r}: {one}" for one in wrong))


def verdicts(segment: Segment, open_shop: OpenShop | None) -> list[Verdict]:
    """All examples, those inside first. A combined segment has none: its parts have. Raises EvaluationError."""
    examples = [*segment.inside, *segment.outside]
    if isinstance(segment, FrameSegment):
        answers = _of_frame(segment, examples)
    elif isinstance(segment, SelectSegment) and open_shop is not None:
        answers = _of_select(segment, examples, open_shop)
    else:
        return []
    count = len(segment.inside)
    return [
        Verdict(example, place + 1 if place < count else place - count + 1, place < count, is_in)
        for place, (example, is_in) in enumerate(zip(examples, answers, strict=True))
    ]


def _of_frame(segment: FrameSegment, examples: Sequence[Example]) -> list[bool]:
    """Together, those with the same arguments: a segment may compare customers with each other."""
    answers = [False] * len(examples)
    for arguments, places in _by_arguments(examples):
        frame = segment.frame([examples[place] for place in places])
        for place, is_in in zip(places, segment.evaluate(frame, AS_OF, arguments).tolist(), strict=True):
            answers[place] = is_in
    return answers


def _of_select(segment: SelectSegment, examples: Sequence[Example], open_shop: OpenShop) -> list[bool]:
    answers = [False] * len(examples)
    customers = [[order_of(order) for order in _orders(example)] for example in examples]
    with open_shop(customers, AS_OF) as population:
        ids = population.frame(())["party_id"]
        for arguments, places in _by_arguments(examples):
            chosen = set(ids[segment.members(population, arguments)])
            for place in places:
                answers[place] = place + 1 in chosen
    return answers


def in_words(example: Example) -> str:
    """An example as a person reads it: “10 days ago: category books, total 20.0; today: nothing special”."""
    if isinstance(example, Mapping) and not _has_orders(example):
        return _pairs(example)
    orders = "; ".join(map(_order_in_words, _orders(example))) or "no order"
    arguments = example.get("with") if isinstance(example, Mapping) else None
    return f"{orders} (asked with {_pairs(arguments)})" if arguments else orders


def _has_orders(example: Mapping[str, Any]) -> bool:
    """Of a segment over the frame "orders" is a number."""
    return set(example) <= {"orders", "with"} and isinstance(example.get("orders", ()), (list, tuple))


def _order_in_words(order: Mapping[str, Any]) -> str:
    days = order.get("days_ago", 0)
    when = "today" if days == 0 else f"{days} day{'' if days == 1 else 's'} ago"
    about = {name: value for name, value in order.items() if name not in {"days_ago", "lines"}}
    told = [_pairs(about), *(_pairs(line) for line in order.get("lines", ()))]
    return f"{when}: {' + '.join(filter(None, told)) or 'an order'}"


def _pairs(values: Mapping[str, Any]) -> str:
    """`orders 3, country –`: the same dash as in a table for what is not known."""
    return ", ".join(f"{name} {'–' if value is None else _plain(value)}" for name, value in values.items())


def _plain(value: Any) -> str:
    return f"({_pairs(value)})" if isinstance(value, Mapping) else str(value)


def _orders(example: Example) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = example.get("orders", ()) if isinstance(example, Mapping) else example
    return found


def _by_arguments(examples: Sequence[Example]) -> Iterator[tuple[dict[str, Any], list[int]]]:
    groups: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for place, example in enumerate(examples):
        arguments = dict(example.get("with", {})) if isinstance(example, Mapping) else {}
        groups.setdefault(repr(sorted(arguments.items())), (arguments, []))[1].append(place)
    yield from groups.values()
