"""Values of fields: whether each is what its declaration says, and how it is written in the reader's language."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from babel import Locale, UnknownLocaleError, dates, numbers

from domain import money
from domain.template_fields import MUST_BE, Field, Kind

LONGEST_TEXT = 2_000
LONGEST_LINK = 2_048  # what browsers and mail programs take
MOST_ITEMS = 200
# Written out, 1E+999999999 would fill the memory.
_LARGEST, _MOST_DECIMALS = 10**15, 20
_ITEM = {
    "name": Kind.TEXT,
    "quantity": Kind.NUMBER,
    "price": Kind.MONEY,
    "image": Kind.LINK,
    "url": Kind.LINK,
    "note": Kind.TEXT,
}
ITEM_KEYS = tuple(_ITEM)
_LETTER_BY_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")  # KWD 5, as the CLDR has it


class FieldError(ValueError):
    """Values that a mail cannot be made from; the message names every field that is wrong, and none of the values."""


def locale_of(name: str) -> Locale:
    """The locale of this name, such as en_GB or de. Raises FieldError."""
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError) as error:
        raise FieldError(f"there is no locale {name[:20]!r}; write one such as en_GB or de") from error


def known_locale(name: str | None) -> str | None:
    """A channel's word for a locale as far as it is one: de-DE of de-DE.UTF-8, de of de-XX. None where it says nothing."""
    bare = (name or "").strip().partition(".")[0].replace("-", "_")
    for one in (bare, bare.partition("_")[0]):
        with suppress(FieldError):
            return str(locale_of(one))
    return None


def printable(text: str | None, longest: int) -> str | None:
    """One line that can be printed, no longer than this; None where nothing is left of it."""
    words = "".join(one if one.isprintable() else " " * one.isspace() for one in (text or "").replace("\xa0", " "))
    line = " ".join(words.split())
    return (line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…") or None


def written(
    values: Mapping[str, Any], fields: Iterable[Field], fallbacks: Mapping[str, str], locale: Locale
) -> dict[str, Any]:
    """Every field as text, and products as lists of dicts of text: what a template gets. Raises FieldError."""
    shown: dict[str, Any] = {}
    faults: list[str] = []
    for one in fields:
        value = values.get(one.name)
        fallback = fallbacks.get(one.name, one.fallback)
        if value is None and fallback is not None:
            shown[one.name] = [] if one.kind is Kind.ITEMS else fallback
        elif value is None:
            faults.append(f"{one.name} is missing ({one.meaning}), and the template gives no fallback")
        elif found := list(problems(one.name, one.kind, value)):
            faults += found
        else:
            shown[one.name] = _write(one.kind, value, locale)
    if faults:
        raise FieldError("; ".join(faults))
    return shown


def problems(where: str, kind: Kind, value: Any) -> Iterator[str]:
    """What is wrong with a value, in sentences that name the field and not the value."""
    if kind is Kind.ITEMS:
        yield from _items(where, value)
    elif not _SOUND[kind](value):
        yield f"{where} must be {MUST_BE[kind]}"


def _items(where: str, value: Any) -> Iterator[str]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, Mapping) for one in value):
        yield f"{where} must be {MUST_BE[Kind.ITEMS]}"
        return
    if len(value) > MOST_ITEMS:
        yield f"{where} has {len(value):,} products, {MOST_ITEMS} are the most"
        return
    for place, item in enumerate(value):
        if item.get("name") in (None, ""):
            yield f"{where}[{place}].name is missing"
        for key, inner in item.items():
            if key not in _ITEM:
                yield f"{where}[{place}] has a key that no product has; there are: {', '.join(ITEM_KEYS)}"
            elif inner is not None:
                yield from problems(f"{where}[{place}].{key}", _ITEM[key], inner)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT and value.replace("\xa0", " ").isprintable()


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return False
    return -_LARGEST < value < _LARGEST if not isinstance(value, Decimal) else _is_amount(value)


def _is_amount(value: Decimal) -> bool:
    return value.is_finite() and -_LARGEST < value < _LARGEST and int(value.as_tuple().exponent) >= -_MOST_DECIMALS


def _is_money(value: Any) -> bool:
    if not isinstance(value, Mapping) or set(value) != {"amount", "currency"}:
        return False
    amount, currency = value["amount"], value["currency"]
    if not isinstance(currency, str) or currency not in money.CURRENCIES:
        return False
    if isinstance(amount, bool) or not isinstance(amount, (str, int, Decimal)):  # a float is no money
        return False
    try:
        exact = Decimal(amount)
    except InvalidOperation:
        return False
    return _is_amount(exact)


def _is_date(value: Any) -> bool:
    if isinstance(value, date):  # a datetime is one
        return True
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _is_moment(value: Any) -> bool:
    """A time that everybody reads alike: one without an offset is a guess."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return False
    return isinstance(at, datetime) and at.tzinfo is not None


def is_link(value: Any) -> bool:
    """Whether this is an address of the web that may stand in a mail: no script, no file, nobody's password."""
    if not isinstance(value, str) or len(value) > LONGEST_LINK or not value.isprintable() or set(value) & set(' <>"\\'):
        return False
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None and port != 0


_SOUND: Mapping[Kind, Callable[[Any], bool]] = {
    Kind.TEXT: _is_text,
    Kind.NUMBER: _is_number,
    Kind.MONEY: _is_money,
    Kind.DATE: _is_date,
    Kind.MOMENT: _is_moment,
    Kind.LINK: is_link,
}


def _write(kind: Kind, value: Any, locale: Locale) -> Any:
    if kind is Kind.ITEMS:
        return [_item(one, locale) for one in value]
    if kind is Kind.NUMBER:
        return numbers.format_decimal(value, locale=locale)
    if kind is Kind.MONEY:
        return _money(Decimal(value["amount"]), value["currency"], locale)
    if kind is Kind.DATE:
        day = datetime.fromisoformat(value) if isinstance(value, str) else value
        return dates.format_date(day, "long", locale=locale)
    if kind is Kind.MOMENT:
        return _moment(datetime.fromisoformat(value) if isinstance(value, str) else value, locale)
    return value


def _money(amount: Decimal, currency: str, locale: Locale) -> str:
    """With the decimals that are paid (ISO 4217): those of the CLDR are how cash is counted, and would not add up."""
    pattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = (money.digits(currency), money.digits(currency))
    shown = str(pattern.apply(amount, locale, currency=currency, currency_digits=False))
    return _LETTER_BY_DIGIT.sub("\xa0", shown)


def _moment(at: datetime, locale: Locale) -> str:
    day, hour = dates.format_date(at, "long", locale=locale), dates.format_time(at, "short", locale=locale)
    return f"{day}, {hour} ({dates.get_timezone_gmt(at, 'long', locale=locale)})"


def _item(item: Mapping[str, Any], locale: Locale) -> dict[str, str]:
    """A product with all its keys; what is not known is empty, and one piece needs no number."""
    shown = {key: "" if item.get(key) is None else _write(kind, item[key], locale) for key, kind in _ITEM.items()}
    return {**shown, "quantity": "" if item.get("quantity") in {None, 1} else shown["quantity"]}
