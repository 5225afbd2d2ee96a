"""A model check of the transactional queue: whatever ESPs answer, workers die, events say and time does, no message goes
twice unless it is flagged, and none is lost.

The oracle is the list of what each simulated request really delivered, kept apart from the store. That the check has
teeth is test_transactional_mutants.py's to show.
"""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from data import database, tables, transactional, transactional_proofs, transactional_queue, transactional_sweep
from data.lanes import Stall
from data.transactional_lane import Over
from data.transactional_queue import Resting
from domain.ledger import BatchState, Outcome, OutcomeKind, ProofKind
from domain.ports import Batch
from domain.transactional import NEXT, OPEN, OVER, RESEND_AFTER
from tests.data import frozen, transactional_store
from tests.data.frozen import Clock
from tests.data.transactional_store import PEOPLE, Moves

# What the ESP did, and what the worker saw of it.
_WIRE = {
    "accepted": (True, Outcome(OutcomeKind.ACCEPTED, status=202)),
    "cut after acceptance": (True, Outcome(OutcomeKind.UNKNOWN)),
    "cut before acceptance": (False, Outcome(OutcomeKind.UNKNOWN)),
    "too many requests": (False, Outcome(OutcomeKind.NOT_SENT, status=429)),
    "refused connection": (False, Outcome(OutcomeKind.NOT_SENT)),
    "bad request": (False, Outcome(OutcomeKind.REJECTED, "bad request", status=400)),
}
# What decides is drawn more often.
_DRAWN = [*_WIRE, "accepted", "cut after acceptance", "cut after acceptance", "cut before acceptance"]
_REQUESTS = st.lists(st.tuples(st.sampled_from(_DRAWN), st.booleans()), min_size=1, max_size=4)
# After the answers of some requests nobody heard anything for so long that they go once more: what the ESP did then, and
# whether an event was late enough to come before that.
_SILENCES = st.lists(st.tuples(st.sampled_from(_DRAWN), st.booleans()), max_size=3)
_OVERSLEPT = Outcome(OutcomeKind.NOT_SENT, detail="the worker slept", local=True)
_LEASE = timedelta(seconds=frozen.POLICY.lease_seconds)
_PAST_THE_LEASE = frozen.POLICY.lease_seconds + 1
_USEFUL = (timedelta(minutes=4), timedelta(minutes=30), timedelta(hours=2))
_LONGEST = timedelta(hours=3)


class QueueMachine(RuleBasedStateMachine):
    def __init__(self, engine: sa.Engine) -> None:
        super().__init__()
        self.engine = engine

    @initialize(
        asked=st.integers(1, 3),
        requests=_REQUESTS,
        early=st.booleans(),
        late=st.booleans(),
        silences=_SILENCES,
    )
    def start(
        self,
        asked: int,
        requests: list[tuple[str, bool]],
        early: bool,
        late: bool,
        silences: list[tuple[str, bool]],
    ) -> None:
        self.clock = Clock()
        self.moves: Moves = transactional_store.empty(self.engine)
        # Two dispatchers; what one of them looked at a while ago, another may have taken since.
        self.lanes = [transactional_store.lane(self.engine, self.clock) for _ in range(2)]
        self.looked_at: list[Any] = []
        self.unrecorded: list[tuple[Batch, Outcome]] = []
        self.lease_ends: dict[str, datetime] = {}
        self.took: dict[str, list[str]] = defaultdict(list)  # by message: the attempts that the ESP took
        self.not_sent: list[tuple[str, str]] = []
        self.proved: set[str] = set()
        self.refusing: set[str] = set()
        self.asked: list[str] = []
        for number in range(asked):
            self.somebody_asks(number, _USEFUL[-1])
        self.workers_ask(0, 0, requests)
        if early and any(self.took.values()):  # than the answers that workers are slow about
            self.event_of_a_delivered_attempt_arrives(0)
        if late and self.unrecorded:
            self.slow_worker_records(0, _PAST_THE_LEASE)
        for wire, told_late in silences:
            self.nobody_hears_of_it(wire, told_late)

    @rule(number=st.integers(0, PEOPLE - 1), useful=st.sampled_from(_USEFUL))
    def somebody_asks(self, number: int, useful: timedelta) -> None:
        wanted = transactional_store.wanted(number, useful, nth=len(self.asked))
        with database.write(self.engine) as connection:
            assert transactional.ask(connection, [wanted], now=self.clock()) == [wanted.id]
            assert transactional.ask(connection, [wanted], now=self.clock()) == []
        self.asked.append(wanted.id)

    @rule(pause=st.sampled_from([0, 31]), nap=st.sampled_from([0, 0, 31, 61]), requests=_REQUESTS)
    def workers_ask(self, pause: int, nap: int, requests: list[tuple[str, bool]]) -> None:
        for wire, slow in requests:
            self.clock.forward(seconds=pause)
            self.look()
            if self.looked_at:
                self.claim(self.looked_at[-1], 0, nap, wire, slow)

    def look(self) -> None:
        with database.read(self.engine) as connection:
            row = transactional_queue.next_due(connection, self.clock(), after="", resting=Resting())
        self.looked_at += [row] if row is not None else []

    @rule(wire=st.sampled_from(_DRAWN), told_late=st.booleans())
    def nobody_hears_of_it(self, wire: str, told_late: bool) -> None:
        """The sweep releases what may go once more; before it does, an event may come all the same."""
        self.clock.forward(seconds=RESEND_AFTER.total_seconds() + 1)
        self.sweep()
        if told_late and any(self.took.values()):
            self.event_of_a_delivered_attempt_arrives(0)
        self.workers_ask(0, 0, [(wire, False)])

    @precondition(lambda self: self.looked_at)
    @rule(which=st.integers(0, 9), wire=st.sampled_from(_DRAWN), slow=st.booleans())
    def another_dispatcher_saw_it_too(self, which: int, wire: str, slow: bool) -> None:
        self.claim(self.looked_at.pop(which % len(self.looked_at)), 1, 0, wire, slow)

    def claim(self, row: Any, dispatcher: int, nap: int, wire: str, slow: bool) -> None:
        """Claim, send, and record at once; or be slow about it, perhaps forever: such a worker is dead."""
        batch = self.lanes[dispatcher].claim(row, transactional_store.letter(row), worker=f"w{dispatcher}")
        if isinstance(batch, Stall | Over):
            return
        assert batch.addresses[0] not in self.refusing
        assert batch.run_id not in self.proved, "it is known that she has it"
        self.lease_ends[batch.attempt_id] = self.clock() + _LEASE
        self.clock.forward(seconds=nap)
        outcome = _OVERSLEPT
        if batch.lease_expires_at - self.clock() >= _LEASE / 2:
            went_out, outcome = _WIRE[wire]
            assert self.claimed_durably(batch)
            if went_out:
                self.took[batch.run_id].append(batch.attempt_id)
        if slow:
            self.unrecorded.append((batch, outcome))
        else:
            self.record(batch, outcome)

    def claimed_durably(self, batch: Batch) -> bool:
        """No byte leaves before the claim stands."""
        message, attempt = tables.transactional_messages.c, tables.transactional_attempts.c
        query = sa.select(message.state).where(attempt.id == batch.attempt_id, attempt.id == message.attempt_id)
        with database.read(self.engine) as connection:
            return connection.scalar(query) == BatchState.INFLIGHT

    @precondition(lambda self: self.unrecorded)
    @rule(which=st.integers(0, 9), pause=st.sampled_from([5, _PAST_THE_LEASE]))
    def slow_worker_records(self, which: int, pause: int) -> None:
        self.clock.forward(seconds=pause)
        self.record(*self.unrecorded.pop(which % len(self.unrecorded)))

    def record(self, batch: Batch, outcome: Outcome) -> None:
        before = self.state_of(batch.run_id)
        kept = self.lanes[0].record(batch, outcome, seconds=0.1)
        if self.clock() >= self.lease_ends[batch.attempt_id]:
            assert not kept
        if outcome.kind is OutcomeKind.NOT_SENT:
            self.not_sent.append((batch.run_id, batch.attempt_id))
        if outcome.kind is OutcomeKind.ACCEPTED and before in OPEN:
            self.proved.add(batch.run_id)

    @precondition(lambda self: any(self.took.values()))
    @rule(which=st.integers(0, 20))
    def event_of_a_delivered_attempt_arrives(self, which: int) -> None:
        """Early, late, again, in any order."""
        message, attempt = self.delivered(which)
        if self.state_of(message) in OPEN:
            self.proved.add(message)
        with database.write(self.engine) as connection:
            transactional_proofs.record(connection, {(message, attempt): 1}, now=self.clock())

    @precondition(lambda self: any(self.took.values()))
    @rule(which=st.integers(0, 20))
    def a_look_up_finds_it(self, which: int) -> None:
        message, attempt = self.delivered(which)
        if self.state_of(message) != BatchState.UNKNOWN:
            return
        self.proved.add(message)
        with database.write(self.engine) as connection:
            transactional_proofs.keep(connection, message, attempt, ProofKind.LOOK_UP, "found", self.clock())
            transactional_proofs.confirm(connection, now=self.clock(), among=[message])

    def delivered(self, which: int) -> tuple[str, str]:
        found = [(message, attempt) for message, attempts in self.took.items() for attempt in attempts]
        return found[which % len(found)]

    @precondition(lambda self: self.not_sent)
    @rule(which=st.integers(0, 9))
    def event_names_an_attempt_that_was_never_sent(self, which: int) -> None:
        """An ESP's mistake, or somebody's: it says nothing of the message."""
        named = self.not_sent[which % len(self.not_sent)]
        with database.write(self.engine) as connection:
            transactional_proofs.record(connection, {named: 1}, now=self.clock())

    @rule(number=st.integers(0, PEOPLE - 1))
    def somebody_complains(self, number: int) -> None:
        self.refusing.add(transactional_store.address(number))
        transactional_store.complain(self.engine, number, self.clock())

    @rule(seconds=st.sampled_from([31, 61, 241, 3600]), swept=st.booleans())
    def time_passes(self, seconds: int, swept: bool) -> None:
        self.clock.forward(seconds=seconds)
        if swept:
            self.sweep()

    def sweep(self) -> None:
        with database.write(self.engine) as connection:
            transactional_sweep.sweep(connection, self.clock())

    def state_of(self, message: str) -> str:
        return str(self.row(message).state)

    def row(self, message: str) -> Any:
        with database.read(self.engine) as connection:
            return transactional.get(connection, message)

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        for before, after in self.moves():
            assert before == after or after in NEXT[BatchState(before)], (before, after)
        for message in self.asked:
            row, took = self.row(message), len(self.took[message])
            assert took <= (2 if row.resent else 1), "it went twice"
            if row.state == BatchState.ACCEPTED:
                assert took, "it is lost"
            elif row.state in OVER - {BatchState.HELD} and not row.resent:
                assert not took, f"it is {row.state}, and she has it"
            if row.state in OVER:
                assert row.variables is row.email is None
            elif row.state == BatchState.PLANNED:
                assert row.email is not None
            if row.state == BatchState.EXPIRED:
                assert not row.resent, "perhaps she has it"

    def teardown(self) -> None:
        """Enough time and sweeps leave nothing open, and hold nothing that is proved."""
        if not hasattr(self, "asked"):
            return
        for wait in (_LEASE, RESEND_AFTER):
            self.clock.now += wait
            self.sweep()
        assert not {self.state_of(one) for one in self.asked} & {BatchState.INFLIGHT, BatchState.UNKNOWN}
        self.clock.now += _LONGEST
        self.sweep()
        self.all_is_as_it_should_be()
        assert {BatchState(self.state_of(one)) for one in self.asked} <= OVER
        assert {self.state_of(one) for one in self.proved} <= {BatchState.ACCEPTED}


def test_the_queue_keeps_its_promises(engine: sa.Engine) -> None:
    examples = 60 if engine.dialect.name == "sqlite" else 15
    run_machine(
        lambda: QueueMachine(engine),
        settings=settings(
            max_examples=examples, stateful_step_count=16, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
