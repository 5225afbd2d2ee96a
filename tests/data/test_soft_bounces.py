"""Soft limits out of the events: one bounce a run, in any order and repetition, lifted by success; and hard bounces."""

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import accounts, address_marks, database, suppressions, tables
from data.address_marks import Address, NewMark
from domain.address_marks import MarkKind
from domain.delivery import BounceClass, DeliveryEvent, EventKind, Fault
from tests.data import ledger_rows
from tests.data.bounced import LATER, apply, at, event, hard, judged, shop_of, soft, standing

RUNS = 8


@pytest.fixture(autouse=True)
def runs(engine: sa.Engine, account_id: str) -> None:
    shop_of(engine, RUNS)


def order(engine: sa.Engine, day: float) -> None:
    with database.write(engine) as connection:
        party_id = connection.scalar(sa.select(tables.parties.c.id))
        connection.execute(
            tables.orders.insert().values(
                account_id="shop",
                channel="web",
                external_id="o1",
                party_id=party_id,
                status="paid",
                channel_status="paid",
                currency="USD",
                total=Decimal(10),
                refunded=Decimal(0),
                placed_at=at(day),
                updated_at=at(day),
                is_test=False,
                content_hash="h",
            )
        )


# --- the soft limit --------------------------------------------------------------------------------------------------


def test_so_many_runs_in_a_row_stop_marketing_for_ninety_days(engine: sa.Engine) -> None:
    assert judged(engine, soft(0, 0), soft(1, 1)).suppressed == 0
    assert judged(engine, soft(2, 2)).suppressed == 1
    assert standing(engine) == {"soft_limit": (at(2), at(92))}
    with database.read(engine) as connection:
        row = connection.execute(sa.select(tables.suppressions)).one()
    assert (row.scope, row.source, row.recorded_at) == ("marketing", "bounces", LATER)


def test_one_run_counts_once_however_often_it_bounces(engine: sa.Engine) -> None:
    for hours in range(10):
        judged(engine, soft(0, hours / 24), soft(1, 1 + hours / 24))
    assert standing(engine) == {}


@pytest.mark.parametrize("first", [0, 1])
def test_of_one_run_the_last_bounce_counts_whichever_is_heard_of_first(engine: sa.Engine, first: int) -> None:
    of_one = [soft(0, 0), soft(0, 5)]
    judged(engine, event(3, EventKind.DELIVERED, 3), soft(1, 6), soft(2, 7), of_one[first])
    judged(engine, of_one[1 - first])
    assert standing(engine) == {"soft_limit": (at(7), at(97))}


@pytest.mark.parametrize("fault", [Fault.SENDER, Fault.CONTENT, Fault.PROVIDER, Fault.UNKNOWN])
@pytest.mark.parametrize("bounce_class", [BounceClass.SOFT, BounceClass.BLOCK, BounceClass.HARD])
def test_nobody_is_suppressed_for_another_fault(engine: sa.Engine, fault: Fault, bounce_class: BounceClass) -> None:
    text = "550 5.7.26 unauthenticated mail from this sender is prohibited"
    judged(engine, *(soft(run, run, text, fault=fault, bounce_class=bounce_class) for run in range(RUNS)))
    assert standing(engine) == {}


def test_who_opened_once_is_given_up_later(engine: sa.Engine) -> None:
    judged(engine, event(0, EventKind.OPENED, 0), *(soft(run, run) for run in range(1, 5)))
    assert standing(engine) == {}
    judged(engine, soft(5, 5))
    assert standing(engine) == {"soft_limit": (at(5), at(95))}


def test_an_account_has_limits_of_its_own(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        own = replace(accounts.get(connection, "shop"), soft_bounces=2, soft_bounces_active=2)
        accounts.change(connection, own)
    judged(engine, soft(0, 0), soft(1, 1))
    assert standing(engine) == {"soft_limit": (at(1), at(91))}


def test_what_arrives_later_lifts_it(engine: sa.Engine) -> None:
    judged(engine, soft(0, 0), soft(1, 1), soft(2, 2))
    assert judged(engine, event(None, EventKind.DELIVERED, 3)).lifted == 1  # such as a transactional mail
    assert standing(engine) == {}
    judged(engine, soft(3, 4), soft(4, 5))
    assert standing(engine) == {}
    judged(engine, soft(5, 6))
    assert standing(engine) == {"soft_limit": (at(6), at(96))}


def test_that_mail_of_no_run_arrives_is_kept_of_those_only_of_whom_it_matters(engine: sa.Engine) -> None:
    arrived = event(None, EventKind.DELIVERED, 3)
    apply(engine, arrived, event(None, EventKind.OPENED, 3))
    assert _kinds(engine) == set()
    apply(engine, soft(0, 0), event(None, EventKind.OPENED, 4))
    assert _kinds(engine) == {"away", "arrived"}
    assert judged(engine, soft(1, 1), soft(2, 2)).suppressed == 0


def _kinds(engine: sa.Engine) -> set[str]:
    with database.read(engine) as connection:
        return set(connection.scalars(sa.select(tables.address_marks.c.kind)))


def test_a_success_in_a_run_is_heard_of_when_it_is_looked_at_again(engine: sa.Engine) -> None:
    judged(engine, soft(0, 0), soft(1, 1), soft(2, 2))
    judged(engine, event(3, EventKind.CLICKED, 3))
    assert address_marks.recall(engine, now=at(4)) == 3
    assert judged(engine).lifted == 1


def test_only_limits_with_a_success_since_are_looked_at_again(engine: sa.Engine) -> None:
    judged(engine, soft(0, 0), soft(1, 1), soft(2, 2), event(3, EventKind.DELIVERED, 3), soft(3, 3.1))
    assert address_marks.recall(engine, now=at(4)) == 0


def test_marks_of_two_years_ago_are_forgotten_but_for_the_reasons_of_a_limit(engine: sa.Engine) -> None:
    judged(engine, soft(0, 0), soft(1, 1), soft(2, 2))
    assert address_marks.forget(engine, now=at(2)) == 0
    with database.write(engine) as connection:
        connection.execute(tables.suppressions.update().values(expires_at=at(1000)))
    assert address_marks.forget(engine, now=at(732)) == 0
    with database.write(engine) as connection:
        connection.execute(tables.suppressions.update().values(expires_at=at(92)))
    assert address_marks.forget(engine, now=at(731.5)) == 2
    assert address_marks.forget(engine, now=at(733)) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_somebody_else_judges_just_now_is_not_waited_for(engine: sa.Engine) -> None:
    judged(engine, hard(0, 0))
    with database.write(engine) as judge:
        address_marks.held(judge, [Address("shop", ledger_rows.hash_of(0))])
        assert address_marks.recall(engine, now=at(1)) == 0
    assert address_marks.recall(engine, now=at(1)) == 1


def test_many_marks_are_forgotten_in_turns(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_marks, "_MARKS_AT_ONCE", 2)
    apply(engine, *(soft(run, run) for run in range(5)))
    assert address_marks.forget(engine, now=at(2000)) == 5


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("place", range(12))
def test_a_bounce_that_is_applied_while_its_address_is_judged_counts(engine: sa.Engine, place: int) -> None:
    """It comes by a second connection before each statement of the judge in turn."""
    apply(engine, soft(0, 0), soft(1, 1))
    statements, came = itertools.count(), []

    def beside(*_: object) -> None:
        if not came and next(statements) == place:
            came.append(place)
            with database.write(engine) as other:
                address_marks.record(other, [NewMark("shop", ledger_rows.hash_of(0), MarkKind.AWAY, "r2", at(2))])

    sa.event.listen(engine, "before_cursor_execute", beside)
    judged(engine)
    sa.event.remove(engine, "before_cursor_execute", beside)
    judged(engine)
    assert standing(engine) == ({"soft_limit": (at(2), at(92))} if came else {})
    assert came or place > 5


def test_what_was_delivered_and_came_back_did_not_arrive(engine: sa.Engine) -> None:
    judged(engine, soft(0, 0), soft(1, 1), event(2, EventKind.DELIVERED, 2), soft(2, 2.1))
    assert standing(engine) == {"soft_limit": (at(2.1), at(92.1))}


def test_a_bounce_that_names_no_run_counts_unless_it_is_a_runs_own(engine: sa.Engine) -> None:
    """Too long after the mail to be a bounce of it, else it would be placed there (data/correlation.py)."""
    judged(engine, soft(0, 20), soft(1, 21), soft(None, 22.5))
    assert standing(engine) == {}
    judged(engine, soft(None, 25))
    assert standing(engine) == {"soft_limit": (at(25), at(115))}


def test_a_persons_lift_begins_the_count_anew(engine: sa.Engine) -> None:
    judged(engine, soft(0, 0), soft(1, 1), soft(2, 2))
    with database.write(engine) as connection:
        suppressions.lift(
            connection,
            account_id="shop",
            address_hash=ledger_rows.hash_of(0),
            actor="support",
            reason="he emptied it",
            now=at(3),
        )
    judged(engine, soft(3, 4), soft(4, 5))
    assert standing(engine) == {}
    for _ in range(2):
        judged(engine, soft(5, 6))
        assert standing(engine) == {"soft_limit": (at(6), at(96))}


_EVENTS = st.builds(
    lambda kind, run, day: soft(run, day) if kind == "soft" else event(run, EventKind(kind), day),
    st.sampled_from(["soft", "soft", "soft", "delivered", "opened"]),
    st.integers(0, RUNS - 1),
    st.integers(0, 200),
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(_EVENTS, min_size=1, max_size=14), st.data())
def test_any_order_and_any_repetition_come_to_the_same(
    engine: sa.Engine, some: list[DeliveryEvent], data: st.DataObject
) -> None:
    _forget(engine)
    judged(engine, *sorted(some, key=lambda one: one.occurred_at))
    once = standing(engine)
    _forget(engine)
    shuffled = data.draw(st.permutations(some))
    repeated = [one for one in shuffled for _ in range(data.draw(st.integers(1, 2)))]
    while repeated:
        cut = data.draw(st.integers(1, len(repeated)))
        judged(engine, *repeated[:cut])
        repeated = repeated[cut:]
    address_marks.recall(engine, now=at(0))
    judged(engine)
    assert standing(engine) == once


def _forget(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        for name in ("suppressions", "address_marks", "message_delivery", "delivery_events", "webhook_inbox"):
            connection.execute(tables.metadata.tables[name].delete())


# --- hard bounces ----------------------------------------------------------------------------------------------------


def test_a_hard_bounce_holds_from_the_first_moment(engine: sa.Engine) -> None:
    apply(engine, hard(0, 0))
    assert standing(engine) == {"hard_bounce": (at(0), None)}
    judged(engine)
    assert standing(engine) == {"hard_bounce": (at(0), None)}


@pytest.mark.parametrize("how", ["opened", "ordered"])
def test_who_was_there_lately_is_asked_once_more(engine: sa.Engine, how: str) -> None:
    if how == "opened":
        apply(engine, event(0, EventKind.OPENED, 0))
    else:
        order(engine, 0)
    assert judged(engine, hard(1, 5), hard(2, 5.5)).to_confirm == 1
    assert standing(engine) == {"hard_bounce": (at(5), at(12))}
    assert judged(engine, hard(3, 13)).to_confirm == 0
    assert standing(engine)["hard_bounce"][1] is None


def test_a_machines_open_is_nobody_who_was_there(engine: sa.Engine) -> None:
    judged(engine, event(0, EventKind.OPENED, 0, machine=True), hard(1, 5))
    assert standing(engine) == {"hard_bounce": (at(5), None)}


def test_what_an_esps_list_says_is_not_softened(engine: sa.Engine) -> None:
    dropped = hard(1, 5)
    judged(engine, event(0, EventKind.OPENED, 0), replace(dropped, kind=EventKind.DROPPED))
    assert standing(engine) == {"hard_bounce": (at(5), None)}


def test_a_mailbox_that_is_disabled_twice_within_a_week_is_gone(engine: sa.Engine) -> None:
    disabled = "550 5.2.1 The email account that you tried to reach is disabled"
    judged(engine, soft(0, 0, disabled), soft(0, 1, disabled), soft(1, 9, disabled))
    assert standing(engine) == {}
    judged(engine, soft(2, 9 + 7, disabled))
    assert standing(engine)["hard_bounce"] == (at(16), None)


def test_two_shops_do_not_hear_of_each_others_bounces(engine: sa.Engine) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "other")
        ledger_rows.add_parties(connection, "other", 1)
    judged(engine, *(soft(run, run) for run in range(3)))
    with database.read(engine) as connection:
        assert set(connection.scalars(sa.select(tables.suppressions.c.account_id))) == {"shop"}
