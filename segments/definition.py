"""What a segment is: a name, what a marketer reads, and a way to tell who belongs to it."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar, TypeAlias

import pandas as pd
import sqlalchemy as sa

from domain.features import BY_NAME
from segments import faults, parameters
from segments.faults import DefinitionError, EvaluationError
from segments.parameters import Parameter, Value
from segments.population import Population, Shop

__all__ = [
    "DefinitionError",
    "EvaluationError",
    "Example",
    "FrameSegment",
    "Members",
    "Segment",
    "SelectSegment",
    "hash_of",
    "place_of",
]

Members: TypeAlias = "pd.Series[bool]"
Example: TypeAlias = Any  # a customer: a mapping of features, or a list of orders, or {"orders": …, "with": …}

_ROOM = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment(ABC):
    """A named set of customers.

    `description` is the sentence that a marketer chooses by, `details` what else its author says beside the lines
    of the parameters. `needs`: the columns of domain/features.py that it reads. `inside` and `outside`: its examples.
    `file` and `line`: where it is written.
    """

    kind: ClassVar[str]

    name: str
    owner: str
    description: str
    details: str = ""
    parameters: tuple[Parameter, ...] = ()
    needs: tuple[str, ...] = ()
    inside: tuple[Example, ...] = ()
    outside: tuple[Example, ...] = ()
    file: str
    line: int
    definition_hash: str

    def members(self, population: Population, arguments: Mapping[str, str] | None = None) -> Members:
        """Who belongs to it: one boolean a customer, in the order of the population's frame.

        `arguments`: of its parameters, as a person writes them. Raises ArgumentError, EvaluationError.
        """
        return self._members(population, self.values(arguments or {}))

    def values(self, arguments: Mapping[str, Value]) -> dict[str, Value]:
        """All parameters with their values. Raises ArgumentError."""
        return parameters.values(self.name, self.parameters, arguments)

    @property
    def reads_orders(self) -> bool:
        """It asks the database about orders, which takes seconds for millions, and not just the frame."""
        return False

    @property
    def place(self) -> str:
        """How a sentence about it begins."""
        return f"segment {self.name!r} ({self.file}:{self.line})"

    @abstractmethod
    def _members(self, population: Population, values: Mapping[str, Value]) -> Members: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSegment(Segment):
    """A pure function over a frame of exactly the columns that it needs. `source`: its code when it was read."""

    kind: ClassVar[str] = "frame"

    function: FunctionType
    source: str

    def evaluate(
        self, customers: pd.DataFrame, as_of: datetime, arguments: Mapping[str, Value] | None = None
    ) -> Members:
        """Who belongs to it: one boolean a customer, on the frame's own index.

        Raises ArgumentError, EvaluationError.
        """
        if missing := [name for name in self.needs if name not in customers.columns]:
            raise EvaluationError(f"{self.place} was given a frame without {', '.join(missing)}")
        values = self.values(arguments or {})
        try:
            answer = self.function(customers[list(self.needs)], as_of, **values)
        except Exception as error:
            raise EvaluationError(faults.of_predicate(self.place, self.needs, self.function, error)) from error
        return self._checked(answer, customers)

    def _members(self, population: Population, values: Mapping[str, Value]) -> Members:
        return self.evaluate(population.frame(self.needs), population.as_of, values)

    def _checked(self, answer: Any, customers: pd.DataFrame) -> Members:
        if not isinstance(answer, pd.Series) or not pd.api.types.is_bool_dtype(answer.dtype):
            kind = f"a Series of {answer.dtype}" if isinstance(answer, pd.Series) else type(answer).__name__
            raise EvaluationError(f"{self.place} answered with {kind}: it must be a Series of True and False")
        if answer.isna().any():
            raise EvaluationError(f"{self.place} left {answer.isna().sum()} customers undecided: say .fillna(False)")
        if not answer.index.equals(customers.index):
            raise EvaluationError(f"{self.place} answered for other rows than it was given: keep the frame's index")
        return answer.astype(bool).rename(None)

    def frame(self, examples: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
        """The examples as the frame that the function is given."""
        types = {name: BY_NAME[name].type.dtype for name in self.needs}
        return pd.DataFrame(list(examples), columns=list(self.needs)).astype(types)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectSegment(Segment):
    """A function that answers with a select of party ids, where the frame cannot say it."""

    kind: ClassVar[str] = "select"

    function: FunctionType

    @property
    def reads_orders(self) -> bool:
        return True

    def select(self, shop: Shop, as_of: datetime, values: Mapping[str, Value]) -> "sa.Select[tuple[int]]":
        """The checked select. Raises EvaluationError."""
        try:
            answer = self.function(shop, as_of, **values)
        except Exception as error:
            raise EvaluationError(faults.of_select(self.place, shop, self.function, error)) from error
        if sentence := faults.wrong_select(answer, shop):
            raise EvaluationError(f"{self.place} {sentence}")
        select: sa.Select[tuple[int]] = answer
        return select

    def _members(self, population: Population, values: Mapping[str, Value]) -> Members:
        select = self.select(population.shop, population.as_of, values)
        try:
            chosen = population.chosen(select)
        except RuntimeError as error:  # it took too long, or the database refused it
            raise EvaluationError(f"{self.place}: {error}") from error
        return population.frame(())["party_id"].isin(chosen).rename(None)


def place_of(path: str) -> str:
    """A file as a sentence names it: within the house from its root on."""
    file = Path(path)
    return str(file.relative_to(_ROOM) if file.is_relative_to(_ROOM) else file)


def hash_of(parts: Sequence[str]) -> str:
    """SHA-256 over what decides who is in."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
