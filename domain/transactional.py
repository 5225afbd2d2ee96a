"""A transactional message: what the customer waits for, how urgent it is, and what may become of it.

It passes the states of the ledger (domain/ledger.py), one message instead of a batch. What differs: nobody knows what
became of a request, no proof comes, and the message may go once more, flagged (facts/reliability.md sections 1 and 2).
"""

import base64
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from domain.ledger import BatchState, Outcome, OutcomeKind

# How the ESP knows the one message: its id stands where a run's stands, so it is parsed as every other (campaigns).
ORDINAL = 1
_PREFIX = "t"
_ID_BYTES = 12  # 96 bits, 20 characters: nobody guesses one, and a billion of them do not meet


class Urgency(IntEnum):
    """Who goes first. A smaller one always does; within one, accounts take turns."""

    SECURITY = 0  # password resets, one-time codes: she sits before the form
    CONFIRMATION = 1  # orders, payments
    SHIPPING = 2  # parcels, deliveries, refunds
    OTHER = 3


# The states that a transactional message may be in, and which may follow which. It is never split.
NEXT: dict[BatchState, frozenset[BatchState]] = {
    BatchState.PLANNED: frozenset(
        {
            BatchState.INFLIGHT,
            BatchState.SUPPRESSED,
            BatchState.EXPIRED,
            BatchState.REJECTED,  # it cannot be written: a value is missing, or its template is gone
            BatchState.CANCELLED,
            BatchState.ACCEPTED,  # it was released, and then an event showed that the ESP had it all the time
            BatchState.HELD,  # it was to go once more, and outlived its use before it could
        }
    ),
    BatchState.INFLIGHT: frozenset(
        {BatchState.ACCEPTED, BatchState.REJECTED, BatchState.PLANNED, BatchState.UNKNOWN, BatchState.HELD}
    ),
    BatchState.UNKNOWN: frozenset({BatchState.ACCEPTED, BatchState.PLANNED, BatchState.HELD}),
    **dict.fromkeys(
        (
            BatchState.ACCEPTED,
            BatchState.REJECTED,
            BatchState.SUPPRESSED,
            BatchState.EXPIRED,
            BatchState.HELD,
            BatchState.CANCELLED,
        ),
        frozenset(),
    ),
}
OPEN = frozenset({BatchState.PLANNED, BatchState.INFLIGHT, BatchState.UNKNOWN})
OVER = frozenset(NEXT) - OPEN
_NOT_SENT = frozenset({BatchState.SUPPRESSED, BatchState.REJECTED, BatchState.EXPIRED, BatchState.CANCELLED})


def new_id() -> str:
    """The id of a message that nothing else names."""
    return _spelled(uuid.uuid4().bytes[:_ID_BYTES])


def id_of(*parts: str) -> str:
    """The id of the message that these parts ask for: the same parts, the same message, so it is asked for once."""
    return _spelled(uuid.uuid5(uuid.NAMESPACE_OID, "\0".join(parts)).bytes[:_ID_BYTES])


def _spelled(raw: bytes) -> str:
    return _PREFIX + base64.b32encode(raw).decode().rstrip("=").lower()


def is_id(text: str) -> bool:
    """Whether it can be one of these; runs begin with another letter."""
    return text.startswith(_PREFIX)


# The ESP is asked from then on (facts/reliability.md section 2: 3 to 5 minutes), each minute, by the flow watch-lane.
LOOK_UP_AFTER = timedelta(minutes=3)
# An event, or one of these look-ups, tells what became of a request; else she gets it twice rather than never.
RESEND_AFTER = timedelta(minutes=6)


def state_after(outcome: Outcome) -> BatchState:
    """What becomes of an inflight message."""
    return {
        OutcomeKind.ACCEPTED: BatchState.ACCEPTED,
        OutcomeKind.REJECTED: BatchState.REJECTED,
        OutcomeKind.NOT_SENT: BatchState.PLANNED,
        OutcomeKind.UNKNOWN: BatchState.UNKNOWN,
    }[outcome.kind]


def after_silence(*, resent: bool, expires_at: datetime, now: datetime) -> BatchState:
    """What becomes of a message that is unknown for RESEND_AFTER, without any proof: once more, or held for good."""
    return BatchState.HELD if resent or expires_at <= now else BatchState.PLANNED


def ended(state: BatchState, *, resent: bool) -> BatchState:
    """How a message ends that goes no further: of one that may have gone before nobody says that it did not."""
    return BatchState.HELD if resent and state in _NOT_SENT else state


# She waits: the first try again is at once, perhaps by another way. An outage lasts longer than a minute of tries.
_DELAYS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0)


def retry_at(now: datetime, attempts: int) -> datetime:
    """When a message that was certainly not sent may be claimed again.

    An ESP's own word when to come again (Retry-After) holds for its lane, not for the message: another takes it sooner.
    """
    return now + timedelta(seconds=_DELAYS[min(attempts, len(_DELAYS)) - 1])


@dataclass(frozen=True, slots=True)
class Timing:
    """How urgent a message is, and how long it is of use: what cannot go by then expires instead of arriving late."""

    urgency: Urgency = Urgency.OTHER
    useful: timedelta = timedelta(days=3)
