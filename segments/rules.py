"""Marketers' rules over customers: of features a comparison of columns, of orders a select. Never a text of SQL.

What a comparison says of an unknown value: no. `is not` is the exact opposite of `is`, so it says yes. What a rule over
orders says of a customer without such an order: of none, and of an amount of 0.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

import pandas as pd
import sqlalchemy as sa

from domain import features, money
from domain.rule_fields import Kind
from domain.rule_values import ANY, Span, folded
from domain.rules import Condition, Operator
from segments.population import Population, Shop

Members: TypeAlias = "pd.Series[bool]"
Column: TypeAlias = "pd.Series[Any]"

_COMPARE: Mapping[Operator, Callable[[Any, Any], Any]] = {
    Operator.IS: operator.eq,
    Operator.IS_NOT: operator.ne,
    Operator.AT_LEAST: operator.ge,
    Operator.AT_MOST: operator.le,
    Operator.MORE_THAN: operator.gt,
    Operator.LESS_THAN: operator.lt,
}
# Over these windows the features have counted already; and their revenue knows of credit notes, which name no order.
_COUNTED = {"number_of_orders": ("orders", "orders_{}d"), "spent": ("net_revenue", "revenue_{}d")}
_OF_LINES = {"bought_product": "sku", "bought_category": "category", "bought_brand": "brand"}


def needs(conditions: Iterable[Condition]) -> tuple[str, ...]:
    """The columns of the frame that the rules read."""
    return tuple(dict.fromkeys(name for one in conditions if (name := column_of(one)) is not None))


def column_of(condition: Condition) -> str | None:
    """The feature that answers the rule; None where orders must be asked."""
    days = condition.rule.days
    if not condition.field.of_orders:
        return condition.field.name
    if condition.field.name not in _COUNTED or (days and days not in features.WINDOWS):
        return None
    ever, windowed = _COUNTED[condition.field.name]
    return windowed.format(days) if days else ever


def holds(condition: Condition, population: Population) -> Members:
    """Of whom the rule is true: one boolean a customer, in the order of the population's frame."""
    if (name := column_of(condition)) is not None:
        return compared(population.frame((name,))[name], condition)
    select, opposite = select_of(condition, population.shop, population.as_of)
    found = population.frame(())["party_id"].isin(population.chosen(select)).rename(None)
    return ~found if opposite else found


def compared(values: Column, condition: Condition) -> Members:
    """The rule over a column of the frame."""
    asked, value = condition.rule.operator, condition.value
    if value is None:
        return values.notna() if asked is Operator.IS_KNOWN else values.isna()
    if isinstance(value, Span):
        return _in_time(values, asked, value)
    if isinstance(value, str):
        same = _among(values, value) if condition.field.kind is Kind.NAMES else values.str.lower() == folded(value)
        same = same.fillna(False).astype(bool)
        return ~same if asked is Operator.IS_NOT else same
    number = value if isinstance(value, int) else float(value)
    answer: Members = _COMPARE[asked](values, number)
    return answer


def _among(values: Column, value: str) -> Members:
    return ("," + values.str.lower() + ",").str.contains(f",{folded(value)},", regex=False)


def _in_time(values: Column, asked: Operator, span: Span) -> Members:
    within = (values >= span.start) & (values < span.end)
    answers: dict[Operator, Members] = {
        Operator.IS: within,
        Operator.IS_NOT: ~within,
        Operator.AT_LEAST: values >= span.start,
        Operator.AT_MOST: values < span.end,
        Operator.MORE_THAN: values >= span.end,
        Operator.LESS_THAN: values < span.start,
    }
    return answers[asked]


def select_of(condition: Condition, shop: Shop, as_of: datetime) -> tuple[sa.Select[tuple[int]], bool]:
    """Party ids by their orders, and whether the rule is true of exactly the others.

    Whoever has no order in the time is in no select: where the rule is true of them, the select is of the opposite.
    """
    table, wanted = _orders(condition, shop, as_of)
    query = sa.select(table.c.party_id).where(*wanted)
    asked, value = condition.rule.operator, condition.value
    if condition.field.kind is Kind.DEED:
        return query.distinct(), asked is Operator.IS_NOT
    total, compare = _total(condition, table), _COMPARE[asked]
    opposite = bool(compare(0, value))
    holding: sa.ColumnElement[bool] = compare(total, value)
    return query.group_by(table.c.party_id).having(sa.not_(holding) if opposite else holding), opposite


def _total(condition: Condition, table: sa.FromClause) -> sa.ColumnElement[Any]:
    if condition.field.kind is Kind.COUNT:
        return sa.func.count()
    # Orders whose money cannot be reckoned in the account's currency have none: the gate tells of them.
    nothing = sa.literal(Decimal(0), table.c.net.type)
    return sa.func.coalesce(sa.func.sum(table.c.net, type_=table.c.net.type), nothing, type_=table.c.net.type)


def _orders(condition: Condition, shop: Shop, as_of: datetime) -> tuple[sa.FromClause, list[sa.ColumnElement[bool]]]:
    """The orders or lines that a rule is about. Half open, as the features: a day is not "in the last 1 days" twice."""
    name, value = condition.field.name, condition.value
    table = shop.lines if name in _OF_LINES else shop.orders
    days = condition.rule.days
    wanted = [table.c.placed_at > sa.literal(as_of - timedelta(days=days), table.c.placed_at.type)] if days else []
    if name in _OF_LINES and isinstance(value, str):
        wanted.append(same(table.c[_OF_LINES[name]], value))
    elif name == "ordered_through_channel" and isinstance(value, str):
        wanted.append(same(table.c.channel, value))
    elif name == "used_coupon" and isinstance(value, str):
        wanted.append(with_coupon(table.c.coupons, value))
    return table, wanted


def with_coupon(coupons: sa.ColumnElement[str], value: str) -> sa.ColumnElement[bool]:
    """Whether a code is among an order's coupons, without regard to case; of “any” whether it has one."""
    if folded(value) == ANY:
        return coupons.is_not(None) & (coupons != "")
    among = sa.literal(",") + _lowered(coupons, value) + sa.literal(",")
    return among.contains(f",{folded(value)},", autoescape=True)


def same(column: sa.ColumnElement[str], value: str) -> sa.ColumnElement[bool]:
    """Whether a text is the value, without regard to case."""
    return _lowered(column, value) == folded(value)


def _lowered(column: sa.ColumnElement[str], value: str) -> sa.ColumnElement[str]:
    """SQLite's lower() knows ASCII only, PostgreSQL's depends on the locale: the value's other letters one by one."""
    lowered: sa.ColumnElement[str] = sa.func.lower(column, type_=sa.String())
    for letter in sorted({one for one in folded(value) if not one.isascii()}):
        if len(letter.upper()) == 1 and letter.upper() != letter:
            lowered = sa.func.replace(lowered, letter.upper(), letter, type_=sa.String())
    return lowered


def value_of(condition: Condition, population: Population, party_id: int) -> str:
    """What one customer has, in words, beside a rule. Raises LookupError."""
    if (name := column_of(condition)) is not None:
        frame = population.frame((name,))
        return _in_words(frame.loc[frame["party_id"] == party_id, name].to_list(), features.BY_NAME[name])
    table, wanted = _orders(condition, population.shop, population.as_of)
    theirs = [*wanted, table.c.party_id == party_id]
    if condition.field.kind is Kind.MONEY:
        units = sa.cast(_total(condition, table), sa.BigInteger())
        return f"{money.from_units(int(population.chosen(sa.select(units).where(*theirs))[0])):,.2f}"
    count = len(population.chosen(sa.select(table.c.order_id).where(*theirs)))
    return f"{count or 'no'} such order{'' if count == 1 else 's'}"


def _in_words(found: list[Any], feature: features.Feature) -> str:
    if not found:
        raise LookupError("this customer has no counted order, so no rule is true of them")
    (value,) = found
    if pd.isna(value):
        return f"not known ({feature.null_means})"
    if feature.type is features.FeatureType.MONEY:
        return f"{value:,.2f}"
    if feature.type is features.FeatureType.INSTANT:
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return f"{value:.4g}" if feature.type is features.FeatureType.NUMBER else str(value)
