"""The audit: does a run's ledger add up, and does the ESP's own record agree with it?"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

import sqlalchemy as sa

from data import host_steps, runs, tables
from domain import campaigns, ledger
from domain.campaigns import Run
from domain.delivery import EventKind
from domain.hosting import Step
from domain.ledger import BatchState, MessageState, OutcomeKind, ProofKind
from domain.reports import Audit

# Batches whose messages the ESP may hold although the ledger does not count them as accepted.
_POSSIBLY_SENT = (BatchState.INFLIGHT, BatchState.UNKNOWN, BatchState.HELD)


def audit(
    connection: sa.Connection, run_id: str, *, record: Mapping[str, int] | None, overdue: datetime | None = None
) -> Audit:
    """Check DESIGN section 4's balance. `record`: how often the ESP accepted each message id, if it can tell.

    `overdue`: a batch that is unknown since then or longer should have been held by now.
    """
    run = runs.get(connection, run_id)
    skipped = _skipped(connection, run_id)
    planned = skipped.pop(None, 0)
    named = {str(reason): count for reason, count in skipped.items()}
    states = message_states(connection, run_id)
    complaints = [*_balance(run, planned, named, states), *_evidence(connection, run_id)]
    complaints += _unknowns(connection, run_id, overdue)
    duplicates = missing = None
    complaints += _hosted(connection, run_id, states["accepted"])
    if record is not None:
        duplicates, missing, found = _against(connection, run_id, record)
        complaints += found
    return Audit(run.members or 0, planned, named, states, duplicates, missing, tuple(complaints))


def _hosted(connection: sa.Connection, run_id: str, accepted: int) -> Iterator[str]:
    """Through a campaign host: one campaign, and as many as the host counted before it was scheduled."""
    batch, attempt = tables.batches, tables.batch_attempts
    look = host_steps.one(connection, run_id, Step.LAST_LOOK)
    if look is None or not accepted:
        return
    if look.reference not in {None, str(accepted)}:  # None: somebody at the host had it sent before we looked
        yield f"the host counted {look.reference} members in the run's segment, but {accepted} count as mailed"
    went = (attempt.c.outcome == OutcomeKind.ACCEPTED) | _proved(attempt.c.id, ledger.CONFIRMING)
    campaigns_sent = (
        sa.select(sa.func.count(attempt.c.provider_reference.distinct()))
        .join(batch, batch.c.id == attempt.c.batch_id)
        .where(batch.c.run_id == run_id, went)
    )
    if (count := connection.scalar(campaigns_sent) or 0) > 1:
        yield f"it went out as {count} campaigns of the host"


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
    batch, attempt = tables.batches, tables.batch_attempts
    answered = sa.exists().where(attempt.c.id == batch.c.attempt_id, attempt.c.outcome == OutcomeKind.ACCEPTED)
    proved = _proved(batch.c.attempt_id, ledger.CONFIRMING)
    groundless = sa.select(sa.func.count()).where(
        batch.c.run_id == run_id, batch.c.state == BatchState.ACCEPTED, ~answered, ~proved
    )
    if count := connection.scalar(groundless):
        yield f"{count} batches count as accepted without an answer of the ESP or a proof"
    twice = (
        sa.select(attempt.c.batch_id)
        .join(batch, batch.c.id == attempt.c.batch_id)
        .where(
            batch.c.run_id == run_id,
            (attempt.c.outcome == OutcomeKind.ACCEPTED) | _proved(attempt.c.id, ledger.CONFIRMING),
        )
        .group_by(attempt.c.batch_id)
        .having(sa.func.count() > 1)
    )
    if count := len(connection.execute(twice).all()):
        yield f"{count} batches were accepted in two attempts"
    # What was released and then cut: the parts that carry a later attempt went again. One of the same instant is the
    # same request, of which each message had its own answer (data.partial_results).
    part, later = batch.alias(), attempt.alias()
    again = sa.select(sa.func.count(attempt.c.id.distinct())).where(
        batch.c.run_id == run_id,
        batch.c.state == BatchState.SPLIT,
        batch.c.attempt_id == attempt.c.id,
        _proved(attempt.c.id, ledger.CONFIRMING),
        sa.exists().where(
            part.c.run_id == run_id,
            part.c.id != batch.c.id,
            part.c.first_ordinal.between(batch.c.first_ordinal, batch.c.last_ordinal),
            part.c.attempt_id == later.c.id,
            later.c.claimed_at > attempt.c.claimed_at,
            part.c.state.not_in([BatchState.PLANNED, BatchState.SPLIT]),
        ),
    )
    if count := connection.scalar(again):
        yield f"{count} batches were accepted, and parts of them were tried again"
    yield from _events_against(connection, run_id)


def _proved(attempt_id: sa.ColumnElement[str], kinds: Collection[ProofKind]) -> sa.ColumnElement[bool]:
    """Is there a proof of one of these kinds of this very attempt? One of an earlier attempt says nothing."""
    proof = tables.batch_proofs
    return sa.exists().where(proof.c.attempt_id == attempt_id, proof.c.kind.in_(kinds))


def _unknowns(connection: sa.Connection, run_id: str, overdue: datetime | None) -> Iterator[str]:
    """An unknown batch goes again only with a proof, and is not unknown for ever (reliability I4, I9).

    What the wire said of an attempt stays on record, so an attempt that was unknown still says so.
    """
    batch, attempt = tables.batches, tables.batch_attempts
    waits = batch.c.state.in_([BatchState.UNKNOWN, BatchState.HELD, BatchState.ACCEPTED])
    left = sa.select(sa.func.count(attempt.c.batch_id.distinct())).where(
        batch.c.run_id == run_id,
        attempt.c.batch_id == batch.c.id,
        attempt.c.outcome == OutcomeKind.UNKNOWN,
        ~((batch.c.attempt_id == attempt.c.id) & waits),
        ~_proved(attempt.c.id, ledger.RELEASING),
    )
    if count := connection.scalar(left):
        yield f"{count} batches were unknown and went on without a proof that they had not been sent"
    if overdue is None:
        return
    forgotten = sa.select(sa.func.count()).where(
        batch.c.run_id == run_id, batch.c.state == BatchState.UNKNOWN, batch.c.finished_at <= overdue
    )
    if count := connection.scalar(forgotten):
        yield f"{count} batches are unknown for too long: is the flow process-delivery-events running?"


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
    # An ESP that refuses a mail, or throws a cancelled one away, may say that it dropped it: that is none that went out.
    refused = sa.select(sa.func.count(attempt.c.id.distinct())).where(
        of_run,
        event.c.kind != EventKind.DROPPED,
        attempt.c.id == event.c.attempt_id,
        attempt.c.outcome.in_([OutcomeKind.NOT_SENT, OutcomeKind.REJECTED]),
    )
    if count := connection.scalar(refused):
        yield f"{count} attempts that count as not sent went out, as events show"
    released = sa.select(sa.func.count(event.c.attempt_id.distinct())).where(
        of_run, event.c.kind != EventKind.DROPPED, _proved(event.c.attempt_id, ledger.RELEASING)
    )
    if count := connection.scalar(released):
        yield f"{count} attempts that were proved not to be sent went out, as events show"


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
