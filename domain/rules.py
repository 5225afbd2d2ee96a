"""Rules for marketers: small conditions by which a segment is refined, without code.

A rule is a field, an operator and a value, and of what people did in orders the days to look back. `check` says whether
it makes sense and what it means; `sentence` puts it in words, and `parse` reads those words back.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from domain import rule_examples, rule_fields, rule_values
from domain.rule_fields import Field, Kind, UnknownField, shown
from domain.rule_values import UnusableValue, Value


class Operator(StrEnum):
    """How a field is compared with a value."""

    IS = "is"
    IS_NOT = "is not"
    AT_LEAST = "at least"
    AT_MOST = "at most"
    MORE_THAN = "more than"
    LESS_THAN = "less than"
    IS_KNOWN = "is known"
    IS_NOT_KNOWN = "is not known"


@dataclass(frozen=True, slots=True)
class Rule:
    """`field operator value`; of orders within the last `days` (0: ever), where the field is one of orders.

    `field`: a feature of domain/features.py, or one of orders. `value`: as a person writes it.
    """

    field: str
    operator: Operator
    value: str = ""
    days: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """A rule that makes sense: its field, and what its value means (None where the operator takes none)."""

    rule: Rule
    field: Field
    value: Value | None


class RuleError(ValueError):
    """A rule cannot be used; the message says which one, what is wrong and what would be right."""


LONGEST_DAYS = 3650
MOST_RULES = 20
BLANK = Rule(rule_fields.FIELDS[0].name, Operator.IS)  # as the form adds one
_KNOWING = frozenset({Operator.IS_KNOWN, Operator.IS_NOT_KNOWN})
_SAMENESS = frozenset({Operator.IS, Operator.IS_NOT})
_WORDS = frozenset({Kind.TEXT, Kind.NAMES, Kind.DEED})
# Of each operator first the words of a sentence (of instants, of numbers), then what else is understood.
_OF_INSTANTS = {
    Operator.IS: "on",
    Operator.IS_NOT: "not on",
    Operator.AT_LEAST: "on or after",
    Operator.AT_MOST: "on or before",
    Operator.MORE_THAN: "after",
    Operator.LESS_THAN: "before",
}
_EXACTLY = {Operator.IS: "exactly", Operator.IS_NOT: "not exactly"}
_SIGNS = {
    "=": Operator.IS,
    "!=": Operator.IS_NOT,
    ">=": Operator.AT_LEAST,
    "<=": Operator.AT_MOST,
    ">": Operator.MORE_THAN,
    "<": Operator.LESS_THAN,
}
_SPELLINGS = {
    **{operator.value: operator for operator in Operator},
    **{words: operator for table in (_OF_INSTANTS, _EXACTLY) for operator, words in table.items()},
}
_SPELLINGS |= {f"is {words}": operator for words, operator in _SPELLINGS.items() if not words.startswith("is")}
_ALTERNATIVES = "|".join(sorted(_SPELLINGS, key=len, reverse=True)).replace(" ", r"\s+")
_UNITS = {"day": 1, "week": 7, "month": 30, "year": 365}  # in days: a rule looks back over days, not over a calendar
_LAST = re.compile(rf"\s+in\s+the\s+last\s+([0-9]{{1,9}})\s+({'|'.join(_UNITS)})s?$", re.IGNORECASE)
# What was meant as a time, and would else be read as a part of the value and so be true of nobody.
_A_TIME = re.compile(r"\b(?:in|within|during|over|for)\s+(?:the\s+)?(?:last|past)\b", re.IGNORECASE)
_COMPARISON = re.compile(
    rf"(?P<field>.+?)\s+(?P<operator>{_ALTERNATIVES})(?:\s+(?P<value>.*))?"
    rf"|(?P<named>.+?)\s*(?P<sign>[<>!]=|[<>=])\s*(?P<other>.*)",
    re.IGNORECASE,
)
_BARE = re.compile(r"[A-Za-z0-9+-][\w.:%+-]*")
_TIMES = re.compile(r"^ordered\s+(?!through\s)(.+?)\s+times?$", re.IGNORECASE)
_ORDERED = {"ordered": "number of orders at least 1", "did not order": "number of orders is 0"}
_OVER = re.compile(r"(.+?)\s+(?:is\s+)?(over|above|under|below)\s+(.+)", re.IGNORECASE)


def operators(field: Field) -> tuple[Operator, ...]:
    """Which operators fit a field: amounts and times are compared, texts are or are not; what can be unknown is asked."""
    fitting = _SAMENESS if field.kind in _WORDS else frozenset(Operator) - _KNOWING
    return tuple(one for one in Operator if one in fitting or (one in _KNOWING and field.nullable))


def is_blank(rule: Rule) -> bool:
    """The rule was added to the form and left as it was: it asks nothing, and may be passed over."""
    return Rule(rule.field, rule.operator, rule.value.strip(), rule.days) == BLANK


def check(rule: Rule) -> Condition:
    """What one rule means. Raises RuleError."""
    try:
        field = rule_fields.find(rule.field)
        _check_fit(field, rule)
        value = None if rule.operator in _KNOWING else rule_values.parse(field, rule.value)
    except (UnknownField, UnusableValue) as error:
        raise RuleError(str(error)) from error
    return Condition(rule, field, value)


def _check_fit(field: Field, rule: Rule) -> None:
    if rule.operator not in (fitting := operators(field)):
        known = f"; “{field.label}” is always known" if rule.operator in _KNOWING and not field.of_orders else ""
        raise RuleError(f"“{field.label}” cannot be asked with “{rule.operator}”{known}: use {_listed(fitting)}")
    if rule.operator in _KNOWING and rule.value.strip():
        raise RuleError(f"“{rule.operator}” takes no value: clear it")
    if rule.days and not field.of_orders:
        fields = _listed([one.label for one in rule_fields.OF_ORDERS])
        raise RuleError(f"“{field.label}” does not look back over days: set the days to 0, or ask {fields}")
    if not 0 <= rule.days <= LONGEST_DAYS:
        raise RuleError(f"the days must be 0 (ever) to {LONGEST_DAYS}, and are {rule.days}")


def _listed(words: Iterable[str]) -> str:
    *most, last = [f"“{word}”" for word in words]
    return f"{', '.join(most)} or {last}" if most else last


def check_all(rules: Iterable[Rule]) -> tuple[Condition, ...]:
    """What the rules mean, or one RuleError that names every fault at once, by the number of its rule."""
    wanted = tuple(rules)
    if len(wanted) > MOST_RULES:
        raise RuleError(f"there are {len(wanted)} rules: {MOST_RULES} at most; ask the data team for a segment")
    found, faults = [], []
    for number, rule in enumerate(wanted, 1):
        try:
            found.append(check(rule))
        except RuleError as error:
            faults.append(f"rule {number}: {error}")
    if faults:
        raise RuleError(". ".join(faults))
    return tuple(found)


def canonical(condition: Condition) -> Rule:
    """The one rule that stands for all that mean the same: 20% is 0.2, DE is de."""
    value = condition.value
    if value is None:
        text = ""
    elif isinstance(value, str):
        text = rule_values.folded(value)
    elif isinstance(value, rule_values.Span):
        text = f"{value.start.isoformat()}/{value.end.isoformat()}"
    else:
        text = str(value) if isinstance(value, int) else f"{value.normalize():f}"
    return Rule(condition.field.name, condition.rule.operator, text, condition.rule.days)


def sentence(rule: Rule) -> str:
    """The rule in words that `parse` understands: “ordered at least 3 times in the last 90 days”. Raises RuleError."""
    condition = check(rule)
    field, operator = condition.field, rule.operator
    value = _quoted(rule.value.strip())
    if field.deed:
        words = f"{field.deed[operator is Operator.IS_NOT]} {value}"
    elif operator in _KNOWING:
        words = f"{field.label} {operator}"
    elif field.name == "number_of_orders" and operator is Operator.IS and value == "0":
        words = "did not order"
    elif field.name == "number_of_orders":
        words = f"ordered {_EXACTLY.get(operator, operator)} {value} {'time' if condition.value == 1 else 'times'}"
    elif field.kind is Kind.INSTANT:
        words = f"{field.label} {_OF_INSTANTS[operator]} {value}"
    elif field.kind in _WORDS:
        words = f"{field.label} {operator} {value}"
    else:
        words = f"{field.label} {_EXACTLY.get(operator, operator)} {value}"
    return f"{words} in the last {rule.days} {'day' if rule.days == 1 else 'days'}" if rule.days else words


def note(rule: Rule) -> str:
    """What a reader of the sentence must know besides; empty for most."""
    field = rule_fields.find(rule.field)
    if rule.operator is Operator.IS_NOT and field.nullable:
        return " (or is not known)"
    return " (UTC)" if field.kind is Kind.INSTANT and rule.operator not in _KNOWING else ""


def _quoted(value: str) -> str:
    taken = {word for spelling in _SPELLINGS for word in spelling.split()}
    if _BARE.fullmatch(value) and value.lower() not in taken:
        return value
    return '"' + value.replace('"', '""') + '"'


def parse(text: str) -> Rule:
    """Read one rule: a sentence, or `field operator value [in the last N days]`. Raises RuleError.

    Besides days there are weeks of 7 days, months of 30 and years of 365. A value of several words may stand in double
    quotes, and must where it could be read otherwise.
    """
    words, days = text.strip(), 0
    try:
        if (last := _LAST.search(words)) and not _label_at_end(words):
            words, days = words[: last.start()], int(last[1]) * _UNITS[last[2].lower()]
            if not days:
                raise RuleError("“in the last 0” is no time: write at least 1, or leave it out for ever")
        field, operator, value = _taken_apart(_plainly(words), lambda: rule_examples.near(words, days))
        rule = Rule(field, operator, _unquoted(value), days)
        return Rule(check(rule).field.name, operator, rule.value, days)
    except RuleError as error:
        raise RuleError(f"{shown(text)}: {error}") from error


def _plainly(words: str) -> str:
    """What people say otherwise, as field, operator and value: “ordered”, “spent over 100”."""
    words = _TIMES.sub(r"number of orders \1", _ORDERED.get(" ".join(words.lower().split()), words))
    if (found := _OVER.fullmatch(words)) and rule_fields.is_amount(found[1]):
        than = Operator.MORE_THAN if found[2].lower() in {"over", "above"} else Operator.LESS_THAN
        return f"{found[1]} {than} {found[3]}"
    return words


def _label_at_end(words: str) -> bool:
    """`orders in the last 90 days` alone is a field, and the rest of the rule is missing."""
    return " ".join(words.split()).casefold() in {label.casefold() for label in rule_fields.LABELS}


def _taken_apart(words: str, example: Callable[[], str]) -> tuple[str, Operator, str]:
    for one in rule_fields.OF_ORDERS:
        for said, operator in zip(one.deed or (), (Operator.IS, Operator.IS_NOT), strict=False):
            found = re.fullmatch(rf"{said}\s+(?!(?:{_ALTERNATIVES}|[<>!=]+)(?:\s|$))(.+)", words, re.IGNORECASE)
            if found:
                return one.name, operator, found[1]
    if (found := _COMPARISON.fullmatch(words)) is None:
        raise RuleError(f"this is no rule: write FIELD OPERATOR VALUE, such as “{example()}”")
    if found["sign"]:
        return found["named"], _SIGNS[found["sign"]], found["other"]
    return found["field"], _SPELLINGS[" ".join(found["operator"].lower().split())], found["value"] or ""


def _unquoted(value: str) -> str:
    quoted = re.fullmatch(r'"((?:[^"]|"")*)"', value.strip())
    if quoted is None and _A_TIME.search(value):
        raise RuleError(
            "the time at its end cannot be read: write “in the last 90 days” (or weeks, months, years; with a whole "
            "number), or put the value in double quotes if that is its name"
        )
    return quoted[1].replace('""', '"') if quoted else value
