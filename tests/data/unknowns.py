"""A run whose batches nobody knows the outcome of, for tests of what may become of them."""

from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from data import audit, database, ledger_sweep, proofs, resolution, tables
from domain.ledger import BatchState, Outcome, OutcomeKind, ProofKind
from domain.ports import Answer, Batch, Finding
from tests.data import frozen
from tests.data.frozen import Clock

NOW = frozen.NOW
FOUND = Answer(Finding.ACCEPTED, ProofKind.LOOK_UP, '{"msg_id":"x"}')
CANCELLED = Answer(Finding.NOT_SENT, ProofKind.CANCELLED, "batch b has the status cancel")
ABSENT = Answer(Finding.NOT_SENT, ProofKind.LOOK_UP_ABSENT, "found nothing")
CANNOT_TELL = Answer(Finding.CANNOT_TELL, ProofKind.LOOK_UP, "HTTP 403")


@dataclass
class Book:
    """A run of three batches, and the clock by which it is worked on."""

    engine: sa.Engine
    clock: Clock

    def __post_init__(self) -> None:
        self.run = frozen.dispatching(self.engine, 9, batch_size=3)
        self.ledger = frozen.book(self.engine, self.run, self.clock)

    def send(self, outcome: OutcomeKind, *, provider: str = "sendgrid") -> Batch:
        book = replace(self.ledger, routes=[frozen.route(provider)])
        batch = book.claim(self.run.id, worker="w")
        assert batch is not None
        book.record(batch, Outcome(outcome), seconds=0.1)
        return batch

    def route(self, batch: Batch, *, provider: str = "sendgrid", send_at: datetime | None = None) -> None:
        """Say otherwise by which way the attempt went, and that it can be called back until then."""
        table = tables.attempt_routes
        went = {"provider": provider, "schedule_id": "schedule" if send_at else None, "send_at": send_at}
        with database.write(self.engine) as connection:
            connection.execute(table.update().where(table.c.attempt_id == batch.attempt_id).values(went))

    def apply(self, batch: Batch, answer: Answer) -> BatchState | None:
        with database.write(self.engine) as connection:
            return resolution.apply(connection, batch.batch_id, batch.attempt_id, answer, self.clock())

    def asked(self) -> list[resolution.Question]:
        with database.read(self.engine) as connection:
            return resolution.unresolved(connection, now=self.clock())

    def event(self, batch: Batch, *, confirmed: bool = True) -> None:
        with database.write(self.engine) as connection:
            proofs.record(connection, {batch.attempt_id: 1}, now=self.clock())
            if confirmed:
                proofs.confirm(connection, now=self.clock())

    def sweep(self) -> None:
        with database.write(self.engine) as connection:
            ledger_sweep.sweep(connection, policy=frozen.POLICY, now=self.clock())

    def state(self, batch: Batch) -> str:
        with database.read(self.engine) as connection:
            return connection.scalar(sa.select(tables.batches.c.state).where(tables.batches.c.id == batch.batch_id))

    def proofs(self) -> list[tuple[str, str, str]]:
        proof = tables.batch_proofs.c
        with database.read(self.engine) as connection:
            rows = connection.execute(sa.select(proof.attempt_id, proof.kind, proof.detail).order_by(proof.id))
            return [tuple(row) for row in rows]

    def complaints(self, *, overdue: datetime | None = None) -> tuple[str, ...]:
        with database.read(self.engine) as connection:
            return audit.audit(connection, self.run.id, record=None, overdue=overdue).complaints
