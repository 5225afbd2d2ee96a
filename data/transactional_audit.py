"""The audit of transactional mail: has each state its evidence, is nothing left over, does the ESP's record agree?

The invariants are those of facts/reliability.md section 2 (I1 to I9), asked in SQL over the messages of a window.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from data import tables
from domain import ledger, suppression, transactional
from domain.ledger import BatchState, OutcomeKind
from domain.suppression import Stream
from domain.transactional import OPEN, OVER

_message, _attempt, _proof = tables.transactional_messages, tables.transactional_attempts, tables.transactional_proofs
# A sweep comes every minute at the latest; one that is that late is a fault.
_SWEEP_IS_LATE = timedelta(minutes=5)
_SHOWN = 3
# A suppression that was committed while the claim was is no fault: neither saw the other.
_COMMITS_WITHIN = timedelta(seconds=5)
# Who may be at the ESP although nobody counts it as accepted.
_POSSIBLY_SENT = (BatchState.INFLIGHT, BatchState.UNKNOWN, BatchState.HELD)


@dataclass(frozen=True, slots=True)
class LaneAudit:
    """`states`: messages by state, whose sum is `asked`. None: no record of the ESPs could be asked.

    `twice`: the ESPs' record has them more than once; `flagged` of these were knowingly sent once more.
    """

    asked: int
    states: Mapping[str, int]
    resent: int
    twice: int | None
    flagged: int | None
    missing: int | None
    complaints: tuple[str, ...]

    @property
    def balanced(self) -> bool:
        return not self.complaints


def audit(
    connection: sa.Connection,
    *,
    account_id: str,
    since: datetime,
    now: datetime,
    record: Mapping[str, int] | None = None,
    asked_of: Sequence[str] = (),
) -> LaneAudit:
    """Check the account's messages that were asked for since then.

    `record`: how often the ESPs accepted each message of `asked_of`, where they can tell.
    """
    window = (_message.c.account_id == account_id) & (_message.c.asked_at >= since)
    counts = sa.select(_message.c.state, sa.func.count()).where(window).group_by(_message.c.state)
    states: dict[str, int] = dict(connection.execute(counts).tuples().all())
    resent = connection.scalar(sa.select(sa.func.count()).where(window, _message.c.resent)) or 0
    complaints = [*_unheard_of(states), *_evidence(connection, window), *_overdue(connection, window, now)]
    complaints += _after_refusals(connection, window)
    twice = flagged = missing = None
    if record is not None:
        twice, flagged, missing, found = _against(connection, record, asked_of)
        complaints += found
    return LaneAudit(sum(states.values()), states, resent, twice, flagged, missing, tuple(complaints))


def _unheard_of(states: Mapping[str, int]) -> Iterator[str]:
    """I8: asked for is the sum of the states that there are."""
    known = {str(one) for one in OPEN | OVER}
    for state, count in states.items():
        if state not in known:
            yield f"{count} messages are in the state {state!r}, which does not exist"


def _proved(attempt_id: sa.ColumnElement[str], kinds: frozenset[ledger.ProofKind]) -> sa.ColumnElement[bool]:
    return sa.exists().where(_proof.c.attempt_id == attempt_id, _proof.c.kind.in_(sorted(kinds))).correlate(_attempt)


def _attempts(*which: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether the message has an attempt of which all this is true."""
    return sa.exists().where(_attempt.c.message_id == _message.c.id, *which).correlate(_message)


def _evidence(connection: sa.Connection, window: sa.ColumnElement[bool]) -> Iterator[str]:
    took = (_attempt.c.outcome == OutcomeKind.ACCEPTED) | _proved(_attempt.c.id, ledger.CONFIRMING)
    current = _attempt.c.id == _message.c.attempt_id
    ended = _message.c.state.in_(sorted(OVER))
    handed = _message.c.state.in_((BatchState.INFLIGHT, BatchState.UNKNOWN, BatchState.ACCEPTED, BatchState.HELD))
    unknown = _attempt.c.outcome == OutcomeKind.UNKNOWN
    # An unknown attempt that was followed by another one: released by a proof, or knowingly sent once more.
    released = _proved(_attempt.c.id, ledger.RELEASING)
    later = _attempt.alias()
    followed = sa.exists().where(later.c.message_id == _message.c.id, later.c.number > _attempt.c.number)
    followed = followed.correlate(_message, _attempt)
    checks = (
        ("count as accepted without an answer of the ESP or a proof (I2)",
         (_message.c.state == BatchState.ACCEPTED) & ~_attempts(took)),
        ("were handed over without an attempt on record (I3)", handed & ~_attempts(current)),
        ("left the unknown without a proof, and are not flagged (I4)",
         _attempts(unknown, followed, ~released) & ~_message.c.resent),
        ("went on although they were accepted (I5)",
         (_message.c.state.in_((BatchState.EXPIRED, BatchState.SUPPRESSED, BatchState.CANCELLED))) & _attempts(took)),
        ("were accepted in two attempts, and are not flagged as sent again (I1)", _twice(took) & ~_message.c.resent),
        ("are over, and still hold an address or values",
         ended & (_message.c.email.is_not(None) | _held_values())),
        ("are over since nobody knows when", ended & _message.c.finished_at.is_(None)),
    )  # fmt: skip
    for told, which in checks:
        yield from _complaint(connection, window & which, told)


def _held_values() -> sa.ColumnElement[bool]:
    """JSON's own null is no value either."""
    return _message.c.variables.is_not(None) & (sa.cast(_message.c.variables, sa.Text) != "null")


def _twice(took: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    count = sa.select(sa.func.count()).where(_attempt.c.message_id == _message.c.id, took)
    return count.correlate(_message).scalar_subquery() > 1


def _after_refusals(connection: sa.Connection, window: sa.ColumnElement[bool]) -> Iterator[str]:
    """I6: an attempt that was claimed while a refusal of its address stood, and it stands still."""
    refusal = tables.suppressions.c
    query = (
        sa.select(_message.c.id, refusal.recorded_at, _attempt.c.claimed_at)
        .join_from(_message, _attempt, _attempt.c.message_id == _message.c.id)
        .join(
            tables.suppressions,
            (refusal.account_id == _message.c.account_id) & (refusal.address_hash == _message.c.address_hash),
        )
        .where(
            window,
            refusal.scope.in_([one.value for one in suppression.scopes_blocking(Stream.TRANSACTIONAL)]),
            refusal.recorded_at < _attempt.c.claimed_at,
            refusal.lifted_at.is_(None),
            refusal.expires_at.is_(None),
        )
        .order_by(_message.c.id)
    )
    rows = connection.execute(query)
    found = sorted({row.id for row in rows if row.recorded_at < row.claimed_at - _COMMITS_WITHIN})
    yield from _told(found, "went out after their address was suppressed (I6)")


def _overdue(connection: sa.Connection, window: sa.ColumnElement[bool], now: datetime) -> Iterator[str]:
    """I9, and what the sweep should have closed."""
    late = now - _SWEEP_IS_LATE
    state = _message.c.state
    checks = (
        ("are unknown past their deadline (I9)",
         (state == BatchState.UNKNOWN) & (_message.c.finished_at < late - transactional.RESEND_AFTER)),
        ("are in the hands of a dead worker", (state == BatchState.INFLIGHT) & (_message.c.lease_expires_at < late)),
        ("outlived their use and still wait", (state == BatchState.PLANNED) & (_message.c.expires_at < late)),
    )  # fmt: skip
    for told, which in checks:
        yield from _complaint(connection, window & which, f"{told}: does `watch-lane` run?")


def _complaint(connection: sa.Connection, which: sa.ColumnElement[bool], told: str) -> Iterator[str]:
    yield from _told(connection.scalars(sa.select(_message.c.id).where(which).order_by(_message.c.id)).all(), told)


def _told(found: Sequence[str], told: str) -> Iterator[str]:
    if found:
        yield f"{len(found)} messages {told}: {', '.join(found[:_SHOWN])}{' …' if len(found) > _SHOWN else ''}"


def to_compare(connection: sa.Connection, *, account_id: str, since: datetime, until: datetime, most: int) -> list[str]:
    """The latest messages that an ESP may have: those whose two records are of one instant by now."""
    handed = _message.c.attempts > 0
    query = (
        sa.select(_message.c.id)
        .where(_message.c.account_id == account_id, _message.c.asked_at.between(since, until), handed)
        .order_by(_message.c.asked_at.desc())
        .limit(most)
    )
    return list(connection.scalars(query))


def providers(connection: sa.Connection, ids: Sequence[str]) -> list[str]:
    """By whom these were tried."""
    query = sa.select(_attempt.c.provider).where(_attempt.c.message_id.in_(ids)).distinct()
    return sorted(connection.scalars(query))


def _against(
    connection: sa.Connection, record: Mapping[str, int], asked_of: Sequence[str]
) -> tuple[int, int, int, list[str]]:
    """Twice, of these flagged, missing; and what is not as it must be."""
    query = sa.select(_message.c.id, _message.c.state, _message.c.resent).where(_message.c.id.in_(asked_of))
    twice, flagged, missing, unlooked_for = [], 0, [], []
    for row in connection.execute(query.order_by(_message.c.id)):
        times = record.get(row.id, 0)
        if times > 1:
            twice.append(row.id)
            flagged += row.resent
            if not row.resent or times > 2:  # noqa: PLR2004 - the mail, and the one more that is allowed
                unlooked_for.append(f"{row.id}: the ESP accepted it {times} times, and it is not flagged so")
        if row.state == BatchState.ACCEPTED and not times:
            missing.append(row.id)
        elif times and row.state not in {BatchState.ACCEPTED, *_POSSIBLY_SENT, BatchState.PLANNED}:
            unlooked_for.append(f"{row.id}: the ESP accepted it, and it counts as {row.state}")
    if missing:
        unlooked_for.append(
            f"{len(missing)} messages count as accepted, and the ESP's record lacks them: {missing[0]} …"
        )
    return len(twice), flagged, len(missing), unlooked_for
