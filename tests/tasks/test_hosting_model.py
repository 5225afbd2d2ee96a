"""A model check of hosted runs: whatever is lost, late or dead whenever, and whatever people say, nobody is mailed twice.

The oracle is the host's own file: a row a mail, a row a campaign that it sent. That the check has teeth is shown below it.
"""

import secrets
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck
from hypothesis import settings as tuned
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from data import database, host_outcomes, host_steps
from data.control import NotPossible
from domain import hosting
from domain.campaign_host import HostRefuses, HostStatus, HostUnavailable
from domain.campaigns import RunStatus
from domain.hosting import Action, Hand, Step, Stopped
from domain.ledger import Outcome, ProofKind
from tasks import esps, host_request, hosted, wiring
from tests.data.frozen import Clock
from tests.kills import shop
from tests.tasks import hosted_run
from tests.tasks.hosted_run import HostedRun
from tests.tasks.stored_host import StoredHost

PEOPLE = 5
_CALLS = ("prepare", "put_members", "campaign", "fill", "faults", "members", "status", "unschedule", "discard")
_FATES = st.lists(st.tuples(st.sampled_from(_CALLS), st.sampled_from(["lost", "cut", "refused"])), max_size=1)
_SCHEDULE = st.lists(st.sampled_from(["lost", "cut", "late", "", "refused"]), max_size=3)

# Near the one request deaths are drawn more often: it is the 40th or so thing that a process does.
_DIES_AFTER = st.sampled_from([None, None, None, None, 5, 12, 20, *range(30, 56, 2)])


class Dead(BaseException):
    """The process was killed: from here on nothing of it reaches database or host."""


class Life:
    """Counts what a process does to the outside, and ends it there."""

    def __init__(self) -> None:
        self.left: int | None = None

    def __call__(self, _: str = "") -> None:
        if self.left is None:
            return
        if self.left <= 0:
            raise Dead
        self.left -= 1


class HostingMachine(RuleBasedStateMachine):
    def __init__(self, engine: sa.Engine, frozen: Path, clock: Clock, life: Life, run_id: str) -> None:
        super().__init__()
        self.engine, self.frozen, self.clock, self.life, self.run_id = engine, frozen, clock, life, run_id

    @initialize(fates=_FATES, schedule=_SCHEDULE, dies_after=_DIES_AFTER)
    def start(self, fates: list[tuple[str, str]], schedule: list[str], dies_after: int | None) -> None:
        """Each history begins with a flow that works: else too few come as far as the one request."""
        self.life.left = None
        self.engine.dispose()
        shutil.copy(self.frozen, str(self.engine.url.database))
        self.clock.now = Clock().now
        store = self.frozen.with_name("host.db")
        store.unlink(missing_ok=True)
        host = StoredHost(store, self.clock, self.life, members_at_once=2, troubles=False)
        esps.campaign_host = lambda _provider: host
        self.run = HostedRun(self.engine, host, self.clock, self.run_id)
        self.go_wrong(fates, schedule)
        self.flow_works(waves=1, dies_after=dies_after, pause=1)

    @rule(fates=_FATES, schedule=_SCHEDULE)
    def go_wrong(self, fates: list[tuple[str, str]], schedule: list[str]) -> None:
        for call, how in fates:
            self.run.host.fate.setdefault(call, []).append(how)
        self.run.host.fate.setdefault("schedule", []).extend(schedule)

    def alive(self, work: Callable[[], Any], dies_after: int | None) -> None:
        """Let a process do this; dead, or put off by the host, it is gone. What it had in hand is whoever's comes next."""
        self.life.left = dies_after
        try:
            work()
        except (Dead, HostUnavailable, HostRefuses, Stopped, NotPossible):
            pass
        finally:
            self.life.left = None

    @rule(waves=st.integers(1, 3), dies_after=_DIES_AFTER, pause=st.sampled_from([1, 60, 130]))
    def flow_works(self, waves: int, dies_after: int | None, pause: int) -> None:
        def work() -> None:
            for _ in range(waves):
                self.run.wave()
                self.clock.forward(seconds=pause)

        self.alive(work, dies_after)

    @rule(minutes=st.sampled_from([1, 5, 70]), dies_after=st.none() | st.integers(0, 20))
    def minutes_pass(self, minutes: int, dies_after: int | None) -> None:
        self.clock.forward(minutes=minutes)
        self.alive(self.run.minute, dies_after)

    @rule(seconds=st.sampled_from([30, 130, 600]))
    def nobody_works(self, seconds: int) -> None:
        self.clock.forward(seconds=seconds)

    @rule(dies_after=st.none() | st.integers(0, 6))
    def somebody_pauses(self, dies_after: int | None) -> None:
        self.alive(self.run.pause, dies_after)

    @precondition(lambda self: self.run.status is RunStatus.PAUSED)
    @rule()
    def somebody_goes_on(self) -> None:
        self.run.resume()

    @rule(dies_after=st.none() | st.integers(0, 6), meant=st.sampled_from([False, False, True]))
    def somebody_cancels(self, dies_after: int | None, meant: bool) -> None:
        if meant:
            self.alive(self.run.cancel, dies_after)

    @precondition(lambda self: self.run.status is not RunStatus.CANCELLED)
    @rule(status=st.sampled_from(["scheduled", "draft"]))
    def somebody_at_the_host(self, status: str) -> None:
        """Schedules a draft there for now, or takes back what is scheduled.

        Not what is cancelled: its draft is deleted with the cancel, or in the next minute where that died on the way.
        Who sends it from the host's own pages in between sends a campaign of her own.
        """
        was = {"scheduled": "draft", "draft": "scheduled"}[status]
        at = self.clock().timestamp() + 90
        told = "UPDATE campaigns SET status = ?, at = ? WHERE status = ? AND NOT deleted AND html IS NOT NULL"
        self.run.host.told(told, status, at, was)

    @invariant()
    def nobody_gets_it_twice(self) -> None:
        mailed = self.run.host.mailed()
        assert len(mailed) == len(set(mailed))
        assert self.run.host.asked("SELECT count(*) FROM sends")[0][0] in {0, 1}

    @invariant()
    def the_ledger_adds_up(self) -> None:
        audit = self.run.audit()
        assert audit.complaints == ()
        if audit.states["accepted"]:
            assert len(self.run.host.mailed()) == audit.states["accepted"]

    def teardown(self) -> None:
        """Once nothing goes wrong any more all of it ends, and the ledger says what the host did."""
        if not hasattr(self, "run"):
            return
        self.run.host.fate.clear()
        for hours in (0, 1, 25, 73, 1):
            self.clock.forward(hours=hours)
            for _ in range(3):
                self.alive(self.run.minute, None)
                self.run.wave()
        self.nobody_gets_it_twice()
        self.the_ledger_adds_up()
        states = self.run.audit().states
        assert states["open"] == 0
        if not states["held"]:
            assert states["accepted"] == len(self.run.host.mailed())
        assert "scheduled" not in self.run.campaigns()


@pytest.fixture
def machine(sqlite_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[], HostingMachine]]:
    with hosted_run.set_up(monkeypatch, tmp_path, sqlite_url):
        clock, life = Clock(), Life()
        monkeypatch.setattr(wiring, "clock", clock)
        monkeypatch.setattr(esps, "campaign_host", esps.campaign_host)  # put back afterwards
        monkeypatch.setattr(esps, "is_host", lambda _provider: True)
        monkeypatch.setattr(shop, "PEOPLE", PEOPLE)
        monkeypatch.setattr(hosted, "_MOST_THREADS", 1)  # else the same history need not come to the same end
        monkeypatch.setattr(shop, "BATCH_SIZE", 2)
        engine = database.engine_for(sqlite_url)
        shop.fill(engine)
        run_id = shop.open_run(engine, clock()).id
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
        frozen = tmp_path / "frozen.db"
        shutil.copy(str(engine.url.database), frozen)
        _mortal(engine, life, monkeypatch)
        yield lambda: HostingMachine(engine, frozen, clock, life, run_id)
        engine.dispose()


def _mortal(engine: sa.Engine, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may die before each commit and after it."""
    dialect: Any = engine.dialect
    commit = dialect.do_commit

    def watched(connection: Any) -> None:
        life()
        commit(connection)
        life()

    monkeypatch.setattr(dialect, "do_commit", watched)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hosted_run_keeps_its_promises(machine: Callable[[], HostingMachine]) -> None:
    how = tuned(max_examples=25, stateful_step_count=9, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=how)


def _unknown_counts_as_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(host_outcomes, "unknown", lambda connection, request, _, *, now: _taken(connection, request, now))


def _taken(connection: sa.Connection, request: Any, now: datetime) -> bool:
    return host_outcomes.out(connection, request.run_id, raw="it will have come there", now=now) > 0


def _a_pause_takes_back_without_asking(patch: pytest.MonkeyPatch) -> None:
    def wrong(job: Any, *_: object) -> None:
        host_request._back(job, ProofKind.CANCELLED, "surely")

    patch.setattr(host_request, "_call_back", wrong)


def _another_campaign_after_silence(patch: pytest.MonkeyPatch) -> None:
    right = host_outcomes.unknown

    def wrong(connection: sa.Connection, request: Any, outcome: Outcome, *, now: datetime) -> bool:
        right(connection, request, outcome, now=now)
        host_outcomes.back(connection, request.run_id, kind=ProofKind.NEVER_BEGUN, raw="silence", now=now)
        host_steps.reopen(connection, request.run_id, Step.CAMPAIGN, Step.CONTENT)
        return True

    patch.setattr(host_outcomes, "unknown", wrong)
    patch.setattr(StoredHost, "key_of", lambda _, campaign: f"{campaign.key}{secrets.token_hex(2)}")


def _a_draft_that_was_asked_for_counts_as_out(patch: pytest.MonkeyPatch) -> None:
    right = hosting.action

    def wrong(hand: Hand, status: HostStatus, *, wanted: bool, ripe: bool) -> Action:
        asked = hand is Hand.UNKNOWN and status is HostStatus.DRAFT
        return Action.TAKE_AS_OUT if asked else right(hand, status, wanted=wanted, ripe=ripe)

    patch.setattr(hosting, "action", wrong)


def _silence(machine: HostingMachine) -> None:
    machine.start(fates=[], schedule=["lost"], dies_after=None)
    machine.nobody_works(130)
    machine.flow_works(waves=1, dies_after=None, pause=60)
    machine.the_ledger_adds_up()


def _late_answers(machine: HostingMachine) -> None:
    machine.start(fates=[], schedule=["late", "late"], dies_after=None)
    for _ in range(3):
        machine.minutes_pass(5, dies_after=None)
        machine.flow_works(waves=2, dies_after=None, pause=60)
    machine.nobody_gets_it_twice()


def _cancelled(machine: HostingMachine) -> None:
    machine.start(fates=[], schedule=[], dies_after=None)
    machine.somebody_cancels(dies_after=None, meant=True)
    machine.teardown()


@pytest.mark.parametrize(
    ("mistake", "history"),
    [
        (_unknown_counts_as_sent, _silence),
        (_a_draft_that_was_asked_for_counts_as_out, _silence),
        (_another_campaign_after_silence, _late_answers),
        (_a_pause_takes_back_without_asking, _cancelled),
    ],
)
def test_the_check_finds_a_mistake(
    machine: Callable[[], HostingMachine],
    monkeypatch: pytest.MonkeyPatch,
    mistake: Callable[[pytest.MonkeyPatch], None],
    history: Callable[[HostingMachine], None],
) -> None:
    history(machine())
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        history(machine())
