"""Rules for marketers: which there are, what they mean, how they are said, and every mistake named."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain import features, rule_examples, rule_fields, rule_values, rules
from domain.rule_fields import Kind
from domain.rule_values import Span
from domain.rules import Operator, Rule, RuleError

WORDS = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"), exclude_characters="@,"))
VALUES = {
    Kind.COUNT: st.integers(1, 5).map(str),
    Kind.NUMBER: st.decimals(0, 999, places=2).map(str),
    Kind.SHARE: st.integers(0, 100).map("{}%".format),
    Kind.MONEY: st.decimals(-999, 999, places=2).map(str),
    Kind.INSTANT: st.dates(date(2000, 1, 1), date(2030, 1, 1)).map(str),
    Kind.TEXT: WORDS.filter(lambda text: text.strip() and text.isprintable() and len(text) < 50),
    Kind.NAMES: WORDS.filter(lambda text: text.strip() and text.isprintable() and len(text) < 50),
    Kind.DEED: WORDS.filter(lambda text: text.strip() and text.isprintable() and len(text) < 50),
}


def _values(field: rule_fields.Field) -> st.SearchStrategy[str]:
    if field.choices:
        return st.sampled_from(field.choices)
    if field.shape:
        return st.sampled_from(["de", "US"])
    if field.name == "rfm":
        return st.integers(111, 555).map(str)
    return VALUES[field.kind]


@st.composite
def sound_rules(draw: st.DrawFn) -> Rule:
    field = draw(st.sampled_from(rule_fields.FIELDS))
    operator = draw(st.sampled_from(rules.operators(field)))
    value = "" if operator in {Operator.IS_KNOWN, Operator.IS_NOT_KNOWN} else draw(_values(field)).strip()
    return Rule(field.name, operator, value, draw(st.sampled_from([0, 1, 90])) if field.of_orders else 0)


@given(sound_rules())
@example(Rule("bought_category", Operator.IS, "in the last 3 days"))
@example(Rule("bought_category", Operator.IS, 'a "quoted" one'))
@example(Rule("bought_category", Operator.IS_NOT, "is not"))
@example(Rule("favourite_category", Operator.IS, "known"))
@example(Rule("favourite_category", Operator.IS, "ordered 3 times"))
@example(Rule("ordered_through_channel", Operator.IS, "5 times"))
@example(Rule("used_coupon", Operator.IS, "= 5"))
@example(Rule("used_coupon", Operator.IS, '"'))
@example(Rule("bought_product", Operator.IS_NOT, "CD in the last 3 months"))
@example(Rule("bought_product", Operator.IS_NOT, "within the last week", 90))
@example(Rule("bought_product", Operator.IS, "over 9000"))
@example(Rule("number_of_orders", Operator.IS, "0", 90))
@example(Rule("number_of_orders", Operator.IS, "00", 90))
def test_a_sentence_is_read_back_as_the_rule_that_it_says(rule: Rule) -> None:
    assert rules.parse(rules.sentence(rule)) == rule


@given(st.text(max_size=300))
def test_whatever_is_typed_is_a_rule_or_a_sentence_of_one_line(text: str) -> None:
    try:
        rules.sentence(rules.parse(text))
    except RuleError as error:
        told = str(error)
    else:
        return
    assert told.isprintable()


@pytest.mark.parametrize(
    ("text", "rule", "sentence"),
    [
        ("net_revenue at least 100", Rule("net_revenue", Operator.AT_LEAST, "100"), "net revenue at least 100"),
        (
            "Bought  category is toys in the last 90 days",
            Rule("bought_category", Operator.IS, "toys", 90),
            "bought category toys in the last 90 days",
        ),
        (
            "number of orders >= 3 in the last 90 days",
            Rule("number_of_orders", Operator.AT_LEAST, "3", 90),
            "ordered at least 3 times in the last 90 days",
        ),
        ("ordered exactly 1 time", Rule("number_of_orders", Operator.IS, "1"), "ordered exactly 1 time"),
        ("spent<50", Rule("spent", Operator.LESS_THAN, "50"), "spent less than 50"),
        ("country is not DE", Rule("country", Operator.IS_NOT, "DE"), "country is not DE"),
        ("last opened is not known", Rule("last_opened_at", Operator.IS_NOT_KNOWN), "last opened is not known"),
        (
            "first_order_at >= 2026-03-01",
            Rule("first_order_at", Operator.AT_LEAST, "2026-03-01"),
            "first order on or after 2026-03-01",
        ),
        (
            "orders in the last 90 days at least 3",
            Rule("orders_90d", Operator.AT_LEAST, "3"),
            "orders in the last 90 days at least 3",
        ),
        (
            "did not use coupon any in the last 1 day",
            Rule("used_coupon", Operator.IS_NOT, "any", 1),
            "did not use coupon any in the last 1 day",
        ),
        (
            "did not buy product CD in the last 3 months",
            Rule("bought_product", Operator.IS_NOT, "CD", 90),
            "did not buy product CD in the last 90 days",
        ),
        (
            "used coupon SAVE10 in the last 2 Weeks",
            Rule("used_coupon", Operator.IS, "SAVE10", 14),
            "used coupon SAVE10 in the last 14 days",
        ),
        (
            "spent at least 100 in the last 1 year",
            Rule("spent", Operator.AT_LEAST, "100", 365),
            "spent at least 100 in the last 365 days",
        ),
        (
            'did not buy product "CD in the last 3 months" in the last 1 month',
            Rule("bought_product", Operator.IS_NOT, "CD in the last 3 months", 30),
            'did not buy product "CD in the last 3 months" in the last 30 days',
        ),
        (
            "Did not  order in the last 90 days",
            Rule("number_of_orders", Operator.IS, "0", 90),
            "did not order in the last 90 days",
        ),
        (
            "ordered in the last 30 days",
            Rule("number_of_orders", Operator.AT_LEAST, "1", 30),
            "ordered at least 1 time in the last 30 days",
        ),
        ("spent over 100", Rule("spent", Operator.MORE_THAN, "100"), "spent more than 100"),
        ("net revenue is below 5", Rule("net_revenue", Operator.LESS_THAN, "5"), "net revenue less than 5"),
        (
            "ordered over 3 times",
            Rule("number_of_orders", Operator.MORE_THAN, "3"),
            "ordered more than 3 times",
        ),
        ("bought product over 9000", Rule("bought_product", Operator.IS, "over 9000"), 'bought product "over 9000"'),
        (
            "spread days between orders at most 5",
            Rule("spread_days_between_orders", Operator.AT_MOST, "5"),
            "variation in days between orders at most 5",
        ),
    ],
)
def test_a_rule_is_read_and_said(text: str, rule: Rule, sentence: str) -> None:
    assert rules.parse(text) == rule
    assert rules.sentence(rule) == sentence


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "write FIELD OPERATOR VALUE, such as “net revenue at least 100”"),
        ("netrevenue at least 5", "there is no field “netrevenue”; did you mean “net revenue”?"),
        ("qqq is 44", "there is no field “qqq”; there are: bought product, bought category"),
        ("bought category is", "a value is missing"),
        ("country at least DE", "cannot be asked with “at least”: use “is”, “is not”, “is known” or “is not known”"),
        ("net revenue is known", "“net revenue” is always known: use “is”"),
        ("country is known DE", "“is known” takes no value: clear it"),
        ("country is Germany", "“Germany” is no code such as DE"),
        ("consent is yes", "“yes” is none of granted, withdrawn"),
        ("net revenue at least 1,000", "“1,000” is not an amount such as 100 or 19.90, with a point"),
        ("net revenue at least 1_000", "is not an amount"),
        ("net revenue at least ١٢", "is not an amount"),
        ("net revenue at least nan", "is not an amount"),
        ("net revenue at least 1e9", "is not an amount"),
        ("spent at least 1000000000000", "an amount is below a trillion"),
        ("spent at least 1.23456", "more than 4 decimals"),
        ("refund rate at most 20", "“refund rate” is 0 to 1, and the value is 20: write 0.2 or 20%"),
        ("orders 90", "this is no rule: write FIELD OPERATOR VALUE, such as “orders in all at least 90”"),
        ("orders in the last 90 days", "such as “orders in the last 90 days at least 1”"),
        ("bought toys in the last 2 months", "such as “bought category toys in the last 60 days”"),
        ("bougth category toys", "such as “bought category toys”"),
        ("ordered 3 times", "such as “ordered at least 3 times in the last 90 days”"),
        ("ordered through amazon", "such as “ordered through channel amazon”"),
        ("spent 100 in the last 1 year", "such as “spent at least 100 in the last 365 days”"),
        ("average order value", "such as “average order value at least 100”"),
        ("first order 2026", "such as “first order on or after 2026-03-01”"),
        ("country DE", "such as “country is DE”"),
        ("did not buy product CD in the last month", "write “in the last 90 days” (or weeks, months, years"),
        ("did not buy product CD in the last three months", "write “in the last 90 days”"),
        ("used coupon X in the last 1.5 months", "write “in the last 90 days”"),
        ("bought product CD within the past 3 days", "write “in the last 90 days”"),
        ('bought product "CD" in the last month', "write “in the last 90 days”"),
        ("bought product CD in the last 0 days", "“in the last 0” is no time: write at least 1"),
        ("used coupon SAVE10 in the last 20 years", "the days must be 0 (ever) to 3650, and are 7300"),
        ("ordered at least 2.5 times", "“2.5” is not a whole number such as 3"),
        ("ordered at least -1 times", "is never below 0"),
        ("favourite hour is 24", "“favourite hour” is 0 to 23"),
        ("first order after 2026-02-30", "“2026-02-30” is not in the calendar"),
        ("first order after 01.03.2026", "is not a day such as 2026-03-01"),
        ("first order after 0001-01-01", "out of reach: years 1900 to 2199"),
        ("net revenue at least 5 in the last 30 days", "set the days to 0, or ask “bought product”"),
        ("spent at least 5 in the last 99999 days", "the days must be 0 (ever) to 3650"),
        ("used coupon A,B", "“A,B” is several: write one"),
        ("bought product x\0y", "control or invisible character"),
        ("bought product x\u200by", "control or invisible character"),
        ("bought product x\ud800y", "control or invisible character"),
        ("bought product " + "x" * 101, "has 101 characters: 100 at most"),
        ("__class__ is x", "there is no field “__class__”"),
        ("net_revenue; DROP TABLE orders -- is 5", "there is no field"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(RuleError) as caught:
        rules.parse(text)
    assert says in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("field", rule_fields.FIELDS, ids=lambda one: one.name)
def test_the_example_beside_a_refusal_is_a_sound_rule_itself(field: rule_fields.Field) -> None:
    for words in (field.label, f"{field.label} xyz", f"{field.label} 7", *(field.deed or ())):
        rules.parse(rule_examples.near(words))
        rules.parse(rule_examples.near(words, 30))


def test_a_rule_that_was_added_and_left_empty_is_known() -> None:
    assert rules.is_blank(Rule(rule_fields.FIELDS[0].name, Operator.IS, " "))
    assert not rules.is_blank(Rule(rule_fields.FIELDS[0].name, Operator.IS, "CD"))
    assert not rules.is_blank(Rule(rule_fields.FIELDS[0].name, Operator.IS_NOT))
    assert not rules.is_blank(Rule(rule_fields.FIELDS[0].name, Operator.IS, "", 90))


def test_all_faults_are_named_at_once_and_an_address_is_never_repeated() -> None:
    wrong = [
        Rule("orders", Operator.AT_LEAST, "many"),
        Rule("orders", Operator.AT_LEAST, "3"),
        Rule("bought_product", Operator.IS, "jane@example.com"),
        Rule("jane@example.com", Operator.IS, "x"),
    ]
    with pytest.raises(RuleError) as caught:
        rules.check_all(wrong)
    told = str(caught.value)
    assert [f"rule {number}: " in told for number in (1, 2, 3, 4)] == [True, False, True, True]
    assert "jane" not in told
    with pytest.raises(RuleError, match="21 rules: 20 at most"):
        rules.check_all([wrong[1]] * 21)


def test_every_feature_is_a_field_with_a_label_of_its_own() -> None:
    assert set(features.BY_NAME) < set(rule_fields.BY_NAME)
    assert len(set(rule_fields.LABELS)) == len(rule_fields.FIELDS) == len(rule_fields.BY_NAME)
    for field in rule_fields.FIELDS:
        assert rule_fields.find(field.label) == rule_fields.find(field.name) == field
        assert "_" not in field.label


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("orders", " 3 ", 3),
        ("net_revenue", "-19.90", Decimal("-19.90")),
        ("refund_rate", "12.5 %", Decimal("0.125")),
        (
            "first_order_at",
            "2026-03-01",
            Span(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)),
        ),
        (
            "first_order_at",
            "2026-03-01 14:30+01:00",
            Span(datetime(2026, 3, 1, 13, 30, tzinfo=UTC), datetime(2026, 3, 1, 13, 31, tzinfo=UTC)),
        ),
        ("country", "de", "de"),
    ],
)
def test_a_value_means_what_its_field_is_about(field: str, text: str, value: object) -> None:
    assert rule_values.parse(rule_fields.find(field), text) == value


def test_rules_that_mean_the_same_are_one() -> None:
    def canonical(text: str) -> Rule:
        return rules.canonical(rules.check(rules.parse(text)))

    assert canonical("refund rate at most 20%") == canonical("refund_rate <= 0.20")
    assert canonical("bought category Toys") == canonical("bought_category is toys")
    assert canonical("first order on 2026-03-01") != canonical("first order on 2026-03-01 00:00")
    assert canonical("ordered at least 100 times") == Rule("number_of_orders", Operator.AT_LEAST, "100")
    assert canonical("spent at least 100").value == "100"


def test_what_a_sentence_leaves_open_is_noted() -> None:
    assert rules.note(rules.parse("country is not DE")) == " (or is not known)"
    assert rules.note(rules.parse("net revenue is not 5")) == ""
    assert rules.note(rules.parse("first order after 2026-03-01")) == " (UTC)"
    assert rules.note(rules.parse("last opened is known")) == ""
