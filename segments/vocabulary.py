"""The shop's own words that a selection names: products, categories, brands, coupons, channels and countries.

Such a word that is misspelt is true of nobody, or leaves nobody out, and nothing fails. So a preview asks of each whether
it occurs at all.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from domain.rule_values import ANY, folded
from domain.rules import Condition
from segments import expression, rules
from segments.combined import CombinedSegment
from segments.definition import Segment
from segments.parameters import Parameter, Value
from segments.population import Shop
from segments.selection import Selection

MOST = 5000  # different words that are looked through for the nearest
_ROWS = 1_000_000  # and among so many lines or orders, for a shop may have hundreds of millions
_OF_FIELDS = {
    "bought_product": "product",
    "bought_category": "category",
    "bought_brand": "brand",
    "favourite_category": "category",
    "favourite_brand": "brand",
    "used_coupon": "coupon",
    "ordered_through_channel": "channel",
    "channels": "channel",
    "country": "country",
}
_OF_PARAMETERS = {kind: kind for kind in _OF_FIELDS.values()} | {"sku": "product"}
_WITHOUT_CASE = frozenset({"coupon", "country"})  # as the library's segments compare them; all else letter by letter


@dataclass(frozen=True, slots=True)
class Word:
    """One word. `exact`: it is compared letter by letter, else without regard to case."""

    kind: str
    text: str
    exact: bool = False


def words(selection: Selection) -> tuple[Word, ...]:
    """All such words of a selection, each once, defaults too."""
    found = [*_of_segment(selection.segment, selection.arguments), *_of_rules(selection.conditions)]
    return tuple(dict.fromkeys(found))


def _of_rules(asked: tuple[Condition, ...]) -> Iterator[Word]:
    for one in asked:
        kind, text = _OF_FIELDS.get(one.field.name), one.rule.value.strip()
        if kind is not None and text and not (kind == "coupon" and folded(text) == ANY):
            yield Word(kind, text)


def _of_segment(segment: Segment, arguments: Mapping[str, Value]) -> Iterator[Word]:
    for _one, parameter, value in in_force(segment, arguments):
        if (kind := _kind(parameter)) is not None and (text := str(value).strip()):
            yield Word(kind, text, exact=kind not in _WITHOUT_CASE)


def not_given(selection: Selection) -> tuple[tuple[str, str], ...]:
    """Segment and parameter of each such word that is empty, unless its docstring says what empty means."""
    return tuple(
        dict.fromkeys(
            (one.name, it.name)
            for one, it, value in in_force(selection.segment, selection.arguments)
            if value == "" and _kind(it) and "empty" not in it.meaning.lower()
        )
    )


def in_force(segment: Segment, arguments: Mapping[str, Value]) -> Iterator[tuple[Segment, Parameter, Value]]:
    """Every parameter with its value; of a combined segment those of its parts."""
    if isinstance(segment, CombinedSegment):
        for named in expression.named(segment.rule):
            yield from in_force(segment.parts[named.name], named.arguments)
    values = segment.values(arguments)
    for parameter in segment.parameters:
        yield segment, parameter, values[parameter.name]


def _kind(parameter: Parameter) -> str | None:
    """By the parameter's name, else by what its line of the docstring says it is."""
    said = re.findall(r"[a-z]+", f"{parameter.name} {parameter.meaning}".lower().replace("_", " "))
    return next((_OF_PARAMETERS[one] for one in said if one in _OF_PARAMETERS), None) if parameter.type is str else None


def occurring(word: Word, shop: Shop) -> "sa.Select[tuple[int]]":
    """One customer who has the word in a counted order (the country: whose it is); none where nobody has."""
    table, column = _column(word.kind, shop)
    if word.kind == "coupon":
        has = rules.with_coupon(column, word.text)
    else:
        has = column == word.text if word.exact else rules.same(column, word.text)
    return sa.select(table.c.party_id).where(has).limit(1)


def every(kind: str, shop: Shop) -> "sa.Select[tuple[str]]":
    """The different words of a kind, as orders have them; coupons several to an order, joined by commas."""
    _, column = _column(kind, shop)
    some = sa.select(column.label("word")).where(column.is_not(None)).limit(_ROWS).subquery("some")
    return sa.select(some.c.word).distinct().limit(MOST)


def _column(kind: str, shop: Shop) -> "tuple[sa.FromClause, sa.ColumnElement[str]]":
    places = {
        "product": (shop.lines, "sku"),
        "category": (shop.lines, "category"),
        "brand": (shop.lines, "brand"),
        "coupon": (shop.orders, "coupons"),
        "channel": (shop.orders, "channel"),
        "country": (shop.customers, "country"),
    }
    table, name = places[kind]
    return table, table.c[name]
