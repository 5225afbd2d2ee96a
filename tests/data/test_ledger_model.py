"""A model check of the ledger: whatever ESPs answer, workers die and time passes, no mail goes twice or is lost.

The oracle is the list of what each simulated ESP request really delivered, kept apart from the ledger. The answers go
through SendGrid's own adapter: what it makes of a 503 or a time-out is part of what is checked. That the check has teeth
is test_ledger_mutants.py's to show.
"""

import shutil
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import httpx
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
from domain.campaigns import Run
from domain.ledger import AllRefused, BatchState, LeaseLost, MessageState, Outcome, OutcomeKind
from domain.ports import Batch
from providers.sendgrid.config import SendGridConfig
from providers.sendgrid.mailer import SendGridMailer
from tests.data import frozen, ledger_rows
from tests.data.frozen import Clock

_REFUSED = "bad request"
# What the ESP did, and what the worker saw of it: a cut answer looks the same whether the mail went out or not.
_WIRE: dict[str, tuple[bool, int | type[httpx.TransportError]]] = {
    "accepted": (True, 202),
    "time-out after acceptance": (True, httpx.ReadTimeout),
    "time-out before acceptance": (False, httpx.ReadTimeout),
    "broken after acceptance": (True, 503),
    "broken before acceptance": (False, 503),
    "refused connection": (False, httpx.ConnectError),
    "too many requests": (False, 429),
    _REFUSED: (False, 400),
}
# What decides is drawn more often.
_DECISIVE = ("accepted", "time-out after acceptance", "broken after acceptance", _REFUSED)
_DRAWN = [*_WIRE, *_DECISIVE, "accepted", _REFUSED]
# Hypothesis leaves rules out of many histories. So that no history is without mail, each begins with some requests, and
# several workers ask at once: what the ESP does to each request, and whether its worker is slow about the result.
_REQUESTS = st.lists(st.tuples(st.sampled_from(_DRAWN), st.booleans()), min_size=1, max_size=5)
_OVERSLEPT = Outcome(OutcomeKind.NOT_SENT, detail="the worker slept", local=True)
_LEASE = timedelta(seconds=frozen.POLICY.lease_seconds)
_HELD_AFTER = timedelta(minutes=frozen.POLICY.hold_after_minutes)
_WINDOW = timedelta(hours=frozen.POLICY.window_hours)


class Wire(httpx.BaseTransport):
    """Gives each request the answer that the test has drawn for it."""

    answer: int | type[httpx.TransportError] = 202

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if isinstance(self.answer, int):
            return httpx.Response(self.answer, request=request)
        raise self.answer("as drawn", request=request)


_FROZEN: dict[tuple[Path, int, int], tuple[Path, Run]] = {}


def _frozen(engine: sa.Engine, template: Path, people: int, batch_size: int) -> Run:
    """Put a store with a frozen run in the engine's place; the freeze takes longer than all that follows."""
    path, key = str(engine.url.database), (template, people, batch_size)
    engine.dispose()
    if key not in _FROZEN:
        shutil.copy(template, path)
        with database.write(engine) as connection:
            ledger_rows.add_account(connection, "shop")
        run = frozen.dispatching(engine, people, batch_size=batch_size)
        engine.dispose()
        kept = template.with_name(f"frozen-{people}-{batch_size}.db")
        shutil.copy(path, kept)
        _FROZEN[key] = (kept, run)
    kept, run = _FROZEN[key]
    shutil.copy(kept, path)
    return run


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self, engine: sa.Engine, template: Path) -> None:
        super().__init__()
        # One engine for all examples: another would compile every statement anew.
        self.engine = engine
        self.template = template

    @initialize(people=st.integers(2, 9), batch_size=st.integers(1, 3), requests=_REQUESTS)
    def start(self, people: int, batch_size: int, requests: list[tuple[str, bool]]) -> None:
        self.people = people
        self.run = _frozen(self.engine, self.template, people, batch_size)
        self.clock = Clock()
        self.book = frozen.book(self.engine, self.run, self.clock)
        self.wire = Wire()
        client = httpx.Client(transport=self.wire, base_url="https://esp.example.com")
        self.mailer = SendGridMailer(client, SendGridConfig(), clock=self.clock)
        self.unrecorded: list[tuple[Batch, Outcome, bool]] = []
        self.lease_ends: dict[str, datetime] = {}
        self.delivered: Counter[str] = Counter()
        self.attempts_delivered: list[str] = []
        self.messages: dict[str, list[str]] = {}  # of each attempt
        self.unheard_of: list[str] = []  # delivered attempts whose one event is still on its way
        self.attempts_not_sent: list[str] = []
        self.proved: set[str] = set()  # attempts whose batch must end as accepted
        self.rejected: set[str] = set()
        self.refusing: set[str] = set()  # addresses
        self.workers_ask(0, 0, requests)

    @rule(pause=st.sampled_from([0, 5, 61]), nap=st.sampled_from([0, 0, 31, 61]), requests=_REQUESTS)
    def workers_ask(self, pause: int, nap: int, requests: list[tuple[str, bool]]) -> None:
        for wire, slow in requests:
            self.clock.forward(seconds=pause)
            self.worker_asks(nap, wire, slow)

    def worker_asks(self, nap: int, wire: str, slow: bool) -> None:
        """Claim, send, and record at once; or be slow about it, perhaps forever: such a worker is dead."""
        batch = self.book.claim(self.run.id, worker=f"w{len(self.lease_ends)}")
        if batch is None:
            return
        self.lease_ends[batch.attempt_id] = self.clock() + _LEASE
        assert self.refusing.isdisjoint(batch.addresses)
        self.clock.forward(seconds=nap)
        outcome = self.sent(batch, wire) if self.book.may_send(batch) else _OVERSLEPT
        refused = outcome is not _OVERSLEPT and wire == _REFUSED
        if slow:
            self.unrecorded.append((batch, outcome, refused))
        else:
            self.record(batch, outcome, refused)

    def sent(self, batch: Batch, wire: str) -> Outcome:
        """No request begins when the lease is over: somebody else decides about the batch then."""
        assert self.clock() < self.lease_ends[batch.attempt_id]
        went_out, self.wire.answer = _WIRE[wire]
        if went_out:
            self.delivered.update(batch.message_ids)
            self.attempts_delivered.append(batch.attempt_id)
            self.unheard_of.append(batch.attempt_id)
        return self.mailer.send(batch)

    @precondition(lambda self: self.unrecorded)
    @rule(which=st.integers(0, 9), pause=st.sampled_from([5, 61]))
    def slow_worker_records(self, which: int, pause: int) -> None:
        self.clock.forward(seconds=pause)
        self.record(*self.unrecorded.pop(which % len(self.unrecorded)))

    def record(self, batch: Batch, outcome: Outcome, refused: bool) -> None:
        in_time = self.clock() < self.lease_ends[batch.attempt_id]
        blamed = self.esp_took_something()
        try:
            self.book.record(batch, outcome, seconds=0.1)
        except LeaseLost:
            assert not in_time
            if outcome.kind is OutcomeKind.ACCEPTED and self.state_of(batch.attempt_id) != BatchState.HELD:
                self.proved.add(batch.attempt_id)
            return
        except AllRefused:
            assert not blamed
        assert in_time or outcome.local
        if batch.attempt_id not in self.attempts_delivered and outcome.kind is OutcomeKind.NOT_SENT:
            self.attempts_not_sent.append(batch.attempt_id)
        if refused and len(batch) == 1 and blamed:
            self.rejected.update(batch.message_ids)

    def esp_took_something(self) -> bool:
        accepted = sa.exists().where(tables.batches.c.state == BatchState.ACCEPTED)
        with database.read(self.engine) as connection:
            return bool(connection.scalar(sa.select(accepted)))

    @precondition(lambda self: self.unheard_of)
    @rule(which=st.integers(0, 9), to_the_end=st.sampled_from([False, False, True]))
    def event_of_a_delivered_attempt_arrives(self, which: int, to_the_end: bool) -> None:
        """Once: no second one need ever come."""
        attempt_id = self.unheard_of.pop(which % len(self.unheard_of))
        if self.state_of(attempt_id) in {BatchState.INFLIGHT, BatchState.UNKNOWN}:
            self.proved.add(attempt_id)
        self.event_arrives(attempt_id, to_the_end)

    @precondition(lambda self: self.attempts_not_sent)
    @rule(which=st.integers(0, 9))
    def event_names_an_attempt_that_was_never_sent(self, which: int) -> None:
        """An ESP's mistake, or somebody's: it says nothing about later attempts at the same batch."""
        self.event_arrives(self.attempts_not_sent[which % len(self.attempts_not_sent)], to_the_end=True)

    def event_arrives(self, attempt_id: str, to_the_end: bool) -> None:
        """As data.events does it: the proof with the body, the batches at the end of the round, if that is reached."""
        with database.write(self.engine) as connection:
            proofs.record(connection, {attempt_id: 1}, now=self.clock())
        if to_the_end:
            with database.write(self.engine) as connection:
                proofs.confirm(connection, now=self.clock())

    def state_of(self, attempt_id: str) -> str | None:
        """Of the batch whose current attempt this is."""
        batch = tables.batches.c
        with database.read(self.engine) as connection:
            return connection.scalar(sa.select(batch.state).where(batch.attempt_id == attempt_id))

    @precondition(lambda self: not self.refusing)
    @rule(number=st.integers(0, 8))
    def somebody_complains(self, number: int) -> None:
        self.refusing.add(ledger_rows.address(number % self.people))
        with database.write(self.engine) as connection:
            connection.execute(
                tables.suppressions.insert().values(
                    account_id="shop",
                    address_hash=ledger_rows.hash_of(number % self.people),
                    reason="complaint",
                    scope="all",
                    source="test",
                    evidence="",
                    created_at=self.clock(),
                )
            )

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
        if not hasattr(self, "refusing"):
            return
        for wait in (_WINDOW, _HELD_AFTER):
            self.clock.now += wait
            self.sweep()
        self.mailer.close()
        self.nobody_gets_it_twice()
        self.everybody_is_accounted_for()
        with database.read(self.engine) as connection:
            assert audit.message_states(connection, self.run.id)["open"] == 0
        assert {self.state_of(attempt_id) for attempt_id in self.proved} <= {BatchState.ACCEPTED}


def test_the_ledger_keeps_its_promises(sqlite_url: str, sqlite_template: Path) -> None:
    engine = database.engine_for(sqlite_url)
    run_state_machine_as_test(
        lambda: LedgerMachine(engine, sqlite_template),
        settings=settings(
            max_examples=40, stateful_step_count=16, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    engine.dispose()
