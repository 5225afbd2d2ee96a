"""What a marketer's rule can be about: every customer feature, and what people did in their orders."""

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum

from domain.consent import ConsentStatus
from domain.features import FEATURES, Feature, FeatureType
from domain.suppression import Reason


class Kind(StrEnum):
    """What kind of value a field has, and so how it can be compared."""

    COUNT = "whole number"
    NUMBER = "number"
    SHARE = "share"
    MONEY = "amount"
    INSTANT = "day or time"
    TEXT = "text"
    NAMES = "names"  # several, joined by commas: "is" asks whether one of them is among them
    DEED = "deed"  # something that people did in an order, or did not


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `label`: what a marketer chooses it by. `deed`: how doing it, and not doing it, is said.

    `shape` and `choices`: what a text must look like, or be one of, where only that can ever be found.
    """

    name: str
    label: str
    kind: Kind
    meaning: str
    of_orders: bool = False
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    deed: tuple[str, str] | None = None
    shape: str = ""
    example: str = ""
    choices: tuple[str, ...] = ()


_LABELS = {
    "orders": "orders in all",
    "average_order_value": "average order value",
    "r_score": "recency score",
    "f_score": "frequency score",
    "m_score": "money score",
    "rfm": "RFM code",
    "spread_days_between_orders": "variation in days between orders",
    "last_gap_days": "days between the last two orders",
}
_KINDS = {
    FeatureType.COUNT: Kind.COUNT,
    FeatureType.NUMBER: Kind.NUMBER,
    FeatureType.MONEY: Kind.MONEY,
    FeatureType.INSTANT: Kind.INSTANT,
    FeatureType.TEXT: Kind.TEXT,
}
_SHAPES = {"ISO 3166 alpha-2": ("[A-Za-z]{2}", "DE"), "ISO 639": ("[A-Za-z]{2,3}", "de")}
_CHOICES = {
    "consent": tuple(status.value for status in ConsentStatus),
    "suppression": tuple(reason.value for reason in Reason),
}


def _label(name: str) -> str:
    words = re.sub(r"_(\d+)d$", r" in the last \1 days", name.removesuffix("_at"))
    return _LABELS.get(name, words.replace("_", " "))


def _kind(feature: Feature) -> Kind:
    if feature.type is FeatureType.NUMBER and feature.unit == "ratio" and feature.maximum == 1:
        return Kind.SHARE
    if feature.type is FeatureType.TEXT and feature.unit == "names":
        return Kind.NAMES
    return _KINDS[feature.type]


def _of_feature(feature: Feature) -> Field:
    shape, example = _SHAPES.get(feature.unit, ("", ""))
    return Field(
        feature.name,
        _label(feature.name),
        _kind(feature),
        feature.meaning,
        nullable=feature.nullable,
        minimum=feature.minimum,
        maximum=feature.maximum,
        shape=shape,
        example=example,
        choices=_CHOICES.get(feature.name, ()),
    )


def _deed(name: str, positive: str, negative: str, meaning: str) -> Field:
    return Field(name, positive, Kind.DEED, meaning, of_orders=True, deed=(positive, negative))


OF_ORDERS = (
    _deed("bought_product", "bought product", "did not buy product", "a counted order has a line of this SKU"),
    _deed("bought_category", "bought category", "did not buy category", "a counted order has a line of this category"),
    _deed("bought_brand", "bought brand", "did not buy brand", "a counted order has a line of this brand"),
    _deed("used_coupon", "used coupon", "did not use coupon", "a counted order has this coupon code; any: whichever"),
    Field("number_of_orders", "number of orders", Kind.COUNT, "counted orders", of_orders=True, minimum=0),
    Field("spent", "spent", Kind.MONEY, "totals less refunds, in the account's currency", of_orders=True),
    _deed(
        "ordered_through_channel",
        "ordered through channel",
        "did not order through channel",
        "a counted order came from this channel",
    ),
)
FIELDS: tuple[Field, ...] = (*OF_ORDERS, *map(_of_feature, FEATURES))
BY_NAME = {field.name: field for field in FIELDS}
LABELS = tuple(field.label for field in FIELDS)
_KNOWN = {field.name.replace("_", " "): field for field in FIELDS}
_KNOWN |= {text.casefold(): field for field in FIELDS for text in (field.label, field.name)}
_LONGEST = 40


class UnknownField(LookupError):
    """No field of that name; the message offers the nearest."""


def find(text: str) -> Field:
    """The field of this name or label. Raises UnknownField."""
    words = " ".join(text.split()).casefold()
    if words in _KNOWN:
        return _KNOWN[words]
    near = difflib.get_close_matches(words.replace("_", " "), [label.casefold() for label in LABELS], 1)
    hint = f"did you mean “{_KNOWN[near[0]].label}”?" if near else f"there are: {', '.join(LABELS)}"
    raise UnknownField(f"there is no field {shown(text)}; {hint}")


def is_amount(text: str) -> bool:
    """Whether this is the name or label of a field of numbers."""
    field = _KNOWN.get(" ".join(text.split()).casefold())
    return field is not None and field.kind in {Kind.COUNT, Kind.NUMBER, Kind.SHARE, Kind.MONEY}


def shown(text: str) -> str:
    """A value as a message may repeat it: short, without control characters, and no address."""
    if "@" in text:
        return "“…@…”"
    plain = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:_LONGEST])
    return f"“{plain}{'…' if len(text) > _LONGEST else ''}”"
