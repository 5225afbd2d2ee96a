"""Who entered and left between two frozen audiences, and because of what."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import audience, database, runs, tables
from domain.campaigns import Refinement, Run
from domain.differences import Cause, Diff
from domain.orders import Customer, Deletion, OrderStatus
from domain.rules import Operator, Rule
from segments import registry
from tasks import choosing, diffs
from tests.data import frozen
from tests.data.living_shop import START, STEPS, Shop, five_customers, made, order, shop

pytestmark = pytest.mark.usefixtures("account_id")
DAY = timedelta(days=1)


@pytest.fixture
def here(engine: sa.Engine) -> Shop:
    return five_customers(engine)


def freeze(here: Shop, segment: str = "dormant", **refined: Any) -> Run:
    """A dry run, chosen and frozen as a campaign's is. Unless given: who ordered nothing for 90 days."""
    if segment == "dormant":
        refined = {"arguments": {"days": "90"}} | refined
    plan = frozen.plan(account_id=here.account_id, segment=segment, live=False, refinement=Refinement(**refined))
    chosen = choosing.choose(here.engine, plan)
    with database.write(here.engine) as connection:
        run = runs.create(connection, plan, flow_run_id=None, now=here.now)
        return audience.freeze(
            connection,
            run,
            chosen.members.party_ids.tolist(),
            excluded=chosen.excluded.tolist(),
            definition_hash=chosen.members.definition_hash,
            template_hash="t",
            feature_watermark=chosen.members.as_of,
            code_version=choosing.code_version(),
            policy=frozen.POLICY,
            batch_size=10,
            now=here.now,
        )


def later(here: Shop, days: float) -> None:
    here.now += timedelta(days=days)


def compared(here: Shop, before: Run, segment: str = "dormant", **refined: Any) -> Diff:
    here.refresh()
    after = freeze(here, segment, **refined)
    found = diffs.diff(here.engine, before.id, after.id)
    check(found, before, after)
    return found


def check(found: Diff, before: Run, after: Run) -> None:
    """The sums are right."""
    assert (found.before.members, found.after.members) == (before.members, after.members)
    assert found.after.members == found.before.members + found.entered - found.left
    assert found.entered == sum(entered for entered, _ in found.causes.values())
    assert found.left == sum(left for _, left in found.causes.values())


def only(found: Diff) -> tuple[str, Cause, str]:
    (move,) = found.moves
    assert found.causes == {move.cause: (int(move.entered), int(not move.entered))}
    return move.customer, move.cause, move.sentence


def test_only_time_passed_names_the_condition_with_both_values(here: Shop) -> None:
    before = freeze(here)
    later(here, 2)
    found = compared(here, before)
    assert (found.entered, found.left, found.causes) == (5, 0, {Cause.TIME: (5, 0)})
    assert [one.customer for one in found.moves] == [f"web/c{n}" for n in range(1, 6)]
    assert found.moves[0].sentence == (
        "entered: only time passed – days since the latest counted order: 89 → 91, must be more than 90"
    )


def test_a_new_order_is_named_by_channel_and_number(here: Shop) -> None:
    later(here, 5)
    here.refresh()
    before = freeze(here)
    later(here, 1)
    here.take_in(replace(order(7001, here.now, customer=3), number="#1001"))
    customer, cause, sentence = only(compared(here, before))
    assert (customer, cause) == ("web/c3", Cause.NEW_ORDER)
    flip = "days since the latest counted order: 94 → 0, must be more than 90"
    assert sentence == f"left: order web 1001 was placed on 7 June 2026 – {flip}"


def test_an_order_that_turned_nothing_is_not_the_cause(here: Shop) -> None:
    """A small order came, and it was a test: he lapsed because time passed."""
    before = freeze(here)
    later(here, 2)
    here.take_in(order(1001, here.now, customer=3, is_test=True))
    assert compared(here, before).causes == {Cause.TIME: (5, 0)}


def test_a_late_order_says_since_when_we_know_it(here: Shop) -> None:
    later(here, 5)
    here.refresh()
    before = freeze(here)
    later(here, 1)
    here.take_in(order(1001, START, customer=3))
    customer, cause, sentence = only(compared(here, before))
    assert (customer, cause) == ("web/c3", Cause.NEW_ORDER)
    flip = "days since the latest counted order: 94 → 6, must be more than 90"
    assert sentence == f"left: order web 1001 reached us only on 7 June 2026; it was placed on 1 June 2026 – {flip}"


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"status": OrderStatus.CANCELLED, "cancelled_at": START + DAY}, "cancelled on 2 June 2026"),
        ({"is_test": True}, "changed on 2 June 2026"),
        (None, "deleted on 2 June 2026"),
    ],
)
def test_an_order_that_changed_is_named(here: Shop, about: dict[str, Any] | None, says: str) -> None:
    before = freeze(here, "all-customers")
    later(here, 1)
    if about is None:
        here.take_in(Deletion("3", here.now))
    else:
        here.take_in(order(3, START - 89 * DAY, customer=3, updated_at=here.now, **about))
    assert only(compared(here, before, "all-customers")) == (
        "web/c3",
        Cause.ORDER_CHANGED,
        f"left: order web 3 was {says}; what it was before is not kept",
    )


def test_numbers_that_are_one_person_now(here: Shop) -> None:
    before = freeze(here, "all-customers")
    later(here, 1)
    here.take_in(order(7, here.now, customer=9, email="c3@example.com"), channel="app")
    found = compared(here, before, "all-customers")
    assert found.causes == {Cause.NUMBERS: (1, 1)}
    told = {move.customer: move.sentence for move in found.moves}
    assert told["web/c3"].startswith("left: this number belongs to a person with another customer number now")
    assert told["app/c9"].startswith("entered: app/c9 and web/c3 are kept as one person now")


def test_a_mail_that_was_clicked(here: Shop) -> None:
    before = freeze(here, "engaged")
    run_id = here.mail()
    assert run_id is not None
    later(here, 1)
    here.hear(run_id)
    customer, cause, sentence = only(compared(here, before, "engaged"))
    assert (customer, cause) == ("web/c1", Cause.MAIL)
    assert sentence.startswith(f"entered: the customer clicked in a mail of campaign “campaign of {run_id}” on 2 June")


def test_other_customers_moved_the_bounds(here: Shop) -> None:
    """c6 spent most of all; then others spent more, and his place among all is another one."""
    rule = Rule("m_score", Operator.IS, "5")
    here.take_in(order(50, START - DAY, customer=6, total=Decimal(1000)))
    here.refresh()
    before = freeze(here, "all-customers", rules=(rule,))
    here.take_in(*(order(60 + n, START + DAY, customer=20 + n, total=Decimal(2000 + n)) for n in range(40)))
    later(here, 1)
    found = compared(here, before, "all-customers", rules=(rule,))
    assert found.causes == {Cause.NEW_ORDER: (9, 0), Cause.OTHERS: (0, 1)}
    assert "5 → 1" in next(one.sentence for one in found.moves if one.cause is Cause.OTHERS)


def test_a_segment_that_compares_customers_is_asked_about_all_of_them(here: Shop) -> None:
    """c1 is among the top fifth until others spend more."""
    here.take_in(order(50, START - 10 * DAY, customer=1, total=Decimal(200)))
    here.refresh()
    before = freeze(here, "high-order-value")
    assert before.members == 1
    later(here, 1)
    here.take_in(*(order(60 + n, here.now, customer=20 + n, total=Decimal(500 + n)) for n in range(3)))
    found = compared(here, before, "high-order-value")
    assert found.causes == {Cause.NEW_ORDER: (2, 0), Cause.OTHERS: (0, 1)}
    assert all(" – " in move.sentence for move in found.moves)  # the condition that turned was found for each


def test_a_consent_where_the_segment_asks_for_it(here: Shop) -> None:
    consenting = Rule("consent", Operator.IS, "granted")
    before = freeze(here, "all-customers", rules=(consenting,))
    later(here, 1)
    table = tables.parties.c
    with database.write(here.engine) as connection:
        party = connection.scalar(
            sa.select(table.id).where(table.account_id == here.account_id, table.external_id == "c2")
        )
        said = {"status": "granted", "basis": "consent", "source": "checkout", "wording": "v1"}
        times = {"occurred_at": here.now, "recorded_at": here.now}
        connection.execute(tables.consents.insert().values(account_id=here.account_id, party_id=party, **said, **times))
    customer, cause, sentence = only(compared(here, before, "all-customers", rules=(consenting,)))
    assert (customer, cause) == ("web/c2", Cause.PERMISSION)
    assert sentence.startswith("entered: consent was granted on 2 June 2026 (source: checkout)")


def test_another_definition_comes_first(here: Shop) -> None:
    before = freeze(here)
    found = compared(here, before, "all-customers")
    assert found.notes[0].startswith("The definition is another one")
    assert found.causes == {Cause.DEFINITION: (5, 0)}
    assert found.moves[0].sentence == "entered: the definition changed, and by the new one they are in"


def test_a_definition_that_cannot_be_read_any_more(here: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    later(here, 5)
    here.refresh()
    before = freeze(here)
    later(here, 1)
    here.take_in(order(1001, here.now, customer=3))
    here.refresh()
    after = freeze(here)
    sound = registry.get

    def gone(name: str) -> Any:
        if name == "dormant":
            raise registry.UnknownSegment(name)
        return sound(name)

    monkeypatch.setattr(registry, "get", gone)
    found = diffs.diff(here.engine, before.id, after.id)
    assert any("cannot be read any more" in note for note in found.notes)
    assert only(found) == ("web/c3", Cause.NEW_ORDER, "left: order web 1001 was placed on 7 June 2026")


def test_a_guest_is_named_by_the_latest_order(here: Shop) -> None:
    before = freeze(here, "all-customers")
    later(here, 1)
    one = order(77, here.now)
    here.take_in(replace(one, customer=Customer("", "guest@example.com")))
    customer, cause, sentence = only(compared(here, before, "all-customers"))
    assert (customer, cause) == ("the guest of order web 77", Cause.NEW_ORDER)
    assert "@" not in sentence


def test_the_same_watermark_gives_the_same_hashes_and_no_difference(here: Shop) -> None:
    later(here, 2)
    here.refresh()
    before, after = freeze(here), freeze(here)
    assert before.members == 5
    assert (before.members_hash, before.definition_hash) == (after.members_hash, after.definition_hash)
    assert (before.feature_watermark, before.code_version) == (after.feature_watermark, after.code_version)
    found = diffs.diff(here.engine, before.id, after.id)
    assert (found.entered, found.left, found.causes, found.moves) == (0, 0, {}, ())
    assert found.notes == ("Nothing changed: both audiences have the same members, to the last one.",)


def test_the_members_of_an_earlier_run(here: Shop) -> None:
    later(here, 5)
    here.refresh()
    before = freeze(here)
    later(here, 1)
    here.refresh()
    after = freeze(here, members_of=before.id)
    found = diffs.diff(here.engine, before.id, after.id)
    assert found.entered == found.left == 0
    assert f"Run {after.id} took the members of run {before.id}." in found.notes


def test_what_cannot_be_compared(here: Shop, engine: sa.Engine) -> None:
    before = freeze(here)
    later(here, 1)
    here.refresh()
    after = freeze(here)
    with pytest.raises(diffs.CannotCompare, match="name the older run first"):
        diffs.diff(engine, after.id, before.id)
    there = shop(engine)
    there.take_in(order(1, START))
    there.refresh()
    with pytest.raises(diffs.CannotCompare, match="different accounts"):
        diffs.diff(engine, before.id, freeze(there).id)
    with database.write(engine) as connection:
        run = runs.create(connection, frozen.plan(account_id=here.account_id), flow_run_id=None, now=here.now)
    with pytest.raises(diffs.CannotCompare, match="no frozen audience"):
        diffs.diff(engine, before.id, run.id)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    earlier=st.lists(STEPS, max_size=5),
    between=st.lists(STEPS, max_size=6),
    names=st.tuples(
        *[st.sampled_from(["dormant", "vip", "repeat-customers", "engaged", "rfm-champions", "bought-category"])] * 2
    ),
)
def test_the_sums_are_right_whatever_happened(
    engine: sa.Engine, earlier: list[tuple[str, Any]], between: list[tuple[str, Any]], names: tuple[str, str]
) -> None:
    here = shop(engine)
    here.take_in(order(100, START - 29 * DAY, customer=9))
    for _ in _happened(here, earlier):
        pass
    here.refresh()
    before = freeze(here, names[0])
    for _ in _happened(here, between):
        pass
    here.refresh()
    after = freeze(here, names[1])
    found = diffs.diff(engine, before.id, after.id, limit=100)
    check(found, before, after)
    assert len(found.moves) == found.entered + found.left
    assert not any("@" in move.sentence for move in found.moves)


def _happened(here: Shop, steps: list[tuple[str, Any]]) -> Iterator[None]:
    for kind, what in steps:
        if kind == "orders":
            for one in what:
                here.take_in(made(here, one), channel=one["channel"])
        elif kind == "delete":
            here.take_in(Deletion(str(what), START + timedelta(days=2000)))
        elif kind == "wait":
            here.now += timedelta(hours=what)
        elif kind == "mail" and (run_id := here.mail()) is not None:
            here.hear(run_id)
        else:
            here.refresh()
        yield
