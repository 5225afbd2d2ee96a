"""Segments that answer with a select, over a small shop in the real tables."""

import dataclasses
import inspect

import pytest

from data.samples import example_shop
from domain.example_orders import ExampleLine, ExampleOrder, order_of
from segments import examples, registry
from segments.definition import DefinitionError, EvaluationError
from tests.segments.given import AS_OF, room

SOURCE = '''
import sqlalchemy as sa
from segments.registry import segment

@segment(
    "bought",
    owner="x",
    inside=[[{"days_ago": 10, "category": "books"}], {"with": {"category": "toys"}, "orders": [{"category": "toys"}]}],
    outside=[[{"category": "toys"}], []],
)
def bought(shop, as_of, *, category: str = "books"):
    """Bought something of a category.

    category: which category
    """
    return sa.select(shop.lines.c.party_id).where(shop.lines.c.category == category)
'''
ANSWER = "sa.select(shop.lines.c.party_id).where(shop.lines.c.category == category)"
SHOP = [
    [ExampleOrder(category="books"), ExampleOrder(category="toys", days_ago=3)],
    [],
    [ExampleOrder(lines=(ExampleLine(category="toys"), ExampleLine(category="books")))],
    [ExampleOrder(category="toys")],
]


def test_its_members_are_told_for_every_row_of_the_frame(tmp_path, monkeypatch) -> None:
    with room(tmp_path, monkeypatch, theme=SOURCE), example_shop.opened(SHOP, AS_OF) as shop:
        bought = registry.get("bought")
        assert (bought.kind, bought.needs) == ("select", ())
        assert shop.frame(()).party_id.tolist() == [1, 3, 4]
        assert bought.members(shop).tolist() == [True, True, False]
        assert bought.members(shop, {"category": "toys"}).tolist() == [True, True, True]
        assert registry.parse("not bought(category='books')").members(shop).tolist() == [False, False, True]


@pytest.mark.parametrize("text", ["' OR 1=1 --", "books'; DROP TABLE orders; --", "%", "books' UNION SELECT id FROM x"])
def test_an_argument_is_a_value_and_never_sql(text: str, tmp_path, monkeypatch) -> None:
    with room(tmp_path, monkeypatch, theme=SOURCE), example_shop.opened(SHOP, AS_OF) as shop:
        assert not registry.get("bought").members(shop, {"category": text}).any()
        assert registry.get("bought").members(shop).sum() == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("shop.lines.c.category == category", "answered with BinaryExpression: it must be a select of one column"),
        ("'SELECT 1'", "answered with str"),
        ("None", "answered with NoneType"),
        ("sa.select(shop.orders.c.party_id, shop.orders.c.total)", "selects 2 columns: it must be one"),
        (
            "sa.union(sa.select(shop.orders.c.party_id), sa.select(shop.lines.c.party_id))",
            "answered with CompoundSelect",
        ),
        ("sa.delete(sa.table('orders'))", "answered with Delete"),
        ("sa.select(shop.orders.c.paty_id)", r"failed at theme\.py:16: there is no 'paty_id': did you mean 'party_id'"),
        (
            "sa.select(shop.orders.c.party_id).where(shop.orders.c.total > 1 and shop.orders.c.total < 3)",
            "combine conditions with & | ~, not with and, or, not",
        ),
        ("sa.select(shop.ordrs.c.party_id)", r"failed at theme\.py:16"),
        ("sa.select(sa.table('orders', sa.column('party_id')).c.party_id)", "reads orders itself"),
        ("sa.select(sa.table('accounts', sa.column('id')).c.id)", "reads accounts itself"),
        ("sa.select(sa.column('id')).select_from(sa.text('parties'))", "reads tables in plain SQL"),
        ("sa.select(sa.literal_column('(SELECT id FROM parties)'))", "reads tables in plain SQL"),
        ("sa.select(shop.orders.c.party_id).where(sa.text('1 = (select 1)'))", "reads tables in plain SQL"),
        ("sa.select(shop.orders.c.party_id).where(sa.text('nonsense = 1'))", "no such column: nonsense"),
    ],
)
def test_a_wrong_answer_names_file_line_and_fault(answer: str, words: str, tmp_path, monkeypatch) -> None:
    with (
        room(tmp_path, monkeypatch, theme=SOURCE.replace(ANSWER, answer)),
        example_shop.opened(SHOP, AS_OF) as shop,
        pytest.raises(EvaluationError, match=rf"^segment 'bought' \(.*theme\.py:5\).*{words}"),
    ):
        registry.get("bought").members(shop)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('owner="x",', 'owner="x", needs=("orders",),', "has needs, but it is a select"),
        (
            '"days_ago": 10',
            '"day_ago": 10',
            "has an unknown 'day_ago': did you mean 'days_ago'. in example 1 of inside",
        ),
        ('"days_ago": 10', '"days_ago": "ten"', "has 'days_ago', which is not a number"),
        ('"days_ago": 10', '"lines": [{"colour": "red"}]', "has an unknown 'colour'"),
        ('[{"category": "toys"}], []', '{"category": "toys"}', "expects a customer as a list of orders"),
        (
            '"with": {"category"',
            '"with": {"categry"',
            "wrong arguments in example 2 of inside: .* no parameter 'categry': it has category",
        ),
        (ANSWER, "sa.select(sa.text(f'{category}'))", r"puts SQL together in text\(\)"),
        (ANSWER, "sa.select(sa.literal_column(category))", r"puts SQL together in literal_column\(\)"),
    ],
)
def test_a_wrong_definition_is_refused(old: str, new: str, words: str, tmp_path, monkeypatch) -> None:
    assert old in SOURCE
    with (
        room(tmp_path, monkeypatch, theme=SOURCE.replace(old, new)),
        pytest.raises(DefinitionError, match=rf"theme\.py:5: segment 'bought'.*{words}"),
    ):
        registry.get("bought")


def test_examples_are_judged_each_by_its_arguments(tmp_path, monkeypatch) -> None:
    with room(tmp_path, monkeypatch, theme=SOURCE):
        judged = examples.judged(registry.get("bought"), example_shop.opened)
        assert judged.complaints == ()
        assert [verdict.is_in for verdict in judged.verdicts] == [True, True, False, False]


def test_a_wrong_example_is_told_in_a_sentence(tmp_path, monkeypatch) -> None:
    with room(
        tmp_path,
        monkeypatch,
        theme=SOURCE.replace('outside=[[{"category": "toys"}]', 'outside=[[{"category": "books"}]'),
    ):
        (sentence,) = examples.judged(registry.get("bought"), example_shop.opened).complaints
        assert (
            "theme.py:5: segment 'bought': example 1 of outside should be out, but is in: today: category" in sentence
        )


def test_every_word_of_an_order_reaches_the_shop() -> None:
    said = {
        "days_ago": 2.5,
        "total": 12.5,
        "refunded": 2.5,
        "discount": 1.0,
        "coupon": "SPRING",
        "channel": "till",
        "sku": "S",
        "title": "T",
        "category": "C",
        "brand": "B",
        "quantity": 3,
    }
    assert {*said, "lines"} == {one.name for one in dataclasses.fields(ExampleOrder)}
    columns = ("net_revenue", "coupon_orders", "channels", "favourite_category", "favourite_brand", "discounted_share")
    with example_shop.opened([[order_of(said)]], AS_OF) as shop:
        (row,) = shop.frame([*columns, "last_order_at"]).to_dict("records")
    assert [row[name] for name in columns] == [10.0, 1, "till", "C", "B", 1.0]
    assert (AS_OF - row["last_order_at"]).total_seconds() == 2.5 * 86400


def test_the_page_names_every_word_of_an_order() -> None:
    page = (inspect.getfile(registry).rpartition("/segments/")[0]) + "/docs/add-a-segment.md"
    with open(page, encoding="utf-8") as file:  # noqa: PTH123
        text = file.read()
    for one in dataclasses.fields(ExampleOrder):
        assert f"`{one.name}`" in text, one.name
