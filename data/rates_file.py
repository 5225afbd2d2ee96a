"""Files of currency rates: the European Central Bank's own form, and a plain one."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from domain import money

_PLAIN = ("day", "currency", "rate")
_NONE = ("", "N/A")
_DIGITS = 20
_SHOWN = 5  # faults in one message


class UnusableRates(ValueError):
    """The file, or what was said of it, cannot be used. The message says what to change, and what was kept."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit of `base` cost in `currency` on a day, as decimal text without needless zeros."""

    currency: str
    day: date
    base: str
    rate: str


@dataclass(frozen=True, slots=True)
class _Cell:
    line: int
    day: str
    currency: str
    rate: str


def read(path: Path, *, base: str, today: date) -> list[Rate]:
    """All rates of a file. Raises UnusableRates with the numbers of the lines that cannot be used."""
    base = _base(base)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(reader.line_num, row) for reader in [csv.reader(file)] for row in reader]
    except OSError as error:
        raise UnusableRates(f"{path.name} cannot be read: {error.strerror}. Nothing was loaded") from error
    except (UnicodeDecodeError, csv.Error) as error:
        hint = "is no CSV file; a .zip must be unpacked first"
        raise UnusableRates(f"{path.name} {hint}. Nothing was loaded") from error
    return _checked(path.name, list(_cells(path.name, rows)), base, today)


def _base(text: str) -> str:
    try:
        return money.check_currency(text)
    except money.InvalidAmount as error:
        raise UnusableRates(f"the base {text!r} is no currency: {error}. Nothing was loaded") from error


def _cells(name: str, rows: Sequence[tuple[int, list[str]]]) -> Iterator[_Cell]:
    filled = [(line, [cell.strip() for cell in row]) for line, row in rows if any(cell.strip() for cell in row)]
    head = [cell.lower() for cell in filled[0][1]] if filled else []
    if tuple(head) == _PLAIN:
        for line, row in filled[1:]:
            day, currency, rate = [*row, "", "", ""][: len(_PLAIN)]
            yield _Cell(line, day, currency, rate)
    elif head[:1] == ["date"]:
        for line, row in filled[1:]:
            # The ECB ends each line with a comma.
            for currency, rate in zip(filled[0][1][1:], [*row[1:], *[""] * len(head)], strict=False):
                if rate not in _NONE:
                    yield _Cell(line, row[0], currency, rate)
    else:
        wanted = "Date,USD,JPY,… as the European Central Bank writes it, or day,currency,rate"
        raise UnusableRates(f"{name}: line 1: the header is neither {wanted}. Nothing was loaded")


def _checked(name: str, cells: Sequence[_Cell], base: str, today: date) -> list[Rate]:
    found: dict[tuple[str, date], tuple[int, Rate]] = {}
    faults: list[str] = []
    for cell in cells:
        try:
            rate = _rate(cell, base, today)
        except ValueError as error:
            faults.append(f"line {cell.line}: {error}")
            continue
        line, first = found.setdefault((rate.currency, rate.day), (cell.line, rate))
        if first is not rate:
            faults.append(f"line {cell.line}: {rate.currency} of {rate.day} stands in line {line} already")
    if faults:
        more = f"; and {len(faults) - _SHOWN:,} more" if len(faults) > _SHOWN else ""
        raise UnusableRates(f"{name}: {'; '.join(faults[:_SHOWN])}{more}. Nothing was loaded")
    if not found:
        raise UnusableRates(f"{name} has no rates. Nothing was loaded")
    return [rate for _, rate in found.values()]


def _rate(cell: _Cell, base: str, today: date) -> Rate:
    currency = money.check_currency(cell.currency)
    if currency == base:
        raise ValueError(f"{base} is the base itself; --base names another")
    try:
        day = date.fromisoformat(cell.day)
    except ValueError as error:
        raise ValueError("a day is written as 2026-11-20") from error
    if day > today + timedelta(days=1):
        raise ValueError(f"{day} is in the future")
    try:
        rate = Decimal(cell.rate)
    except InvalidOperation as error:
        raise ValueError(f"the rate of {currency} is no number such as 1.0847") from error
    if not rate.is_finite() or rate <= 0 or abs(rate.adjusted()) > _DIGITS or len(rate.as_tuple().digits) > _DIGITS:
        raise ValueError(f"the rate of {currency} is not above zero, or has more than {_DIGITS} digits")
    return Rate(currency, day, base, format(rate.normalize(), "f"))
