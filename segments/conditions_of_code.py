"""The conditions that a segment's code is made of: its return expression, taken apart at and, or, and not.

Each is evaluated over the whole frame, so that one which compares customers with each other means what it means in the
segment.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import and_, or_
from typing import Any

import numpy as np
import pandas as pd

from segments.definition import FrameSegment, Members
from segments.parameters import Value

_HOW = {ast.BitAnd: "all of", ast.BitOr: "any of"}
_OPERATORS: Mapping[type[ast.cmpop], str] = {
    ast.Gt: "more than",
    ast.GtE: "at least",
    ast.Lt: "less than",
    ast.LtE: "at most",
    ast.Eq: "is",
    ast.NotEq: "is not",
}
_FLIPPED = {"more than": "less than", "at least": "at most", "less than": "more than", "at most": "at least"}
_METHODS = {"between": 2, "isin": 1, "notna": 0, "isna": 0}  # with how many arguments we can put them in words


_PLAIN = (ast.Constant, ast.List, ast.Tuple, ast.Set, ast.UnaryOp, ast.USub, ast.Load)


@dataclass(frozen=True, slots=True)
class Quantile:
    """A value that this share of customers, 0 to 1, has at most: of the whole shop, or of those who are compared."""

    share: float
    of_shop: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A feature against bounds. A bound is the same for everybody, or a Series."""

    feature: str
    operator: str  # more than, at least, less than, at most, is, is not, between, isin, notna, isna
    bounds: tuple[Any, ...]
    quantiles: tuple[Quantile | None, ...]  # beside each bound: where it is one
    is_plain: bool  # the bounds stand in the code as they are, or are parameters


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition that is not taken apart any more, and for whom it holds."""

    source: str
    columns: tuple[str, ...]
    holds: Members
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions put together: all of, any of, or not (of one)."""

    how: str
    parts: tuple["Group | Leaf", ...]


class _Opaque(Exception):
    """The code is written in a way that is not taken apart here."""


def tree(
    segment: FrameSegment, customers: pd.DataFrame, as_of: datetime, values: Mapping[str, Value]
) -> Group | Leaf | None:
    """The conditions of a segment over the columns that it needs; None where its code cannot be taken apart."""
    try:
        return _Code(segment, customers, as_of, values).tree()
    except _Opaque:
        return None


def answer(node: Group | Leaf, customers: pd.DataFrame) -> Members:
    """Who is in by these conditions."""
    if isinstance(node, Leaf):
        return node.holds
    parts = [answer(part, customers) for part in node.parts]
    return ~parts[0] if node.how == "not" else reduce(and_ if node.how == "all of" else or_, parts)


class _Code:
    """One segment's function, with its local names filled in."""

    def __init__(
        self, segment: FrameSegment, customers: pd.DataFrame, as_of: datetime, values: Mapping[str, Value]
    ) -> None:
        self._customers, self._needs, self._parameters = customers, segment.needs, values
        function = ast.parse(segment.source).body[0]
        assert isinstance(function, ast.FunctionDef)
        body = [node for node in function.body if not _is_docstring(node)]
        *before, last = body
        returns = [node for part in body for node in ast.walk(part) if isinstance(node, ast.Return)]
        if not isinstance(last, ast.Return) or last.value is None or returns != [last]:
            raise _Opaque
        self._returned = last.value
        self._locals = dict(_assigned_once(before))
        self._names = {**segment.function.__globals__, "customers": customers, "as_of": as_of, **values}
        # The segment's own statements, which its evaluation runs as well.
        exec(compile(_runnable(before), segment.file, "exec"), self._names)  # noqa: S102

    def tree(self) -> Group | Leaf:
        return self._node(self._returned)

    def _node(self, node: ast.expr) -> Group | Leaf:
        node = self._resolved(node)
        if isinstance(node, ast.BinOp) and type(node.op) in _HOW:
            return Group(_HOW[type(node.op)], tuple(map(self._node, self._operands(node, type(node.op)))))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
            return Group("not", (self._node(node.operand),))
        return self._leaf(node)

    def _operands(self, node: ast.expr, operator: type[ast.operator]) -> list[ast.expr]:
        node = self._resolved(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, operator):
            return [*self._operands(node.left, operator), *self._operands(node.right, operator)]
        return [node]

    def _resolved(self, node: ast.expr) -> ast.expr:
        while isinstance(node, ast.Name) and node.id in self._locals:
            node = self._locals[node.id]
        # A choice that depends on the arguments alone is made for everybody alike.
        if isinstance(node, ast.IfExp) and not isinstance(chosen := self._value(node.test), pd.Series):
            return self._resolved(node.body if chosen else node.orelse)
        return node

    def _leaf(self, node: ast.expr) -> Leaf:
        holds = self._value(node)
        if isinstance(holds, (bool, np.bool_)):
            holds = pd.Series(bool(holds), index=self._customers.index, dtype=bool)
        if not isinstance(holds, pd.Series) or holds.dtype != np.dtype(bool):
            raise _Opaque
        columns = tuple(dict.fromkeys(self._columns(node)))
        return Leaf(ast.unparse(node), columns, holds.rename(None), self._comparison(node))

    def _value(self, node: ast.expr) -> Any:
        return eval(compile(ast.Expression(node), "segment", "eval"), self._names)  # noqa: S307 (its own code)

    def _columns(self, node: ast.expr) -> Iterator[str]:
        for part in ast.walk(node):
            if (name := self._feature(part)) is not None:
                yield name
            elif isinstance(part, ast.Name) and part.id in self._locals:
                yield from self._columns(self._locals[part.id])

    def _feature(self, node: ast.AST) -> str | None:
        if isinstance(node, ast.Name) and node.id in self._locals:
            return self._feature(self._locals[node.id])
        name: object = None
        if isinstance(node, ast.Attribute):
            name = node.attr
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            name = node.slice.value
        owner = getattr(node, "value", None)
        is_frame = isinstance(owner, ast.Name) and owner.id == "customers"
        return name if is_frame and isinstance(name, str) and name in self._needs else None

    def _comparison(self, node: ast.expr) -> Comparison | None:
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            word = _OPERATORS.get(type(node.ops[0]))
            left, right = node.left, node.comparators[0]
            if word and (feature := self._feature(left)):
                return self._compared(feature, word, [right])
            if word and (feature := self._feature(right)):
                return self._compared(feature, _FLIPPED.get(word, word), [left])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.keywords:
            feature = self._feature(node.func.value)
            if feature and _METHODS.get(node.func.attr) == len(node.args):
                return self._compared(feature, node.func.attr, node.args)
        return None

    def _compared(self, feature: str, operator: str, nodes: Sequence[ast.expr]) -> Comparison:
        return Comparison(
            feature,
            operator,
            tuple(self._value(node) for node in nodes),
            tuple(self._quantile(node) for node in nodes),
            all(self._is_plain(node) for node in nodes),
        )

    def _quantile(self, node: ast.expr) -> Quantile | None:
        node = self._resolved(node)
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        of_shop = self._feature(node.func.value) is not None
        if node.func.attr == "median" and not node.args:
            return Quantile(0.5, of_shop)
        if node.func.attr != "quantile":
            return None
        given = [*node.args[:1], *(one.value for one in node.keywords if one.arg == "q")]
        share = self._value(given[0]) if given else 0.5
        return Quantile(float(share), of_shop) if isinstance(share, (int, float)) and 0 <= share <= 1 else None

    def _is_plain(self, node: ast.expr) -> bool:
        is_parameter = isinstance(node, ast.Name) and node.id in self._parameters
        return is_parameter or all(isinstance(part, _PLAIN) for part in ast.walk(node))


def _runnable(body: Sequence[ast.stmt]) -> ast.Module:
    """Without annotations: a function does not evaluate those of its local names."""
    plain = [
        ast.copy_location(ast.Assign([part.target], part.value), part)
        if isinstance(part, ast.AnnAssign) and part.value is not None
        else part
        for part in body
    ]
    return ast.fix_missing_locations(ast.Module(plain, []))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _assigned_once(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """Local names that stand for one expression. A name that is bound twice stands for whatever was bound last."""
    bound = [node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name) and not _is_read(node)]
    for part in body:
        targets = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", None)]
        value = getattr(part, "value", None)
        if isinstance(part, (ast.Assign, ast.AnnAssign)) and len(targets) == 1 and isinstance(value, ast.expr):
            name = targets[0]
            if isinstance(name, ast.Name) and bound.count(name.id) == 1:
                yield name.id, value


def _is_read(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)
