"""Why a customer is in a segment or not: its conditions one by one, each with the customer's own values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pandas as pd

from segments import conditions_of_code, wording
from segments.combined import CombinedSegment
from segments.conditions_of_code import Group, Leaf
from segments.definition import FrameSegment, Members, Segment
from segments.expression import Both, Either, Expression, Named, Not
from segments.parameters import Value
from segments.population import Population


class NotACustomer(LookupError):
    """The party has no counted order, so no segment looks at them."""


class Joined(StrEnum):
    """How the parts of a condition make the whole."""

    ALL = "all of"
    ANY = "any of"
    NOT = "not"
    SAME = "that is"  # one part, which says the same in detail


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, and whether it holds for the customer.

    `text`: in words, with the customer's values. `values`: of the features that it reads, None where not known.
    `parts`: what it is made of, put together as `joined` says; a condition without parts stands for itself.
    """

    text: str
    holds: bool
    values: Mapping[str, Any] = field(default_factory=dict)
    joined: Joined | None = None
    parts: tuple["Condition", ...] = ()


def conditions(
    segment: Segment, population: Population, arguments: Mapping[str, str] | None, party_id: int
) -> list[Condition]:
    """The conditions of a segment, for one customer: they are in it where all of the list hold.

    Raises NotACustomer, ArgumentError, EvaluationError.
    """
    ids = population.frame(())["party_id"]
    places = ids.index[ids == party_id]
    if places.empty:
        raise NotACustomer(f"customer {party_id} has no counted order as of {population.as_of:%Y-%m-%d %H:%M} UTC")
    whole = _of_segment(segment, population, segment.values(arguments or {}), places[0])
    return [*whole.parts] if whole.joined is Joined.ALL else [whole]


def verdict(told: Sequence[Condition]) -> bool:
    """Whether conditions put the customer in, reckoned from those that have no parts."""
    return all(_verdict(one) for one in told)


def _verdict(one: Condition) -> bool:
    below = [_verdict(part) for part in one.parts]
    if not below:
        return one.holds
    return any(below) if one.joined is Joined.ANY else not below[0] if one.joined is Joined.NOT else all(below)


def lines(told: Sequence[Condition], indent: str = "") -> Iterator[str]:
    """Conditions as lines of text, parts indented: `days since …: 91, must be more than 90: yes`."""
    for one in told:
        yield f"{indent}{one.text}: {'yes' if one.holds else 'no'}"
        yield from lines(one.parts, indent + "  ")


def _of_segment(segment: Segment, population: Population, values: Mapping[str, Value], row: Any) -> Condition:
    if isinstance(segment, CombinedSegment):
        return _of_rule(segment, segment.rule, population, row)
    members = segment._members(population, values)
    if isinstance(segment, FrameSegment) and (found := _of_frame(segment, population, values, members, row)):
        return found
    read = {name: wording.plain(population.frame([name])[name].loc[row]) for name in segment.needs}
    return Condition(_as_a_whole(segment), bool(members.loc[row]), read)


def _as_a_whole(segment: Segment) -> str:
    return f"{segment.name}: {segment.description}"


def _of_rule(segment: CombinedSegment, rule: Expression, population: Population, row: Any) -> Condition:
    match rule:
        case Named():
            part = segment.parts[rule.name]
            below = _of_segment(part, population, part.values(rule.arguments), row)
            text = f"in {rule}: {part.description}"
            if below.text == _as_a_whole(part):
                return Condition(text, below.holds, below.values)
            parts = below.parts if below.joined is Joined.ALL else (below,)
            return Condition(text, below.holds, below.values, Joined.SAME, parts)
        case Not():
            return _joined(Joined.NOT, [_of_rule(segment, rule.part, population, row)])
        case Both() | Either():
            how = Joined.ALL if isinstance(rule, Both) else Joined.ANY
            return _joined(how, [_of_rule(segment, part, population, row) for part in rule.parts])


_TEXTS = {
    Joined.ALL: "all of these must hold",
    Joined.ANY: "any of these must hold",
    Joined.NOT: "this must not hold",
}


def _joined(how: Joined, parts: list[Condition]) -> Condition:
    values = {name: value for part in parts for name, value in part.values.items()}  # noqa: PD011 (no frame)
    holds = [part.holds for part in parts]
    verdict = any(holds) if how is Joined.ANY else not holds[0] if how is Joined.NOT else all(holds)
    return Condition(_TEXTS[how], verdict, values, how, tuple(parts))


def _of_frame(
    segment: FrameSegment, population: Population, values: Mapping[str, Value], members: Members, row: Any
) -> Condition | None:
    """None where the code cannot be taken apart so that the parts make the same answer: then it is told as a whole."""
    customers = population.frame(segment.needs)[list(segment.needs)]
    tree = conditions_of_code.tree(segment, customers, population.as_of, values)
    if tree is None:
        return None
    try:
        if not conditions_of_code.answer(tree, customers).equals(members):
            return None
    except (TypeError, ValueError):
        return None
    return _of_tree(tree, customers, row)


def _of_tree(tree: Group | Leaf, customers: pd.DataFrame, row: Any) -> Condition:
    if isinstance(tree, Group):
        return _joined(Joined(tree.how), [_of_tree(part, customers, row) for part in tree.parts])
    values = {name: wording.plain(customers[name].loc[row]) for name in tree.columns}
    holds = bool(tree.holds.loc[row])
    return Condition(wording.leaf(tree, values, row), holds, values)
