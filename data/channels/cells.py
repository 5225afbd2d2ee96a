"""Read one cell of a row strictly: the value, or Unfit with a reason that repeats nothing of the cell.

Cells come stripped and free of control characters. The rule of an Unfit is the column's name and what is wrong.
What repeats from row to row (prices, an order's times on each of its rows) is read once and remembered.
"""

import re
from collections.abc import Mapping
from datetime import MAXYEAR, UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TypeVar

from data.channels.channel import Unfit
from domain import money

Row = Mapping[str, str]
Meaning = TypeVar("Meaning")

# An id goes into an index: PostgreSQL's take some 2700 bytes, and 200 characters are 800 at most.
_LONGEST_ID = 200
_LONGEST_TEXT = 1000
_LARGEST_COUNT = 1_000_000
_EARLIEST_YEAR = 1970
_REMEMBERED = 2**14  # some 5 MB; most prices of a shop come again and again
_AMOUNT = re.compile(r"-?[0-9]{1,12}(?:\.([0-9]{1,6}))?")
_COUNT = re.compile(r"-?[0-9]{1,7}")
# What a spreadsheet or a float makes of a long number: 1.2E+10, 1e+16, 12345.0. An id "12E5" is left alone.
_FLOAT = re.compile(r"[+-]?([0-9]+[.,][0-9]+[eE][+-]?[0-9]+|[0-9]+[eE][+-][0-9]+|[0-9]+[.,]0+)")
_BEGINS_A_NUMBER = "+-0123456789"
_YES_NO = {"": False, "false": False, "no": False, "0": False, "true": True, "yes": True, "1": True}
_FINEST = Decimal(1).scaleb(-money.SCALE)


class _Wrong(ValueError):
    """What is wrong with a cell, of whatever column: a word for the rule, and the sentence behind the column's name."""

    def __init__(self, rule: str, sentence: str) -> None:
        super().__init__(sentence)
        self.rule = rule

    def of(self, column: str) -> Unfit:
        """The same of that column."""
        return Unfit(f"{column}_{self.rule}", f"{column}{self}", (column,))


def text(row: Row, column: str) -> str | None:
    """The cell, or None; an optional column may be missing."""
    cell = row.get(column)
    if cell and len(cell) > _LONGEST_TEXT:
        raise _Wrong("too_long", f" is longer than {_LONGEST_TEXT} characters").of(column)
    return cell or None


def required_text(row: Row, column: str) -> str:
    """The same, and it must be there."""
    value = text(row, column)
    if value is None:
        raise _Wrong("missing", " is empty").of(column)
    return value


def identifier(row: Row, column: str) -> str:
    """An id is text, and required. One that a spreadsheet has rounded is refused: the digits are gone."""
    cell = row.get(column)
    if not cell:
        raise _Wrong("missing", " is empty").of(column)
    if len(cell) > _LONGEST_ID:
        raise _Wrong("too_long", f" is longer than {_LONGEST_ID} characters").of(column)
    if cell[0] in _BEGINS_A_NUMBER and _FLOAT.fullmatch(cell):
        sentence = " was turned into a float on its way, as spreadsheets do: export the column as text"
        raise _Wrong("rounded", sentence).of(column)
    return cell


def optional_identifier(row: Row, column: str) -> str | None:
    """The same, or None."""
    return identifier(row, column) if row.get(column) else None


def instant(row: Row, column: str) -> datetime:
    """ISO 8601 with a zone, as UTC."""
    try:
        return _instant(row.get(column, ""))
    except _Wrong as wrong:
        raise wrong.of(column) from wrong


def optional_instant(row: Row, column: str) -> datetime | None:
    """The same, or None."""
    return instant(row, column) if row.get(column) else None


@lru_cache(maxsize=_REMEMBERED)
def _instant(cell: str) -> datetime:
    try:
        at = datetime.fromisoformat(cell)
    except ValueError as error:
        raise _Wrong("unreadable", " is no ISO 8601 time such as 2026-03-01T12:00:00+01:00") from error
    if at.utcoffset() is None:
        sentence = " has no zone, and without it an hour is ambiguous: write +01:00 or Z behind the time"
        raise _Wrong("without_zone", sentence)
    if not _EARLIEST_YEAR <= at.year < MAXYEAR:  # the outermost years overflow on their way to UTC
        raise _Wrong("out_of_range", f" is not between the years {_EARLIEST_YEAR} and {MAXYEAR - 1}")
    return at.astimezone(UTC)


def signed_amount(row: Row, column: str, currency: str) -> Decimal:
    """A decimal string with a point and no more decimals than the currency has."""
    try:
        return _amount(row.get(column, ""), currency)
    except _Wrong as wrong:
        raise wrong.of(column) from wrong


def amount(row: Row, column: str, currency: str) -> Decimal:
    """The same, from zero."""
    return _from_zero(signed_amount(row, column, currency), column)


def optional_amount(row: Row, column: str, currency: str) -> Decimal | None:
    """The same, or None."""
    return amount(row, column, currency) if row.get(column) else None


def share(row: Row, column: str) -> Decimal | None:
    """A part of a total, such as a tax: shops reckon these finer than the currency. Kept to four decimals."""
    cell = row.get(column)
    if not cell:
        return None
    try:
        return _share(cell)
    except _Wrong as wrong:
        raise wrong.of(column) from wrong


def share_from_zero(row: Row, column: str) -> Decimal | None:
    """The same, and not negative."""
    value = share(row, column)
    return None if value is None else _from_zero(value, column)


def _from_zero(value: Decimal, column: str) -> Decimal:
    if value < 0:
        raise _Wrong("negative", " is negative").of(column)
    return value


@lru_cache(maxsize=_REMEMBERED)
def _amount(cell: str, currency: str) -> Decimal:
    found = _AMOUNT.fullmatch(cell)
    if found is None:
        raise _no_amount()
    decimals = found[1]
    if decimals and len(decimals) > money.digits(currency) and len(decimals.rstrip("0")) > money.digits(currency):
        raise _Wrong("too_fine", f": {currency} has {money.digits(currency)} decimals and the amount has more")
    return Decimal(cell)


@lru_cache(maxsize=_REMEMBERED)
def _share(cell: str) -> Decimal:
    if not _AMOUNT.fullmatch(cell):
        raise _no_amount()
    return Decimal(cell).quantize(_FINEST)


def _no_amount() -> _Wrong:
    return _Wrong("unreadable", " is no decimal number with a point and nothing else, such as 19.90")


def currency(row: Row, column: str) -> str:
    """An ISO 4217 code, in any case of letters."""
    try:
        return _currency(row.get(column, ""))
    except money.InvalidAmount as error:
        raise _Wrong("unreadable", f": {error}").of(column) from error


@lru_cache(maxsize=256)
def _currency(cell: str) -> str:
    return money.check_currency(cell)


def count(row: Row, column: str, *, signed: bool = False) -> int:
    """A whole number from 0 (or if `signed` from minus a million) to a million."""
    try:
        return _count(row.get(column, ""), -_LARGEST_COUNT if signed else 0)
    except _Wrong as wrong:
        raise wrong.of(column) from wrong


@lru_cache(maxsize=_REMEMBERED)
def _count(cell: str, lowest: int) -> int:
    number = int(cell) if _COUNT.fullmatch(cell) else _LARGEST_COUNT + 1
    if not lowest <= number <= _LARGEST_COUNT:
        raise _Wrong("unreadable", f" is no whole number from {lowest} to {_LARGEST_COUNT}")
    return number


def country(row: Row, column: str) -> str | None:
    """ISO 3166 alpha-2, or None."""
    cell = row.get(column, "")
    if cell and not (len(cell) == 2 and cell.isascii() and cell.isalpha()):  # noqa: PLR2004 - ISO 3166 alpha-2
        raise _Wrong("unreadable", " is no two-letter ISO 3166 code such as DE").of(column)
    return cell.upper() or None


def yes_or_no(row: Row, column: str) -> bool:
    """True or false; empty is false."""
    try:
        return _YES_NO[row.get(column, "").lower()]
    except KeyError as error:
        raise _Wrong("unreadable", " is neither true nor false").of(column) from error


def word(row: Row, column: str, known: Mapping[str, Meaning]) -> Meaning:
    """What one of a closed set of words means, in any case of letters."""
    meaning = known.get(row.get(column, "").lower())
    if meaning is None:
        raise _Wrong("unknown", f" is none of: {', '.join(known)}").of(column)
    return meaning
