"""Results of batches whose messages fared differently: cut where they differ, each part with the state of its own.

The attempt stays that of the messages that were accepted. Every other part has one of its own (`ledger.own_attempt`):
so an unknown message is proved only by what is heard of that very mail.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from data import batches, proofs, tables
from domain import campaigns, ledger
from domain.ledger import BatchState, MessageState, Outcome, OutcomeKind, Part
from domain.ports import Batch

_STATES = {
    OutcomeKind.ACCEPTED: BatchState.ACCEPTED,
    OutcomeKind.REJECTED: BatchState.REJECTED,
    OutcomeKind.NOT_SENT: BatchState.PLANNED,
    OutcomeKind.UNKNOWN: BatchState.UNKNOWN,
}


class _Cut(NamedTuple):
    """A part with the ordinals (inclusive) that it stands for, those between them that were suppressed among them."""

    part: Part
    first: int
    last: int


def record(connection: sa.Connection, sent: Batch, outcome: Outcome, blameless: bool, now: datetime) -> bool:
    """Write what became of each message; whether the batch was still this attempt's.

    `blameless`: who was refused is not at fault, and is planned again.
    Also after the lease, as long as nobody else tried: what each message met with is known, whoever is late.
    """
    batch = tables.batches
    waits = batch.c.state.in_([BatchState.INFLIGHT, BatchState.UNKNOWN])
    own = (batch.c.id == sent.batch_id) & (batch.c.attempt_id == sent.attempt_id) & waits
    row = connection.execute(
        batch.update()
        .where(own)
        .values(state=BatchState.SPLIT, finished_at=now, lease_expires_at=None)
        .returning(batch)
    ).one_or_none()
    if row is None:
        return False
    found = ledger.parts(outcome, sent.message_ids)
    _finish_attempt(connection, sent, found, now)
    for cut in _cuts(row, sent, found):
        _write_part(connection, row, sent, cut, blameless, now)
    return True


def _cuts(row: Any, sent: Batch, found: list[Part]) -> Iterator[_Cut]:
    """The parts side by side, without a gap: together they are the batch that was cut."""
    firsts = [row.first_ordinal, *(_ordinal(sent.message_ids[part.messages.start]) for part in found[1:])]
    lasts = [*(first - 1 for first in firsts[1:]), row.last_ordinal]
    yield from map(_Cut, found, firsts, lasts)


def _ordinal(message_id: str) -> int:
    parsed = campaigns.parse_message_id(message_id)
    assert parsed is not None, "the ledger made this id"
    return parsed[1]


def _finish_attempt(connection: sa.Connection, sent: Batch, found: list[Part], now: datetime) -> None:
    """The attempt is of those that were accepted; where none was, it is nobody's any more."""
    accepted = [part for part in found if part.outcome.kind is OutcomeKind.ACCEPTED]
    taken = sum(len(part.messages) for part in accepted)
    told = accepted[0].outcome if accepted else Outcome(OutcomeKind.NOT_SENT)
    detail = f"{len(sent) - taken} of {len(sent)} fared otherwise"
    batches.finish_attempt(connection, sent.attempt_id, replace(told, detail=detail), now)
    attempt = tables.batch_attempts
    connection.execute(attempt.update().where(attempt.c.id == sent.attempt_id).values(messages=taken))


def _write_part(connection: sa.Connection, row: Any, sent: Batch, cut: _Cut, blameless: bool, now: datetime) -> None:
    outcome, batch = cut.part.outcome, tables.batches
    refused = outcome.kind is OutcomeKind.REJECTED
    message_id = sent.message_ids[cut.part.messages.start]
    accepted = outcome.kind is OutcomeKind.ACCEPTED
    attempt_id = sent.attempt_id if accepted else ledger.own_attempt(sent.attempt_id, message_id)
    again = outcome.kind is OutcomeKind.NOT_SENT or (refused and blameless)
    values = batches.of_part(row) | {
        "state": BatchState.PLANNED if again else _STATES[outcome.kind],
        "first_ordinal": cut.first,
        "last_ordinal": cut.last,
        "attempts": row.attempts,
        "attempt_id": attempt_id,
        "finished_at": None if again else now,
        "not_before": ledger.retry_at(now, row.attempts, outcome.retry_after) if again else None,
    }
    if refused and not outcome.local:
        values["refused_by"] = sent.grant.route.provider
    part_id = connection.execute(batch.insert().values(values).returning(batch.c.id)).scalar_one()
    if not accepted:
        _write_own_attempt(connection, sent, attempt_id, part_id, cut.part, now)
    if outcome.kind is OutcomeKind.UNKNOWN:
        proofs.keep_heard(connection, sent, part_id, attempt_id, _ordinal(message_id), now)
    if refused and not blameless:
        rejection = {"state": MessageState.REJECTED, "reason": outcome.detail, "created_at": now}
        connection.execute(
            tables.message_exceptions.insert().values(run_id=sent.run_id, ordinal=_ordinal(message_id), **rejection)
        )


def _write_own_attempt(
    connection: sa.Connection, sent: Batch, own: str, part_id: int, part: Part, now: datetime
) -> None:
    """The same attempt and the same way, of this part alone."""
    attempt, route, outcome = tables.batch_attempts, tables.attempt_routes, part.outcome
    facts = {
        "id": own,
        "batch_id": part_id,
        "messages": len(part.messages),
        "finished_at": now,
        "outcome": outcome.kind,
        "status_code": outcome.status,
        "provider_reference": outcome.provider_reference,
        "detail": outcome.detail,
    }
    _copy(connection, attempt, attempt.c.id == sent.attempt_id, facts)
    _copy(connection, route, route.c.attempt_id == sent.attempt_id, {"attempt_id": own})


def _copy(connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool], facts: dict[str, Any]) -> None:
    row = connection.execute(sa.select(table).where(which)).one()
    connection.execute(table.insert().values({**row._mapping, **facts}))
