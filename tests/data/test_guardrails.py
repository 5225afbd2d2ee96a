"""Canaries that hold a run, brakes that hold a mailbox group, and people who say otherwise; on both databases."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import brakes, database, guardrails, runs, tables
from data.brakes import Brake, UnknownBrake
from data.guardrails import NotBreached
from domain.campaigns import Run, RunStatus
from domain.guardrails import CanaryState, CanaryVerdict, GuardAction
from domain.ledger import BatchState
from domain.policy import SendingPolicy
from tests.data import guarded
from tests.data.guarded import Part
from tests.data.ledger_rows import NOW

pytestmark = pytest.mark.usefixtures("account_id")
POLICY = SendingPolicy(canary_minutes=30)
MINUTE = timedelta(minutes=1)
GOOD, BAD = {"delivered": 600}, {"delivered": 500, "hard": 100}
WATCHING = {"canary": CanaryState.WATCHING}


def watch(engine: sa.Engine, run: Run, now: datetime = NOW + MINUTE) -> CanaryVerdict | None:
    with database.read(engine) as connection:
        observed = guardrails.observe(connection, runs.get(connection, run.id), now)
    with database.write(engine) as connection:
        return guardrails.watch_canary(connection, run, observed, POLICY)


def guard(engine: sa.Engine, run: Run, now: datetime = NOW + MINUTE) -> dict[str, GuardAction]:
    with database.read(engine) as connection:
        observed = guardrails.observe(connection, run, now)
    with database.write(engine) as connection:
        return {one.mailbox_group: one.guard.action for one in guardrails.guard(connection, run, observed)}


def held(engine: sa.Engine, run: Run, now: datetime = NOW + MINUTE) -> dict[str, Brake]:
    with database.read(engine) as connection:
        return brakes.in_force(connection, "shop", run.id, now)


def again(engine: sa.Engine, run: Run) -> Run:
    with database.read(engine) as connection:
        return runs.get(connection, run.id)


def log(engine: sa.Engine) -> list[tuple[str, str, str]]:
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(tables.audit_log).order_by(tables.audit_log.c.id)).all()
    return [(row.actor, row.action, row.subject) for row in rows]


# --- the canary ------------------------------------------------------------------------------------------------------


def test_a_good_canary_lets_the_run_go_on(engine: sa.Engine) -> None:
    parts = [Part("google", 600, GOOD, canary=True), Part("google", 600, {}, state=BatchState.PLANNED)]
    run = guarded.run_of(engine, parts, **WATCHING)
    verdict = watch(engine, run)
    assert verdict is not None
    assert verdict.state is CanaryState.PASSED
    after = again(engine, run)
    assert (after.canary, after.status) == ("passed", RunStatus.DISPATCHING)
    assert after.canary_figures is not None
    assert after.canary_figures["groups"] == {"google": {"accepted": 600, "heard": 600}}
    assert watch(engine, run) is None  # it is decided


def test_a_bad_canary_pauses_the_run_with_figures_and_waits_for_a_person(engine: sa.Engine) -> None:
    run = guarded.run_of(engine, [Part("google", 600, BAD, canary=True), Part("yahoo", 600, GOOD)], **WATCHING)
    verdict = watch(engine, run)
    assert verdict is not None
    after = again(engine, run)
    assert (after.canary, after.status) == ("breached", RunStatus.PAUSED)
    assert "hard bounces 16.67% (100 of 600)" in (after.stop_reason or "")
    assert watch(engine, after, NOW + 60 * MINUTE) is None
    with database.write(engine) as connection:
        guardrails.overrule(connection, run.id, by="Ann", note="known bounces", now=NOW)
    assert (again(engine, run).canary, again(engine, run).status) == ("overruled", RunStatus.PAUSED)
    assert log(engine) == [("Ann", "overrule_canary", f"run:{run.id}")]
    with database.write(engine) as connection, pytest.raises(NotBreached, match="its canary is overruled"):
        guardrails.overrule(connection, run.id, by="Bob", note="", now=NOW)


@pytest.mark.parametrize(
    ("parts", "minutes", "state"),
    [
        ([], 1, CanaryState.BREACHED),  # none of it was taken: nothing is known
        ([Part("google", 600, {}, canary=True, state=BatchState.INFLIGHT)], 90, CanaryState.WATCHING),
        ([Part("google", 600, {}, canary=True)], 29, CanaryState.WATCHING),
        ([Part("google", 600, {}, canary=True)], 30, CanaryState.BREACHED),  # no events
        (
            [Part("google", 600, GOOD, canary=True), Part("yahoo", 1, {}, canary=True, state=BatchState.PLANNED)],
            29,
            CanaryState.WATCHING,
        ),
        (
            [Part("google", 600, GOOD, canary=True), Part("yahoo", 1, {}, canary=True, state=BatchState.PLANNED)],
            30,
            CanaryState.PASSED,
        ),
        ([Part("google", 600, GOOD), Part("google", 600, BAD, canary=True)], 1, CanaryState.BREACHED),
    ],
)
def test_when_a_canary_is_decided(engine: sa.Engine, parts: list[Part], minutes: int, state: CanaryState) -> None:
    run = guarded.run_of(engine, parts, **WATCHING)
    watch(engine, run, NOW + minutes * MINUTE)
    assert again(engine, run).canary == state


def test_a_breach_of_a_run_that_is_paused_or_over_moves_it_nowhere(engine: sa.Engine) -> None:
    run = guarded.run_of(engine, [Part("google", 600, BAD, canary=True)], status=RunStatus.DISPATCHED, **WATCHING)
    watch(engine, run)
    assert (again(engine, run).canary, again(engine, run).status) == ("breached", RunStatus.DISPATCHED)


def test_a_run_without_canary_is_not_judged(engine: sa.Engine) -> None:
    run = guarded.run_of(engine, [Part("google", 600, BAD)])
    assert watch(engine, run) is None
    with database.write(engine) as connection, pytest.raises(NotBreached, match="it has no canary"):
        guardrails.overrule(connection, run.id, by="Bob", note="", now=NOW)


# --- brakes ----------------------------------------------------------------------------------------------------------


def test_only_the_group_in_trouble_is_paused_and_once(engine: sa.Engine) -> None:
    run = guarded.run_of(engine, [Part("google", 600, GOOD), Part("yahoo", 600, BAD)])
    assert guard(engine, run) == {"yahoo": GuardAction.PAUSE}
    assert guard(engine, run) == {}
    (brake,) = held(engine, run).values()
    assert (brake.mailbox_group, brake.factor, brake.until) == ("yahoo", 0, None)
    assert brake.figures["hard"] == 100
    assert held(engine, run, NOW + timedelta(days=3))  # until a person lifts it


def test_a_stronger_brake_replaces_a_weaker_one_and_never_the_other_way_round(engine: sa.Engine) -> None:
    run = guarded.run_of(engine, [Part("yahoo", 1000, {"delivered": 965, "hard": 35})])
    assert guard(engine, run) == {"yahoo": GuardAction.SLOW}
    assert held(engine, run)["yahoo"].factor == 0.5
    _more(engine, run, hard=35)
    assert guard(engine, run, NOW + 2 * MINUTE) == {"yahoo": GuardAction.PAUSE}
    assert held(engine, run)["yahoo"].factor == 0
    _more(engine, run, hard=0)
    assert guard(engine, run, NOW + 60 * MINUTE) == {}
    with database.read(engine) as connection:
        assert len(brakes.of_run(connection, run.id, NOW + 60 * MINUTE)) == 1


def _more(engine: sa.Engine, run: Run, *, hard: int) -> None:
    """Delivered becomes a hard bounce; none: all bounces were no bounces."""
    message = tables.message_delivery
    seen, severity = guarded.FATES["hard" if hard else "delivered"]
    where = message.c.ordinal < hard if hard else message.c.ordinal >= 0
    with database.write(engine) as connection:
        connection.execute(
            message.update().where(message.c.run_id == run.id, where).values(seen=int(seen), severity=int(severity))
        )


def test_slowness_ends_by_itself_but_does_not_flutter(engine: sa.Engine) -> None:
    run = guarded.run_of(engine, [Part("yahoo", 1000, {"delivered": 800, "deferred": 200})])
    assert guard(engine, run) == {"yahoo": GuardAction.SLOW}
    _more(engine, run, hard=0)
    assert guard(engine, run, NOW + 10 * MINUTE) == {}
    assert guard(engine, run, NOW + 16 * MINUTE) == {"yahoo": GuardAction.NONE}
    assert held(engine, run) == {}
    with database.read(engine) as connection:
        assert brakes.lifts(connection, run.id) == {}  # nobody's word: what went out before still counts


def test_a_block_pauses_for_two_hours(engine: sa.Engine) -> None:
    run = guarded.run_of(engine, [Part("yahoo", 1000, {"delivered": 700, "blocked": 300})])
    assert guard(engine, run) == {"yahoo": GuardAction.PAUSE}
    assert held(engine, run, NOW + 120 * MINUTE)
    assert held(engine, run, NOW + 121 * MINUTE) == {}
    assert guard(engine, run, NOW + 121 * MINUTE) == {}  # nothing went out lately: nothing is known against it


def test_after_a_person_lifted_it_only_new_mail_counts(engine: sa.Engine) -> None:
    later = NOW + 10 * MINUTE
    run = guarded.run_of(engine, [Part("yahoo", 600, BAD), Part("yahoo", 600, {"delivered": 590}, at=later)])
    guard(engine, run)
    (brake,) = held(engine, run).values()
    with database.write(engine) as connection:
        lifted = brakes.lift(connection, brake.id, account_id="shop", by="Ann", why="mended", now=NOW + 5 * MINUTE)
    assert lifted == brake
    assert held(engine, run) == {}
    assert guard(engine, run, later + MINUTE) == {}
    assert log(engine) == [("Ann", "lift_brake", f"brake:{brake.id}")]
    for account, number in (("shop", brake.id), ("other", brake.id), ("shop", 999)):
        with database.write(engine) as connection, pytest.raises(UnknownBrake, match="is in force"):
            brakes.lift(connection, number, account_id=account, by="Ann", why="", now=later)


def test_a_lift_while_somebody_reads_is_not_undone(engine: sa.Engine) -> None:
    run = guarded.run_of(engine, [Part("yahoo", 600, BAD)])
    guard(engine, run)
    (brake,) = held(engine, run).values()
    with database.read(engine) as connection:
        before = guardrails.observe(connection, run, NOW + MINUTE)
    with database.write(engine) as connection:
        brakes.lift(connection, brake.id, account_id="shop", by="Ann", why="mended", now=NOW + 2 * MINUTE)
        assert guardrails.guard(connection, run, before) == []


def test_another_account_lifts_nothing_and_a_brake_of_the_account_holds_every_run(engine: sa.Engine) -> None:
    run = guarded.run_of(engine, [Part("yahoo", 600, GOOD)])
    facts = {"account_id": "shop", "mailbox_group": "yahoo", "reason": "r", "figures": {}, "now": NOW, "until": None}
    with database.write(engine) as connection:
        brakes.put(connection, run_id=None, factor=0.5, **facts)  # type: ignore[arg-type]
        assert brakes.of_run(connection, run.id, NOW) == []
    assert held(engine, run)["yahoo"].factor == 0.5
    with database.write(engine) as connection:
        brakes.put(connection, run_id=run.id, factor=0, **facts)  # type: ignore[arg-type]
    assert held(engine, run)["yahoo"].factor == 0
    with database.write(engine) as connection, pytest.raises(UnknownBrake):
        brakes.lift(connection, 1, account_id="other", by="Ann", why="", now=NOW)


FATE = st.sampled_from(["good", "hard", "deferred", "blocked", "lift"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(fates=st.lists(FATE, min_size=1, max_size=8))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_of_a_group_one_brake_is_in_force_and_a_pause_is_never_weakened(engine: sa.Engine, fates: list[str]) -> None:
    """Whatever comes minute by minute: good mail, trouble, a person who lifts."""
    run_id = f"run{datetime.now().timestamp()}"  # noqa: DTZ005 - one database for all examples
    run = guarded.run_of(engine, [Part("yahoo", 600, {})], run_id=run_id)
    now, before = NOW, None
    for fate in fates:
        now += 5 * MINUTE
        if fate == "lift" and before is not None:
            with database.write(engine) as connection:
                brakes.lift(connection, before.id, account_id="shop", by="Ann", why="x", now=now)
            before = None
            continue
        shares = {"delivered": 600} if fate in {"good", "lift"} else {"delivered": 450, fate: 150}
        with database.write(engine) as connection:
            first = connection.scalar(
                sa.select(sa.func.max(tables.batches.c.last_ordinal)).where(tables.batches.c.run_id == run_id)
            )
            guarded.add(connection, run_id, first + 1, Part("yahoo", 600, shares, at=now))
        guard(engine, run, now)
        with database.read(engine) as connection:
            found = brakes.of_run(connection, run_id, now)
        assert len(found) <= 1
        if before is not None and before.factor == 0 and before.until is None:
            assert [one.id for one in found] == [before.id]
        before = found[0] if found else None
