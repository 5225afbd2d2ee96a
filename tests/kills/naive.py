"""The two obvious strategies, which this harness must catch: each bends the real sender, in its own process."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from data import database, tables
from data.ledger import SqlLedger
from domain.ledger import BatchState, Outcome, OutcomeKind
from tests.kills.points import Hooks

_UNRESOLVED = (BatchState.INFLIGHT, BatchState.UNKNOWN)


def retry_until_2xx(hooks: Hooks, run_id: str) -> None:
    """Whatever has no 2xx goes again: what a dead sender left at once, and a cut answer counts as not sent."""
    batch = tables.batches
    left = batch.update().where(batch.c.run_id == run_id, batch.c.state.in_(_UNRESOLVED))
    with database.write(hooks.engine) as connection:
        connection.execute(left.values(state=BatchState.PLANNED, lease_expires_at=None))
    record, book = SqlLedger.record, _class()

    def naive(self: SqlLedger, batch: Any, outcome: Outcome, **named: Any) -> Any:
        if outcome.kind is OutcomeKind.UNKNOWN:
            outcome = replace(outcome, kind=OutcomeKind.NOT_SENT, retry_after=timedelta(0))
        return record(self, batch, outcome, **named)

    book.record = naive


def checkpoint_before_send(_: Hooks, __: str) -> None:
    """A batch counts as accepted as soon as it is claimed; nothing is ever sent twice."""
    claim, record, book = SqlLedger.claim, SqlLedger.record, _class()

    def naive(self: SqlLedger, *given: Any, **named: Any) -> Any:
        batch = claim(self, *given, **named)
        if batch is not None:
            record(self, batch, Outcome(OutcomeKind.ACCEPTED), seconds=0.0)
        return batch

    book.claim = naive
    book.record = lambda *_, **__: None


def _class() -> Any:
    return SqlLedger
