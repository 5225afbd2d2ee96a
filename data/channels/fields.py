"""Read one field of a raw order (JSON) strictly: the value, or Unfit with a reason that repeats nothing of it.

A path is written `billing.email` or `lines.0.sku`. Where the raw order says nothing (no such key, null, an empty
string) an optional reader returns None. JSON is strict about types and so are these: true is no number, a float is no
id; but money may come as a string or as a number, as channels differ.
"""

import re
from collections.abc import Mapping
from datetime import MAXYEAR, UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from data.channels.channel import Unfit
from domain import money

_LONGEST_ID, _LONGEST_TEXT = 200, 1000  # as in a CSV file (cells.py): an id goes into an index
_LARGEST_COUNT = 1_000_000
_EARLIEST_YEAR = 1970
_EXACT_IN_JSON = 2**53  # beyond it a number may have been rounded on its way (RFC 8259, section 6)
# What a float makes of a sum of cents, such as 0.1 + 0.2; more than this is a real digit.
_FLOAT_NOISE = Decimal("0.000001")
_FINEST = Decimal(1).scaleb(-money.SCALE)
UTC_ZONE = ZoneInfo("UTC")
_TRUE = (True, "1", "true")
_FLAGS = (*_TRUE, False, "0", "false", "")
_SPREADSHEET = re.compile(r"[+-]?([0-9]+[.,][0-9]+[eE][+-]?[0-9]+|[0-9]+[eE][+-][0-9]+|[0-9]+[.,]0+)")
# Half a pair of surrogates too: JSON may hold one, and it is no character that could be stored.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def find(raw: Any, path: str) -> Any:
    """What stands at the path, or None."""
    for part in path.split("."):
        if isinstance(raw, Mapping):
            raw = raw.get(part)
        elif isinstance(raw, list) and part.isascii() and part.isdigit() and int(part) < len(raw):
            raw = raw[int(part)]
        else:
            return None
    return raw


def _missing(path: str) -> Unfit:
    sentence = f"{path} is empty, and an order cannot do without it: have the channel send it, or patch it"
    return Unfit(f"{path.rpartition('.')[2]}_missing", sentence, (path,))


def _wrong(path: str, what: str) -> Unfit:
    return Unfit(f"{path.rpartition('.')[2]}_unreadable", f"{path} {what}", (path,))


def text(raw: Any, path: str) -> str | None:
    """A string (a number is written out), stripped; control characters become spaces. Longer ones are cut to 1,000."""
    value = find(raw, path)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _wrong(path, "is no text: one value in quotes is meant to stand there")
    return _CONTROL.sub(" ", str(value)).strip()[:_LONGEST_TEXT] or None


def required_text(raw: Any, path: str) -> str:
    """The same, and it must be there."""
    value = text(raw, path)
    if value is None:
        raise _missing(path)
    return value


def optional_id(raw: Any, path: str) -> str | None:
    """An id is text or a whole number; one that went through a float has lost digits and is refused."""
    value = find(raw, path)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _wrong(path, "is no id: send it as text or as a whole number; a float loses the digits of long ones")
    value = str(value).strip()
    if len(value) > _LONGEST_ID or _CONTROL.search(value):
        raise _wrong(
            path, f"is no id: it is longer than {_LONGEST_ID} characters or holds control characters; correct it"
        )
    if _SPREADSHEET.fullmatch(value):
        raise _wrong(path, "was turned into a float on its way, and long ids lose digits so: send it as text")
    return value or None


def identifier(raw: Any, path: str) -> str:
    """The same, and it must be there."""
    value = optional_id(raw, path)
    if value is None:
        raise _missing(path)
    return value


def decimal(raw: Any, path: str) -> Decimal | None:
    """Any finite decimal number, as string or number, as it stands. A float's noise beyond six decimals is cut off."""
    value = find(raw, path)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise _wrong(path, "is no amount of money: write it as 19.90")
    return _decimal(path, value if isinstance(value, str) else str(value), noisy=isinstance(value, float))


@lru_cache(maxsize=4096)
def _decimal(path: str, value: str, *, noisy: bool) -> Decimal:
    try:
        amount = Decimal(value.strip())
    except InvalidOperation as error:
        raise _wrong(path, "is no decimal number: write it with a point, such as 19.90") from error
    if not amount.is_finite() or abs(amount) >= Decimal(10) ** 12:
        raise _wrong(path, "is no finite amount below a trillion: correct it")
    if noisy and (rounded := amount.quantize(_FLOAT_NOISE)) != amount:
        return rounded.normalize() + 0
    return amount


def optional_amount(raw: Any, path: str, currency: str) -> Decimal | None:
    """Money in the currency: no more decimals than it has, zeros behind aside. May be negative."""
    amount = decimal(raw, path)
    if amount is None:
        return None
    rounded = amount.quantize(Decimal(1).scaleb(-money.digits(currency)))
    if rounded != amount:
        raise _wrong(
            path,
            f"has more decimals than {currency} has ({money.digits(currency)}): correct the amount or its currency",
        )
    return rounded


def amount(raw: Any, path: str, currency: str) -> Decimal:
    """The same, and it must be there."""
    value = optional_amount(raw, path, currency)
    if value is None:
        raise _missing(path)
    return value


def share(raw: Any, path: str) -> Decimal | None:
    """A part of a total, such as a line's tax: channels reckon these finer than the currency. Kept to four decimals."""
    amount = decimal(raw, path)
    return None if amount is None else amount.quantize(_FINEST)


def currency(raw: Any, path: str) -> str:
    """An ISO 4217 code in any case of letters."""
    try:
        return _currency(path, required_text(raw, path))
    except money.InvalidAmount as error:
        raise _wrong(path, f"is no currency: {error}") from error


@lru_cache(maxsize=256)
def _currency(_path: str, value: str) -> str:
    return money.check_currency(value)


def optional_instant(raw: Any, path: str, *, zone: ZoneInfo | None = None) -> datetime | None:
    """ISO 8601 as UTC. Without a zone of its own it is read in `zone`, and refused where that is None."""
    value = find(raw, path)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _wrong(path, "is no time: write it in quotes as ISO 8601 has it, such as 2026-03-01T12:00:00+01:00")
    return _instant(path, value, zone)


def instant(raw: Any, path: str, *, zone: ZoneInfo | None = None) -> datetime:
    """The same, and it must be there."""
    value = optional_instant(raw, path, zone=zone)
    if value is None:
        raise _missing(path)
    return value


@lru_cache(maxsize=4096)
def _instant(path: str, value: str, zone: ZoneInfo | None) -> datetime:
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise _wrong(path, "is no time: write it as ISO 8601 has it, such as 2026-03-01T12:00:00+01:00") from error
    return in_utc(path, at, zone)


def in_utc(path: str, at: datetime, zone: ZoneInfo | None) -> datetime:
    """A time as UTC. In the hour that comes twice in autumn the first is meant; one that clocks skip is refused."""
    if not _EARLIEST_YEAR <= at.year < MAXYEAR:
        raise _wrong(path, f"is not between the years {_EARLIEST_YEAR} and {MAXYEAR - 1}: correct it")
    if at.utcoffset() is not None:
        return at.astimezone(UTC)
    if zone is None:
        raise _wrong(path, "has no zone, and without it an hour is ambiguous: write +01:00 or Z behind the time")
    there = at.replace(tzinfo=zone)
    if there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != at:
        raise _wrong(
            path, f"is an hour that the clocks of {zone.key} skipped: write the time with its offset, such as +01:00"
        )
    return there.astimezone(UTC)


def count(raw: Any, path: str) -> int:
    """A whole number from 0 to a million (also 2.0, and in quotes)."""
    value = find(raw, path)
    number = None if isinstance(value, bool) else decimal(raw, path)
    if number is None:
        raise _missing(path)
    if number != number.to_integral_value() or not 0 <= number <= _LARGEST_COUNT:
        raise _wrong(path, f"is no whole number from 0 to {_LARGEST_COUNT}: correct it")
    return int(number)


def flag(raw: Any, path: str) -> bool:
    """A JSON true or false; what is not said is false. 0 and 1 do as well, also in quotes, and nothing else."""
    value = find(raw, path)
    if value is None or (isinstance(value, str | int) and value in _FLAGS):
        return value in _TRUE
    raise _wrong(path, "is neither true nor false: write one of them")


def country(raw: Any, path: str) -> str | None:
    """ISO 3166 alpha-2, or None: a country that is written otherwise is no reason to refuse an order."""
    value = find(raw, path)
    if isinstance(value, str) and len(value.strip()) == 2 and value.strip().isascii() and value.strip().isalpha():  # noqa: PLR2004
        return value.strip().upper()
    return None


def rows(raw: Any, path: str) -> list[Any]:
    """A list of objects; what is not said is an empty one."""
    value = find(raw, path)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise _wrong(path, "is no list of objects: send the order as the channel's own API does")
    return value


def is_exact(number: int) -> bool:
    """Can a JSON number of this size have come through a float unharmed?"""
    return abs(number) <= _EXACT_IN_JSON
