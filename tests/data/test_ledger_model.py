"""A model check of the ledger: whatever ESPs answer, workers die and time passes, no mail goes twice or is lost.

The oracle is the list of what each simulated ESP request really delivered, kept apart from the ledger.
"""

import shutil
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from data import audit, database, ledger_sweep, proofs, tables
from domain import campaigns
from domain.ledger import AllRefused, BatchState, LeaseLost, MessageState, Outcome, OutcomeKind
from domain.ports import Batch
from tests.data import frozen, ledger_rows
from tests.data.frozen import Clock

# What the ESP did, and what the worker saw of it: a cut answer looks the same whether the mail went out or not.
_WIRE = {
    "accepted": (True, OutcomeKind.ACCEPTED),
    "cut after acceptance": (True, OutcomeKind.UNKNOWN),
    "cut before acceptance": (False, OutcomeKind.UNKNOWN),
    "refused connection": (False, OutcomeKind.NOT_SENT),
    "bad request": (False, OutcomeKind.REJECTED),
}
_LEASE = timedelta(seconds=frozen.POLICY.lease_seconds)
_HELD_AFTER = timedelta(minutes=frozen.POLICY.hold_after_minutes)
_WINDOW = timedelta(hours=frozen.POLICY.window_hours)


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self, engine: sa.Engine, template: Path) -> None:
        super().__init__()
        # One engine for all examples: another would compile every statement anew.
        self.engine = engine
        self.engine.dispose()
        shutil.copy(template, str(engine.url.database))

    @initialize(people=st.integers(2, 9), batch_size=st.integers(1, 3))
    def start(self, people: int, batch_size: int) -> None:
        with database.write(self.engine) as connection:
            ledger_rows.add_account(connection, "shop")
        self.people = people
        self.clock = Clock()
        self.run = frozen.dispatching(self.engine, people, batch_size=batch_size)
        self.book = frozen.book(self.engine, self.run, self.clock)
        self.unrecorded: list[tuple[Batch, OutcomeKind]] = []
        self.lease_ends: dict[str, datetime] = {}
        self.delivered: Counter[str] = Counter()
        self.attempts_delivered: list[str] = []
        self.messages: dict[str, list[str]] = {}  # of each attempt
        self.rejected: set[str] = set()

    @rule(pause=st.sampled_from([0, 5, 61]), wire=st.sampled_from(sorted(_WIRE)), slow=st.booleans())
    def worker_asks(self, pause: int, wire: str, slow: bool) -> None:
        """Claim, send, and record at once; or be slow about it, perhaps forever: such a worker is dead."""
        self.clock.forward(seconds=pause)
        batch = self.book.claim(self.run.id, worker=f"w{len(self.lease_ends)}")
        if batch is None:
            return
        self.lease_ends[batch.attempt_id] = self.clock() + _LEASE
        self.messages[batch.attempt_id] = list(batch.message_ids)
        went_out, seen = _WIRE[wire]
        if went_out:
            self.delivered.update(batch.message_ids)
            self.attempts_delivered.append(batch.attempt_id)
        if slow:
            self.unrecorded.append((batch, seen))
        else:
            self.record(batch, seen)

    @precondition(lambda self: self.unrecorded)
    @rule(which=st.integers(0, 9), pause=st.sampled_from([5, 61]))
    def slow_worker_records(self, which: int, pause: int) -> None:
        self.clock.forward(seconds=pause)
        self.record(*self.unrecorded.pop(which % len(self.unrecorded)))

    def record(self, batch: Batch, seen: OutcomeKind) -> None:
        in_time = self.clock() < self.lease_ends[batch.attempt_id]
        blamed = self.esp_took_something()
        try:
            self.book.record(batch, Outcome(seen), seconds=0.1)
        except LeaseLost:
            assert not in_time
            return
        except AllRefused:
            assert not blamed
        assert in_time
        if seen is OutcomeKind.REJECTED and len(batch) == 1 and blamed:
            self.rejected.update(batch.message_ids)

    def esp_took_something(self) -> bool:
        accepted = sa.exists().where(tables.batches.c.state == BatchState.ACCEPTED)
        with database.read(self.engine) as connection:
            return bool(connection.scalar(sa.select(accepted)))

    @precondition(lambda self: self.attempts_delivered)
    @rule(which=st.integers(0, 9), to_the_end=st.booleans())
    def event_of_a_delivered_attempt_arrives(self, which: int, to_the_end: bool) -> None:
        """As data.events does it: the proof with the body, the batches at the end of the round, if that is reached."""
        attempt_id = self.attempts_delivered[which % len(self.attempts_delivered)]
        with database.write(self.engine) as connection:
            proofs.record(connection, [attempt_id], inbox_id=1, now=self.clock())
        if to_the_end:
            with database.write(self.engine) as connection:
                proofs.confirm(connection, now=self.clock())

    @rule(seconds=st.sampled_from([30, 61, 3600]), swept=st.booleans())
    def time_passes(self, seconds: int, swept: bool) -> None:
        self.clock.forward(seconds=seconds)
        if swept:
            self.sweep()

    def sweep(self) -> None:
        with database.write(self.engine) as connection:
            ledger_sweep.sweep(connection, policy=frozen.POLICY, now=self.clock())

    @invariant()
    def nobody_gets_it_twice(self) -> None:
        assert all(count == 1 for count in self.delivered.values()), self.delivered

    @invariant()
    def everybody_is_accounted_for(self) -> None:
        with database.read(self.engine) as connection:
            found = audit.audit(connection, self.run.id, record=dict(self.delivered))
            rejected = connection.scalars(
                sa.select(tables.message_exceptions.c.ordinal).where(
                    tables.message_exceptions.c.state == MessageState.REJECTED
                )
            )
            assert {campaigns.message_id(self.run.id, ordinal) for ordinal in rejected} == self.rejected
        assert sum(found.states.values()) == self.people
        assert found.missing == 0  # whatever the ledger calls accepted did go out
        assert found.complaints == ()

    def teardown(self) -> None:
        """Enough time and sweeps leave nothing open, and hold nothing that an event proves."""
        if not hasattr(self, "clock"):
            return
        batch, proof = tables.batches, tables.batch_proofs
        for wait in (_WINDOW, _HELD_AFTER):
            self.clock.now += wait
            self.sweep()
        self.everybody_is_accounted_for()
        with database.read(self.engine) as connection:
            assert audit.message_states(connection, self.run.id)["open"] == 0
            held = connection.scalars(sa.select(batch.c.attempt_id).where(batch.c.state == BatchState.HELD))
            assert set(held).isdisjoint(connection.scalars(sa.select(proof.c.attempt_id)))


def test_the_ledger_keeps_its_promises(sqlite_url: str, sqlite_template: Path) -> None:
    engine = database.engine_for(sqlite_url)
    run_state_machine_as_test(
        lambda: LedgerMachine(engine, sqlite_template),
        settings=settings(
            max_examples=40, stateful_step_count=16, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    engine.dispose()
