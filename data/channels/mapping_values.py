"""What stands at a path of a shop's own raw order, and how one value that stands there is read.

What cannot be read is an Unfit about "value": who asked says which of our fields it was, and where it was read.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from data.channels import fields
from data.channels.channel import Unfit
from domain import money

Kind = Literal["text", "id", "whole", "money", "minor", "price", "share", "count", "instant", "country", "flag"]
Formats = tuple[str, ...]
ISO, SECONDS, MILLISECONDS = "iso", "unix", "unix_ms"
_STEP = re.compile(r"([^.\[\]]+)(?:\[([^=\]]+)=([^\]]*)\])?(?:\.|$)")
_WHOLE = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(?:\.[0-9]{1,20})?")
_LARGEST_COUNT = 1_000_000
_EXACT_IN_A_FLOAT = 2**53
_FINEST = Decimal(1).scaleb(-money.SCALE)
_REMEMBERED = 4096


class Terms(NamedTuple):
    """How this shop writes things. `currency`: of the order at hand, once it is known."""

    zone: ZoneInfo
    decimal: str = "."
    thousands: str = ""
    currency: str = ""


def at(raw: Any, path: str) -> Any:
    """What stands at a path such as `billing.email`, `lines.0.sku` or `meta[key=consent].value`; None if nothing."""
    if isinstance(raw, Mapping) and path in raw:
        return raw[path]  # a column, whatever its name
    for name, key, wanted in _steps(path):
        raw = fields.find(raw, name)
        if key:
            entries = raw if isinstance(raw, list) else []
            raw = next((one for one in entries if isinstance(one, Mapping) and text_of(one.get(key)) == wanted), None)
    return raw


@lru_cache(maxsize=_REMEMBERED)
def _steps(path: str) -> tuple[tuple[str, str, str], ...]:
    return tuple((found[1], found[2] or "", found[3] or "") for found in _STEP.finditer(path))


def text_of(raw: Any) -> str:
    """How a value is written, stripped; nothing is an empty text, and so is what is no single value."""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    return str(raw).strip() if isinstance(raw, str | int | float) else ""


def wrong(what: str, sentence: str) -> Unfit:
    """What is wrong with a value, of whatever field: who asked for it says which it was."""
    return Unfit(f"value_{what}", f"value {sentence}")


def _number(raw: Any, terms: Terms) -> Decimal | None:
    if not isinstance(raw, str):
        return fields.decimal({"value": raw}, "value")
    return _written(raw, terms.decimal, terms.thousands)


@lru_cache(maxsize=_REMEMBERED)
def _written(raw: str, decimal: str, thousands: str) -> Decimal:
    text = raw.strip()
    text = text.replace(thousands, "") if thousands else text
    if decimal != ".":
        text = text.replace(".", "?").replace(decimal, ".")
    if not _NUMBER.fullmatch(text):
        raise wrong(
            "unreadable", f"is no number such as 19{decimal}90 (`decimal` and `thousands` say how it is written)"
        )
    return Decimal(text)


def _money(raw: Any, terms: Terms, _formats: Formats) -> Decimal | None:
    amount = _number(raw, terms)
    if amount is None:
        return None
    rounded = amount.quantize(Decimal(1).scaleb(-money.digits(terms.currency)))
    if rounded != amount:
        raise wrong("too_fine", f"has more decimals than {terms.currency} has ({money.digits(terms.currency)})")
    return rounded


def _minor(raw: Any, terms: Terms, _formats: Formats) -> Decimal | None:
    """Whole smallest units, such as cents."""
    amount = _number(raw, terms)
    if amount is not None and amount != amount.to_integral_value():
        raise wrong("unreadable", "is no whole number of the currency's smallest unit")
    return None if amount is None else amount.scaleb(-money.digits(terms.currency))


def _price(raw: Any, terms: Terms, _formats: Formats) -> Decimal | None:
    return _number(raw, terms)


def _share(raw: Any, terms: Terms, _formats: Formats) -> Decimal | None:
    """A part of a total: shops reckon these finer than the currency. Kept to four decimals."""
    amount = _number(raw, terms)
    return None if amount is None else amount.quantize(_FINEST)


def _count(raw: Any, terms: Terms, _formats: Formats) -> int | None:
    """A whole number, also 2.0; of a credit note it may be negative."""
    number = _number(raw, terms)
    if number is None:
        return None
    if number != number.to_integral_value() or abs(number) > _LARGEST_COUNT:
        raise wrong("unreadable", f"is no whole number up to {_LARGEST_COUNT}")
    return int(number)


def _whole(raw: Any, _terms: Terms, _formats: Formats) -> str | None:
    """An id that a spreadsheet or a table made a number of: 17850.0 is 17850."""
    text = text_of(raw)
    found = _WHOLE.fullmatch(text)
    if not text:
        return None
    if found is None:
        raise wrong("unreadable", "is no whole number")
    if found[1] != text and abs(int(found[1])) > _EXACT_IN_A_FLOAT:
        raise wrong("rounded", "went through a float, and ids of more than 15 digits lose some so: send it as text")
    return found[1]


def _instant(raw: Any, terms: Terms, formats: Formats) -> datetime | None:
    text = text_of(raw)
    return _instant_of(text, formats or (ISO,), terms.zone) if text else None


@lru_cache(maxsize=_REMEMBERED)
def _instant_of(text: str, formats: tuple[str, ...], zone: ZoneInfo) -> datetime:
    for one in formats:
        try:
            if one == ISO:
                at = datetime.fromisoformat(text)
            elif one in {SECONDS, MILLISECONDS}:
                at = datetime.fromtimestamp(float(Decimal(text) / (1 if one == SECONDS else 1000)), UTC)
            else:
                at = datetime.strptime(text, one)  # noqa: DTZ007 - its zone is the mapping's, below
        except (ArithmeticError, OSError, OverflowError, ValueError):
            continue
        return fields.in_utc("value", at, zone)
    raise wrong("unreadable", f"is no time written as {' or '.join(formats)}: `format` says how it is written")


def _field(read: Callable[[Any, str], Any]) -> Callable[[Any, Terms, Formats], Any]:
    return lambda raw, _terms, _formats: read({"value": raw}, "value")


READERS: Mapping[Kind, Callable[[Any, Terms, Formats], Any]] = {
    "text": _field(fields.text),
    "id": _field(fields.optional_id),
    "whole": _whole,
    "money": _money,
    "minor": _minor,
    "price": _price,
    "share": _share,
    "count": _count,
    "instant": _instant,
    "country": _field(fields.country),
    "flag": _field(fields.flag),
}
