"""What a gate puts to Great Expectations: one aggregate row, and the rules that it must keep, each in a sentence."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from data.expectations.conditions import Facts


@dataclass(frozen=True, slots=True)
class Rule:
    """`column` of the row is at least `minimum` and at most `maximum`, or one of `among` where those are given.

    `failing_ids` (a sample) and `failing_count` are told only if it fails.
    """

    sentence: str
    column: str
    minimum: float | None = None
    maximum: float | None = None
    among: tuple[str, ...] = ()
    observed: str = ""
    failing_ids: tuple[str, ...] = ()
    failing_count: int = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """What one gate judges."""

    gate: str
    row: Mapping[str, Any]
    rules: tuple[Rule, ...]


def no_faults(facts: Facts, noun: str) -> Iterator[Rule]:
    """None of the faults that were counted may there be."""
    for name, sentence in facts.sentences.items():
        count = facts.row[name]
        yield Rule(
            sentence,
            name,
            maximum=0,
            observed=f"{count:,} of {facts.row['rows']:,} {noun} fail" if count else "",
            failing_ids=facts.samples.get(name, ()),
            failing_count=count,
        )
