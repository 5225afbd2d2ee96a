"""Figures, alarms and the audit of the transactional lane, over a real store and a real sandbox ESP."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import settings
from data import (
    database,
    dispatchers,
    lane_checks,
    lane_figures,
    tables,
    transactional_queue,
    transactional_resolution,
    transactional_sweep,
)
from domain.ledger import BatchState, OutcomeKind, ProofKind
from domain.ports import Answer, Finding
from domain.suppression import Reason
from domain.transactional import RESEND_AFTER, Urgency
from tasks import lane_audits, lane_state, wiring
from tests.tasks import lane
from tests.tasks.lane import LaneShop
from tests.tasks.lane_shop import change, delivered, esp, lose_answer, shop, start, suppress

__all__ = ["esp", "shop", "start"]
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def _figures(shop: LaneShop) -> lane_figures.LaneFigures:
    with database.read(shop.engine) as connection:
        return lane_figures.read(connection, now=wiring.clock(), window=HOUR, account_id="shop")


def _alarms(shop: LaneShop) -> list[str]:
    with database.read(shop.engine) as connection:
        return lane_state.alarms(connection, wiring.clock())


def _alive(shop: LaneShop) -> None:
    with database.write(shop.engine) as connection:
        dispatchers.note(connection, "d1", started_at=wiring.clock(), now=wiring.clock())


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    began, real = wiring.clock(), wiring.clock

    def go(time: timedelta) -> None:
        monkeypatch.setattr(wiring, "clock", lambda: real() + time)

    assert began
    return go


def test_figures_by_class(shop: LaneShop) -> None:
    sent = [shop.ask() for _ in range(3)]
    lane.dispatch()
    waits = shop.ask()
    suppress(shop.engine, Reason.COMPLAINT, "olga@delivered.test")
    stopped = shop.ask(email="olga@delivered.test", urgency=Urgency.SHIPPING)
    lane.dispatch(rounds=0)
    with database.write(shop.engine) as connection:
        transactional_queue.end(connection, stopped, BatchState.SUPPRESSED, "complaint", wiring.clock())
    for place, message in enumerate(sent):
        row = shop.row(message)
        change(shop.engine, message, accepted_at=row.asked_at + timedelta(seconds=place))
    found = _figures(shop)
    security, _, shipping, _ = found.classes
    assert (security.asked, security.states) == (4, {BatchState.ACCEPTED: 3, BatchState.PLANNED: 1})
    assert (security.latency.count, security.latency.p50, security.latency.p99) == (3, 1.0, 2.0)
    assert (security.backlog.open, security.backlog.due) == (1, 1)
    assert security.backlog.oldest_due == shop.row(waits).asked_at
    assert shipping.states == {BatchState.SUPPRESSED: 1}
    (sandbox,) = found.providers
    assert (sandbox.provider, sandbox.attempts, sandbox.failed) == ("sandbox", 3, 0)
    with database.read(shop.engine) as connection:
        (failure,) = lane_figures.failures(connection, since=wiring.clock() - HOUR)
        slices = lane_figures.by_slice(connection, now=wiring.clock(), slices=4, length=timedelta(minutes=15))
    assert (failure.why, failure.count, failure.latest) == ("complaint", 1, stopped)
    assert [count for count, _ in slices] == [0, 0, 0, 5]
    assert slices[-1][1].count == 3


def test_what_is_tried_again_and_again_is_old_all_the_same(shop: LaneShop) -> None:
    message = shop.ask()
    future = wiring.clock() + HOUR
    change(shop.engine, message, not_before=future)
    assert _figures(shop).classes[0].backlog.oldest_due is None  # it is put off, and was not tried
    change(shop.engine, message, attempts=3)
    assert _figures(shop).classes[0].backlog.oldest_due == shop.row(message).asked_at


def test_nobody_at_work_is_an_alarm_only_while_something_is_due(shop: LaneShop) -> None:
    assert _alarms(shop) == []
    shop.ask()
    (told,) = _alarms(shop)
    assert told.startswith("No dispatcher is at work")
    _alive(shop)
    assert _alarms(shop) == []


@pytest.mark.parametrize(("urgency", "seconds"), [(Urgency.SECURITY, 31), (Urgency.CONFIRMATION, 121)])
def test_what_waits_for_too_long_is_an_alarm(
    shop: LaneShop, urgency: Urgency, seconds: int, later: Callable[[timedelta], None]
) -> None:
    shop.ask(urgency=urgency)
    later(timedelta(seconds=seconds - 3))
    _alive(shop)
    assert _alarms(shop) == []
    later(timedelta(seconds=seconds))
    (told,) = _alarms(shop)
    assert f"The oldest {urgency.name.lower()} message that is due waits for " in told


def test_an_esp_that_fails_is_an_alarm(shop: LaneShop, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        shop.ask()
    lose_answer(monkeypatch)
    lane.dispatch()
    _alive(shop)
    (told,) = _alarms(shop)
    assert told.startswith("sandbox failed 3 of the last 3 requests")


@pytest.fixture
def mailbox(shop: LaneShop, monkeypatch: pytest.MonkeyPatch) -> LaneShop:
    monkeypatch.setenv("OMS_SEEDS_MAILBOXES", json.dumps(["seed@delivered.test"]))
    settings.load.cache_clear()
    return shop


def _check(shop: LaneShop) -> int:
    with database.write(shop.engine) as connection:
        ways, now = lane_state.ways(connection), wiring.clock()
        return lane_checks.ask(connection, ways, ["seed@delivered.test"], pepper=wiring.pepper(), now=now)


def _ids(shop: LaneShop) -> list[str]:
    table = tables.transactional_messages
    with database.read(shop.engine) as connection:
        return list(connection.scalars(table.select().with_only_columns(table.c.id)))


def test_our_own_messages_prove_the_lane(mailbox: LaneShop, later: Callable[[timedelta], None]) -> None:
    into_its_turn = timedelta(seconds=wiring.clock().timestamp() % lane_checks.EVERY.total_seconds())
    turn = lane_checks.EVERY - into_its_turn
    later(turn)  # the next one begins: it has its five minutes
    assert (_check(mailbox), _check(mailbox)) == (1, 0)  # once in five minutes, whoever asks how often
    (message,) = _ids(mailbox)
    lane.dispatch()
    assert (mailbox.state(message), mailbox.mailed(message)) == ("accepted", 1)
    assert sum(one.asked for one in _figures(mailbox).classes) == 0  # no customer's
    later(turn + timedelta(minutes=9))
    assert _alarms(mailbox) == []
    later(turn + timedelta(minutes=11))
    (told,) = _alarms(mailbox)
    assert told.startswith("sandbox takes transactional mail and tells nothing")
    delivered(mailbox.engine, message, wiring.clock())
    assert _alarms(mailbox) == []


def test_our_own_message_that_does_not_leave_is_an_alarm(mailbox: LaneShop, later: Callable[[timedelta], None]) -> None:
    _check(mailbox)
    later(timedelta(seconds=50))
    assert _alarms(mailbox) == []
    later(timedelta(seconds=70))
    (told,) = _alarms(mailbox)
    assert "by sandbox-transactional of shop was not accepted within 1 min: it is planned" in told


def test_our_own_messages_are_kept_for_a_week(mailbox: LaneShop, later: Callable[[timedelta], None]) -> None:
    _check(mailbox)
    kept = mailbox.ask()
    lane.dispatch()
    delivered(mailbox.engine, next(one for one in _ids(mailbox) if one != kept), wiring.clock())
    later(timedelta(days=8))
    with database.write(mailbox.engine) as connection:
        assert lane_checks.purge(connection, now=wiring.clock()) == 1
    assert _ids(mailbox) == [kept]


def _question(shop: LaneShop) -> transactional_resolution.Question:
    with database.read(shop.engine) as connection:
        (found,) = transactional_resolution.unresolved(connection)
    return found


def _apply(shop: LaneShop, question: Any, finding: Finding, kind: str) -> BatchState | None:
    with database.write(shop.engine) as connection:
        return transactional_resolution.apply(connection, question, Answer(finding, kind, "its words"), wiring.clock())


def test_an_esp_that_knows_it_confirms_it(shop: LaneShop, monkeypatch: pytest.MonkeyPatch) -> None:
    message = shop.ask()
    with monkeypatch.context() as broken:
        lose_answer(broken)
        lane.dispatch()
    question = _question(shop)
    assert (question.provider, question.attempt.known_attempt_id) == ("sandbox", None)
    later_one = shop.ask()
    lane.dispatch()
    assert _question(shop).attempt.known_attempt_id == shop.attempts(later_one)[0].id
    assert _apply(shop, question, Finding.CANNOT_TELL, ProofKind.LOOK_UP) is None
    assert shop.state(message) == "unknown"
    assert _apply(shop, question, Finding.ACCEPTED, ProofKind.LOOK_UP) is BatchState.ACCEPTED
    row = shop.row(message)
    assert (row.state, row.variables, row.email) == ("accepted", None, None)
    assert _apply(shop, question, Finding.NOT_SENT, ProofKind.LOOK_UP_ABSENT) is None  # it came too late


def test_an_esp_that_does_not_know_it_releases_it_by_a_proof_only(
    shop: LaneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = shop.ask()
    with monkeypatch.context() as broken:
        lose_answer(broken)
        lane.dispatch()
    question = _question(shop)
    with pytest.raises(ValueError, match="does not prove"):
        _apply(shop, question, Finding.NOT_SENT, ProofKind.LOOK_UP)
    assert shop.state(message) == "unknown"
    assert _apply(shop, question, Finding.NOT_SENT, ProofKind.LOOK_UP_ABSENT) is BatchState.PLANNED
    lane.dispatch()
    assert (shop.state(message), shop.row(message).resent) == ("accepted", False)
    assert _audit(shop) == ()  # a released one is no unflagged second one


def _audit(shop: LaneShop) -> tuple[str, ...]:
    return lane_audits.audit_of("shop", DAY).complaints


def test_the_books_balance_and_agree_with_the_esp_s(
    shop: LaneShop, monkeypatch: pytest.MonkeyPatch, later: Callable[[timedelta], None]
) -> None:
    for _ in range(3):
        shop.ask()
    twice = shop.ask(urgency=Urgency.OTHER, useful=HOUR)
    lane.dispatch(rounds=3)
    with monkeypatch.context() as broken:
        lose_answer(broken)
        lane.dispatch()
    later(RESEND_AFTER + timedelta(seconds=1))
    with database.write(shop.engine) as connection:
        assert transactional_sweep.sweep(connection, wiring.clock()).resent == 1
    lane.dispatch()
    later(timedelta(minutes=20))
    found = lane_audits.audit_of("shop", DAY)
    assert (found.asked, found.states, found.resent) == (4, {"accepted": 4}, 1)
    assert (found.twice, found.flagged, found.missing, found.complaints) == (1, 1, 0, ())
    change(shop.engine, twice, resent=False)
    told = " ".join(_audit(shop))
    assert "accepted it 2 times, and it is not flagged so" in told
    assert "left the unknown without a proof, and are not flagged (I4)" in told


def _attempt_is(shop: LaneShop, message: str, **values: Any) -> None:
    table = tables.transactional_attempts
    with database.write(shop.engine) as connection:
        connection.execute(table.update().where(table.c.message_id == message).values(**values))


FALSE: list[tuple[str, Callable[[LaneShop, str], None], str]] = [
    ("no evidence", lambda shop, one: _attempt_is(shop, one, outcome=OutcomeKind.UNKNOWN), r"\(I2\)"),
    ("no attempt", lambda shop, one: change(shop.engine, one, attempt_id="gone"), r"\(I3\)"),
    ("left the end", lambda shop, one: change(shop.engine, one, state="expired"), r"\(I5\)"),
    ("a secret is kept", lambda shop, one: change(shop.engine, one, variables={"code": "1"}), "still hold an address"),
    ("an address is kept", lambda shop, one: change(shop.engine, one, email="a@b.test"), "still hold an address"),
    ("no such state", lambda shop, one: change(shop.engine, one, state="sent"), "'sent', which does not exist"),
    (
        "overdue",
        lambda shop, one: change(
            shop.engine, one, state="unknown", finished_at=wiring.clock() - RESEND_AFTER - timedelta(minutes=6)
        ),
        r"\(I9\)",
    ),
    (
        "dead worker",
        lambda shop, one: change(
            shop.engine, one, state="inflight", lease_expires_at=wiring.clock() - timedelta(minutes=6)
        ),
        "dead worker",
    ),
    ("suppressed before", lambda shop, one: _suppressed_before(shop), r"\(I6\)"),
]


def _suppressed_before(shop: LaneShop) -> None:
    suppress(shop.engine, Reason.COMPLAINT)
    table = tables.suppressions
    with database.write(shop.engine) as connection:
        connection.execute(table.update().values(recorded_at=wiring.clock() - HOUR))


@pytest.mark.parametrize(("falsify", "told"), [one[1:] for one in FALSE], ids=[one[0] for one in FALSE])
def test_what_is_false_is_found(shop: LaneShop, falsify: Callable[[LaneShop, str], None], told: str) -> None:
    message = shop.ask()
    lane.dispatch()
    assert _audit(shop) == ()
    falsify(shop, message)
    assert any(re.search(told, one) for one in _audit(shop))


def test_what_the_esp_lacks_is_missing(shop: LaneShop, later: Callable[[timedelta], None]) -> None:
    message = shop.ask()
    lane.dispatch()
    lost = shop.ask()
    change(shop.engine, lost, state="accepted", attempts=1, email=None, variables=None, finished_at=wiring.clock())
    table = tables.transactional_attempts
    with database.write(shop.engine) as connection:
        attempt = shop.attempts(message)[0]._asdict() | {"id": "a2", "message_id": lost}
        connection.execute(table.insert().values(**attempt))
        connection.execute(
            tables.transactional_messages.update()
            .where(tables.transactional_messages.c.id == lost)
            .values(attempt_id="a2")
        )
    later(timedelta(minutes=20))
    found = lane_audits.audit_of("shop", DAY)
    assert (found.missing, len(found.complaints)) == (1, 1)
