"""A preview put together over a real shop, against counts by hand."""

from collections import Counter
from decimal import Decimal

import pytest
import sqlalchemy as sa

from data import audience, database, kept_previews, runs, segment_sizes, tables
from data.features import refresh
from data.features.population import Customers
from domain import rules
from domain.campaigns import Refinement
from domain.policy import SendingPolicy
from domain.previews import Preview
from domain.rules import Operator, Rule
from segments import selection
from tasks import choosing, preview_markdown, preview_plot, preview_words, previews
from tests.conftest import NOW
from tests.data import frozen, ledger_rows
from tests.segments import shop_rows

POLICY = SendingPolicy()
SEGMENT = "repeat-customers"


@pytest.fixture
def shop(engine: sa.Engine, account_id: str) -> sa.Engine:
    """Forty customers who bought, with names; every second has agreed."""
    shop_rows.fill(engine, account_id)
    with database.write(engine) as connection:
        party = tables.parties
        connection.execute(party.update().values(first_name="Maria", last_name="Musterfrau", country="DE"))
        ids = connection.scalars(sa.select(party.c.id).order_by(party.c.id)).all()
        for one in ids[::2]:
            connection.execute(
                tables.consents.insert().values(
                    account_id="shop",
                    party_id=one,
                    status="granted",
                    basis="consent",
                    source="test",
                    wording="v1",
                    occurred_at=NOW,
                    recorded_at=NOW,
                )
            )
    refresh.refresh(engine, account_id=account_id, as_of=NOW, now=NOW, full=True)
    return engine


def _preview(engine: sa.Engine, segment: str = SEGMENT, **refinement: object) -> Preview:
    plan = previews.plan_of("shop", segment, Refinement(**refinement))  # type: ignore[arg-type]
    return previews.of_plan(engine, plan, POLICY)


def test_size_money_and_verdict_are_those_of_the_members(shop: sa.Engine) -> None:
    found = _preview(shop)
    frame = Customers(shop, "shop").frame(["orders", "net_revenue", "revenue_365d"])
    members = frame[frame.orders >= 2]
    assert (found.members, found.customers) == (len(members), len(frame))
    assert found.members > 0
    assert found.lifetime.members == sum(Decimal(str(one)) for one in members.net_revenue.round(2))
    assert found.last_year.customers == sum(Decimal(str(one)) for one in frame.revenue_365d.round(2))
    verdict = found.verdict
    assert verdict.planned + sum(verdict.skipped.values()) == found.members
    assert set(verdict.skipped) == {"no_consent"}


def test_each_split_counts_every_member(shop: sa.Engine) -> None:
    found = _preview(shop)
    names = [one.name for one in found.splits]
    assert names == ["Country", "Channel", "Mailbox provider", "Last opened or clicked", "RFM cell"]
    for one in found.splits:
        members, customers = (sum(getattr(part, name) for part in one.parts) for name in ("members", "customers"))
        if one.several:
            assert members >= found.members
            assert customers >= found.customers
        else:
            assert (members, customers) == (found.members, found.customers), one.name
        assert all(0 <= part.members <= part.customers for part in one.parts)


def test_who_buys_in_two_channels_counts_in_both(shop: sa.Engine) -> None:
    found = _preview(shop)
    frame = Customers(shop, "shop").frame(["orders", "channels"])
    counts = Counter(name for names in frame[frame.orders >= 2].channels for name in names.split(","))
    (split,) = [one for one in found.splits if one.several]
    assert {part.label: part.members for part in split.parts} == counts


def test_rules_and_excluded_segments_are_part_of_it(shop: sa.Engine) -> None:
    rule = Rule("orders", Operator.AT_LEAST, "4")
    found = _preview(shop, rules=(rule,), exclude=("vip",))
    frame = Customers(shop, "shop").frame(["orders"])
    assert found.members == int((frame.orders >= 4).sum())
    assert found.question.without == ("vip",)
    assert len(found.question.sentences) == 2
    choice = choosing.choose(shop, previews.plan_of("shop", SEGMENT, Refinement(rules=(rule,), exclude=("vip",))))
    assert found.members == len(choice.members.party_ids)
    assert sum(found.verdict.skipped.values()) + found.verdict.planned == found.members


def test_overlaps_are_counted_both_ways_and_never_with_itself(shop: sa.Engine) -> None:
    found = _preview(shop)
    assert 0 < len(found.overlaps) <= 8
    assert SEGMENT not in {one.segment for one in found.overlaps}
    assert [one.shared for one in found.overlaps] == sorted((one.shared for one in found.overlaps), reverse=True)
    customers = Customers(shop, "shop")
    ours = set(choosing.members(customers, choosing.selection.of(SEGMENT, Refinement())).party_ids.tolist())
    for one in found.overlaps:
        theirs = set(choosing.members(customers, choosing.selection.of(one.segment, Refinement())).party_ids.tolist())
        assert (one.shared, one.size) == (len(ours & theirs), len(theirs))


def test_the_trend_is_of_the_same_definition_and_ends_with_this_one(shop: sa.Engine) -> None:
    first = _preview(shop)
    assert [one.members for one in first.trend] == [first.members]
    later = NOW + ledger_rows.timedelta(days=1)
    refresh.refresh(shop, account_id="shop", as_of=later, now=later)
    second = _preview(shop)
    assert [one.as_of for one in second.trend] == [NOW, later]
    assert second.change == second.members - first.members
    assert len(_preview(shop, "lapsed").trend) == 1


def test_nobody_is_named(shop: sa.Engine) -> None:
    found = _preview(shop)
    assert {one.name for one in found.sample} == {"M*** M***"}
    kept = str(kept_previews.as_json(found)) + preview_markdown.markdown(found, "") + preview_plot.svg(found)
    with database.read(shop) as connection:
        emails = connection.scalars(sa.select(tables.parties.c.email)).all()
        assert kept_previews.load(connection, found.id) == found
    assert emails
    assert not [one for one in (*emails, "Musterfrau", "Maria") if one in kept]


def test_the_sample_is_the_same_each_time(shop: sa.Engine) -> None:
    assert _preview(shop).sample == _preview(shop).sample
    assert len(_preview(shop).sample) == 5


def test_an_empty_selection_has_a_preview(shop: sa.Engine) -> None:
    found = _preview(shop, rules=(Rule("orders", Operator.AT_LEAST, "4000"),))
    assert (found.members, found.verdict.planned, found.sample, found.overlaps) == (0, 0, (), ())
    assert preview_markdown.markdown(found, "")


WARNED = {
    "did not buy category toyz": "No order names category “toyz”: did you mean “toys”?",
    "bought category bucher in the last 1 day": "No order names category “bucher”: did you mean “bücher”?",
    "favourite category is zzzzzz": "No order names category “zzzzzz”, nor anything like it.",
    "did not use coupon SAVE01": "No order names coupon “SAVE01”: did you mean “SAVE10”?",
    "used coupon welcom": "No order names coupon “welcom”: did you mean “Welcome”?",
    "ordered through channel shopyfi": "No order names channel “shopyfi”: did you mean “Shopify”?",
    "did not buy product 'sku-100%'": "No order names product “'sku-100%'”: did you mean “sku-100%”?",
    "country is XX": "No customer is from country “XX”, nor anything like it.",
}
NOT_WARNED = (
    *("channels is web", "bought category TOYS in the last 1 day", "bought category bÜcher", "country is de"),
    *("used coupon any", "used coupon welcome", "country is known", "orders at least 4000"),
)


def test_a_word_that_no_order_has_is_warned_of(shop: sa.Engine) -> None:
    customers = Customers(shop, "shop")
    for text, warning in [*WARNED.items(), *((text, None) for text in NOT_WARNED)]:
        chosen = selection.of("all-customers", Refinement(rules=(rules.parse(text),)))
        found = preview_words.warnings(shop, customers, chosen, [], members=1)
        assert found == ([warning] if warning else []), text


def test_words_of_parameters_are_looked_for_too_also_in_what_is_left_out(shop: sa.Engine) -> None:
    misspelt = 'bought-category(category="Tois") or bought-through-channel(channel="WEB")'
    found = _preview(shop, misspelt, exclude=('cross-sell(bought="toys", missing="boocs")', "bought-brand"))
    assert found.warnings == (
        "No order names category “Tois”: did you mean “Toys”?",
        "No order names channel “WEB”: did you mean “web”?",
        "No order names category “boocs”: did you mean “books”?",
        "Brand of bought-brand is not given: it leaves out nobody until it is.",
    )
    assert not _preview(shop, 'bought-category(category="toys")').warnings
    assert not _preview(shop, 'used-coupon(code="save10") or from-country(country="de")').warnings


def test_an_empty_selection_says_why_it_may_be(shop: sa.Engine) -> None:
    nobody = Rule("orders", Operator.AT_LEAST, "4000")
    assert _preview(shop, rules=(nobody,)).warnings == ("Nobody fulfils all of this today.",)
    asked = _preview(shop, "bought-product").warnings
    assert asked == ("Sku of bought-product is not given: perhaps nobody is in it for that.",)
    typo = _preview(shop, rules=(Rule("bought_category", Operator.IS, "toyz"),))
    assert (typo.members, len(typo.warnings)) == (0, 1)


def test_it_says_what_each_segment_is_with_the_arguments_in_force(shop: sa.Engine) -> None:
    asked = _preview(shop, "bought-category", arguments={"category": "toys"}, exclude=("vip",)).question.segments
    assert asked[0].description == "Bought from one category within the last year."
    assert asked[0].arguments == ("category toys", "days 365 (default)", "orders 1 (default)")
    assert [one.name for one in asked] == ["bought-category", "vip"]
    expression = _preview(shop, "vip or bought-category(days=30) and not vip").question
    assert [one.name for one in expression.segments] == ["vip", "bought-category"]
    assert expression.segments[1].arguments == ("category not given", "days 30", "orders 1 (default)")
    assert expression.sentences[0].startswith("is in (vip or (bought-category")


def test_the_preview_of_a_run_says_what_was_frozen(shop: sa.Engine) -> None:
    plan = frozen.plan(segment=SEGMENT, holdout_percent=20, live=False)
    choice = choosing.choose(shop, plan)
    with database.write(shop) as connection:
        run = runs.create(connection, plan, flow_run_id=None, now=NOW)
        run = audience.freeze(
            connection,
            run,
            choice.members.party_ids.tolist(),
            definition_hash=choice.members.definition_hash,
            template_hash="t",
            feature_watermark=choice.members.as_of,
            code_version="test",
            policy=POLICY,
            batch_size=10,
            now=NOW,
        )
        choosing.note_size(connection, "shop", SEGMENT, choice.members)
    found = previews.of_run(shop, run, POLICY)
    assert (found.members, found.verdict.planned, found.verdict.skipped) == (run.members, run.planned, run.skipped)
    assert found.run_id == run.id
    assert [one.members for one in found.trend] == [run.members]
    with database.read(shop) as connection:
        sizes = segment_sizes.trailing(
            connection, account_id="shop", segment=SEGMENT, definition_hash=run.definition_hash or "", limit=9
        )
    assert len(sizes) == 1
