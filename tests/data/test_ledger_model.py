"""A model check of the ledger: whatever ESPs answer, workers die and time passes, no mail goes twice or is lost.

The oracle is the list of what each simulated ESP request really delivered, kept apart from the ledger.
"""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from data import audit, database, ledger_sweep, migrate, tables
from domain.ledger import BatchState, LeaseLost, Outcome, OutcomeKind
from domain.ports import Batch
from tests.data import frozen
from tests.data.frozen import Clock

# What the ESP did, and what the worker saw of it: a cut answer looks the same whether the mail went out or not.
_WIRE = {
    "accepted": (True, OutcomeKind.ACCEPTED),
    "cut after acceptance": (True, OutcomeKind.UNKNOWN),
    "cut before acceptance": (False, OutcomeKind.UNKNOWN),
    "refused connection": (False, OutcomeKind.NOT_SENT),
    "bad request": (False, OutcomeKind.REJECTED),
}
_TEMPLATE = Path(tempfile.mkdtemp(prefix="oms-model-")) / "template.db"


def _template() -> Path:
    if not _TEMPLATE.exists():
        engine = database.engine_for(f"sqlite:///{_TEMPLATE}")
        migrate.upgrade(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
    return _TEMPLATE


class LedgerMachine(RuleBasedStateMachine):
    @initialize(people=st.integers(1, 9), batch_size=st.integers(1, 4))
    def start(self, people: int, batch_size: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="oms-model-"))
        shutil.copy(_template(), self.folder / "oms.db")
        self.engine = database.engine_for(f"sqlite:///{self.folder / 'oms.db'}")
        with database.write(self.engine) as connection:
            connection.execute(
                tables.accounts.insert().values(
                    id="shop",
                    name="Shop",
                    currency="USD",
                    timezone="UTC",
                    postal_address="1 Street",
                    sender_email="news@shop.example.com",
                    sender_name="Shop",
                    created_at=frozen.NOW,
                )
            )
        self.people = people
        self.clock = Clock()
        self.run = frozen.dispatching(self.engine, people, batch_size=batch_size)
        self.book = frozen.book(self.engine, self.run, self.clock)
        self.inflight: list[Batch] = []
        self.delivered: Counter[str] = Counter()
        self.attempts_delivered: set[str] = set()

    @rule()
    def claim(self) -> None:
        batch = self.book.claim(self.run.id, worker=f"w{len(self.inflight)}", provider="sendgrid")
        if batch is not None:
            self.inflight.append(batch)

    @precondition(lambda self: self.inflight)
    @rule(which=st.integers(0, 9), wire=st.sampled_from(sorted(_WIRE)))
    def answer(self, which: int, wire: str) -> None:
        batch = self.inflight.pop(which % len(self.inflight))
        went_out, seen = _WIRE[wire]
        if went_out:
            self.delivered.update(batch.message_ids)
            self.attempts_delivered.add(batch.attempt_id)
        try:
            self.book.record(batch, Outcome(seen))
        except LeaseLost:
            return

    @precondition(lambda self: self.inflight)
    @rule(which=st.integers(0, 9), went_out=st.booleans())
    def worker_dies(self, which: int, went_out: bool) -> None:
        batch = self.inflight.pop(which % len(self.inflight))
        if went_out:
            self.delivered.update(batch.message_ids)
            self.attempts_delivered.add(batch.attempt_id)

    @rule(seconds=st.sampled_from([1, 30, 61, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.clock.forward(seconds=seconds)

    @rule()
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
            states = set(connection.scalars(tables.batches.select().with_only_columns(tables.batches.c.state)))
        assert sum(found.states.values()) == self.people
        assert found.missing == 0  # whatever the ledger calls accepted did go out
        assert found.complaints == ()
        assert states <= set(BatchState)

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.dispose()
            shutil.rmtree(self.folder, ignore_errors=True)


LedgerMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLedger = LedgerMachine.TestCase
