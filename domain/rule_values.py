"""The value of a rule: from what a person wrote to what is compared, or a sentence that says what would be right."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from domain.rule_fields import Field, Kind, shown

LONGEST = 100
ADDRESS = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]")
ANY = "any"  # whichever coupon
_DIGITS = 15  # more are not exact in a frame's columns
_DECIMALS = 4  # of an amount: as many as are stored
_NUMBER = re.compile(rf"[+-]?[0-9]{{1,{_DIGITS}}}(\.[0-9]{{1,{_DIGITS}}})?")
_WHOLE = re.compile(rf"[+-]?[0-9]{{1,{_DIGITS}}}")
# What is written by half: the form, and how much of the time it means.
_SPANS = (
    (re.compile(r"\d{4}-\d\d-\d\d", re.ASCII), timedelta(days=1)),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(Z|[+-]\d\d:\d\d)?", re.ASCII), timedelta(minutes=1)),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?", re.ASCII), timedelta(seconds=1)),
)
# pandas counts years from 1678 to 2261 in every unit, and no order lies beyond.
_YEARS = range(1900, 2200)


class UnusableValue(ValueError):
    """The text is no value of that field; the message says what would be one."""


@dataclass(frozen=True, slots=True)
class Span:
    """A day, a minute or a second: from `start` up to, and without, `end`."""

    start: datetime
    end: datetime


Value = int | Decimal | Span | str


def parse(field: Field, text: str) -> Value:
    """What the text means as a value of this field. Raises UnusableValue.

    Numbers have a point and no thousands separators; a share may be a percentage. A day is one of UTC, and so is a time
    without an offset. Text is compared without regard to case.
    """
    text = text.strip()
    if not text:
        raise UnusableValue(f"a value is missing: write {_wanted(field)}")
    if len(text) > LONGEST:
        raise UnusableValue(f"the value has {len(text)} characters: {LONGEST} at most")
    if not text.isprintable():
        raise UnusableValue("the value holds a control or invisible character: type it anew")
    if field.kind is Kind.INSTANT:
        return _span(field, text)
    if field.kind in {Kind.TEXT, Kind.NAMES, Kind.DEED}:
        return _words(field, text)
    return _sane(field, _number(field, text))


def folded(text: str) -> str:
    """Text as it is compared: without regard to case, letter by letter, as databases do it."""
    return "".join(map(str.lower, text))


def _wanted(field: Field) -> str:
    wanted = {
        Kind.COUNT: "a whole number such as 3",
        Kind.NUMBER: "a number such as 12.5",
        Kind.SHARE: "a share such as 0.2 or 20%",
        Kind.MONEY: "an amount such as 100 or 19.90, with a point and no currency",
        Kind.INSTANT: "a day such as 2026-03-01, or a time such as 2026-03-01 14:30 (UTC)",
    }
    return wanted.get(field.kind, "what it is compared with")


def _number(field: Field, text: str) -> int | Decimal:
    whole = field.kind is Kind.COUNT
    percent = field.kind is Kind.SHARE and text.endswith("%")
    digits = text.removesuffix("%").rstrip() if percent else text
    if not (_WHOLE if whole else _NUMBER).fullmatch(digits):
        raise UnusableValue(f"{shown(text)} is not {_wanted(field)}")
    if whole:
        return int(digits)
    number = Decimal(digits) / (100 if percent else 1)
    if field.kind is Kind.MONEY and abs(number) >= Decimal(10) ** 12:
        raise UnusableValue(f"{shown(text)} is too much: an amount is below a trillion")
    if field.kind is Kind.MONEY and -int(number.normalize().as_tuple().exponent) > _DECIMALS:
        raise UnusableValue(f"{shown(text)} has more than {_DECIMALS} decimals")
    return number


def _sane(field: Field, number: int | Decimal) -> int | Decimal:
    """Refuse what nobody can ever have, such as a share of 20: it was meant otherwise."""
    low, high = field.minimum, field.maximum
    if low is not None and high is not None and not low <= number <= high:
        hint = ": write 0.2 or 20%" if field.kind is Kind.SHARE else ""
        raise UnusableValue(f"“{field.label}” is {low:g} to {high:g}, and the value is {number}{hint}")
    if low is not None and number < 0:
        raise UnusableValue(f"“{field.label}” is never below {low:g}, and the value is {number}")
    return number


def _words(field: Field, text: str) -> str:
    if ADDRESS.search(text):  # a rule is shown to everyone who can open the run
        raise UnusableValue("the value is an address, which no rule asks about")
    if field.choices and text.lower() not in field.choices:
        raise UnusableValue(f"{shown(text)} is none of {', '.join(field.choices)}")
    if field.shape and not re.fullmatch(field.shape, text):
        raise UnusableValue(f"{shown(text)} is no code such as {field.example}")
    if "," in text and (field.kind is Kind.NAMES or field.name == "used_coupon"):
        raise UnusableValue(f"{shown(text)} is several: write one; make a rule of each")
    return text


def _span(field: Field, text: str) -> Span:
    for form, length in _SPANS:
        if form.fullmatch(text):
            return _located(field, text, length)
    raise UnusableValue(f"{shown(text)} is not {_wanted(field)}")


def _located(field: Field, text: str, length: timedelta) -> Span:
    try:
        start = datetime.fromisoformat(text)
    except ValueError as error:
        raise UnusableValue(f"{shown(text)} is not in the calendar: write {_wanted(field)}") from error
    if start.year not in _YEARS:
        raise UnusableValue(f"{shown(text)} is out of reach: years {_YEARS[0]} to {_YEARS[-1]}")
    start = start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)
    return Span(start, start + length)
