"""What a marketer chose: segment, arguments and rules together, all faults at once, and nothing that can break out."""

from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data import database, tables
from data.features.population import Customers
from domain.campaigns import Refinement
from domain.rules import Operator, Rule, RuleError
from segments import registry, selection
from segments.expression import ExpressionError
from segments.parameters import ArgumentError
from segments.selection import Selection
from tests.segments import shop_rows
from tests.segments.test_rules import ANY_FIXTURE

TWICE = Rule("number_of_orders", Operator.AT_LEAST, "2", 90)
SPENT = Rule("net_revenue", Operator.MORE_THAN, "250")
# The parameters of texts are those through which anything could be said.
WITH_TEXT = [one for one in registry.load().values() if any(it.type is str for it in one.parameters)]


def _of(segment: str = "all-customers", *rules: Rule, **arguments: str) -> Selection:
    return selection.of(segment, Refinement(arguments=arguments, rules=rules))


def test_it_is_the_segment_and_every_rule(engine: sa.Engine, account_id: str) -> None:
    shop_rows.fill(engine, account_id)
    customers = Customers(engine, account_id)
    every = _of().members(customers)
    twice, spent = _of("all-customers", TWICE).members(customers), _of("all-customers", SPENT).members(customers)
    both = _of("all-customers", TWICE, SPENT).members(customers)
    assert every.all()
    assert both.equals(twice & spent)
    assert 0 < both.sum() < min(twice.sum(), spent.sum()) < len(every)
    chosen = _of("repeat-customers", SPENT)
    assert chosen.members(customers).equals(registry.get("repeat-customers").members(customers) & spent)
    assert set(chosen.needs) == {*registry.get("repeat-customers").needs, "net_revenue"}
    assert chosen.members(customers).dtype == bool


def test_arguments_reach_the_segment(engine: sa.Engine, account_id: str) -> None:
    shop_rows.fill(engine, account_id)
    customers = Customers(engine, account_id)
    rule = Rule("bought_category", Operator.IS, "toys")
    chosen = _of("bought-category", category="toys", days="3650").members(customers)
    assert chosen.any()
    assert (chosen & ~_of("all-customers", rule).members(customers)).sum() == 0


def test_the_hash_changes_with_what_decides_and_with_nothing_else() -> None:
    plain = registry.get("bought-category")
    default = {one.name: one.default for one in plain.parameters}["category"]
    assert _of("bought-category").definition_hash == plain.definition_hash
    assert _of("bought-category", category=str(default)).definition_hash == plain.definition_hash
    assert _of("bought-category", category="  ").definition_hash == plain.definition_hash
    different = [
        _of("bought-category"),
        _of("all-customers"),
        _of("bought-category", category="toys"),
        _of("bought-category", category="games"),
        _of("bought-category", TWICE),
        _of("bought-category", SPENT),
        _of("bought-category", TWICE, SPENT),
        _of("bought-category", TWICE, category="toys"),
        _of("bought-category", Rule("number_of_orders", Operator.AT_LEAST, "2", 91)),
        _of("bought-category", Rule("number_of_orders", Operator.AT_LEAST, "3", 90)),
        _of("bought-category", Rule("number_of_orders", Operator.AT_MOST, "2", 90)),
        _of("bought-category", Rule("orders_90d", Operator.AT_LEAST, "2")),
    ]
    assert len({one.definition_hash for one in different}) == len(different)
    assert _of("all-customers", SPENT, TWICE).definition_hash == _of("all-customers", TWICE, SPENT).definition_hash
    same = Rule("net_revenue", Operator.MORE_THAN, "250.00")
    assert _of("all-customers", same, SPENT).definition_hash == _of("all-customers", SPENT).definition_hash


def test_it_is_told_in_words() -> None:
    chosen = _of("bought-category", TWICE, Rule("country", Operator.IS_NOT, "DE"), category="toys")
    assert chosen.sentences() == [
        "is in segment bought-category with category toys",
        "ordered at least 2 times in the last 90 days",
        "country is not DE (or is not known)",
    ]
    assert _of().sentences() == ["is in segment all-customers"]
    assert _of("vip or lapsed", TWICE).sentences()[0] == "is in (vip or lapsed)"


def test_each_rule_is_explained_for_one_customer(engine: sa.Engine, account_id: str) -> None:
    shop = shop_rows.fill(engine, account_id, customers=8)
    customers = Customers(engine, account_id)
    known = Rule("last_opened_at", Operator.IS_KNOWN)
    chosen = _of("all-customers", SPENT, Rule("spent", Operator.AT_LEAST, "0", 45), known)
    for party_id, orders in shop.items():
        (spent, lately, opened) = chosen.explain_rules(customers, party_id)
        total = sum(one.net for one in orders)
        assert spent == ("net revenue more than 250", f"{total:,.2f}", total > 250)
        assert (lately[0], lately[2]) == ("spent at least 0 in the last 45 days", True)
        assert opened == ("last opened is known", "not known (never seen; openings by machines do not count)", False)
    with pytest.raises(LookupError, match="no counted order"):
        chosen.explain_rules(customers, 0)
    with pytest.raises(LookupError, match="no counted order"):
        _of("all-customers", TWICE, Rule("used_coupon", Operator.IS, "any")).explain_rules(customers, 0)


def test_every_fault_is_told_at_once() -> None:
    wrong = Rule("orders", Operator.AT_LEAST, "many")
    number = next(
        (one, it) for one in registry.load().values() for it in one.parameters if it.type is int
    )  # a segment with a whole number
    with pytest.raises(ArgumentError) as caught:
        _of(number[0].name, SPENT, wrong, nothing="1", **{number[1].name: "lots"})
    told = str(caught.value)
    for part in ("no parameter 'nothing'", f"'{number[1].name}'", "a whole number", "rule 2: “many” is not a whole"):
        assert part in told
    with pytest.raises(RuleError, match=r"rule 1: .*rule 2: "):
        _of("all-customers", wrong, Rule("netrevenue", Operator.IS, "1"))
    with pytest.raises(ArgumentError, match="is given an address") as caught:
        _of("bought-category", category="jane@example.com")
    assert "jane" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *("", "nobody", "all-customers'; DROP TABLE orders; --", "all_customers", "../rules", "__import__('os')"),
        *(
            "all-customers\0",
            "all-customers.__class__",
            "{0.__class__}",
            "%s",
            "registry",
            "all-customers(x=1)",
            "\uff41ll",
        ),
        *("bought-category(category=__import__('os'))", "(" * 5000 + "vip", "not " * 5000 + "vip", "x" * 100_000),
    ],
    ids=lambda name: name[:20],
)
def test_a_name_is_a_name_or_refused(name: str) -> None:
    with pytest.raises((registry.UnknownSegment, ExpressionError, ArgumentError)) as caught:
        _of(name)
    assert str(caught.value)


BREAKING_OUT = (
    *shop_rows.NASTY,
    *("customers.net_revenue > 0", "@as_of", "`orders`", "lambda: 1", "\N{FULLWIDTH APOSTROPHE}", "a\u202eb", "\0"),
    *(
        "x\0y",
        "\ud800",
        "A" * 5000,
        "0x10",
        "1e400",
        "nan",
        "-0",
        "\uff19\uff19",
        "True",
        "None",
        "__class__",
        "\\x00",
        "\n",
    ),
)


@pytest.mark.parametrize("segment", WITH_TEXT, ids=lambda one: one.name)
def test_no_argument_breaks_out(engine: sa.Engine, account_id: str, segment: Any) -> None:
    shop_rows.fill(engine, account_id, customers=4)
    customers = Customers(engine, account_id)
    for text in BREAKING_OUT:
        arguments = {one.name: text for one in segment.parameters if one.type is str}
        _is_answered_or_refused(segment.name, Refinement(arguments=arguments), customers)
    assert _orders(engine) == 20


@pytest.mark.parametrize("field", ["bought_category", "used_coupon", "favourite_category", "channels", "orders"])
def test_no_rule_breaks_out(engine: sa.Engine, account_id: str, field: str) -> None:
    shop_rows.fill(engine, account_id, customers=4)
    customers = Customers(engine, account_id)

    @given(st.sampled_from(BREAKING_OUT) | st.text(max_size=120), st.sampled_from(Operator), st.integers(-5, 10**12))
    @settings(ANY_FIXTURE, max_examples=60, database=None)
    @example("\0", Operator.IS, 0)
    def holds(text: str, operator: Operator, days: int) -> None:
        _is_answered_or_refused("all-customers", Refinement(rules=(Rule(field, operator, text, days),)), customers)

    holds()
    assert _orders(engine) == 20


def _is_answered_or_refused(segment: str, refinement: Refinement, customers: Customers) -> None:
    try:
        chosen = selection.of(segment, refinement)
    except (ArgumentError, RuleError) as error:
        told = str(error)
    else:
        members = chosen.members(customers)
        assert isinstance(members, pd.Series)
        assert members.dtype == bool
        told = "".join(chosen.sentences())
    assert told.isprintable()


def _orders(engine: sa.Engine) -> int:
    with database.read(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(tables.orders)).scalar_one()
