"""An example of a rule near to what somebody wrote, for the sentence that refuses it."""

import difflib
import re

from domain import rule_fields, rule_values
from domain.rule_fields import Field, Kind

_FIRST = "net revenue at least 100"
# How people begin a rule, and what it may have been meant to go on with; the longer beginnings first.
_BEGINNINGS = (
    ("did not buy product", "did not buy product {}"),
    ("did not buy brand", "did not buy brand {}"),
    ("did not buy", "did not buy category {}"),
    ("did not order through", "did not order through channel {}"),
    ("did not order", "did not order"),
    ("did not use", "did not use coupon {}"),
    ("bought product", "bought product {}"),
    ("bought brand", "bought brand {}"),
    ("bought", "bought category {}"),
    ("used", "used coupon {}"),
    ("ordered through", "ordered through channel {}"),
    ("ordered", "ordered at least {} times"),
    ("spent", "spent at least {}"),
)
_DEFAULTS = {
    "did not use": "SAVE10",
    "used": "SAVE10",
    "did not order through": "shopify",
    "ordered through": "shopify",
    "ordered": "3",
    "spent": "100",
    "bought product": "CD",
    "did not buy product": "CD",
    "bought brand": "Acme",
    "did not buy brand": "Acme",
}
_OF_NUMBERS = frozenset({"did not order", "ordered", "spent"})
_KIND = re.compile(r"^\s*((coupon|category|product|brand|channel)\b\s*)?", re.IGNORECASE)
_LONGEST = 20


def near(words: str, days: int = 0) -> str:
    """A sound rule that begins as these words do, with their own value where they name one; `days`: as they say."""
    words = " ".join(words.split())
    for beginning, form in _BEGINNINGS:
        if re.match(rf"{beginning}\b", words, re.IGNORECASE):
            rest = _KIND.sub("", words[len(beginning) :])
            number = beginning in _OF_NUMBERS
            value = (_number(rest) if number else _word(rest)) or _DEFAULTS.get(beginning, "toys")
            return form.format(value) + (f" in the last {days or 90} days" if days or number else "")
    field = _nearest(words)
    return _of(field, words) if field is not None else _FIRST


def _number(words: str) -> str:
    found = re.search(r"(?<![\w.,])[0-9]{1,6}(?![\w.,])", words, re.ASCII)
    return found[0] if found and int(found[0]) else ""


def _word(words: str) -> str:
    """The first word, where it is one that may be repeated."""
    found = re.match(r"[\w-]+(?=\s|$)", words)
    fits = found and len(found[0]) <= _LONGEST and found[0].isprintable()
    return found[0] if found and fits and found[0].lower() not in {"in", "is", "at", "any", "not"} else ""


def _nearest(words: str) -> Field | None:
    """The field whose label the words begin with, or begin with almost."""
    heads = {" ".join(words.casefold().split()[:count]) for count in range(1, 9)}
    labels = {text.casefold(): one for one in rule_fields.FIELDS for text in (one.label, one.name)}
    if fitting := heads & set(labels):
        return labels[max(fitting, key=len)]
    found = [near for head in heads for near in difflib.get_close_matches(head, labels, 1, 0.8)]
    return labels[max(found, key=len)] if found else None


def _of(field: Field, words: str) -> str:
    number = _number(words[len(field.label) :] if words.lower().startswith(field.label.lower()) else words)
    if field.kind is Kind.INSTANT:
        return f"{field.label} on or after 2026-03-01"
    if field.kind is Kind.SHARE:
        return f"{field.label} at least 20%"
    if field.kind in {Kind.TEXT, Kind.NAMES, Kind.DEED}:
        value = field.example or (field.choices[0] if field.choices else "toys")
        return f"{field.label} {value}" if field.kind is Kind.DEED else f"{field.label} is {value}"
    try:
        rule_values.parse(field, number)
    except rule_values.UnusableValue:
        number = "100" if field.kind is Kind.MONEY else f"{field.minimum or 1:g}"
    return f"{field.label} at least {number}"
