"""The ledger's states and the one table from what a wire said to what becomes of a batch.

Sources: shared/DESIGN.md section 4; the outcome table of facts/reliability.md section 2.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from domain.delivery import DeliveryEvent


class BatchState(StrEnum):
    """Where a batch is. A batch that was split lives on in its two halves and is not counted itself."""

    PLANNED = "planned"
    INFLIGHT = "inflight"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SUPPRESSED = "suppressed"  # every message in it was suppressed at the claim
    UNKNOWN = "unknown"
    HELD = "held"  # possibly sent; never sent again
    EXPIRED = "expired"
    CANCELLED = "cancelled"  # a person ended the run before it went
    SPLIT = "split"


NEXT: dict[BatchState, frozenset[BatchState]] = {
    BatchState.PLANNED: frozenset(
        {
            BatchState.INFLIGHT,
            BatchState.SUPPRESSED,
            BatchState.EXPIRED,
            BatchState.CANCELLED,
            # It was unknown and released, and then an event or a late answer showed that the ESP had it all the time.
            BatchState.ACCEPTED,
            BatchState.SPLIT,  # a small part of it goes first, to try a way that failed before
        }
    ),
    BatchState.INFLIGHT: frozenset(
        {
            BatchState.ACCEPTED,
            BatchState.REJECTED,
            BatchState.SPLIT,
            BatchState.PLANNED,
            BatchState.UNKNOWN,
        }
    ),
    BatchState.UNKNOWN: frozenset(
        {
            BatchState.ACCEPTED,
            BatchState.PLANNED,
            BatchState.HELD,
            BatchState.SPLIT,  # its worker was late, and knows of each message what became of it
        }
    ),
    BatchState.ACCEPTED: frozenset(),
    BatchState.REJECTED: frozenset(),
    BatchState.SUPPRESSED: frozenset(),
    BatchState.HELD: frozenset(),
    BatchState.EXPIRED: frozenset(),
    BatchState.CANCELLED: frozenset(),
    BatchState.SPLIT: frozenset(),
}
OPEN = frozenset({BatchState.PLANNED, BatchState.INFLIGHT, BatchState.UNKNOWN})


class MessageState(StrEnum):
    """What can happen to one message apart from its batch; only such exceptions are written."""

    SUPPRESSED = "suppressed"
    REJECTED = "rejected"


class OutcomeKind(StrEnum):
    """What is known after a request to an ESP."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"  # the ESP took none of it, and would not another time
    NOT_SENT = "not_sent"  # certainly: it may go again, later or elsewhere
    UNKNOWN = "unknown"  # it may have gone out: nobody sends it again without proof


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer for one batch. `detail` is for people and holds no address.

    `exceptions`: by message id what became of those of which something else is known; of the rest the outcome itself
    speaks. An ESP that takes each message by itself (SMTP), or says of each whether it took it, fills it.
    `event`: a refusal that says something of the mailbox, as a bounce would that came later.
    """

    kind: OutcomeKind
    detail: str = ""
    status: int | None = None
    provider_reference: str | None = None
    retry_after: timedelta | None = None
    stop_provider: bool = False  # 401, 403: no further request makes sense until somebody mends the configuration
    local: bool = False  # ended by ourselves before any connection: it says nothing of the ESP
    forbidden: bool = False  # a rule of ours forbids this recipient: it says nothing of the campaign either
    exceptions: Mapping[str, "Outcome"] = field(default_factory=dict, hash=False)
    event: DeliveryEvent | None = field(default=None, compare=False)  # what it told of this one message at once


class ProofKind(StrEnum):
    """How it was found out what became of an attempt that nobody knew the outcome of."""

    EVENT = "event"  # a delivery event names the attempt
    ANSWER = "answer"  # the ESP's own acceptance, which its worker read after the lease
    LOOK_UP = "look_up"  # the ESP was asked, and knows it
    CANCELLED = "cancelled"  # the ESP was told in time to forget it, and says that it did
    LOOK_UP_ABSENT = "look_up_absent"  # the ESP was asked: it knows others that came later, and not this one
    NEVER_BEGUN = "never_begun"  # its own worker says, after its lease, that it opened no connection


CONFIRMING = frozenset({ProofKind.EVENT, ProofKind.ANSWER, ProofKind.LOOK_UP})
RELEASING = frozenset({ProofKind.CANCELLED, ProofKind.LOOK_UP_ABSENT, ProofKind.NEVER_BEGUN})


class LeaseLost(RuntimeError):
    """The worker was paused past its lease: somebody else decides about the batch now."""


class AllRefused(RuntimeError):
    """The ESP refuses single messages of a run of which it never took one: the campaign is at fault, not they."""


# So often is a single message refused, while nothing of its run was ever accepted, before the run is paused.
REFUSALS_BEFORE_PAUSE = 3


def state_after(outcome: OutcomeKind, size: int) -> BatchState:
    """Say what becomes of an inflight batch of `size` messages. A refused batch is halved down to the culprit."""
    if outcome is OutcomeKind.REJECTED:
        return BatchState.REJECTED if size == 1 else BatchState.SPLIT
    return {
        OutcomeKind.ACCEPTED: BatchState.ACCEPTED,
        OutcomeKind.NOT_SENT: BatchState.PLANNED,
        OutcomeKind.UNKNOWN: BatchState.UNKNOWN,
    }[outcome]


_ALONE = frozenset({OutcomeKind.REJECTED, OutcomeKind.UNKNOWN})


class Part(NamedTuple):
    """Messages in a row of one outcome; `messages` are places in the batch."""

    outcome: Outcome
    messages: range


def parts(outcome: Outcome, message_ids: Sequence[str]) -> list[Part]:
    """Cut a batch whose messages fared differently. Refused and unknown ones stand alone: each needs its own proof."""
    found: list[Part] = []
    for place, message_id in enumerate(message_ids):
        own = outcome.exceptions.get(message_id, outcome)
        if found and own.kind is found[-1].outcome.kind and own.kind not in _ALONE:
            found[-1] = Part(found[-1].outcome, range(found[-1].messages.start, place + 1))
        else:
            found.append(Part(own, range(place, place + 1)))
    return found


def simplified(outcome: Outcome, message_ids: Sequence[str]) -> Outcome:
    """The same; without exceptions where all messages met with the same, so that they stay together."""
    found = parts(outcome, message_ids)
    return replace(found[0].outcome, exceptions={}) if len(found) == 1 else outcome


def gravest(outcome: Outcome) -> Outcome:
    """What an answer says of the ESP's health: that of a message which nobody knows the fate of, if there is one."""
    return next((one for one in outcome.exceptions.values() if one.kind is OutcomeKind.UNKNOWN), outcome)


def handed_over(outcome: Outcome, message_ids: Sequence[str]) -> int:
    """Of how many messages it is not certain that they were not sent."""
    return sum(outcome.exceptions.get(one, outcome).kind is not OutcomeKind.NOT_SENT for one in message_ids)


def refused_alone(outcome: Outcome, message_ids: Sequence[str]) -> bool:
    """Did the ESP refuse single messages and take none: the only one of a batch, or so many of one as pause a run?"""
    if not outcome.exceptions:
        return state_after(outcome.kind, len(message_ids)) is BatchState.REJECTED and not outcome.forbidden
    each = [outcome.exceptions.get(one, outcome) for one in message_ids]
    refused = sum(one.kind is OutcomeKind.REJECTED and not one.forbidden for one in each)
    return refused >= REFUSALS_BEFORE_PAUSE and all(one.kind is not OutcomeKind.ACCEPTED for one in each)


def own_attempt(attempt_id: str, message_id: str) -> str:
    """The name of one message's part in an attempt, where the ESP takes each message by itself.

    The mail carries it instead of the attempt: what is heard of one of them proves nothing of its neighbours.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{attempt_id} {message_id}"))


def is_part(attempt_id: str) -> bool:
    """Whether it is such a name: an attempt's own is random (version 4), a part's is made of it (version 5)."""
    try:
        return uuid.UUID(attempt_id).version == 5  # noqa: PLR2004 - RFC 9562 section 5.5
    except ValueError:
        return False


# Doubling from two seconds to a minute: a 429 clears within seconds, an outage within the run's window.
_FIRST_DELAY = timedelta(seconds=2)
_LONGEST_DELAY = timedelta(minutes=1)


def retry_at(now: datetime, attempts: int, retry_after: timedelta | None) -> datetime:
    """When a batch that was certainly not sent may be claimed again; the ESP's own word goes first."""
    doubled = _FIRST_DELAY * 2 ** min(attempts - 1, 5)
    return now + (retry_after if retry_after is not None else min(doubled, _LONGEST_DELAY))


# An ESP is asked about an unknown batch whenever its age has doubled, and every quarter of an hour. The flow that asks
# comes each minute, give or take some seconds. While mail can still be called back, every minute counts.
_SHORTEST_SILENCE = timedelta(seconds=45)
_LONGEST_SILENCE = timedelta(minutes=15)


def ask_again_at(now: datetime, *, unknown_since: datetime, send_at: datetime | None) -> datetime:
    """When an ESP that could not tell is asked again about a batch that it was to let go at `send_at`, or at once."""
    if send_at is not None and now < send_at:
        return now + _SHORTEST_SILENCE
    return now + min(max(now - unknown_since, _SHORTEST_SILENCE), _LONGEST_SILENCE)


def halves(first: int, last: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Cut a range of ordinals (inclusive) of at least two in two."""
    middle = (first + last) // 2
    return (first, middle), (middle + 1, last)


def ranges(planned: int, batch_size: int) -> list[tuple[int, int]]:
    """Cut ordinals 0 … planned-1 into contiguous ranges (inclusive) of at most `batch_size`."""
    return [(first, min(first + batch_size, planned) - 1) for first in range(0, planned, batch_size)]
