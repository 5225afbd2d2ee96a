"""The audit: does a run's ledger add up, and does the ESP's own record agree with it?"""

from collections.abc import Iterator, Mapping

import sqlalchemy as sa

from data import runs, tables
from domain import campaigns, ledger
from domain.campaigns import Run
from domain.ledger import BatchState, MessageState, OutcomeKind
from domain.reports import Audit

# Batches whose messages the ESP may hold although the ledger does not count them as accepted.
_POSSIBLY_SENT = (BatchState.INFLIGHT, BatchState.UNKNOWN, BatchState.HELD)


def audit(connection: sa.Connection, run_id: str, *, record: Mapping[str, int] | None) -> Audit:
    """Check DESIGN section 4's balance. `record`: how often the ESP accepted each message id, if it can tell."""
    run = runs.get(connection, run_id)
    skipped = _skipped(connection, run_id)
    planned = skipped.pop(None, 0)
    named = {str(reason): count for reason, count in skipped.items()}
    states = message_states(connection, run_id)
    complaints = [*_balance(run, planned, named, states), *_evidence(connection, run_id)]
    duplicates = missing = None
    if record is not None:
        duplicates, missing, found = _against(connection, run_id, record)
        complaints += found
    return Audit(run.members or 0, planned, named, states, duplicates, missing, tuple(complaints))


def _skipped(connection: sa.Connection, run_id: str) -> dict[str | None, int]:
    table = tables.audience
    query = (
        sa.select(table.c.skip_reason, sa.func.count()).where(table.c.run_id == run_id).group_by(table.c.skip_reason)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def message_states(connection: sa.Connection, run_id: str) -> dict[str, int]:
    """Messages by what became of them: accepted, rejected, suppressed, expired, cancelled, held, open."""
    exceptions = _exceptions(connection, run_id)
    counts = dict.fromkeys(("accepted", "rejected", "suppressed", "expired", "cancelled", "held", "open"), 0)
    for exception in exceptions.values():
        counts[exception] += 1
    for first, last, state in _batches(connection, run_id):
        name = "open" if state in ledger.OPEN else state.value
        counts[name] += sum(ordinal not in exceptions for ordinal in range(first, last + 1))
    return counts


def _batches(connection: sa.Connection, run_id: str) -> Iterator[tuple[int, int, BatchState]]:
    """Ranges of the batches that count: of a split one its halves."""
    table = tables.batches
    query = (
        sa.select(table.c.first_ordinal, table.c.last_ordinal, table.c.state)
        .where(table.c.run_id == run_id, table.c.state != BatchState.SPLIT)
        .order_by(table.c.first_ordinal)
    )
    for first, last, state in connection.execute(query):
        yield first, last, BatchState(state)


def _exceptions(connection: sa.Connection, run_id: str) -> dict[int, MessageState]:
    table = tables.message_exceptions
    query = sa.select(table.c.ordinal, table.c.state).where(table.c.run_id == run_id)
    return {ordinal: MessageState(state) for ordinal, state in connection.execute(query)}


def _balance(run: Run, planned: int, skipped: dict[str, int], states: dict[str, int]) -> Iterator[str]:
    if (run.members or 0) != planned + sum(skipped.values()):
        yield f"the segment had {run.members} members, but {planned} planned and {sum(skipped.values())} skipped"
    if run.plan.live and run.frozen_at is not None and planned != sum(states.values()):
        yield f"{planned} messages were planned, but the batches account for {sum(states.values())}"


def _evidence(connection: sa.Connection, run_id: str) -> Iterator[str]:
    """Accepted only with a 2xx or a proof on record; a claim was committed before its call (reliability I2, I3)."""
    batch, attempt, proof = tables.batches, tables.batch_attempts, tables.batch_proofs
    answered = sa.exists().where(attempt.c.id == batch.c.attempt_id, attempt.c.outcome == OutcomeKind.ACCEPTED)
    proved = sa.exists().where(proof.c.batch_id == batch.c.id)
    groundless = sa.select(sa.func.count()).where(
        batch.c.run_id == run_id, batch.c.state == BatchState.ACCEPTED, ~answered, ~proved
    )
    if count := connection.scalar(groundless):
        yield f"{count} batches count as accepted without an answer of the ESP or a proof"
    twice = (
        sa.select(attempt.c.batch_id)
        .join(batch, batch.c.id == attempt.c.batch_id)
        .where(batch.c.run_id == run_id, attempt.c.outcome == OutcomeKind.ACCEPTED)
        .group_by(attempt.c.batch_id)
        .having(sa.func.count() > 1)
    )
    if count := len(connection.execute(twice).all()):
        yield f"{count} batches were accepted in two attempts"
    yield from _events_against(connection, run_id)


def _events_against(connection: sa.Connection, run_id: str) -> Iterator[str]:
    """What events say against the ledger (reliability I1): they carry the attempt by which a mail went out."""
    event, attempt = tables.delivery_events, tables.batch_attempts
    of_run = (event.c.run_id == run_id) & event.c.attempt_id.is_not(None)
    twice = (
        sa.select(event.c.ordinal)
        .where(of_run)
        .group_by(event.c.ordinal)
        .having(sa.func.count(event.c.attempt_id.distinct()) > 1)
        .subquery()
    )
    if count := connection.scalar(sa.select(sa.func.count()).select_from(twice)):
        yield f"{count} messages went out in two attempts, as events show"
    refused = sa.select(sa.func.count(attempt.c.id.distinct())).where(
        of_run,
        attempt.c.id == event.c.attempt_id,
        attempt.c.outcome.in_([OutcomeKind.NOT_SENT, OutcomeKind.REJECTED]),
    )
    if count := connection.scalar(refused):
        yield f"{count} attempts that count as not sent went out, as events show"


def _against(connection: sa.Connection, run_id: str, record: Mapping[str, int]) -> tuple[int, int, list[str]]:
    """Compare message by message with what the ESP says it accepted."""
    exceptions = _exceptions(connection, run_id)
    accepted: set[str] = set()
    possible: set[str] = set()
    for first, last, state in _batches(connection, run_id):
        if state is BatchState.ACCEPTED or state in _POSSIBLY_SENT:
            target = accepted if state is BatchState.ACCEPTED else possible
            target.update(campaigns.message_id(run_id, o) for o in range(first, last + 1) if o not in exceptions)
    duplicates = sum(count - 1 for count in record.values() if count > 1)
    missing = len(accepted - record.keys())
    foreign = len(record.keys() - accepted - possible)
    found = []
    if duplicates:
        found.append(f"the ESP accepted {duplicates} messages more than once")
    if missing:
        found.append(f"the ESP knows nothing of {missing} messages that the ledger holds for accepted")
    if foreign:
        found.append(f"the ESP accepted {foreign} messages that the ledger does not hold for sent")
    return duplicates, missing, found
