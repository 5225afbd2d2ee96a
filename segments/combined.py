"""Segments made of segments: in all of them, in any of them, in none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import ClassVar

from segments import expression
from segments.definition import Members, Segment, hash_of
from segments.expression import Both, Either, Expression, Named, Not
from segments.parameters import Value
from segments.population import Population

Find = Callable[[str], Segment]


@dataclass(frozen=True, slots=True, kw_only=True)
class CombinedSegment(Segment):
    """A rule over other segments. `parts`: those that it names, by name."""

    kind: ClassVar[str] = "combined"

    rule: Expression
    parts: Mapping[str, Segment]

    @property
    def reads_orders(self) -> bool:
        return any(part.reads_orders for part in self.parts.values())

    def _members(self, population: Population, _values: Mapping[str, Value]) -> Members:
        return self.judge(self.rule, population)

    def judge(self, rule: Expression, population: Population) -> Members:
        """Who is in a part of the rule. Raises EvaluationError."""
        match rule:
            case Named():
                return self.parts[rule.name].members(population, rule.arguments)
            case Not():
                return ~self.judge(rule.part, population)
            case Both():
                return reduce(and_, (self.judge(part, population) for part in rule.parts))
            case Either():
                return reduce(or_, (self.judge(part, population) for part in rule.parts))


def combine(
    rule: Expression, find: Find, *, name: str, owner: str, description: str, file: str, line: int
) -> CombinedSegment:
    """The segment of a rule; `find` gives the segments that it names.

    Raises ArgumentError, and what `find` raises.
    """
    named = list(expression.named(rule))
    parts = {one.name: find(one.name) for one in named}
    for one in named:
        parts[one.name].values(one.arguments)
    return CombinedSegment(
        name=name,
        owner=owner,
        description=description,
        needs=tuple(dict.fromkeys(need for part in parts.values() for need in part.needs)),
        file=file,
        line=line,
        definition_hash=hash_of([name, str(rule), *(part.definition_hash for part in parts.values())]),
        rule=rule,
        parts=parts,
    )
