"""Read one cell of a row strictly: the value, or BadCell with a reason that repeats nothing of the cell.

Cells come stripped and free of control characters.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import MAXYEAR, UTC, datetime
from decimal import Decimal
from functools import lru_cache

from domain import money

Row = Mapping[str, str]

# An id goes into an index: PostgreSQL's take some 2700 bytes, and 200 characters are 800 at most.
_LONGEST_ID = 200
_LONGEST_TEXT = 1000
_LARGEST_COUNT = 1_000_000
_EARLIEST_YEAR = 1970
_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?")
# What a spreadsheet or a float makes of a long number: 1.2E+10, 1e+16, 12345.0. An id "12E5" is left alone.
_FLOAT = re.compile(r"[+-]?([0-9]+[.,][0-9]+[eE][+-]?[0-9]+|[0-9]+[eE][+-][0-9]+|[0-9]+[.,]0+)")
_YES_NO = {"": False, "false": False, "no": False, "0": False, "true": True, "yes": True, "1": True}


class BadCell(ValueError):
    """The cell cannot be read; the message names the column and what it should hold."""


def text(row: Row, column: str) -> str | None:
    cell = row[column]
    if len(cell) > _LONGEST_TEXT:
        raise BadCell(f"{column} is longer than {_LONGEST_TEXT} characters")
    return cell or None


def required_text(row: Row, column: str) -> str:
    value = text(row, column)
    if value is None:
        raise BadCell(f"{column} is empty")
    return value


def identifier(row: Row, column: str) -> str:
    """An id is text, and required. One that a spreadsheet has rounded is refused: the digits are gone."""
    cell = required_text(row, column)
    if len(cell) > _LONGEST_ID:
        raise BadCell(f"{column} is longer than {_LONGEST_ID} characters")
    if _FLOAT.fullmatch(cell):
        raise BadCell(f"{column} was turned into a float on its way, as spreadsheets do: export the column as text")
    return cell


def instant(row: Row, column: str) -> datetime:
    """ISO 8601 with a zone, as UTC."""
    return _instant(column, row[column])


@lru_cache(maxsize=4096)
def _instant(column: str, cell: str) -> datetime:
    try:
        at = datetime.fromisoformat(cell)
    except ValueError as error:
        raise BadCell(f"{column} is no ISO 8601 time such as 2026-03-01T12:00:00+01:00") from error
    if at.utcoffset() is None:
        raise BadCell(f"{column} has no zone, and without it an hour is ambiguous: write +01:00 or Z behind the time")
    if not _EARLIEST_YEAR <= at.year < MAXYEAR:  # the outermost years overflow on their way to UTC
        raise BadCell(f"{column} is not between the years {_EARLIEST_YEAR} and {MAXYEAR - 1}")
    return at.astimezone(UTC)


def optional_instant(row: Row, column: str) -> datetime | None:
    return instant(row, column) if row[column] else None


def signed_amount(row: Row, column: str, currency: str) -> Decimal:
    """A decimal string with a point and no more decimals than the currency has."""
    return _amount(column, row[column], currency)


def amount(row: Row, column: str, currency: str) -> Decimal:
    """The same, from zero."""
    value = _amount(column, row[column], currency)
    if value < 0:
        raise BadCell(f"{column} is negative")
    return value


@lru_cache(maxsize=4096)
def _amount(column: str, cell: str, currency: str) -> Decimal:
    if not _AMOUNT.fullmatch(cell):
        raise BadCell(f"{column} is no decimal number with a point and nothing else, such as 19.90")
    try:
        return money.parse(cell, currency)
    except money.InvalidAmount as error:
        raise BadCell(f"{column}: {error}") from error


def currency(row: Row, column: str) -> str:
    try:
        return money.check_currency(row[column])
    except money.InvalidAmount as error:
        raise BadCell(f"{column}: {error}") from error


def count(row: Row, column: str) -> int:
    """A whole number from 0 to a million."""
    cell = row[column]
    if not (cell.isascii() and cell.isdigit()) or len(cell) > len(str(_LARGEST_COUNT)) or int(cell) > _LARGEST_COUNT:
        raise BadCell(f"{column} is no whole number from 0 to {_LARGEST_COUNT}")
    return int(cell)


def country(row: Row, column: str) -> str | None:
    cell = row[column]
    if cell and not (len(cell) == 2 and cell.isascii() and cell.isalpha()):  # noqa: PLR2004 - ISO 3166 alpha-2
        raise BadCell(f"{column} is no two-letter ISO 3166 code such as DE")
    return cell.upper() or None


def yes_or_no(row: Row, column: str) -> bool:
    """True or false; empty is false."""
    try:
        return _YES_NO[row[column].lower()]
    except KeyError as error:
        raise BadCell(f"{column} is neither true nor false") from error


def word(row: Row, column: str, known: Sequence[str]) -> str:
    """One of a closed set of words, in any case of letters."""
    lowered = row[column].lower()
    if lowered not in known:
        raise BadCell(f"{column} is none of: {', '.join(known)}")
    return lowered
