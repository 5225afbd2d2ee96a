"""What a segment is, and the checks that refuse a wrong one where it is written: file, line, and what to change."""

import ast
import builtins
import difflib
import hashlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeAlias

import pandas as pd

from domain.features import BY_NAME

Members: TypeAlias = "pd.Series[bool]"
Predicate: TypeAlias = Callable[[pd.DataFrame, datetime], Members]
Example: TypeAlias = Mapping[str, Any]

_ROOM = Path(__file__).parent.parent
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class DefinitionError(ValueError):
    """A segment is written wrongly; the message names file, line and what to change."""


class EvaluationError(RuntimeError):
    """A segment's function did not answer with one True or False a customer."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A named predicate over customers. `description` is what a marketer reads."""

    name: str
    owner: str
    needs: tuple[str, ...]
    description: str
    inside: tuple[Example, ...]
    outside: tuple[Example, ...]
    file: str
    line: int
    definition_hash: str
    predicate: Predicate

    def evaluate(self, customers: pd.DataFrame, as_of: datetime) -> Members:
        """Who belongs to it: one boolean a customer, on the frame's own index. Raises EvaluationError."""
        if missing := [name for name in self.needs if name not in customers.columns]:
            raise EvaluationError(f"{self._place()} was given a frame without {', '.join(missing)}")
        try:
            answer = self.predicate(customers[list(self.needs)], as_of)
        except (AttributeError, KeyError) as error:
            raise EvaluationError(
                f"{self._place()} failed: {error}. It may read only what it needs: {', '.join(self.needs)}"
            ) from error
        return self._checked(answer, customers)

    def _checked(self, answer: Any, customers: pd.DataFrame) -> Members:
        if not isinstance(answer, pd.Series) or not pd.api.types.is_bool_dtype(answer.dtype):
            kind = f"a Series of {answer.dtype}" if isinstance(answer, pd.Series) else type(answer).__name__
            raise EvaluationError(f"{self._place()} answered with {kind}: it must be a Series of True and False")
        if answer.isna().any():
            raise EvaluationError(f"{self._place()} left {answer.isna().sum()} customers undecided: say .fillna(False)")
        if not answer.index.equals(customers.index):
            raise EvaluationError(f"{self._place()} answered for other rows than it was given: keep the frame's index")
        return answer.astype(bool)

    def frame(self, examples: Iterable[Example]) -> pd.DataFrame:
        """The examples as the frame that the function is given."""
        types = {name: BY_NAME[name].type.dtype for name in self.needs}
        return pd.DataFrame(list(examples), columns=list(self.needs)).astype(types)

    def _place(self) -> str:
        return f"segment {self.name!r} ({self.file}:{self.line})"


def define(
    function: FunctionType,
    *,
    name: str,
    owner: str,
    needs: Iterable[str],
    inside: Iterable[Example],
    outside: Iterable[Example],
) -> Segment:
    """Check a definition and make the segment of it. Raises DefinitionError."""
    code = function.__code__
    path = Path(code.co_filename)
    file = str(path.relative_to(_ROOM) if path.is_relative_to(_ROOM) else path)
    columns = (needs,) if isinstance(needs, str) else tuple(needs)
    examples = (tuple(inside), tuple(outside))
    complaints = (
        *_complaints_of_words(function, name, owner),
        *_complaints_of_needs(columns),
        *_complaints_of_examples(columns, *examples),
        *_complaints_of_code(function),
    )
    if complaints:
        raise DefinitionError(f"{file}:{code.co_firstlineno}: segment {name!r} {'; it '.join(complaints)}")
    return Segment(
        name=name,
        owner=owner,
        needs=columns,
        description=_description(function),
        inside=examples[0],
        outside=examples[1],
        file=file,
        line=code.co_firstlineno,
        definition_hash=_hash(name, columns, function),
        predicate=function,
    )


def _description(function: FunctionType) -> str:
    return (inspect.getdoc(function) or "").strip().partition("\n")[0]


def _complaints_of_words(function: FunctionType, name: str, owner: str) -> list[str]:
    complaints = []
    if not _NAME.fullmatch(name):
        complaints.append("has a name that is not lower-case words joined by dashes, such as 'lapsed-vip'")
    if not owner.strip():
        complaints.append("names no owner: who is asked when it looks wrong?")
    if not _description(function):
        complaints.append("has no docstring: its first line is what a marketer chooses by")
    if list(inspect.signature(function).parameters) != ["customers", "as_of"]:
        complaints.append("must take exactly (customers, as_of)")
    return complaints


def _complaints_of_needs(needs: tuple[str, ...]) -> list[str]:
    complaints = [
        f"needs column {name!r}, which is no feature{_nearest(name)}" for name in needs if name not in BY_NAME
    ]
    if not needs:
        complaints.append("needs no column: say which it reads, such as needs=('orders',)")
    return complaints


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, BY_NAME, 1)
    return f": did you mean {near[0]!r}?" if near else f"; there are {', '.join(BY_NAME)}"


def _complaints_of_examples(needs: tuple[str, ...], *examples: tuple[Example, ...]) -> list[str]:
    complaints = []
    for side, rows in zip(("inside", "outside"), examples, strict=True):
        if not rows:
            complaints.append(f"has no example that is {side}: show at least one customer")
        for number, row in enumerate(rows, 1):
            complaints += [f"has no {name!r} in example {number} of {side}" for name in needs if name not in row]
            complaints += [
                f"names {name!r} in example {number} of {side}, but does not need it"
                for name in row
                if name not in needs
            ]
    return complaints


def _complaints_of_code(function: FunctionType) -> list[str]:
    """Nothing from outside the function but modules, or the definition's hash would miss a change."""
    body = ast.Module(_syntax(function).body, [])
    names = [node for node in ast.walk(body) if isinstance(node, ast.Name)]
    arguments = {node.arg for node in ast.walk(_syntax(function)) if isinstance(node, ast.arg)}
    own = arguments | {node.id for node in names if isinstance(node.ctx, ast.Store)} | set(dir(builtins))
    foreign = {node.id for node in names} - own
    modules = {name for name, value in function.__globals__.items() if isinstance(value, ModuleType)}
    return [f"uses {name!r} from outside: write it inside the function" for name in sorted(foreign - modules)]


def _syntax(function: FunctionType) -> ast.FunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return tree


def _hash(name: str, needs: tuple[str, ...], function: FunctionType) -> str:
    """Of what decides who is in: name, needs and code. Comments, layout, words and examples do not."""
    tree = _syntax(function)
    body = ast.unparse(ast.Module(tree.body[1:], []))  # without the docstring
    return hashlib.sha256("\0".join((name, *needs, body)).encode()).hexdigest()
