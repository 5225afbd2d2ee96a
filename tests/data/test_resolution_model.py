"""The model check of the ledger with an ESP that is asked about unknown batches, by several at once, late and stale.

What the ESP answers is true at the moment when it is asked; when the answer is applied, anything may have happened.
"""

from collections import Counter
from pathlib import Path

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from data import database, proofs, resolution
from domain.ledger import ProofKind
from domain.ports import Answer, Finding
from tests.data.test_ledger_model import LedgerMachine

_CANNOT_TELL = Answer(Finding.CANNOT_TELL, ProofKind.LOOK_UP, "behind")


class ResolvingMachine(LedgerMachine):
    def __init__(self, engine: sa.Engine, template: Path) -> None:
        super().__init__(engine, template)
        self.gone: set[str] = set()  # attempts whose mail has left the ESP, so that nobody can call it back
        self.answers: list[tuple[resolution.Question, Answer]] = []

    @precondition(lambda self: self.attempts_delivered)
    @rule(which=st.integers(0, 9), to_the_end=st.booleans())
    def event_of_a_delivered_attempt_arrives(self, which: int, to_the_end: bool) -> None:
        attempt_id = self.attempts_delivered[which % len(self.attempts_delivered)]
        self.gone.add(attempt_id)
        with database.write(self.engine) as connection:
            proofs.record(connection, {attempt_id: 1}, now=self.clock())
        if to_the_end:
            with database.write(self.engine) as connection:
                proofs.confirm(connection, now=self.clock())

    @precondition(lambda self: self.messages)
    @rule(
        which=st.integers(0, 9),
        way=st.sampled_from(["cancel", "look up", "behind"]),
        askers=st.integers(1, 2),
        at_once=st.booleans(),
    )
    def the_esp_is_asked(self, which: int, way: str, askers: int, at_once: bool) -> None:
        with database.read(self.engine) as connection:
            questions = resolution.unresolved(connection, now=self.clock())
        if not questions:
            return
        question = questions[which % len(questions)]
        for _ in range(askers):
            self.answers.append((question, self.truth(question.attempt.attempt_id, way)))
        if at_once:
            self.an_answer_is_applied(len(self.answers) - 1)

    def truth(self, attempt_id: str, way: str) -> Answer:
        went_out = attempt_id in self.attempts_delivered
        if way == "behind" or (way == "cancel" and attempt_id in self.gone):
            return _CANNOT_TELL
        if way == "cancel":
            if went_out:
                self.attempts_delivered.remove(attempt_id)
                self.delivered -= Counter(self.messages[attempt_id])
            return Answer(Finding.NOT_SENT, ProofKind.CANCELLED, "cancel")
        self.gone.add(attempt_id)  # it is looked up when the time to call it back is over
        if went_out:
            return Answer(Finding.ACCEPTED, ProofKind.LOOK_UP, "found")
        return Answer(Finding.NOT_SENT, ProofKind.LOOK_UP_ABSENT, "nothing found")

    @precondition(lambda self: self.answers)
    @rule(which=st.integers(0, 9))
    def an_answer_is_applied(self, which: int) -> None:
        question, answer = self.answers.pop(which % len(self.answers))
        with database.write(self.engine) as connection:
            resolution.apply(connection, question.batch_id, question.attempt.attempt_id, answer, self.clock())


def test_no_answer_sends_mail_twice_or_loses_it(sqlite_url: str, sqlite_template: Path) -> None:
    engine = database.engine_for(sqlite_url)
    run_state_machine_as_test(
        lambda: ResolvingMachine(engine, sqlite_template),
        settings=settings(
            max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    engine.dispose()
