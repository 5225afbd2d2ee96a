"""Why a customer is in a segment or not: its conditions one by one, each with the customer's own values."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    `facts`: what else helps to understand it. `source`: its code, where the words do not say all of it.
    """

    text: str
    holds: bool
    values: Mapping[str, Any] = field(default_factory=dict)
    joined: Joined | None = None
    parts: tuple["Condition", ...] = ()
    facts: tuple[str, ...] = ()
    source: str = ""


Facts = Callable[[Segment, Mapping[str, Value]], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _One:
    """The customer who is asked about."""

    population: Population
    row: Any
    currency: str
    facts: Facts


def conditions(
    segment: Segment,
    population: Population,
    arguments: Mapping[str, str] | None,
    party_id: int,
    *,
    currency: str = "",
    facts: Facts = lambda _segment, _values: (),
) -> list[Condition]:
    """The conditions of a segment, for one customer: they are in it where all of the list hold.

    `currency`: what amounts of money are told in. `facts`: sentences beside a segment that looks through orders, of
    which the code says nothing. Raises NotACustomer, ArgumentError, EvaluationError.
    """
    ids = population.frame(())["party_id"]
    places = ids.index[ids == party_id]
    if places.empty:
        raise NotACustomer(f"customer {party_id} has no counted order as of {population.as_of:%Y-%m-%d %H:%M} UTC")
    one = _One(population, places[0], currency, facts)
    whole = _of_segment(segment, segment.values(arguments or {}), one)
    return [*whole.parts] if whole.joined is Joined.ALL else [whole]


def in_force(segment: Segment, arguments: Mapping[str, str] | None) -> str:
    """A segment's name with its arguments, those that were given first: `bought-category with category toys`.

    Raises ArgumentError.
    """
    return _named(segment, segment.values(arguments or {}), tuple(arguments or ()))


def _named(segment: Segment, values: Mapping[str, Value], given: Collection[str] = ()) -> str:
    """An argument that is the default is one that was not given, if it was not said which were."""
    defaults = {one.name: one.default for one in segment.parameters}
    said = [name for name in values if name in given or values[name] != defaults[name]]
    rest = [name for name in values if name not in said and values[name] != ""]

    def told(names: Sequence[str]) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {wording.shown(values[name])}" for name in names)

    named = f"{segment.name} with {told(said)}" if said else segment.name
    return f"{named} (by default {told(rest)})" if rest else named


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
        yield from (f"{indent}  {fact}" for fact in one.facts)
        yield from lines(one.parts, indent + "  ")


def sources(told: Sequence[Condition]) -> Iterator[tuple[str, str]]:
    """The text and the code of each condition whose words do not say all of the code."""
    for one in told:
        if one.source:
            yield one.text, one.source
        yield from sources(one.parts)


def _of_segment(segment: Segment, values: Mapping[str, Value], one: _One) -> Condition:
    if isinstance(segment, CombinedSegment):
        return _of_rule(segment, segment.rule, one)
    members = segment._members(one.population, values)
    if isinstance(segment, FrameSegment) and (found := _of_frame(segment, values, members, one)):
        return found
    read = {name: wording.plain(one.population.frame([name])[name].loc[one.row]) for name in segment.needs}
    facts = one.facts(segment, values) if segment.reads_orders else ()
    return Condition(_as_a_whole(segment, values), bool(members.loc[one.row]), read, facts=facts)


def _as_a_whole(segment: Segment, values: Mapping[str, Value]) -> str:
    return f"{_named(segment, values)}: {wording.stop_less(segment.description)}"


def _of_rule(segment: CombinedSegment, rule: Expression, one: _One) -> Condition:
    match rule:
        case Named():
            part = segment.parts[rule.name]
            below = _of_segment(part, part.values(rule.arguments), one)
            text = f"in {rule}: {wording.stop_less(part.description)}"
            if below.text == _as_a_whole(part, part.values(rule.arguments)):
                return replace(below, text=text)
            parts = below.parts if below.joined is Joined.ALL else (below,)
            return Condition(text, below.holds, below.values, Joined.SAME, parts)
        case Not():
            return _joined(Joined.NOT, [_of_rule(segment, rule.part, one)])
        case Both() | Either():
            how = Joined.ALL if isinstance(rule, Both) else Joined.ANY
            return _joined(how, [_of_rule(segment, part, one) for part in rule.parts])


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


def _of_frame(segment: FrameSegment, values: Mapping[str, Value], members: Members, one: _One) -> Condition | None:
    """None where the code cannot be taken apart so that the parts make the same answer: then it is told as a whole."""
    customers = one.population.frame(segment.needs)[list(segment.needs)]
    tree = conditions_of_code.tree(segment, customers, one.population.as_of, values)
    if tree is None:
        return None
    try:
        if not conditions_of_code.answer(tree, customers).equals(members):
            return None
    except (TypeError, ValueError):
        return None
    return _of_tree(tree, customers, one)


def _of_tree(tree: Group | Leaf, customers: pd.DataFrame, one: _One) -> Condition:
    if isinstance(tree, Group):
        return _joined(Joined(tree.how), [_of_tree(part, customers, one) for part in tree.parts])
    values = {name: wording.plain(customers[name].loc[one.row]) for name in tree.columns}
    says_all = tree.comparison is not None and tree.comparison.is_plain
    text = wording.leaf(tree, values, one.row, one.currency)
    return Condition(text, bool(tree.holds.loc[one.row]), values, source="" if says_all else tree.source)
