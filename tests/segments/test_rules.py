"""Marketers' rules: over features and over orders they say what a plain reckoning row by row says, on both databases."""

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import accounts, arrow, database, tables
from data.features.population import Customers
from domain import rule_fields
from domain import rules as words
from domain.features import BY_NAME, FEATURES, FeatureType
from domain.rules import Operator, Rule
from segments import rules
from tests.conftest import NOW
from tests.segments import shop_rows
from tests.segments.shop_rows import Order

COMPARED = {
    Operator.IS: lambda a, b: a == b,
    Operator.IS_NOT: lambda a, b: a != b,
    Operator.AT_LEAST: lambda a, b: a >= b,
    Operator.AT_MOST: lambda a, b: a <= b,
    Operator.MORE_THAN: lambda a, b: a > b,
    Operator.LESS_THAN: lambda a, b: a < b,
}
DAY = timedelta(days=1)
TEXTS = ("toys", "Toys", "BÜCHER", "bücher", "de", "US", "granted", "manual", "a'b", "web,till", "Till,shop")
ANY_FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


def _row_values(kind: FeatureType) -> st.SearchStrategy[Any]:
    days = st.dates(date(2026, 2, 28), date(2026, 3, 2))
    times = st.builds(datetime.combine, days, st.times(), tzinfo=st.just(UTC))
    edges = st.builds(lambda day: datetime(day.year, day.month, day.day, tzinfo=UTC), days)
    return {
        FeatureType.COUNT: st.integers(0, 6),
        FeatureType.NUMBER: st.sampled_from([0.0, 0.2, 0.25, 1.0, 3.0, 30.5]),
        FeatureType.MONEY: st.integers(-30_000, 30_000).map(lambda units: units / 10_000),
        FeatureType.INSTANT: times | edges,
        FeatureType.TEXT: st.sampled_from(TEXTS),
    }[kind]


def _asked(field: rule_fields.Field) -> st.SearchStrategy[str]:
    if field.choices:
        return st.sampled_from(field.choices)
    if field.shape:
        return st.sampled_from(["de", "US", "fr"])
    return {
        rule_fields.Kind.COUNT: st.integers(1, 5).map(str),
        rule_fields.Kind.NUMBER: st.sampled_from(["0", "0.2", "3", "30.5"]),
        rule_fields.Kind.SHARE: st.sampled_from(["0", "20%", "0.25", "1"]),
        rule_fields.Kind.MONEY: st.integers(-30_000, 30_000).map(lambda units: str(Decimal(units) / 10_000)),
        rule_fields.Kind.INSTANT: st.dates(date(2026, 2, 28), date(2026, 3, 2)).map(str),
        rule_fields.Kind.TEXT: st.sampled_from([text for text in TEXTS if "," not in text]),
        rule_fields.Kind.NAMES: st.sampled_from(["web", "till", "SHOP", "op"]),
    }[field.kind]


@st.composite
def feature_rules(draw: st.DrawFn, kind: FeatureType) -> Rule:
    named = [one.name for one in FEATURES if one.type is kind and one.name != "rfm"]
    field = rule_fields.BY_NAME[draw(st.sampled_from(named))]
    operator = draw(st.sampled_from(words.operators(field)))
    known = operator in {Operator.IS_KNOWN, Operator.IS_NOT_KNOWN}
    return Rule(field.name, operator, "" if known else draw(_asked(field)))


def _says(rule: Rule, value: Any) -> bool:
    """The rule of one value, in plain Python."""
    if rule.operator in {Operator.IS_KNOWN, Operator.IS_NOT_KNOWN}:
        return (value is not None) is (rule.operator is Operator.IS_KNOWN)
    if rule.operator is Operator.IS_NOT:
        return not _says(Rule(rule.field, Operator.IS, rule.value), value)
    return value is not None and _says_of_known(rule, value)


def _says_of_known(rule: Rule, value: Any) -> bool:
    feature = BY_NAME[rule.field]
    if feature.type is FeatureType.TEXT:
        among = value.lower().split(",") if feature.name == "channels" else [value.lower()]
        return rule.value.lower() in among
    if feature.type is FeatureType.INSTANT:
        return COMPARED[rule.operator](value.date(), date.fromisoformat(rule.value))
    asked = float(rule.value.removesuffix("%")) / (100 if rule.value.endswith("%") else 1)
    return COMPARED[rule.operator](value, asked)


@pytest.mark.parametrize("kind", FeatureType)
@given(data=st.data())
@settings(max_examples=200)
def test_a_rule_over_a_feature_says_of_each_row_what_plain_python_says(data: st.DataObject, kind: FeatureType) -> None:
    rule = data.draw(feature_rules(kind))
    feature = BY_NAME[rule.field]
    values = _row_values(feature.type)
    rows = data.draw(st.lists(values | st.none() if feature.nullable else values, max_size=8))
    column = pd.Series(rows, dtype=object).astype(feature.type.dtype)
    answer = rules.compared(column, words.check(rule))
    assert answer.dtype == bool
    assert answer.index.equals(column.index)
    assert answer.to_list() == [_says(rule, value) for value in rows]


@pytest.mark.parametrize("operator", list(COMPARED))
def test_a_day_is_all_of_it(operator: Operator) -> None:
    hours = (-1e-6, 0, 12, 23.999999, 24)
    rows = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=one) for one in hours]
    column = pd.Series(rows).astype(FeatureType.INSTANT.dtype)
    rule = Rule("last_order_at", operator, "2026-03-01")
    assert rules.compared(column, words.check(rule)).to_list() == [_says(rule, row) for row in rows]


@st.composite
def order_rules(draw: st.DrawFn) -> Rule:
    field = draw(st.sampled_from(rule_fields.OF_ORDERS))
    operator = draw(st.sampled_from(words.operators(field)))
    days = draw(st.sampled_from([0, 1, 7, 30, 45, 46, 90, 180, 365, 3650]))
    value = {
        "bought_product": st.sampled_from([f"SKU-{name}" for name in shop_rows.NASTY]),
        "used_coupon": st.sampled_from(
            ["any", "ANY", "save10", "WELCOME", "50%_off", "A'B", "{x}", "ü5", "save1", "%"]
        ),
        "number_of_orders": st.integers(0, 6).map(str),
        "spent": st.integers(-1, 60).map(lambda count: str(count * Decimal("12.35"))),
        "ordered_through_channel": st.sampled_from([*shop_rows.CHANNELS, "SHOPIFY", "we", "%"]),
    }.get(field.name, st.sampled_from([*filter(None, shop_rows.CATEGORIES), "été", "BüCHER", "nothing"]))
    return Rule(field.name, operator, draw(value), days)


def _true_of(rule: Rule, orders: list[Order]) -> bool:
    """The rule of one customer's counted orders, in plain Python."""
    mine = [one for one in orders if not rule.days or NOW - one.placed_at < rule.days * DAY]
    if rule.field == "number_of_orders":
        return COMPARED[rule.operator](len(mine), int(rule.value))
    if rule.field == "spent":
        return COMPARED[rule.operator](sum((one.net for one in mine), Decimal(0)), Decimal(rule.value))
    asked = rule.value.lower()
    found = False
    for order in mine:
        skus, categories, brands = zip(*order.lines, strict=True) if order.lines else ((), (), ())
        texts = {
            "bought_product": skus,
            "bought_category": categories,
            "bought_brand": brands,
            "used_coupon": order.coupons.split(",") if order.coupons else [],
            "ordered_through_channel": [order.channel],
        }[rule.field]
        any_coupon = rule.field == "used_coupon" and asked == "any" and bool(texts)
        found = found or any_coupon or asked in {text.lower() for text in texts if text}
    return found is (rule.operator is Operator.IS)


def test_a_rule_over_orders_says_of_each_customer_what_plain_python_says(engine: sa.Engine, account_id: str) -> None:
    shop = shop_rows.fill(engine, account_id)
    customers = Customers(engine, account_id)
    party_ids = customers.frame(())["party_id"].to_list()
    assert party_ids == sorted(shop)
    seen: set[tuple[bool, bool]] = set()

    @given(order_rules())
    @settings(ANY_FIXTURE, max_examples=150, database=None)
    def agrees(rule: Rule) -> None:
        answer = rules.holds(words.check(rule), customers)
        expected = [_true_of(rule, shop[party_id]) for party_id in party_ids]
        assert answer.to_list() == expected, words.sentence(rule)
        seen.update((rules.column_of(words.check(rule)) is None, holds) for holds in expected)

    agrees()
    assert len(seen) == 4, "features and selects, each of them true and false of somebody"


def test_nobody_is_found_by_a_rule_that_is_a_statement(engine: sa.Engine, account_id: str) -> None:
    shop_rows.fill(engine, account_id, customers=5)
    customers = Customers(engine, account_id)
    before = _orders(engine)
    for text in ("x' OR 1=1 --", "x'; DELETE FROM orders; --", "%' OR '1' LIKE '%", "\\' OR 1=1 --", "x%'%%s%(a)s{0}"):
        for field in rule_fields.OF_ORDERS:
            if field.kind is rule_fields.Kind.DEED:
                rule = Rule(field.name, Operator.IS, text)
                assert not rules.holds(words.check(rule), customers).any(), (field.name, text)
    assert _orders(engine) == before > 0


def _orders(engine: sa.Engine) -> int:
    with database.read(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(tables.orders)).scalar_one()


def test_no_value_stands_in_the_statement(engine: sa.Engine, account_id: str) -> None:
    shop_rows.fill(engine, account_id, customers=3)
    shop = Customers(engine, account_id).shop
    for text in ('bought category "a\'b%"', 'used coupon "a\'b%"', "ordered through channel a'b%", "bought brand ü'b%"):
        select, _ = rules.select_of(words.check(words.parse(text)), shop, NOW)
        compiled = select.compile(engine)
        assert "b%" not in str(compiled)
        assert any("b%" in str(value) or "b/%" in str(value) for value in compiled.params.values())


def test_the_same_are_found_where_values_are_written_into_the_statement(engine: sa.Engine, account_id: str) -> None:
    """Bulk reads through Arrow do that: quotes, percent signs and backslashes must arrive as they are."""
    shop_rows.fill(engine, account_id)
    customers = Customers(engine, account_id)
    found = 0
    for text in (*shop_rows.NASTY, "bücher"):
        select, _ = rules.select_of(words.check(Rule("bought_category", Operator.IS, text)), customers.shop, NOW)
        written_in = arrow.read_table(engine, select)["party_id"].to_pylist()
        assert sorted(written_in) == customers.chosen(select).tolist(), text
        found += len(written_in)
    assert found > len(shop_rows.NASTY)


def test_money_that_cannot_be_reckoned_is_not_spent(engine: sa.Engine, account_id: str) -> None:
    shop = shop_rows.fill(engine, account_id, customers=5)
    first = min(shop)
    with database.write(engine) as connection:
        connection.execute(tables.orders.update().where(tables.orders.c.party_id == first).values(currency="XAF"))
        assert accounts.get(connection, account_id).currency == "USD"
    customers = Customers(engine, account_id)
    for operator, holds in ((Operator.IS, True), (Operator.MORE_THAN, False), (Operator.AT_MOST, True)):
        answer = rules.holds(words.check(Rule("spent", operator, "0", 3650)), customers)
        assert answer[customers.frame(())["party_id"] == first].to_list() == [holds]


@pytest.mark.parametrize("days", [0, 1, 7, 45, 365])
def test_what_a_customer_has_is_told_beside_each_rule(engine: sa.Engine, account_id: str, days: int) -> None:
    shop = shop_rows.fill(engine, account_id, customers=6)
    customers = Customers(engine, account_id)

    for party_id, orders in shop.items():

        def told(field: str, value: str, party_id: int = party_id) -> str:
            return rules.value_of(words.check(Rule(field, Operator.IS, value, days)), customers, party_id)

        mine = [one for one in orders if not days or NOW - one.placed_at < days * DAY]
        spent = sum((one.net for one in mine), Decimal(0))
        assert told("spent", "1") == f"{spent:,.2f}"
        assert told("number_of_orders", "1").split()[0] in {str(len(mine)), "no"}
        with_toys = sum(any((category or "").lower() == "toys" for _, category, _ in one.lines) for one in mine)
        assert told("bought_category", "toys") == f"{with_toys or 'no'} such order{'' if with_toys == 1 else 's'}"


def test_what_is_not_known_is_told_so(engine: sa.Engine, account_id: str) -> None:
    shop = shop_rows.fill(engine, account_id, customers=6)
    customers = Customers(engine, account_id)

    def told(text: str, party_id: int) -> str:
        return rules.value_of(words.check(words.parse(text)), customers, party_id)

    party_id = min(shop)
    assert told("last clicked is known", party_id) == "not known (never)"
    newest = max(one.placed_at for one in shop[party_id])
    assert told("last order after 2026-01-01", party_id) == f"{newest:%Y-%m-%d %H:%M} UTC"
    assert math.isclose(float(told("refund rate at most 1", party_id)), _refund_rate(shop[party_id]), rel_tol=1e-3)
    with pytest.raises(LookupError, match="no counted order"):
        told("net revenue at least 5", 0)


def _refund_rate(orders: list[Order]) -> float:
    back = Decimal("5.10") * len(orders)
    return float(back / (sum((one.net for one in orders), Decimal(0)) + back))
