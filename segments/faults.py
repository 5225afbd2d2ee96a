"""The sentences about segments that are wrong: where, what, and what to do."""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from traceback import walk_tb
from types import FunctionType

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.sql import visitors

from domain.features import BY_NAME
from segments.population import Shop


class DefinitionError(ValueError):
    """A segment is written wrongly; the message names file, line and what to change."""


class EvaluationError(RuntimeError):
    """A segment's function did not answer with one True or False a customer, or with no proper select."""


def nearest(name: str, among: Iterable[str]) -> str:
    """The end of a sentence about a name that is not known."""
    among = list(among)
    near = difflib.get_close_matches(name, among, 1)
    return f": did you mean {near[0]!r}?" if near else f"; there are {', '.join(among)}"


def of_predicate(place: str, needs: Sequence[str], function: FunctionType, error: Exception) -> str:
    """Why a function over the frame failed, with the column that it lacks."""
    column = _missing_column(error)
    where = f"{place} failed{_at_line(function, error)}"
    if advice := _of_operators(error):
        return f"{where}: {advice}"
    if column is None:
        return f"{where}: {type(error).__name__}: {error}"
    known = "add it to needs" if column in BY_NAME else f"which is no feature{nearest(column, BY_NAME)}"
    return f"{where}: it reads column {column!r}, {known}. It may read only what it needs: {', '.join(needs)}"


_BRACKETS = "put each side of & and | in brackets"
_AS_ONE_BOOLEAN = re.compile(r"truth value of .* is ambiguous|Boolean value of this clause is not defined")
_WITHOUT = re.compile(r"'r?(and|or|xor)_'|unsupported operand type\(s\) for [&|]")


def _of_operators(error: Exception) -> str | None:
    """The commonest mistakes with and, or and comparisons, which pandas and SQLAlchemy tell in their own terms.

    A forgotten bracket makes a chain such as a > 1 & b < 3, which Python reads as a > (1 & b) and (1 & b) < 3.
    """
    said = str(error)
    if isinstance(error, (TypeError, ValueError)) and _AS_ONE_BOOLEAN.search(said):
        advice = "combine conditions with & | ~, not with and, or, not"
        return f"{advice}; {_BRACKETS}, and write a < b < c as two conditions"
    return _BRACKETS if isinstance(error, TypeError) and _WITHOUT.search(said) else None


def _missing_column(error: Exception) -> str | None:
    if isinstance(error, AttributeError) and isinstance(error.obj, pd.DataFrame):
        return error.name
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        return error.args[0]
    return None


def of_select(place: str, shop: Shop, function: FunctionType, error: Exception) -> str:
    """Why a function that should give a select failed, with the column that is not there."""
    where = f"{place} failed{_at_line(function, error)}"
    if advice := _of_operators(error):
        return f"{where}: {advice}"
    if isinstance(error, (AttributeError, KeyError)) and error.args and isinstance(error.args[0], str):
        name = error.name if isinstance(error, AttributeError) else error.args[0]
        columns = {one for table in (shop.customers, shop.orders, shop.lines) for one in table.c.keys()}  # noqa: SIM118 (iterating gives columns, not names)
        return f"{where}: there is no {name!r}{nearest(str(name), sorted(columns))}"
    return f"{where}: {type(error).__name__}: {error}"


def _at_line(function: FunctionType, error: Exception) -> str:
    file = function.__code__.co_filename
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    return f" at {Path(file).name}:{lines[-1]}" if lines else ""


def wrong_select(answer: object, shop: Shop) -> str | None:
    """What is wrong with what a select segment answered; None where nothing is."""
    if not isinstance(answer, sa.Select):
        return f"answered with {type(answer).__name__}: it must be a select of one column, such as {_SUCH_AS}"
    count = len(answer.selected_columns)
    if count != 1:
        return f"selects {count} columns: it must be one, the party ids, such as {_SUCH_AS}"
    ours = {table for source in (shop.customers, shop.orders, shop.lines) for table in _tables(source)}
    if foreign := sorted({str(table.name) for table in _tables(answer) - ours}):
        return f"reads {', '.join(foreign)} itself: it may read shop.customers, shop.orders and shop.lines only"
    if any(_reads_by_text(element) for element in visitors.iterate(answer)):
        return "reads tables in plain SQL: it may read shop.customers, shop.orders and shop.lines only"
    return None


_NAMES_A_TABLE = re.compile(r"\b(select|from|join|table)\b", re.IGNORECASE)
_SUCH_AS = "sa.select(shop.orders.c.party_id)"


def _tables(source: sa.ClauseElement) -> set[sa.TableClause]:
    return {element for element in visitors.iterate(source) if isinstance(element, sa.TableClause)}


def _reads_by_text(element: object) -> bool:
    """Whether SQL text stands where it could name a table, and so another account's rows."""
    if isinstance(element, sa.Select):
        return any(isinstance(source, sa.TextClause) for source in element._from_obj)
    text = element.text if isinstance(element, sa.TextClause) else ""
    if isinstance(element, sa.ColumnClause) and element.is_literal:
        text = str(element.name)
    return _NAMES_A_TABLE.search(text) is not None
