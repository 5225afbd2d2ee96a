"""Why one customer is in, and whether a mail would reach her: the freeze's own verdict, stage by stage."""

import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from data import (
    accounts,
    audience,
    database,
    frequencies,
    own_orders,
    runs,
    standing,
    suppressions,
    tables,
    topics,
)
from data.features.population import Customers
from data.suppressions import NewSuppression
from domain.audience import SENTENCE, SkipReason
from domain.campaigns import RunStatus
from domain.ledger import BatchState
from domain.orders import OrderLine
from domain.preferences import Frequency
from domain.rules import Operator, Rule
from domain.suppression import Reason
from segments.registry import UnknownSegment
from tasks import choosing, explaining
from tasks.explaining import Asked, Explanation
from tests.data import frozen, ledger_rows
from tests.data.living_shop import START, Shop, order, shop
from tests.tasks.test_diffs import freeze

pytestmark = pytest.mark.usefixtures("account_id")
DAY = timedelta(days=1)
DORMANT = Asked("dormant", {"days": "90"})


@pytest.fixture
def here(engine: sa.Engine) -> Shop:
    """c1 to c6 ordered 100 days ago, c7 today; all of them agreed to marketing mail."""
    found = shop(engine)
    found.take_in(*(order(n, START - 100 * DAY, customer=n) for n in range(1, 7)), order(7, START, customer=7))
    found.refresh()
    for person in found.people():
        say(found, person, "granted")
    return found


def say(here: Shop, party_id: int, status: str, at: Any = START - 50 * DAY) -> None:
    word = {"status": status, "basis": "consent", "source": "checkout", "wording": "v1", "occurred_at": at}
    with database.write(here.engine) as connection:
        connection.execute(
            tables.consents.insert().values(account_id=here.account_id, party_id=party_id, recorded_at=at, **word)
        )


def party(here: Shop, number: str) -> int:
    table = tables.parties.c
    with database.read(here.engine) as connection:
        return connection.execute(
            sa.select(table.id).where(table.account_id == here.account_id, table.external_id == number)
        ).scalar_one()


def change(here: Shop, number: str, **values: Any) -> None:
    with database.write(here.engine) as connection:
        connection.execute(tables.parties.update().where(tables.parties.c.id == party(here, number)).values(**values))


def told(here: Shop, number: str, asked: Asked = DORMANT) -> Explanation:
    return explaining.customer(
        here.engine, here.account_id, party(here, number), asked, policy=frozen.POLICY, now=here.now
    )


def stage(found: Explanation, name: str) -> tuple[bool | None, str]:
    (one,) = [one for one in found.stages if one.name == name]
    return one.passes, one.sentence


def suppress(here: Shop, number: str, reason: Reason) -> None:
    with database.write(here.engine) as connection:
        mailbox = connection.scalar(
            sa.select(tables.parties.c.address_hash).where(tables.parties.c.id == party(here, number))
        )
        row = NewSuppression(here.account_id, mailbox, reason, "esp:sendgrid", "evidence", START - 3 * DAY)
        suppressions.add_many(connection, [row])


def test_who_gets_it(here: Shop) -> None:
    found = told(here, "c1")
    assert (found.in_segment, found.gets_it) == (True, True)
    assert found.conditions == ("days since the latest counted order: 100, must be more than 90: yes",)
    assert [one.name for one in found.stages] == [
        *("erasure", "address", "role address", "consent", "suppression", "frequency cap", "running campaign"),
    ]
    assert all(one.passes for one in found.stages)
    assert stage(found, "consent")[1] == (
        "agreed to marketing mail on 12 April 2026 12:00 UTC (source: checkout, wording: v1, basis: consent)"
    )


def test_who_is_not_in_the_segment_hears_which_condition_failed(here: Shop) -> None:
    found = told(here, "c7", Asked("dormant", {"days": "90"}, (Rule("orders", Operator.AT_LEAST, "2"),)))
    assert (found.in_segment, found.gets_it) == (False, False)
    assert found.conditions[0] == "days since the latest counted order: 0, must be more than 90: no"
    assert found.conditions[1].endswith("the customer has 1: no")
    assert found.because == "not in the segment as of 1 June 2026 12:00 UTC"


def test_every_stage_stops_in_its_own_words(here: Shop) -> None:
    say(here, party(here, "c1"), "withdrawn", START - DAY)
    suppress(here, "c2", Reason.COMPLAINT)
    change(here, "c3", email=None, address_hash=None)
    change(here, "c4", email="postmaster@example.com")
    change(here, "c5", erased_at=START, email=None, address_hash=None)
    assert stage(told(here, "c1"), "consent")[1].startswith("withdrew the agreement to marketing mail on 31 May 2026")
    assert stage(told(here, "c2"), "suppression") == (
        False,
        "reported an earlier mail as spam, since 29 May 2026 12:00 UTC (noted by: esp:sendgrid)",
    )
    assert stage(told(here, "c3"), "address") == (False, "has no e-mail address")
    assert stage(told(here, "c4"), "role address")[0] is False
    assert stage(told(here, "c5"), "erasure") == (False, "asked to be erased")
    for number in ("c1", "c2", "c3", "c4", "c5"):
        found = told(here, number)
        assert not found.gets_it
        assert "@" not in str(found)


def test_the_cap_says_how_many_and_when_the_next_may_go(here: Shop) -> None:
    """Two of two within seven days; the older one leaves the window after four days."""
    person = party(here, "c1")
    with database.write(here.engine) as connection:
        for number, ago in enumerate((3, 1)):
            ledger_rows.add_run(
                connection,
                here.account_id,
                [person],
                [ledger_rows.BatchRow(0, 0, BatchState.ACCEPTED, finished_at=START - ago * DAY)],
                run_id=f"{here.account_id}-{number}",
                dispatch_started_at=START - ago * DAY,
            )
    found = told(here, "c1")
    assert stage(found, "frequency cap") == (
        False,
        "got 2 of 2 marketing mails that are allowed within 7 days; the next one may go after 5 June 2026 12:00 UTC",
    )
    assert stage(told(here, "c2"), "frequency cap")[1].startswith("got 0 of 2")
    here.now = START + 4 * DAY + timedelta(seconds=1)
    assert stage(told(here, "c1"), "frequency cap")[0] is True


def test_the_cap_may_be_their_own_choice(here: Shop) -> None:
    """One mail 12 days ago: the shop's cap has forgotten it, a choice of one a month has not."""
    person, then = party(here, "c1"), START - 12 * DAY
    with database.write(here.engine) as connection:
        batch = ledger_rows.BatchRow(0, 0, BatchState.ACCEPTED, finished_at=then)
        ledger_rows.add_run(connection, here.account_id, [person], [batch], dispatch_started_at=then)
        mailbox = connection.scalar(sa.select(tables.parties.c.address_hash).where(tables.parties.c.id == person))
        chosen = {"source": "preferences", "evidence": "message r1.0", "now": START}
        frequencies.choose(connection, here.account_id, mailbox, Frequency.MONTHLY, **chosen)
    found = told(here, "c1")
    assert not found.gets_it
    choice, then = "(their own choice: monthly)", "19 June 2026 12:00 UTC"
    words = f"got 1 of 1 marketing mails that are allowed within 30 days {choice}; the next one may go after {then}"
    assert stage(found, "frequency cap") == (False, words)


def test_a_refused_topic_stops_mail_about_it_only(here: Shop) -> None:
    with database.write(here.engine) as connection:
        table = tables.parties.c
        mailbox = connection.scalar(sa.select(table.address_hash).where(table.id == party(here, "c1")))
        topics.refuse(connection, here.account_id, mailbox, ["offers"], source="t", evidence="e", now=START)
    found = told(here, "c1")
    assert found.gets_it
    assert stage(found, "topic") == (None, "would get no mail of a campaign about offers")
    found = told(here, "c1", replace(DORMANT, topic="offers"))
    assert not found.gets_it
    assert stage(found, "topic") == (False, "wants no mail about this campaign's topic: offers")
    assert stage(told(here, "c1", replace(DORMANT, topic="tips")), "topic")[0] is True
    assert stage(told(here, "c2", replace(DORMANT, topic="offers")), "topic")[0] is True


def test_a_running_campaign_that_goes_first(here: Shop) -> None:
    with database.write(here.engine) as connection:
        ledger_rows.add_run(
            connection,
            here.account_id,
            [party(here, "c1")],
            [ledger_rows.BatchRow(0, 0, BatchState.PLANNED, finished_at=None)],
            run_id=f"{here.account_id}-first",
            status=RunStatus.DISPATCHING,
            priority=5,
        )
    passes, sentence = stage(told(here, "c1"), "running campaign")
    assert passes is False
    assert sentence.endswith(f"goes first: “campaign of {here.account_id}-first”")
    assert stage(told(here, "c2"), "running campaign")[0] is True


def test_quiet_hours_hold_a_mail_and_stop_none(here: Shop) -> None:
    with database.write(here.engine) as connection:
        values = {"quiet_from": "12:00", "quiet_until": "15:00", "timezone": "UTC"}
        connection.execute(tables.accounts.update().where(tables.accounts.c.id == here.account_id).values(**values))
        assert accounts.get(connection, here.account_id).quiet_from == "12:00"
    change(here, "c1", country=None)
    found = told(here, "c1")
    assert found.gets_it
    assert stage(found, "quiet hours")[1].endswith("1 June 2026 15:00 UTC")


def test_the_holdout_is_the_freezes_own_draw(here: Shop) -> None:
    plan = frozen.plan(
        account_id=here.account_id, segment="all-customers", live=False, holdout_percent=50, seed=4, campaign="spring"
    )
    chosen = choosing.choose(here.engine, plan)
    with database.write(here.engine) as connection:
        run = runs.create(connection, plan, flow_run_id=None, now=here.now)
        run = audience.freeze(
            connection,
            run,
            chosen.members.party_ids.tolist(),
            definition_hash="d",
            template_hash="t",
            feature_watermark=here.now,
            code_version="test",
            policy=frozen.POLICY,
            batch_size=10,
            now=here.now,
        )
        held = {one: audience.explain(connection, run.id, one) == SkipReason.HOLDOUT for one in here.people()}
    assert len(set(held.values())) == 2
    asked = Asked("all-customers", {}, campaign="spring", seed=4, holdout_percent=50)
    for number in range(1, 8):
        found = told(here, f"c{number}", asked)
        assert found.gets_it is not held[party(here, f"c{number}")]
        if not found.gets_it:
            assert found.because.startswith(SENTENCE[SkipReason.HOLDOUT])


def test_the_verdict_is_the_freezes_for_everybody(here: Shop) -> None:
    say(here, party(here, "c1"), "withdrawn", START - DAY)
    suppress(here, "c2", Reason.UNSUBSCRIBE)
    change(here, "c3", email=None, address_hash=None)
    run = freeze(here)
    with database.read(here.engine) as connection:
        for number in range(1, 7):
            person = party(here, f"c{number}")
            reason = audience.explain(connection, run.id, person)
            stands = standing.read(connection, here.account_id, person, policy=frozen.POLICY, now=here.now)
            assert stands.reason == reason
            assert told(here, f"c{number}").gets_it is (reason is None)


def test_somebody_without_a_counted_order(here: Shop) -> None:
    here.take_in(order(70, START, customer=9, is_test=True))
    here.refresh()
    found = told(here, "c9")
    assert not found.in_segment
    assert found.conditions == ("the customer has no counted order, and a segment is made of those who have: no",)
    assert stage(found, "consent")[0] is False


def test_what_kept_somebody_out_of_a_run_while_that_can_be_told(here: Shop) -> None:
    run = freeze(here)
    person = party(here, "c7")
    assert explaining.missed(here.engine, run, person) == (
        "days since the latest counted order: 0, must be more than 90: no",
    )
    here.now += DAY
    here.refresh()
    assert explaining.missed(here.engine, run, person) is None


def test_a_select_says_what_was_ordered(here: Shop) -> None:
    toys = OrderLine(line_no=1, sku="s1", title="Bear", quantity=1, total=Decimal(5), category="toys", brand="Acme")
    old = START - 400 * DAY
    here.take_in(
        order(80, old, customer=1, lines=(toys,), coupons=("SPRING10",)), order(81, START, customer=8, lines=())
    )
    here.refresh()
    latest = "1 counted order in the last 365 days, the latest: web/1 on 21 February 2026 12:00 UTC"
    named = "the latest order that names {}: web/80 on 27 April 2025 12:00 UTC"
    for segment, arguments, facts in (
        ("bought-category", {"category": "toys"}, [latest, named.format("category toys")]),
        ("bought-category", {"category": "Toys"}, [latest, "no order names category Toys"]),
        ("bought-brand", {"brand": "Acme"}, [latest, named.format("brand Acme")]),
        ("bought-product", {"sku": "s1"}, [latest, named.format("sku s1")]),
        ("used-coupon", {"code": "spring10"}, [latest, named.format("coupon spring10")]),
        ("used-coupon", {"code": "spring"}, [latest, "no order names coupon spring"]),
        ("cross-sell", {"bought": "toys"}, [latest, named.format("category toys")]),
        ("variety-buyers", {}, [latest]),
    ):
        found = told(here, "c1", Asked(segment, arguments))
        assert [line.strip() for line in found.conditions[1:]] == facts
        assert found.conditions[0].startswith(f"{found.segment}: ")
    part = told(here, "c1", Asked('not bought-category(category="toys")', {}))
    assert f"    {latest}" in part.conditions
    assert (
        part.conditions[1] == '  in bought-category(category="toys"): Bought from one category within the last year: no'
    )
    nothing = told(here, "c8", Asked("bought-category", {"category": "toys"}))
    assert nothing.conditions[1:] == (
        "  1 counted order in the last 365 days, the latest: web/81 on 1 June 2026 12:00 UTC",
        "  no order names category toys",
    )


def test_the_orders_of_one_person_are_those_of_all_their_numbers_and_nobody_elses(here: Shop) -> None:
    change(here, "c2", person_id=party(here, "c1"))
    with database.read(here.engine) as connection:
        theirs = own_orders.OwnOrders(
            Customers(here.engine, here.account_id).shop, here.account_id, party(here, "c1"), START
        )
        assert theirs.lately(connection) == 2
        assert theirs.latest(connection, "channel", "web").number == "2"
        assert theirs.latest(connection, "channel", "csv") is None
        assert replace(theirs, account_id="other").latest(connection) is None
        assert replace(theirs, as_of=START + 265 * DAY).lately(connection) == 0


def test_money_is_told_in_the_accounts_currency(here: Shop) -> None:
    rules = (Rule("net_revenue", Operator.AT_LEAST, "1"), Rule("orders", Operator.AT_LEAST, "1"))
    found = told(here, "c1", Asked("spent-at-least", {"amount": "1"}, rules))
    with database.read(here.engine) as connection:
        currency = accounts.get(connection, here.account_id).currency
    assert f", must be at least 1.00 {currency}: " in found.conditions[0]
    assert re.search(rf"the customer has [\d.]+ {currency}: ", found.conditions[1])
    assert found.conditions[2].endswith("the customer has 1: yes")


def test_a_segment_that_is_left_out_is_a_stage(here: Shop) -> None:
    assert "excluded segment" not in [one.name for one in told(here, "c1").stages]
    out = told(here, "c1", replace(DORMANT, without=("vip", "all-customers")))
    assert not out.gets_it
    assert stage(out, "excluded segment") == (False, f"{SENTENCE[SkipReason.EXCLUDED_SEGMENT]}: all-customers")
    assert out.because == stage(out, "excluded segment")[1]
    names = [one.name for one in out.stages]
    assert names[names.index("excluded segment") - 1 :][:3] == ["suppression", "excluded segment", "frequency cap"]
    free = told(here, "c1", replace(DORMANT, without=("dormant and not dormant", "not all-customers")))
    assert free.gets_it
    assert stage(free, "excluded segment") == (
        True,
        "does not belong to dormant and not dormant or not all-customers",
    )
    with pytest.raises(UnknownSegment):
        told(here, "c1", replace(DORMANT, without=("bogus",)))
